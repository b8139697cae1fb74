package conformance

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// The scenarios of the sceptical regulator, by their numbers.

func TestScenario01RestrictedSearchIsEmptyWithHint(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	a := c.do(t, c.a1, get("Observation?patient=p")).want(t, http.StatusOK).hides(t, secret, "o-p")
	if len(a.ids(t)) != 0 || !a.hinted(t) {
		t.Errorf("got %v, hint %v; want nothing and the hint", a.ids(t), a.hinted(t))
	}
	c.full(t, c.a1, "q")
}

func TestScenario02BasicSetOfARestrictedPatient(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.basic(t, c.a1, "p")
	a := c.do(t, c.a1, get("AllergyIntolerance/a-p")).want(t, http.StatusOK).hides(t, secret)
	if text(decode(t, a.body), "code", "text") != "Penicillin" {
		t.Errorf("the allergy lost its code: %s", a.body)
	}
}

func TestScenario03BasicPatient(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	p := decode(t, c.do(t, c.a1, get("Patient/p")).want(t, http.StatusOK).hides(t, secret).body)
	var names []string
	for k := range p {
		names = append(names, k)
	}
	slices.Sort(names)
	want := []string{"birthDate", "gender", "id", "identifier", "meta", "name", "resourceType"}
	if !slices.Equal(names, want) {
		t.Errorf("elements %v, want %v", names, want)
	}
	if text(p, "meta", "tag", 0, "code") != "SUBSETTED" || len(list(p, "identifier")) != 1 || text(p, "identifier", 0, "value") != "S1234567D" {
		t.Errorf("want the NRIC alone and the tag SUBSETTED: %v", p)
	}
}

func TestScenario04NoConsentIsFull(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.full(t, c.a1, "q")
	q := c.do(t, c.a1, get("Patient/q")).want(t, http.StatusOK)
	if text(decode(t, q.body), "address", 0, "city") != secret {
		t.Errorf("the whole Patient is due: %s", q.body)
	}
}

func TestScenario05UnregisteredSeesNoOne(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	none := c.do(t, c.c1, get("Patient/none")).want(t, http.StatusNotFound)
	for _, p := range []string{"p", "q"} {
		same(t, p, none, c.do(t, c.c1, get("Patient/"+p)))
		c.nothing(t, c.c1, p)
	}
	if got := c.do(t, c.c1, get("Patient?name=Lowe")).ids(t); len(got) != 0 {
		t.Errorf("C1 found %v", got)
	}
	if got := c.do(t, c.a1, get("Patient?name=Lowe")).ids(t); len(got) != 5 {
		t.Errorf("A1 found %v, want five", got)
	}
}

func TestScenario06OnlyClinicA(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.full(t, c.a1, "r")
	c.basic(t, c.b1, "r")
}

func TestScenario07PatientSeesAll(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	a := c.do(t, c.appP, get("Patient/p/$everything?_count=100")).want(t, http.StatusOK)
	for _, id := range []string{"Patient/p", "Condition/c-p", "Observation/o-p", "Consent/consent-p", "EpisodeOfCare/p-a"} {
		if !slices.Contains(a.ids(t), id) {
			t.Errorf("%s is missing in %v", id, a.ids(t))
		}
	}
	c.nothing(t, c.appP, "q")
}

func TestScenario08RepresentativeNeedsAuthority(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	child := c.token(t, "--kind", "patient", "--patient", "Patient/b")
	c.nothing(t, child, "p")
	related := object{
		"resourceType": "RelatedPerson", "id": "child", "active": true, "patient": ref("Patient/p"),
		"relationship": []any{concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "CHILD")},
	}
	c.put(t, related)
	acting := c.token(t, "--kind", "representative", "--user", "RelatedPerson/child", "--patient", "Patient/p", "--purpose", "FAMRQT")
	stranger := c.token(t, "--kind", "representative", "--user", "RelatedPerson/other", "--patient", "Patient/p", "--purpose", "FAMRQT")
	donee := c.token(t, "--kind", "representative", "--user", "RelatedPerson/child", "--patient", "Patient/p", "--purpose", "PWATRNY")
	c.nothing(t, acting, "p") // a child is no representative: the registry must say so
	related["extension"] = []any{authority("family")}
	c.put(t, related)
	c.full(t, acting, "p")
	c.nothing(t, donee, "p")
	c.nothing(t, stranger, "p")
	related["extension"] = []any{authority("power-of-attorney")}
	c.put(t, related)
	c.nothing(t, acting, "p")
	c.full(t, donee, "p")
	related["period"] = object{"end": "2020-01-01"}
	c.put(t, related)
	c.nothing(t, donee, "p")
}

// authority is the extension by which the registry lets a RelatedPerson act.
func authority(kind string) object {
	return object{"url": "https://vitrine.example/StructureDefinition/nehr-authority", "valueCode": kind}
}

func TestScenario09NoFamilyShortcut(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, object{"resourceType": "RelatedPerson", "id": "brother", "active": true, "patient": ref("Patient/q"), "extension": []any{authority("family")}})
	c.nothing(t, c.c1, "q")
	c.full(t, c.a1, "q")
}

func TestScenario10LiftingRestoresAll(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.post(t, c.systemB, without(condition("p", ""), "id")).want(t, http.StatusCreated)
	c.basic(t, c.a1, "p")
	lifted := optOut("p")
	lifted["status"] = "inactive"
	c.do(t, c.appP, send(http.MethodPut, "Consent/consent-p", encode(t, lifted))).want(t, http.StatusOK)
	c.full(t, c.a1, "p")
	if got := c.do(t, c.a1, get("Condition?patient=p")).ids(t); len(got) != 2 {
		t.Errorf("got %v, want what was contributed meanwhile too", got)
	}
}

func TestScenario11RestrictionBetweenPages(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, id := range []string{"x1", "x2", "x3", "x4"} {
		c.put(t, condition("q", id))
	}
	first := c.do(t, c.a1, get("Condition?patient=q&_count=2")).want(t, http.StatusOK)
	if len(first.ids(t)) != 2 || nextLink(first) == "" {
		t.Fatalf("want a full first page and a next link: %s", first.body)
	}
	second := c.do(t, c.a1, get(nextLink(first))).want(t, http.StatusOK)
	if len(second.ids(t)) != 2 {
		t.Fatalf("want a full second page: %s", second.body)
	}
	restrict := without(optOut("q"), "id")
	c.post(t, c.appQ, restrict).want(t, http.StatusCreated)
	third := c.do(t, c.a1, get(nextLink(second))).want(t, http.StatusOK).hides(t, secret)
	if len(third.ids(t)) != 0 || at(decode(t, third.body), "total") != nil && at(decode(t, third.body), "total") != 0.0 {
		t.Errorf("the third page shows more than the basic set: %s", third.body)
	}
}

// dated restricts Q for a period.
func dated(start, end string) object {
	o := optOut("q")
	period := object{}
	if start != "" {
		period["start"] = start
	}
	if end != "" {
		period["end"] = end
	}
	o["provision"] = object{"type": "deny", "period": period}
	return o
}

func TestScenario12And13Periods(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	sgt := time.FixedZone("SGT", 8*60*60)
	day := func(d int) string { return time.Now().In(sgt).AddDate(0, 0, d).Format(time.DateOnly) }
	for _, row := range []struct {
		start, end string
		restricted bool
	}{
		{"", day(-1), false},
		{"", day(0), true},
		{"", day(1), true},
		{day(1), "", false},
		{day(0), "", true},
		{day(-1), "", true},
		{day(-2), day(-1), false},
		{day(-1), day(1), true},
	} {
		c.put(t, dated(row.start, row.end))
		if row.restricted {
			c.basic(t, c.a1, "q")
		} else {
			c.full(t, c.a1, "q")
		}
		if t.Failed() {
			t.Fatalf("period %q to %q", row.start, row.end)
		}
	}
}

func TestScenario14OnlyActiveConsentsCount(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, status := range []string{"draft", "proposed", "rejected", "inactive", "entered-in-error"} {
		o := optOut("q")
		o["status"] = status
		c.put(t, o)
		c.full(t, c.a1, "q")
	}
	c.put(t, optOut("q"))
	c.basic(t, c.a1, "q")
}

// without is the object less one member.
func without(o object, name string) object {
	out := object{}
	for k, v := range o {
		if k != name {
			out[k] = v
		}
	}
	return out
}

func with(o object, name string, value any) object {
	out := without(o, name)
	out[name] = value
	return out
}
