package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// writing is the part of a comparison in which callers write. What each made is
// in both worlds, under ids of each; what others make meanwhile is in the first
// alone.
type writing struct {
	*pair
	g *worldMaker
	// made are what callers made, and foreign what others did, "Type/id".
	made    []made
	foreign []string
	of      map[string][]string // those of foreign that are about a patient
	said    map[string]object   // what those of foreign say
	doctor  caller
	looking []caller
}

// writer is a caller who writes. What an organisation's people write falls into
// one partition.
type writer struct {
	caller
	partition string
	launch    worldPatient // to whom a launch confines them; zero for nobody
	kinds     []writeKind
	turns     int // in each round
}

// made is one resource that a caller made.
type made struct {
	kind      string
	id        [2]string // by world
	version   string
	partition string
	by        string // the write that made it
	body      []byte // what was sent to make it, by itself
}

// writeRounds are how often every writer has its turns.
const writeRounds = 11

// writes compares what callers are told who write, and what is told of it then:
// to them, and to others.
func (p *pair) writes(t *testing.T, g *worldMaker) {
	p.t, p.strict = t, newStrict()
	w := &writing{pair: p, g: g, of: map[string][]string{}, said: map[string]object{}}
	w.hide()
	writers := w.writers()
	for _, c := range writers { // each kind once, and then any
		for _, k := range c.kinds {
			w.write(&c, k)
		}
	}
	for range 1 + (writeRounds-1)/number(t, envOneIn, 1) {
		for _, c := range writers {
			for range c.turns {
				w.write(&c, c.kinds[g.rand.IntN(len(c.kinds))])
			}
		}
	}
	w.sweep()
}

// sweep reads all that was made, and what it was before.
func (w *writing) sweep() {
	for i, m := range w.made {
		for _, tail := range []string{"", "/_history"} {
			r := get(m.kind + "/" + twinID(i) + tail)
			w.both(w.doctor, r, w.in(0, r), w.in(1, r), "after "+m.by)
		}
	}
}

// write makes one write in both worlds. Others go on in the first, and somebody
// looks in both.
func (w *writing) write(c *writer, k writeKind) {
	if w.g.rand.IntN(3) == 0 {
		w.move()
	}
	r := k.make(w, c)
	a, same := w.both(c.caller, r, w.in(0, r), w.in(1, r), k.name)
	w.written.note(k, a[0])
	if !same {
		return
	}
	w.remember(c, k, r, a)
	for range 1 + w.g.rand.IntN(2) {
		w.look()
	}
}

var (
	twinPattern     = regexp.MustCompile(`twin-(\d+)-id`)
	locationPattern = regexp.MustCompile(`/fhir/([A-Za-z]+)/([A-Za-z0-9.-]+)/_history/([a-z0-9]+)`)
)

// in is the request as it is made in one world: what the caller made has an id of
// that world.
func (w *writing) in(world int, r request) request {
	named := func(s string) string {
		return twinPattern.ReplaceAllStringFunc(s, func(name string) string {
			n, _ := strconv.Atoi(twinPattern.FindStringSubmatch(name)[1])
			return w.made[n].id[world]
		})
	}
	r.path, r.body = named(r.path), []byte(named(string(r.body)))
	header := map[string]string{}
	for k, v := range r.header {
		header[k] = named(v)
	}
	r.header = header
	return r
}

// remember files what was made, and at what version it is.
func (w *writing) remember(c *writer, k writeKind, r request, a [2]answer) {
	found := [2][][]string{}
	for i := range a {
		found[i] = locationPattern.FindAllStringSubmatch(a[i].header.Get("Content-Location")+"\n"+string(a[i].body), -1)
	}
	if a[0].status >= http.StatusBadRequest || len(found[0]) != len(found[1]) {
		return
	}
	for i, at := range found[0] {
		n := slices.IndexFunc(w.made, func(m made) bool { return m.id[0] == at[2] })
		if n >= 0 {
			w.made[n].version = at[3]
			if len(found[0]) == 1 && r.method == http.MethodPut {
				w.made[n].body = r.body
			}
		} else if uuidPattern.MatchString(at[2]) {
			w.made = append(w.made, made{kind: at[1], id: [2]string{at[2], found[1][i][2]}, version: at[3], partition: c.partition, by: k.name + " by " + c.name + ": " + string(r.body)})
			if len(found[0]) <= 2 && r.method == http.MethodPost && r.path == at[1] {
				w.made[len(w.made)-1].body = r.body
			}
		}
	}
}

// own is the number of something that the caller's own organisation made, of one
// of the types if any are named; false when there is none.
func (w *writing) own(c *writer, kinds ...string) (int, bool) {
	var all []int
	for i, m := range w.made {
		if m.partition == c.partition && (len(kinds) == 0 || slices.Contains(kinds, m.kind)) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return all[w.g.rand.IntN(len(all))], true
}

// ownID is the id of something that the caller's own organisation made.
func (w *writing) ownID(c *writer, kinds ...string) string {
	if n, ok := w.own(c, kinds...); ok {
		return twinID(n)
	}
	return "none"
}

func twinID(n int) string { return fmt.Sprintf("twin-%d-id", n) }

// writers are those who write; the doctor of clinic A has broken the glass of one
// patient.
func (w *writing) writers() []writer {
	t, s := w.t, w.one
	launched := func(p worldPatient) string {
		return s.doctor(t, "role-a", "clinic-a", "--scope", "patient/*.cruds", "--patient", "Patient/"+p.id)
	}
	patientOfA, strangerToA := w.g.ofPosture(optedOut), w.g.ofPosture(unrelated)
	w.doctor = caller{name: "doctor of clinic A", token: s.doctor(t, "role-a", "clinic-a")}
	restricted := caller{name: "doctor of clinic A, launched for one who restricts", token: launched(patientOfA)}
	stranger := caller{name: "doctor of clinic A, launched for a stranger", token: launched(strangerToA)}
	patient := caller{name: "another patient", token: s.patient(t, bystander.id)}
	system := caller{name: "clinic A's system", token: s.system(t, "clinic-a")}
	w.looking = []caller{w.doctor, w.doctor, w.doctor, restricted, patient, system, {name: "doctor of clinic C", token: s.doctor(t, "role-c", "clinic-c")}}
	w.both(w.doctor, request{}, send(http.MethodPost, "Patient/"+opened.id+"/$break-glass", glassRequest()), send(http.MethodPost, "Patient/"+opened.id+"/$break-glass", glassRequest()), "glass")
	own := []writeKind{{name: "Consent", make: consentWrite}, {name: "create", make: createWrite}, {name: "delete where", make: deleteWhere}, {name: "Bundle", make: bundleWrite}}
	return []writer{
		{caller: system, partition: "clinic-a", kinds: writeKinds(), turns: 9},
		{caller: w.doctor, partition: "clinic-a", kinds: append(writeKinds(), glassKind()), turns: 6},
		{caller: restricted, partition: "clinic-a", launch: patientOfA, kinds: launchedKinds(), turns: 3},
		{caller: stranger, partition: "clinic-a", launch: strangerToA, kinds: launchedKinds(), turns: 3},
		{caller: caller{name: "clinic C's system", token: s.system(t, "clinic-c")}, partition: "clinic-c", kinds: writeKinds(), turns: 2},
		{caller: caller{name: "an employer's import", token: s.token(t, "--kind", "system", "--org", "Organization/employer", "--client", "import")}, partition: "employer", kinds: writeKinds(), turns: 1},
		{caller: patient, partition: "patient", kinds: own, turns: 2},
		{caller: caller{name: "her daughter", token: s.token(t, "--kind", "representative", "--user", "RelatedPerson/daughter")}, partition: "daughter", kinds: own, turns: 1},
		{caller: caller{name: "the regulator", token: s.person(t, "mei")}, partition: "regulator", kinds: append([]writeKind{{name: "directive", make: directiveWrite}}, own...), turns: 1},
	}
}

// look reads, by somebody, what a write may have left behind.
func (w *writing) look() {
	who := w.looking[w.g.rand.IntN(len(w.looking))]
	r := w.looks()
	w.both(who, r, w.in(0, r), w.in(1, r), "look")
}

// looks is a read of what was made, or a search that may find it. None is in an
// order that follows ids, which are fresh, and none asks for the record of access.
func (w *writing) looks() request {
	g := w.g
	at := "Observation/none"
	if len(w.made) > 0 {
		n := g.rand.IntN(len(w.made))
		at = w.made[n].kind + "/" + twinID(n)
	}
	kind, id, _ := strings.Cut(at, "/")
	patient := []string{g.anyPatient(), bystander.id, opened.id}[g.rand.IntN(3)]
	switch g.rand.IntN(16) {
	case 15:
		return directing(g, kind, id)
	case 14:
		return get([]string{at + "/$meta", at + "/_history/1/$meta", kind + "/$meta", "$meta"}[g.rand.IntN(4)])
	case 12:
		return get(at + "/_history?" + []string{"_at=2026", "_since=2026-01-01T00:00:00Z", "_count=1", "_list=" + id, "_list=" + g.anyID("List")}[g.rand.IntN(5)])
	case 13:
		return get([]string{kind + "/_history", "_history", "Patient/_history?_at=2026", "AuditEvent/_history", "_history?_list=" + id}[g.rand.IntN(5)])
	case 0, 1, 2:
		return get(at)
	case 3:
		return get(at + "/_history")
	case 4:
		return get(at + "/_history/" + []string{"1", "2", "b1"}[g.rand.IntN(3)])
	case 5:
		return get(kind + "?_id=" + id)
	case 6:
		return get("Patient?_sort=_lastUpdated&identifier=" + nric + "%7C" + w.anybody().nric())
	case 7:
		return get("Patient/" + patient + "/$everything?_type=Observation,Condition,AllergyIntolerance,Immunization,Encounter,List,MedicationRequest,Binary,EpisodeOfCare&_count=100")
	case 8:
		return get("Observation?patient=" + patient + "&identifier=n" + fmt.Sprint(g.rand.IntN(40)))
	case 9:
		return get("AllergyIntolerance?patient=" + patient)
	case 10:
		return get([]string{"Observation", "Patient", "Provenance", "AllergyIntolerance", "List"}[g.rand.IntN(5)] + "?_summary=count")
	default:
		return get("Observation?patient=" + patient + "&_lastUpdated=ge2026-01-01&_sort=-_lastUpdated&_count=3&_total=accurate")
	}
}

// writeTallies are the statuses that each kind of write was answered with: to be
// refused alike is too easy.
type writeTallies map[string]map[int]int

func (u writeTallies) note(k writeKind, a answer) {
	if u[k.name] == nil {
		u[k.name] = map[int]int{}
	}
	u[k.name][a.status]++
}

// check fails when a kind of write never had a status that it must have.
func (u writeTallies) check(t *testing.T) {
	t.Helper()
	for _, k := range writeKinds() {
		t.Logf("%-22s %v", k.name, u[k.name])
		for _, status := range k.want {
			if u[k.name][status] == 0 {
				t.Errorf("%s: never answered with %d", k.name, status)
			}
		}
	}
}
