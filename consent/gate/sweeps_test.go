package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"vitrine/fhir"
)

// nricOf is a well-formed number of a person.
func nricOf(n int) string {
	digits, sum := fmt.Sprintf("%07d", n), 0
	for i, weight := range []int{2, 7, 6, 5, 4, 3, 2} {
		sum += weight * int(digits[i]-'0')
	}
	return "S" + digits + string("JZIHGFEDCBA"[sum%11])
}

// numbered puts a Patient of an organisation with a number.
func (w *world) numbered(id, organization string, n int) {
	w.Helper()
	w.put("Patient", id, `"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"`+nricOf(n)+`"}]`)
	w.register(id, organization)
}

// TestSweepsInOneRequest: thirty who are not there are counted, in whatever way a
// request asks for them.
func TestSweepsInOneRequest(t *testing.T) {
	var numbers, ids, patients, equal []string
	for i := range 30 {
		numbers = append(numbers, nricOf(100+i))
		ids = append(ids, fmt.Sprint("none", i))
		patients = append(patients, fmt.Sprint("Patient/none", i))
		equal = append(equal, "identifier eq "+nricOf(100+i))
	}
	all := strings.Join(numbers, ",")
	for _, q := range []struct {
		t     fhir.ResourceType
		query string
	}{
		{"Patient", "identifier=" + all},
		{"Patient", "_count=1&_total=accurate&identifier=" + nrics["p"] + "," + all},
		{"Patient", "_filter=" + strings.Join(equal, " or ")},
		{"Patient", "_id=" + strings.Join(ids, ",")},
		{"Patient", "_has:Observation:patient:_id=" + strings.Join(ids, ",")},
		{"Patient", "phone=" + all},
		{"Patient", "name=" + all},
		{"Observation", "patient=" + strings.Join(patients, ",")},
		{"Observation", "patient:Patient._id=" + strings.Join(ids, ",")},
		{"Observation", "_id=" + strings.Join(ids, ",")},
		{"Observation", "_id=o-p," + strings.Join(ids, ",")},
	} {
		w, _ := watched(t, nil)
		w.sees(doctor("A"), q.t, q.query)
		w.watch()
		if got := w.alerts(); !strings.HasPrefix(got, "sweep ") {
			t.Errorf("%s?%s: %q", q.t, q.query, got)
		}
	}
}

// TestSweepBesideOneWhoIsThere: a guess counts though it stands beside a number that
// is known; and one's own patients do not, however they are asked about.
func TestSweepBesideOneWhoIsThere(t *testing.T) {
	w, _ := watched(t, nil)
	w.numbered("z", "A", 9999999)
	for i := range 6 {
		w.want("found", w.sees(doctor("A"), "Patient", "identifier="+nricOf(100+i)+","+nricOf(9999999)), "z")
	}
	w.watch()
	w.want("guesses", w.alerts(), "sweep at-least=5 client=emr subject=dr-A span=2026-09-01T10")

	w, _ = watched(t, nil)
	var ids, numbers []string
	for i := range 8 {
		id := fmt.Sprint("k", i)
		ids, numbers = append(ids, id), append(numbers, nricOf(500+i))
		w.numbered(id, "A", 500+i)
	}
	for _, query := range []string{
		"_summary=count&identifier=" + strings.Join(numbers, ","), "_count=3&identifier=" + strings.Join(numbers, ","),
		"_count=3&_total=accurate&identifier=" + strings.Join(numbers, ","), "_id=" + strings.Join(ids, ","), "gender=male,other",
	} {
		w.sees(doctor("A"), "Patient", query)
	}
	for _, n := range numbers {
		w.sees(doctor("A"), "Patient", "_summary=count&identifier="+n)
	}
	w.watch()
	w.want("one's own", w.alerts(), "")
}
