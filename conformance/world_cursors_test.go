package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tallies are how often each part of search was used, and with what success: two
// empty answers are the same too easily.
type tallies map[string]*tally

type tally struct {
	asked, found int
	refused      []string
}

// note counts one answer of a caller who sees records.
func (u tallies) note(c caller, r request, a answer) {
	if r.feature == "" {
		return
	}
	if u[r.feature] == nil {
		u[r.feature] = &tally{}
	}
	n := u[r.feature]
	n.asked++
	told := string(a.body)
	if batch := strings.Contains(told, `"batch-response"`); a.status != http.StatusOK || batch && !strings.Contains(told, `"status":"200`) {
		if c.mixed > 0 && !slices.Contains(n.refused, r.path+string(r.body)) {
			n.refused = append(n.refused, r.path+string(r.body))
		}
		return
	}
	if emptyPattern.MatchString(told) {
		return
	}
	n.found++
}

// emptyPattern is a searchset that says nothing.
var emptyPattern = regexp.MustCompile(`^\{"resourceType":"Bundle","type":"searchset",("total":0,)?"link":\[[^\]]*\]\}$`)

// check fails when a part of search was never used with success: then the worlds
// were the same for want of an answer.
func (u tallies) check(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	for _, f := range features() {
		n := u[f.name]
		if n == nil {
			n = &tally{}
		}
		t.Logf("%-24s asked %5d, found %5d, refused %d", f.name, n.asked, n.found, len(n.refused))
		if f.name == "refused" {
			continue
		}
		if n.found == 0 {
			t.Errorf("%s: nothing was ever found", f.name)
		}
		if len(n.refused) > 0 {
			t.Errorf("%s: refused:\n%s", f.name, strings.Join(n.refused, "\n"))
		}
	}
}

// back goes from the last page seen to those before, as far as the links lead.
func (p *pair) back(c caller, r request, a [2]answer) {
	for step := range 6 {
		if linkOf(a[0], "previous") == "" || linkOf(a[1], "previous") == "" {
			return
		}
		inOne, inTwo := p.follow(a, "previous")
		var ok bool
		if a, ok = p.both(c, r, inOne, inTwo, fmt.Sprintf("back %d", step)); !ok {
			return
		}
	}
}

// tamper uses a cursor as it was not given: by another, with a character
// changed, for another question.
func (p *pair) tamper(c caller, r request, a [2]answer) {
	inOne, inTwo := p.follow(a, "next")
	p.refusedBoth(p.other, r, inOne, inTwo, "cursor of "+c.name)
	p.refusedBoth(c, r, altered(inOne), altered(inTwo), "altered cursor")
	other := func(r request) request {
		_, cursor, _ := strings.Cut(r.path, "_cursor=")
		return get("Observation?status=final,amended&_cursor=" + cursor)
	}
	p.refusedBoth(c, r, other(inOne), other(inTwo), "cursor of another question")
}

// refusedBoth makes a call in both worlds that must be refused alike.
func (p *pair) refusedBoth(c caller, r, inOne, inTwo request, what string) {
	if a, _ := p.both(c, r, inOne, inTwo, what); a[0].status != http.StatusBadRequest && a[0].status != http.StatusForbidden {
		p.t.Errorf("%s: %s %s: status %d\n%.600s", what, r.method, r.path, a[0].status, a[0].body)
	}
}

// altered changes one character of the cursor.
func altered(r request) request {
	at := strings.Index(r.path, "_cursor=") + len("_cursor=") + 20
	other := "A"
	if r.path[at] == 'A' {
		other = "B"
	}
	r.path = r.path[:at] + other + r.path[at+1:]
	return r
}

// confined compares what a doctor is told whose launch is for one patient, who
// hides some of the record from him.
func (p *pair) confined(g *worldMaker) {
	oneIn := number(p.t, envOneIn, 1)
	for _, as := range []posture{labelled, optedOut} {
		of := g.ofPosture(as).id
		p.other = caller{name: "another patient", token: p.one.patient(p.t, bystander.id)}
		one := caller{
			name:  "doctor of clinic A, for " + of,
			token: p.one.doctor(p.t, "role-a", "clinic-a", "--scope", "patient/*.rs", "--patient", "Patient/"+of),
		}
		for k, r := range g.featureRequests(0) {
			if k%oneIn == 0 {
				p.compare(one, r)
			}
		}
	}
}

// scoped adds to the first world what only a scope hides, compares what a caller
// with narrow scopes is told, and takes it away again.
func (p *pair) scoped(g *worldMaker) {
	var out []object
	for _, w := range g.patients {
		if w.posture != open && w.posture != labelled {
			continue
		}
		web := g.web(w.id, "Observation/"+g.anyShown("Observation"), "Encounter/"+g.anyShown("Encounter"))
		for _, kind := range []string{"Condition", "DiagnosticReport", "List"} {
			_, of := split(web, kind)
			out = append(out, of...)
		}
	}
	g.load(p.t, p.one, out)
	p.other = caller{name: "another patient", token: p.one.patient(p.t, bystander.id)}
	narrow := caller{
		name:  "doctor of clinic A, with narrow scopes",
		token: p.one.doctor(p.t, "role-a", "clinic-a", "--scope", "user/Observation.rs user/Patient.rs user/Encounter.rs user/Practitioner.rs user/Location.rs user/AllergyIntolerance.rs"),
	}
	oneIn := number(p.t, envOneIn, 1)
	for k, r := range g.featureRequests(20) {
		if k%oneIn == 0 {
			p.compare(narrow, r)
		}
	}
	for _, o := range out { // those with wider scopes would see it
		at := text(o, "resourceType") + "/" + text(o, "id")
		p.one.do(p.t, p.one.custodian(p.t), request{method: http.MethodDelete, path: at}).want(p.t, http.StatusNoContent)
	}
}
