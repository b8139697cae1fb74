package smart_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

func TestScopesAllow(t *testing.T) {
	type want struct{ ok, patientOnly bool }
	no, any, own := want{}, want{ok: true}, want{ok: true, patientOnly: true}
	for _, c := range []struct {
		scopes string
		letter byte
		typ    fhir.ResourceType
		want   want
	}{
		{"user/Observation.rs", 'r', "Observation", any},
		{"user/Observation.rs", 's', "Observation", any},
		{"user/Observation.rs", 'c', "Observation", no},
		{"user/Observation.rs", 'r', "Condition", no},
		{"user/*.rs", 'r', "Condition", any},
		{"system/*.c", 'c', "Condition", any},
		{"patient/*.rs", 'r', "Condition", own},
		{"patient/*.rs user/Condition.r", 'r', "Condition", any},
		{"patient/*.rs user/Condition.r", 's', "Condition", own},
		{"user/Observation.read", 's', "Observation", any},
		{"user/Observation.read", 'u', "Observation", no},
		{"user/Observation.write", 'd', "Observation", any},
		{"user/Observation.write", 'r', "Observation", no},
		{"user/*.*", 'd', "Observation", any},
		{"user/*.cruds", 'u', "Observation", any},
		{"openid fhirUser launch/patient offline_access", 'r', "Observation", no},
		{"", 'r', "Observation", no},

		// A part is not the whole.
		{"user/Observation.rs?category=laboratory", 'r', "Observation", no},
		{"user/Observation.rs?category=laboratory patient/Observation.r", 'r', "Observation", own},

		// What is not understood whole grants nothing.
		{"user/Observation.rs?", 'r', "Observation", no},
		{"user/Observation.sr", 'r', "Observation", no},
		{"user/Observation.rr", 'r', "Observation", no},
		{"user/Observation.rx", 'r', "Observation", no},
		{"user/Observation.", 'r', "Observation", no},
		{"user/Observation", 'r', "Observation", no},
		{"user/observation.rs", 'r', "Observation", no},
		{"user/Obs*.rs", 'r', "Observation", no},
		{"user/.rs", 'r', "Observation", no},
		{"User/*.rs", 'r', "Observation", no},
		{"admin/*.rs", 'r', "Observation", no},
		{"user/*.READ", 'r', "Observation", no},

		// Neither is what is asked for.
		{"user/*.cruds", 'x', "Observation", no},
		{"user/*.cruds", 0, "Observation", no},
		{"user/*.cruds", 'r', "", no},
		{"user/*.cruds", 'r', "*", no},
	} {
		ok, patientOnly := smart.ParseScopes(c.scopes).Allows(c.letter, c.typ)
		if got := (want{ok, patientOnly}); got != c.want {
			t.Errorf("%q allows %q on %q: got %+v, want %+v", c.scopes, c.letter, c.typ, got, c.want)
		}
	}
}

func TestPartsOfTypes(t *testing.T) {
	type parts = []smart.Granular
	for _, c := range []struct {
		scopes string
		letter byte
		typ    fhir.ResourceType
		want   parts
	}{
		{"user/Observation.rs?category=a|b", 's', "Observation", parts{{"category=a|b", false}}},
		{"user/Observation.rs?category=a|b", 'u', "Observation", nil},
		{"user/Observation.rs?category=a|b", 'r', "Condition", nil},
		{"user/Observation.rs?x=1&y=2 patient/Observation.r?z=3 user/Observation.rs", 'r', "Observation", parts{{"x=1&y=2", false}, {"z=3", true}}},
		{"system/Observation.r?url=http://a.b/c.d?e", 'r', "Observation", parts{{"url=http://a.b/c.d?e", false}}},
		{"user/*.rs?x=1 user/Observation.read?x=1 user/Observation.*?x=1 user/Observation.sr?x=1 user/Observation?x=1 user/Observation.rs?", 'r', "Observation", nil},
		{"user/Observation.rs?" + strings.Repeat("x", smart.MaxScopeQuery), 'r', "Observation", parts{{strings.Repeat("x", smart.MaxScopeQuery), false}}},
		{"user/Observation.rs?" + strings.Repeat("x", smart.MaxScopeQuery+1), 'r', "Observation", nil},
		{"user/Observation.rs?x=1", 0, "Observation", nil},
		{"user/Observation.rs?x=1", 'r', "*", nil},
		{"user/Observation.rs?x=1", 'r', "", nil},
	} {
		s := smart.ParseScopes(c.scopes)
		got := s.Parts(c.letter, c.typ)
		if d := cmp.Diff(c.want, got); d != "" || len(got) > 0 && !s.Granular() {
			t.Errorf("%.80q, %q on %q: granular %v (-want +got):\n%s", c.scopes, c.letter, c.typ, s.Granular(), d)
		}
	}
}

func TestZeroScopesGrantNothing(t *testing.T) {
	var s smart.Scopes
	if ok, _ := s.Allows('r', "Patient"); ok || !s.Empty() {
		t.Errorf("the zero value allows reading: ok=%v empty=%v", ok, s.Empty())
	}
	if s := smart.ParseScopes("user/*.rs"); s.Empty() || s.String() != "user/*.rs" {
		t.Errorf("got empty=%v %q, want what was given", s.Empty(), s)
	}
}

func FuzzParseScopes(f *testing.F) {
	f.Add("user/*.cruds patient/Observation.rs?category=x system/Patient.read")
	f.Add("user/Observation.rs?category=a|b&status=final patient/Observation.s?code:in=x user/Observation.r")
	f.Fuzz(func(t *testing.T, text string) {
		s := smart.ParseScopes(text)
		ok, patientOnly := s.Allows('r', "Observation")
		if patientOnly && !ok || ok && s.Empty() {
			t.Errorf("%q: ok=%v patientOnly=%v empty=%v", text, ok, patientOnly, s.Empty())
		}
		parts := s.Parts('r', "Observation")
		if len(parts) > 0 && (!s.Granular() || s.Empty()) {
			t.Errorf("%q: parts of nothing: %v", text, parts)
		}
		for _, p := range parts {
			if p.Query == "" || strings.ContainsAny(p.Query, " \t\n") || !strings.Contains(text, "?"+p.Query) {
				t.Errorf("%q: a part by %q", text, p.Query)
			}
		}
	})
}

func BenchmarkAllows(b *testing.B) {
	s := smart.ParseScopes("openid launch/patient patient/Patient.rs user/*.cruds")
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := s.Allows('r', "Observation"); !ok {
			b.Fatal("not allowed")
		}
	}
}
