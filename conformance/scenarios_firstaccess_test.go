package conformance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestFirstAccessIsToldToThePatientAlone: when another organisation reads something
// of the record for the first time, the patient finds a notice in it, once; what
// providers are told stays the same to the byte, for the one who is told of and for
// the other.
func TestFirstAccessIsToldToThePatientAlone(t *testing.T) {
	t.Parallel()
	m := newMessaging(t)
	file := t.TempDir() + "/secret"
	if err := os.WriteFile(file, []byte("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCast(t, "--notify-url", m.URL+"/notices", "--notify-secret-file", file, "--checkpoint-every", "1s")
	c.do(t, c.c1, get("Observation?patient=q")).want(t, http.StatusOK) // who sees nothing is not told of
	c.do(t, c.appQ, get("Observation?patient=q")).want(t, http.StatusOK)

	asked := []request{
		get("Patient/q"), get("Patient/q/_history"), get("Patient?_id=q&_revinclude=Communication:subject"), get("Patient?_id=q&_revinclude=Communication:recipient"),
		get("Patient?_has:Communication:patient:status=completed"), get("Patient/q/$everything"), get("Patient/q/$access"), get("Patient/q/Communication"),
		get("Communication?patient=q&_total=accurate"), get("Communication?sender=Organization/b&_total=accurate"), get("Communication?_lastUpdated=gt2020"), get("Communication/_history"),
		get("?_type=Communication,Observation&patient=q"), get("Observation?patient=q&_total=accurate"), get("Observation/o-q"), get("Organization/b"),
		get("Organization?_id=b&_revinclude=Communication:sender"), get("Organization?_has:Communication:sender:status=completed"), get("Task?patient=q"),
		get("Observation?subject:Patient._has:Communication:patient:status=completed&_total=accurate"),
	}
	answers := func(token string) (all []answer) {
		for _, r := range asked {
			all = append(all, c.do(t, token, r))
		}
		return all
	}
	same := func(who string, before, after []answer) {
		t.Helper()
		for i, r := range asked {
			if one, other := before[i].normal(), after[i].normal(); one != other {
				t.Errorf("%s, %s: before\n%s\nand after\n%s", who, r.path, one, other)
			}
		}
	}
	answers(c.a1)
	if first := m.next(t); !strings.Contains(string(first.body), `"type":"first-access"`) || !strings.Contains(string(first.body), `"organization":"Organization/a"`) {
		t.Errorf("the first: %s", first.body)
	}
	ofA := answers(c.a1)
	ofB := answers(c.b1)
	if second := m.next(t); !strings.Contains(string(second.body), `"patient":"Patient/q"`) || !strings.Contains(string(second.body), `"organization":"Organization/b"`) || strings.Contains(string(second.body), "Lowe") {
		t.Errorf("the second: %s", second.body)
	}
	same("clinic A", ofA, answers(c.a1))
	same("clinic B", ofB, answers(c.b1))

	told := c.do(t, c.appQ, get("Communication?patient=q&_sort=_lastUpdated")).want(t, http.StatusOK).hides(t, "dr-a", "dr-b", "Observation").matches(t)
	var got []string
	for _, one := range told {
		said, _, _ := strings.Cut(text(one, "payload", 0, "contentString"), " on ")
		got = append(got, text(one, "sender", "reference")+" "+text(one, "reasonCode", 0, "coding", 0, "code")+" "+said)
	}
	want := "[Organization/a first-access a looked at your record for the first time Organization/b first-access b looked at your record for the first time]"
	if fmt.Sprint(got) != want {
		t.Errorf("told %v, want %s", got, want)
	}
	if n := len(c.do(t, c.auditor, get("Communication?patient=q")).want(t, http.StatusOK).matches(t)); n != 2 {
		t.Errorf("the auditor finds %d", n)
	}
	for name, token := range map[string]string{"the other patient": c.appP, "a clinic of neither's": c.c1} {
		if n := len(c.do(t, token, get("Communication")).want(t, http.StatusOK).matches(t)); n != 0 {
			t.Errorf("%s finds %d", name, n)
		}
	}
}
