package gate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// profileOf is the members of a StructureDefinition that builds on another, or on
// R4's own definition of its type.
func profileOf(name, typ, base, elements string) string {
	kind, where := "resource", ""
	if typ == "Extension" {
		kind, where = "complex-type", `"context":[{"type":"element","expression":"Element"}],`
	}
	if base == "" {
		base = "http://hl7.org/fhir/StructureDefinition/" + typ
	}
	return `"url":"http://x.example/` + name + `","name":"P","status":"active","kind":"` + kind + `","abstract":false,"type":"` + typ +
		`","baseDefinition":"` + base + `","derivation":"constraint",` + where + `"differential":{"element":[{"id":"` + typ + `","path":"` + typ + `"}` + elements + `]}`
}

// asked is an element of a differential.
func asked(path, rest string) string {
	return `,{"id":"` + path + `","path":"` + path + `",` + rest + `}`
}

// claiming is an Observation of p that says it keeps to a profile.
func claiming(profile, more string) string {
	return `"meta":{"profile":["http://x.example/` + profile + `"]},` + observation("Patient/p") + more
}

// judged is what becomes of an Observation that the caller sends: "taken", or the
// status of the refusal with the first issue.
func (w *world) judged(c consent.Caller, members string) string {
	w.Helper()
	_, err := w.create(c, "Observation", members)
	var invalid *gate.Invalid
	switch {
	case err == nil:
		return "taken"
	case errors.As(err, &invalid):
		for _, i := range invalid.Issues {
			if i.Severity == fhir.SeverityError {
				return fmt.Sprintf("%d %s %s: %s", invalid.Status, i.Code, i.Expression, i.Text)
			}
		}
	}
	return fmt.Sprint(err)
}

func TestProfilesOnFile(t *testing.T) {
	w := newClinics(t, nil)
	const issued = `,"issued":"2026-01-01T00:00:00Z"`
	need := asked("Observation.issued", `"min":1`)
	refused := "422 required Observation.issued: issued is required (http://x.example/p)"
	a, b := system("A"), system("B")
	w.want("before there is one", w.judged(a, claiming("p", "")), "taken")
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", need))
	w.want("without what it asks", w.judged(a, claiming("p", "")), refused)
	w.want("with it", w.judged(a, claiming("p", issued)), "taken")
	w.want("who claims nothing", w.judged(a, observation("Patient/p")), "taken")
	w.want("one that builds on it", w.judged(a, claiming("q", "")), "taken")
	w.put("StructureDefinition", "q", profileOf("q", "Observation", "http://x.example/p", ""))
	w.want("one that builds on it, now", w.judged(a, claiming("q", "")), "422 required Observation.issued: issued is required (http://x.example/q)")
	w.want("the custodian, too", w.judged(custodian(), claiming("p", "")), refused)
	w.want("another version", w.judged(a, strings.Replace(claiming("p", ""), "example/p", "example/p|2", 1)), "taken")
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", asked("Observation.issued", `"max":"0"`)))
	w.want("after it was changed", w.judged(a, claiming("p", issued)), "422 structure Observation.issued: issued must not be there (http://x.example/p)")
	w.want("what builds on it, changed with it", w.judged(b, claiming("q", issued)), "422 structure Observation.issued: issued must not be there (http://x.example/q)")
	w.put("StructureDefinition", "p", strings.Replace(profileOf("p", "Observation", "", need), `"active"`, `"retired"`, 1))
	w.want("after it was retired", w.judged(a, claiming("p", "")), "taken")
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", need))
	w.want("after it was revived", w.judged(a, claiming("p", "")), refused)
	if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "StructureDefinition"), "StructureDefinition", "p", ""); err != nil {
		t.Fatal(err)
	}
	w.want("after it was deleted", w.judged(a, claiming("p", "")), "taken")
	w.want("what was built on it", w.judged(a, claiming("q", "")), "422 business-rule Observation.meta.profile[0]: the profile http://x.example/q cannot be used on this server: its StructureDefinition has faults")
}

func TestProfilesOfOthersCountForNothing(t *testing.T) {
	w := newClinics(t, nil)
	a, b := system("A"), system("B")
	need := asked("Observation.issued", `"min":1`)
	w.created(b, "StructureDefinition", profileOf("p", "Observation", "", need))
	w.created(b, "StructureDefinition", profileOf("e", "Extension", "", asked("Extension.value[x]", `"type":[{"code":"code"}]`)))
	const extended = `,"extension":[{"url":"http://x.example/e","valueString":"x"}]`
	w.want("one's own", w.judged(b, claiming("p", "")), "422 required Observation.issued: issued is required (http://x.example/p)")
	w.want("one's own extension", w.judged(b, observation("Patient/p")+extended), "422 structure Observation.extension[0].value: value[x] must be of type code (http://x.example/e)")
	for name, c := range map[string]consent.Caller{"another organisation": a, "the custodian": custodian()} {
		w.want(name, w.judged(c, claiming("p", "")), "taken")
		w.want(name+", an extension", w.judged(c, observation("Patient/p")+extended), "taken")
	}
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", asked("Observation.device", `"max":"0"`)))
	w.want("the custodian's beside one's own", w.judged(b, claiming("p", "")), "taken")
	for range 300 {
		w.created(b, "StructureDefinition", profileOf("r", "Observation", "", need))
	}
	w.put("StructureDefinition", "r", profileOf("r", "Observation", "", asked("Observation.issued", `"max":"0"`)))
	w.want("the custodian's among very many of another", w.judged(a, claiming("r", `,"issued":"2026-01-01T00:00:00Z"`)),
		"422 structure Observation.issued: issued must not be there (http://x.example/r)")
	// One's own may build on the custodian's, and the custodian's never on another's.
	w.created(a, "StructureDefinition", profileOf("mine", "Observation", "http://x.example/r", ""))
	w.want("one's own on the custodian's", w.judged(a, claiming("mine", `,"issued":"2026-01-01T00:00:00Z"`)),
		"422 structure Observation.issued: issued must not be there (http://x.example/mine)")
	w.created(b, "StructureDefinition", profileOf("theirs", "Observation", "", ""))
	_, err := w.update(custodian(), "StructureDefinition", "on", profileOf("on", "Observation", "http://x.example/theirs", ""), "")
	if err == nil {
		t.Error("the custodian's builds on another's")
	}
}

func TestValueSetsOfProfiles(t *testing.T) {
	w := newClinics(t, nil)
	a, b := system("A"), system("B")
	const in = `"include":[{"system":"http://x.example/animals","concept":[{"code":"`
	kind := func(code string) string {
		return claiming("p", `,"method":`+concept("http://x.example/animals", code))
	}
	outside := "422 code-invalid Observation.method: must be a code of http://x.example/vs/pets (http://x.example/p)"
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", asked("Observation.method",
		`"binding":{"strength":"required","valueSet":"http://x.example/vs/pets"}`)))
	w.want("a value set that is not here", w.judged(a, kind("dog")), "taken")
	w.created(b, "ValueSet", valueSet("pets", in+`cat"}]}]`))
	w.want("one that another contributed", w.judged(a, kind("dog")), "taken")
	w.want("or oneself, for the custodian's profile", w.judged(b, kind("dog")), "taken")
	w.put("ValueSet", "pets", valueSet("pets", in+`dog"}]}]`))
	w.want("a code that is in it", w.judged(a, kind("dog")), "taken")
	w.want("a code that is not", w.judged(a, kind("cat")), outside)
	w.put("ValueSet", "pets", valueSet("pets", in+`cat"}]}]`))
	w.want("after it was changed", w.judged(a, kind("dog")), outside)
}

func TestProfilesOfTheCustodianCanBeUsed(t *testing.T) {
	w := newClinics(t, nil)
	broken := profileOf("p", "Observation", "", asked("Observation.nothing", `"min":1`))
	_, err := w.update(custodian(), "StructureDefinition", "p", broken, "")
	var invalid *gate.Invalid
	if !errors.As(err, &invalid) || invalid.Status != 422 {
		t.Fatalf("got %v, want 422", err)
	}
	got := invalid.Issues[0]
	w.want("where", got.Expression, "StructureDefinition.differential.element[1]")
	w.want("why", got.Text, `R4 has no element "nothing" there`)
	if got.Line == 0 {
		t.Error("no line is told")
	}
	w.created(system("A"), "StructureDefinition", broken)
	w.want("a contributor's own that is broken", w.judged(system("A"), claiming("p", "")),
		"422 business-rule Observation.meta.profile[0]: the profile http://x.example/p cannot be used on this server: its StructureDefinition has faults")
	w.want("for others", w.judged(system("B"), claiming("p", "")), "taken")
	w.put("StructureDefinition", "model", strings.Replace(profileOf("model", "Observation", "", ""), `"constraint"`, `"specialization"`, 1))
	w.want("what is no profile", w.judged(system("A"), claiming("model", "")), "taken")
}

// counting counts the searches that snapshots are asked, and what they find.
type counting struct {
	store.Store
	searches, rows atomic.Int64
}

type countingSnapshot struct {
	store.Snapshot
	of *counting
}

func (c *counting) wrap(s store.Store) store.Store {
	c.Store = s
	return c
}

func (c *counting) Snapshot(ctx context.Context) (store.Snapshot, error) {
	s, err := c.Store.Snapshot(ctx)
	return &countingSnapshot{s, c}, err
}

func (s *countingSnapshot) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	s.of.searches.Add(1)
	page, err := s.Snapshot.Search(ctx, u, q, p)
	s.of.rows.Add(int64(len(page.Found)))
	return page, err
}

func TestProfilesAreReadOnce(t *testing.T) {
	counter := &counting{}
	w := newClinics(t, counter.wrap)
	w.put("StructureDefinition", "p", profileOf("p", "Observation", "", asked("Observation.issued", `"min":1`)))
	const extended = `,"issued":"2026-01-01T00:00:00Z","extension":[{"url":"http://x.example/none","valueString":"x"}]`
	send := func() int {
		before := counter.searches.Load()
		w.want("sent", w.judged(system("A"), claiming("p", extended)), "taken")
		return int(counter.searches.Load() - before)
	}
	send()
	plain := func() int {
		before := counter.searches.Load()
		w.want("sent", w.judged(system("A"), observation("Patient/p")), "taken")
		return int(counter.searches.Load() - before)
	}
	if got, want := send(), plain(); got != want {
		t.Errorf("with a profile known already %d searches, without one %d", got, want)
	}
	w.put("StructureDefinition", "other", profileOf("other", "Observation", "", ""))
	if got, want := send(), plain(); got == want {
		t.Error("nothing was looked up after a profile had changed")
	}
}

func TestNothingIsWrittenWhenProfilesCannotBeRead(t *testing.T) {
	w, f := newFaulty(t)
	f.deaf.Store(fhir.ResourceType("StructureDefinition"))
	w.want("a claim", w.judged(system("A"), claiming("p", "")), gate.ErrUnavailable.Error())
	w.want("no claim", w.judged(system("A"), observation("Patient/p")), "taken")
}

func TestLongCanonicalsNameNothing(t *testing.T) {
	counter := &counting{}
	w := newClinics(t, counter.wrap)
	searches := func(members string) int64 {
		before := counter.searches.Load()
		w.want("sent", w.judged(system("A"), members), "taken")
		return counter.searches.Load() - before
	}
	long := strings.Repeat("x", 2048)
	w.put("StructureDefinition", "long", profileOf(long, "Observation", "", asked("Observation.issued", `"min":1`)))
	searches(observation("Patient/p"))
	plain := searches(observation("Patient/p"))
	if got := searches(claiming(long, "")); got != plain {
		t.Errorf("a claim: %d searches, without it %d", got, plain)
	}
	if got := searches(observation("Patient/p") + `,"extension":[{"url":"http://x.example/` + long + `","valueString":"x"}]`); got != plain {
		t.Errorf("an extension: %d searches, without it %d", got, plain)
	}
	before := counter.searches.Load()
	if _, err := w.validate("Observation", "http://x.example/"+long); err != nil {
		t.Error(explain(err))
	}
	if got := counter.searches.Load() - before; got != 0 {
		t.Errorf("$validate: %d searches", got)
	}
}

// validate asks whether an Observation keeps to profiles.
func (w *world) validate(t fhir.ResourceType, profiles ...string) (gate.Released, error) {
	p := gate.Proposal{Content: w.content(resource(t, "", observation("Patient/p"))), Profiles: profiles}
	return w.gate.Validate(w.ctx(), w.request(system("A"), "$validate", t), t, p)
}

func TestManyVersionsOfAProfile(t *testing.T) {
	counter := &counting{}
	w := newClinics(t, counter.wrap)
	for range 300 {
		w.created(system("B"), "StructureDefinition", profileOf("u", "Observation", "", ""))
	}
	var claims []string
	for i := range 32 {
		claims = append(claims, fmt.Sprintf("http://x.example/u|%d", i))
	}
	if _, err := w.validate("Observation"); err != nil {
		t.Fatal(explain(err))
	}
	searches, rows := counter.searches.Load(), counter.rows.Load()
	if _, err := w.validate("Observation", claims...); err != nil {
		t.Fatal(explain(err))
	}
	if got := counter.searches.Load() - searches; got != 2 {
		t.Errorf("%d searches for one URL in two partitions", got)
	}
	if got := counter.rows.Load() - rows; got != 0 {
		t.Errorf("%d definitions of others were read", got)
	}
	_, err := w.validate("Observation", append(claims, "http://x.example/v")...)
	w.want("more than may be asked about", outcome(err), "400")
}

// TestValueSetsOfAProfileTogether: what one value set may cost each of them may, and
// all of them no more than a few times as much.
func TestValueSetsOfAProfileTogether(t *testing.T) {
	w := newClinics(t, nil)
	a := system("A")
	var codes []string
	for i := range 3000 {
		codes = append(codes, fmt.Sprintf(`{"code":"c%d"}`, i))
	}
	w.created(a, "ValueSet", valueSet("big", `"include":[{"system":"http://x.example/animals","concept":[`+strings.Join(codes, ",")+`]}]`))
	again := strings.Repeat(`,{"valueSet":["http://x.example/vs/big"]}`, 300)[1:]
	bound := ""
	for i, element := range []string{"bodySite", "code", "dataAbsentReason", "interpretation", "method"} {
		w.created(a, "ValueSet", valueSet(element, `"include":[`+again+`]`))
		one := asked("Observation."+element, `"binding":{"strength":"required","valueSet":"http://x.example/vs/`+element+`"}`)
		bound += one
		if i == 0 {
			w.created(a, "StructureDefinition", profileOf("one", "Observation", "", one))
		}
	}
	w.created(a, "StructureDefinition", profileOf("all", "Observation", "", bound))
	const site = `,"bodySite":{"coding":[{"system":"http://x.example/animals","code":"c7"}]}`
	w.want("one of them", w.judged(a, claiming("one", site)), "taken")
	w.want("all of them", w.judged(a, claiming("all", site)),
		"422 too-costly : the resource leads to more definitions of profiles and extensions than are looked up for one request")
}

// TestNothingIsKeptOfWhatIsNoID: what is remembered of a patient is under the id, and
// a search may ask for any text. It is the custodian who is told sooner the second time.
func TestNothingIsKeptOfWhatIsNoID(t *testing.T) {
	counter := &counting{}
	w := newClinics(t, counter.wrap)
	again := func(id string) (first, second int64) {
		for _, n := range []*int64{&first, &second} {
			before := counter.searches.Load()
			w.want("found", w.sees(custodian(), "Patient", "_id="+id), "")
			*n = counter.searches.Load() - before
		}
		return first, second
	}
	again("warm")
	if first, second := again("none"); second >= first {
		t.Errorf("of an id: %d searches, then %d", first, second)
	}
	if first, second := again(strings.Repeat("x", 65)); second != first {
		t.Errorf("of what is no id: %d searches, then %d", first, second)
	}
}
