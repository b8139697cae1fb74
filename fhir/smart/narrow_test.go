package smart_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

func TestNarrow(t *testing.T) {
	for _, c := range []struct{ asked, most, want string }{
		{"patient/*.rs", "patient/Observation.rs patient/Condition.r", "patient/Observation.rs patient/Condition.r"},
		{"patient/*.read", "patient/*.rs", "patient/*.read"},
		{"patient/Observation.*", "patient/*.rs", "patient/Observation.rs"},
		{"patient/Observation.cruds", "patient/Observation.rs", "patient/Observation.rs"},
		{"patient/Observation.rs", "user/Observation.rs", ""},
		{"user/Observation.rs", "user/*.r user/*.s", "user/Observation.r user/Observation.s"},
		{"openid fhirUser launch/patient offline_access", "openid fhirUser launch/patient", "openid fhirUser launch/patient"},
		{"openid openid", "openid", "openid"},
		{"patient/Observation.rs?category=laboratory", "patient/*.rs", "patient/Observation.rs?category=laboratory"},
		{"patient/Observation.rs", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"},
		{"patient/Observation.rs?code=x", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?code=x&category=laboratory"},
		{"patient/Observation.sr nonsense admin/*.rs patient/*.rs?", "patient/*.cruds nonsense admin/*.rs", ""},
		{"user/*.rs", "", ""},
		{"", "user/*.rs", ""},
	} {
		if got := smart.Narrow(c.asked, c.most); got != c.want {
			t.Errorf("%q within %q: got %q, want %q", c.asked, c.most, got, c.want)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		asked, most string
		want        bool
	}{
		{"patient/Observation.rs openid", "openid patient/*.rs", true},
		{"", "openid", true},
		{"patient/*.rs", "patient/Observation.rs", false},
		{"patient/Observation.rs", "patient/Observation.r patient/Observation.s", false}, // cut in two: asked for again as two
		{"patient/Observation.rs?x=y", "patient/Observation.rs", true},
		{"patient/Observation.rs", "patient/Observation.rs?x=y", false},
	} {
		if got := smart.Within(c.asked, c.most); got != c.want {
			t.Errorf("%q within %q: got %v, want %v", c.asked, c.most, got, c.want)
		}
	}
}

func TestKeepLetters(t *testing.T) {
	const asked = "openid system/*.cruds system/Patient.rs user/Patient.rs"
	if got, want := smart.KeepLetters(asked, "system", "cu"), "openid system/*.cu user/Patient.rs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := smart.KeepLetters(asked, "user", ""), "openid system/*.cruds system/Patient.rs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is granted never allows what either list does not.
func TestNarrowNeverWidens(t *testing.T) {
	scope := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 4).Draw(t, "plain") == 0 {
			return rapid.SampledFrom(smart.PlainScopes()).Draw(t, "plain scope")
		}
		return rapid.SampledFrom([]string{"patient", "user", "system"}).Draw(t, "context") + "/" +
			rapid.SampledFrom([]string{"*", "Observation", "Condition"}).Draw(t, "type") + "." +
			rapid.SampledFrom([]string{"rs", "r", "s", "c", "cu", "cruds", "read", "write", "*", "d"}).Draw(t, "letters")
	})
	rapid.Check(t, func(t *rapid.T) {
		asked := strings.Join(rapid.SliceOfN(scope, 0, 5).Draw(t, "asked"), " ")
		most := strings.Join(rapid.SliceOfN(scope, 0, 5).Draw(t, "most"), " ")
		got := smart.Narrow(asked, most)
		g, a, m := smart.ParseScopes(got), smart.ParseScopes(asked), smart.ParseScopes(most)
		for _, typ := range []fhir.ResourceType{"Observation", "Condition", "Patient"} {
			for _, letter := range []byte("cruds") {
				ok, own := g.Allows(letter, typ)
				inAsked, ownAsked := a.Allows(letter, typ)
				inMost, ownMost := m.Allows(letter, typ)
				if ok && (!inAsked || !inMost || !own && (ownAsked || ownMost)) {
					t.Fatalf("%q within %q: %q allows %c on %s", asked, most, got, letter, typ)
				}
			}
		}
		if !smart.Within(got, most) || !smart.Within(got, got) || !smart.Within(got, asked) {
			t.Fatalf("%q, granted of %q within %q, is not within them", got, asked, most)
		}
	})
}

// Queries that are asked for multiply with those that are registered. What comes of
// it is bounded, and so is the work.
func TestQueriesDoNotMultiplyWithoutEnd(t *testing.T) {
	t.Parallel()
	var asked, most []string
	for i := range 1000 {
		asked = append(asked, fmt.Sprintf("user/Observation.rs?code=a%d", i))
	}
	for i := range 100 {
		most = append(most, fmt.Sprintf("user/Observation.rs?status=b%d", i))
	}
	got := smart.Narrow(strings.Join(asked, " "), strings.Join(most, " "))
	if len(got) > 16<<10 || !smart.HasScope(got, "user/Observation.rs?code=a0&status=b0") {
		t.Errorf("%d bytes are granted, want up to 16384 and the first of them", len(got))
	}
}
