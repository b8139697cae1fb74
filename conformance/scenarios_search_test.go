package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Leakage through search and paging: each request is made in two worlds, and
// finds of Q what it must not find of P.

func TestScenario51TotalsCountTheUniverse(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	for query, want := range map[string]int{
		"Observation?patient=%s&_summary=count":                                visits + 1,
		"Observation?patient=%s&_total=accurate":                               visits + 1,
		"Observation?patient=%s&_total=estimate&_count=1":                      visits + 1,
		"Observation?patient=%s&_count=0":                                      visits + 1,
		"Observation?patient=%s&code=5221-7&_total=accurate&_count=2":          visits,
		"Observation?patient=%s&code:not=5221-7&_total=accurate&_sort=-date":   1,
		"Observation?patient=%s&encounter:missing=true&_summary=count":         1,
		"Observation?patient=%s&encounter.status=cancelled&_summary=count":     visits,
		"Encounter?patient=%s&_has:Observation:encounter:code=5221-7&_count=0": 1,
	} {
		if got := totalOf(t, s.ask(t, s.a1, get(fmt.Sprintf(query, "p"))).want(t, http.StatusOK)); got != 0 {
			t.Errorf(query+": total %d, want 0", "p", got)
		}
		if got := totalOf(t, s.ask(t, s.a1, get(fmt.Sprintf(query, "q"))).want(t, http.StatusOK)); got != want {
			t.Errorf(query+": total %d, want %d", "q", got, want)
		}
	}
	for query, want := range map[string]int{
		"Observation?code=5221-7&_summary=count": visits, "Observation?code=5221-7&_total=accurate&_count=1": visits,
		"Observation?code=5221-7&_total=estimate&_count=0": visits, "?_type=Observation,DiagnosticReport&encounter=Encounter/e-p&_summary=count": 0,
	} {
		if got := totalOf(t, s.ask(t, s.a1, get(query)).want(t, http.StatusOK)); got != want {
			t.Errorf("%s: total %d, want %d", query, got, want)
		}
	}
}

func TestScenario52HasNeverSelectsTheRestricted(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	q, p := []string{"Patient/q"}, []string{"Patient/p"}
	s.finds(t, []sought{
		{"Patient?_has:Observation:patient:code=5221-7", q, p},
		{"Patient?_has:Observation:subject:date=2019-03", q, p},
		{"Patient?_has:Observation:patient:code=5221-7&_id=p", nil, p},
		{"Patient?_has:Encounter:patient:_has:Observation:encounter:code=5221-7", q, p},
		{"Patient?_has:Encounter:patient:location.name=Ward", q, p},
		{"Patient?_has:List:subject:status=current", q, p},
		{"Patient?_has:Observation:patient:_tag=study", q, p},
		{"Patient?_has:Consent:patient:status=active", nil, []string{"Patient/p", "Patient/m", "Patient/r"}},
		{"Location?_has:Encounter:location:patient=Patient/p", nil, []string{"Location/ward"}},
		{"Location?_has:Encounter:location:patient=Patient/q", []string{"Location/ward"}, nil},
		{"Practitioner?_has:Observation:performer:patient=Patient/p", nil, []string{"Practitioner/dr-b"}},
		{"Practitioner?_has:Observation:performer:patient=Patient/q", []string{"Practitioner/dr-b"}, nil},
		{"Practitioner?_has:AllergyIntolerance:recorder:patient=Patient/p", nil, []string{"Practitioner/dr-b"}},
		{"Practitioner?_has:AllergyIntolerance:recorder:patient=Patient/q", []string{"Practitioner/dr-b"}, nil},
	})
}

func TestScenario53ChainsEndAtTheUniverse(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	s.finds(t, []sought{
		{"Observation?subject:Patient.identifier=" + nric + "|S0000001I&code=5221-7", nil, of("p")},
		{"Observation?subject:Patient.identifier=" + nric + "|S0000002G&code=5221-7", of("q"), nil},
		{"Observation?subject.name=Pauline&code=5221-7", nil, of("p")},
		{"Observation?subject.name=Quentin&code=5221-7", of("q"), nil},
		{"Observation?patient.address-city=Openville&code=5221-7", of("q"), nil},
		{"Observation?encounter.location.name=Ward&code=5221-7", of("q"), of("p")},
		{"AllergyIntolerance?patient.address-city=" + hiddenOfP[:4], nil, []string{"AllergyIntolerance/a-p"}},
		{"AllergyIntolerance?patient.phone=555-9999", nil, []string{"AllergyIntolerance/a-p"}},
		{"AllergyIntolerance?patient.phone=555-1000", []string{"AllergyIntolerance/a-q"}, nil},
		{"AllergyIntolerance?patient.name=Pauline", []string{"AllergyIntolerance/a-p"}, nil},
		{"AllergyIntolerance?recorder:Practitioner._id=dr-b&patient=p", nil, []string{"AllergyIntolerance/a-p"}},
	})
	for _, chain := range []string{"Observation?subject:Patient.identifier=", "Observation?patient.identifier=", "Condition?subject:identifier="} {
		known, unknown := s.ask(t, s.a1, get(chain+"S0000001I")), s.ask(t, s.a1, get(chain+unknownNRIC))
		same(t, chain, renamed(known, "S0000001I"), renamed(unknown, unknownNRIC))
	}
}

func TestScenario55PagesAreFull(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	a1 := caller{name: "A1", token: s.a1}
	for _, order := range []string{"-date", "date", "-value-quantity", "code,-date", "encounter,date", "-_lastUpdated", "_id"} {
		var seen, links []string
		r := get("Observation?code=5221-7&_count=2&_sort=" + order)
		inOne, inTwo := r, r
		for range visits {
			a, _ := s.both(a1, r, inOne, inTwo, order)
			ids := a[0].want(t, http.StatusOK).hides(t, hiddenOfP).ids(t)
			if seen = append(seen, ids...); nextLink(a[0]) == "" {
				break
			}
			if len(ids) != 2 || slices.Contains(links, nextLink(a[0])) {
				t.Errorf("%s: %v, want two and a new cursor", order, ids)
			}
			links = append(links, nextLink(a[0]))
			inOne, inTwo = s.follow(a, "next")
		}
		if !sameIDs(seen, of("q")) {
			t.Errorf("%s: %v, want each of Q's once", order, seen)
		}
	}
}

func TestScenario56CursorsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	const query = "Observation?code=5221-7&_count=2&_sort=-date"
	first := s.ask(t, s.a1, get(query)).want(t, http.StatusOK)
	next := get(s.one.local(nextLink(first)))
	_, cursor, _ := strings.Cut(next.path, "_cursor=")
	constant := s.one.do(t, s.a1, get(query+"&_cursor=AAAA")).want(t, http.StatusBadRequest)
	for name, row := range map[string]struct {
		token string
		r     request
	}{
		"B1's":                 {s.b1, next},
		"of another purpose":   {s.doctor(t, "a1", "a", "--purpose", "BTG"), next},
		"the patient's":        {s.appQ, next},
		"altered":              {s.a1, altered(next)},
		"cut short":            {s.a1, get(query + "&_cursor=" + cursor[:len(cursor)/2])},
		"doubled":              {s.a1, get(query + "&_cursor=" + cursor + cursor)},
		"of another question":  {s.a1, get("Observation?code=29463-7&_count=2&_sort=-date&_cursor=" + cursor)},
		"of another order":     {s.a1, get("Observation?code=5221-7&_count=2&_sort=date&_cursor=" + cursor)},
		"of another type":      {s.a1, get("DiagnosticReport?_count=2&_cursor=" + cursor)},
		"of a narrower search": {s.a1, get(query + "&patient=p&_cursor=" + cursor)},
		"in a compartment":     {s.a1, get("Patient/p/" + query + "&_cursor=" + cursor)},
		"of the whole system":  {s.a1, get("?_type=Observation&code=5221-7&_count=2&_sort=-date&_cursor=" + cursor)},
	} {
		a := s.one.do(t, row.token, row.r)
		if a.status != http.StatusBadRequest || string(a.body) != string(constant.body) {
			t.Errorf("a cursor %s: %d %s\nwant the constant answer %s", name, a.status, a.body, constant.body)
		}
	}
	if got := s.one.do(t, s.a1, next).want(t, http.StatusOK).ids(t); len(got) != 2 {
		t.Errorf("the next page has %v", got)
	}
	restrict := without(optOut("q"), "id")
	for _, w := range []*server{s.one, s.two} {
		w.do(t, s.appQ, send(http.MethodPost, "Consent", encode(t, restrict))).want(t, http.StatusCreated)
	}
	if after := s.one.do(t, s.a1, next).want(t, http.StatusOK).hides(t, hiddenOfP, "Openword"); len(after.ids(t)) != 0 {
		t.Errorf("after the restriction the page still has %v", after.ids(t))
	}
}

func TestScenario57MetaIsOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	basic := []string{"AllergyIntolerance/a-p"}
	s.finds(t, []sought{
		{"Observation?_lastUpdated=gt2020-01-01&code=5221-7", of("q"), of("p")},
		{"Observation?_tag=study", of("q"), of("p")},
		{"Observation?_tag=http://example.org/tag|study", of("q"), of("p")},
		{"Observation?_security=R", of("q"), of("p")},
		{"Observation?_profile=http://example.org/StructureDefinition/lab", of("q"), of("p")},
		{"Observation?_source=http://example.org/lab/p", nil, of("p")},
		{"Observation?_source=http://example.org/lab/q", of("q"), nil},
		{"Observation?_id=x0-p,x0-q,x1-p,none", []string{"Observation/x0-q"}, []string{"Observation/x0-p", "Observation/x1-p"}},
		{"?_type=Observation&_id=x0-p,x0-q,none", []string{"Observation/x0-q"}, []string{"Observation/x0-p"}},
		{"AllergyIntolerance?patient=p&_tag=SUBSETTED", basic, nil},
		{"AllergyIntolerance?patient=p&_lastUpdated=gt2020-01-01", basic, nil},
		{"AllergyIntolerance?patient=p&_id=a-p", basic, nil},
		{"AllergyIntolerance?_tag:not=SUBSETTED&_id=a-p,a-q", []string{"AllergyIntolerance/a-q"}, basic},
	})
}

func TestScenario59WithheldElementsDoNotMatch(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	p, q := []string{"Patient/p"}, []string{"Patient/q"}
	s.finds(t, []sought{
		{"Patient?address=" + hiddenOfP, nil, p},
		{"Patient?address-city:contains=" + hiddenOfP[2:], nil, p},
		{"Patient?address=Openville", q, nil},
		{"Patient?telecom=555-9999", nil, p},
		{"Patient?phone=555-9999", nil, p},
		{"Patient?telecom=555-1000", q, nil},
		{"Patient?general-practitioner=Organization/a&_id=p,q", q, p},
		{"Patient?general-practitioner:Organization=a&_id=p,q", q, p},
		{"Patient?identifier=" + hiddenOfP, nil, p},
		{"Patient?identifier=" + nric + "|S0000001I", p, nil},
		{"Patient?organization.name=a&_id=p,q", nil, nil},
		{"Patient?general-practitioner:Organization.name=a&_id=p,q", q, p},
		{"Patient?_id=p,q&_sort=address-city", []string{"Patient/p", "Patient/q"}, nil},
	})
	first := s.ask(t, s.a1, get("Patient?_id=p,q&_sort=address-city")).ids(t)
	last := s.ask(t, s.a1, get("Patient?_id=p,q&_sort=-address-city")).ids(t)
	if !slices.Equal(first, last) || first[0] != "Patient/q" {
		t.Errorf("%v and %v; P has no address here, so comes last in either order", first, last)
	}
}

func TestScenario60SummariesOfTheBasicEdition(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	wishes := []string{"_elements=identifier,text", "_summary=text", "_summary=data", "_summary=true", "_summary=false"}
	for of, more := range map[string]string{
		"Patient?_id=p&": "_elements=address,telecom,maritalStatus,text,generalPractitioner", "AllergyIntolerance?patient=p&": "_elements=note,recorder,recordedDate,text",
	} {
		for _, wish := range append(wishes, more) {
			a := s.ask(t, s.a1, get(of+wish)).want(t, http.StatusOK).hides(t, secret)
			for _, r := range a.matches(t) {
				for _, name := range []string{"address", "telecom", "maritalStatus", "text", "generalPractitioner", "note", "recorder", "recordedDate"} {
					if r[name] != nil {
						t.Errorf("%s%s shows %s", of, wish, name)
					}
				}
			}
			if len(a.ids(t)) != 1 {
				t.Errorf("%s%s: %v, want one", of, wish, a.ids(t))
			}
		}
	}
	seen := s.ask(t, s.a1, get("Patient?_id=q&_elements=address")).want(t, http.StatusOK)
	if text(seen.matches(t)[0], "address", 0, "city") != "Openville" {
		t.Errorf("Q's address is missing: %s", seen.body)
	}
}

func TestScenario61CompartmentsHoldWhatIsSeen(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	s.finds(t, []sought{
		{"Patient/p/Observation", nil, of("p")},
		{"Patient/q/Observation?code=5221-7", of("q"), nil},
		{"Patient/p/Observation?code:not=29463-7", nil, of("p")},
		{"Practitioner/dr-b/Observation", of("q"), of("p")},
		{"Practitioner/dr-b/AllergyIntolerance?patient=p", nil, []string{"AllergyIntolerance/a-p"}},
		{"Practitioner/dr-b/AllergyIntolerance?patient=q", []string{"AllergyIntolerance/a-q"}, nil},
		{"Encounter/e-p/Observation", nil, of("p")},
		{"Encounter/e-q/Observation", of("q"), nil},
		{"Encounter/e-p/DiagnosticReport", nil, []string{"DiagnosticReport/d-p"}},
		{"Encounter/e-p/MedicationRequest?_include=*", nil, []string{"MedicationRequest/mr-p"}},
		{"Encounter/e-q/MedicationRequest", []string{"MedicationRequest/mr-q"}, nil},
	})
	none := s.ask(t, s.a1, get("Encounter/e-0/Observation"))
	same(t, "the compartment of a hidden visit", renamed(none, "e-0"), renamed(s.ask(t, s.a1, get("Encounter/e-p/Observation")), "e-p"))
}
