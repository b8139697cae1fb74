package conformance

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vitrine/store/mongo/mongotest"
)

// consentRounds is how often the Consent changes; VITRINE_CONSENT_ROUNDS asks
// for more or fewer.
func consentRounds(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("VITRINE_CONSENT_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 40
}

// TestScenario99TwoServersOneConsent runs two servers on one database. A Consent given to
// one is in force on the other with the next request, and as soon out of force
// again. Both are asked in every round, so that each has at hand what held
// before.
func TestScenario99TwoServersOneConsent(t *testing.T) {
	t.Parallel()
	flags := []string{"--store", mongotest.Server(t), "--store-database", mongotest.Database(t), "--base-url", worldBase}
	c := newCast(t, flags...)
	servers := []*server{c.server, start(t, c.data, flags...)}
	wish := optOut("q")
	restricted, permitted := 0, 0
	for round := range consentRounds(t) {
		writer, other := servers[round/2%2], servers[1-round/2%2]
		wish["status"] = "active"
		if round%2 == 1 {
			wish["status"] = "inactive"
		}
		r := send(http.MethodPut, "Consent/"+text(wish, "id"), encode(t, wish))
		if round == 0 {
			r = send(http.MethodPost, "Consent", encode(t, without(wish, "id")))
		}
		a := writer.do(t, c.appQ, r)
		if a.status/100 != 2 {
			t.Fatalf("round %d: the Consent was not taken: %d\n%s", round, a.status, a.body)
		}
		if round == 0 {
			wish["id"] = text(decode(t, a.body), "id")
		}
		for _, s := range []*server{other, writer} {
			if round%2 == 0 {
				s.behindGlass(t, c, round)
				restricted++
			} else {
				s.inView(t, c, round)
				permitted++
			}
		}
	}
	t.Logf("%d times restricted and %d times permitted at the next request, on either server", restricted, permitted)
}

// TestTwoServersNeedNoStickySessions: a session goes on at another server,
// whatever it is in the middle of.
func TestTwoServersNeedNoStickySessions(t *testing.T) {
	t.Parallel()
	flags := []string{"--store", mongotest.Server(t), "--store-database", mongotest.Database(t), "--base-url", worldBase}
	c := newCast(t, flags...)
	two := start(t, c.data, flags...)

	written := c.post(t, c.systemA, without(observation("q", ""), "id")).want(t, http.StatusCreated)
	location := strings.TrimPrefix(written.header.Get("Location"), worldBase+"/fhir/")
	two.do(t, c.a1, get(location)).want(t, http.StatusOK)

	var seen []string
	next, servers := "Observation?patient=q&_count=1", []*server{c.server, two}
	for page := 0; next != "" && page < 10; page++ {
		s := servers[page%2]
		a := s.do(t, c.a1, get(next)).want(t, http.StatusOK)
		seen = append(seen, a.ids(t)...)
		if next = nextLink(a); next != "" {
			next = servers[(page+1)%2].local(next)
		}
	}
	if slices.Sort(seen); len(slices.Compact(slices.Clone(seen))) != len(seen) || len(seen) != 2 {
		t.Errorf("the pages had %v, want two", seen)
	}

	two.do(t, c.a1, get("Condition/c-p")).want(t, http.StatusNotFound)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	two.do(t, c.a1, get("Condition/c-p")).want(t, http.StatusOK)
	two.do(t, c.b1, get("Condition/c-p")).want(t, http.StatusNotFound)
	two.do(t, c.a1, send(http.MethodPost, "Patient/p/$break-glass-stop", []byte(`{"resourceType":"Parameters"}`)))
	c.do(t, c.a1, get("Condition/c-p")).want(t, http.StatusNotFound)

	before := len(c.events(t, "patient=q&agent=PractitionerRole/a1"))
	two.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusOK)
	if after := len(c.events(t, "patient=q&agent=PractitionerRole/a1")); after != before+1 {
		t.Errorf("a look at one server, by the record at the other: %d events before and %d after", before, after)
	}
	if len(c.events(t, "patient=p&subtype=http://dicom.nema.org/resources/ontology/DCM|110138")) != 1 {
		t.Error("the stop at the other server is not on record here")
	}
}

// TestTwoServersOneDirective: what is agreed to at one server is in force at the
// other with the next request, and so is that it is lifted; one manifest is made.
func TestTwoServersOneDirective(t *testing.T) {
	t.Parallel()
	flags := []string{"--store", mongotest.Server(t), "--store-database", mongotest.Database(t), "--base-url", worldBase, "--manifest-after=1ms"}
	c := newCast(t, flags...)
	two := start(t, c.data, flags...)
	look := func(want int) {
		t.Helper()
		for _, s := range []*server{two, c.server} {
			s.do(t, c.a1, get("Condition/c-q")).want(t, want)
		}
	}
	mei, tan := c.person(t, "mei"), c.person(t, "tan")
	step := func(s *server, token, at, operation, version string) {
		t.Helper()
		s.do(t, token, request{method: http.MethodPost, path: at + "/" + operation, header: map[string]string{"If-Match": `W/"` + version + `"`}}).want(t, http.StatusOK)
	}
	for range 3 {
		look(http.StatusOK)
		made := c.post(t, mei, directiveOf("Organization/a")).want(t, http.StatusCreated)
		at := "Basic/" + text(decode(t, made.body), "id")
		look(http.StatusOK)
		step(two, tan, at, "$agree", "1")
		look(http.StatusForbidden)
		step(c.server, tan, at, "$lift", "2")
		look(http.StatusForbidden)
		step(c.server, mei, at, "$agree", "3")
	}
	look(http.StatusOK)
	made := c.post(t, mei, with(directiveOf("Organization/a"), "code", concept(directiveSystem, "DESTROY"))).want(t, http.StatusCreated)
	at := "Basic/" + text(decode(t, made.body), "id")
	step(two, tan, at, "$agree", "1")
	task := "Task/" + text(decode(t, c.do(t, c.auditor, get("Task?code=destroy&focus="+at)).want(t, http.StatusOK).body), "entry", 0, "resource", "id")
	if lines := c.manifest(t, task); len(lines) != 14 {
		t.Errorf("%d lines, want one for each of the 14 looks", len(lines))
	}
}

// behindGlass: the record is hidden, and the basic set is not.
func (s *server) behindGlass(t *testing.T, c *cast, round int) {
	t.Helper()
	if a := s.do(t, c.b1, get("Condition/c-q")); a.status != http.StatusNotFound {
		t.Fatalf("round %d: read although restricted: %d\n%s", round, a.status, a.body)
	}
	if a := s.do(t, c.b1, get("Condition?patient=q")).want(t, http.StatusOK).hides(t, secret); !a.hinted(t) {
		t.Fatalf("round %d: found, or no hint, although restricted\n%s", round, a.body)
	}
	s.do(t, c.b1, get("AllergyIntolerance/a-q")).want(t, http.StatusOK).hides(t, secret)
}

// inView: the record is there, and for a stranger it is not.
func (s *server) inView(t *testing.T, c *cast, round int) {
	t.Helper()
	if a := s.do(t, c.b1, get("Condition/c-q")); a.status != http.StatusOK {
		t.Fatalf("round %d: not read although permitted: %d\n%s", round, a.status, a.body)
	}
	if a := s.do(t, c.b1, get("Condition?patient=q")).want(t, http.StatusOK); len(a.ids(t)) != 1 || a.hinted(t) {
		t.Fatalf("round %d: not found, or a hint, although permitted\n%s", round, a.body)
	}
	if a := s.do(t, c.c1, get("Condition/c-q")); a.status != http.StatusNotFound {
		t.Fatalf("round %d: a stranger reads: %d", round, a.status)
	}
}
