package consent_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// everyType are the types an edition is asked for, basic ones and others.
func everyType() []fhir.ResourceType {
	return []fhir.ResourceType{"Patient", "AllergyIntolerance", "Immunization", "Condition", "Observation", "Task", "Consent", "AuditEvent"}
}

func drawPeriod(t *rapid.T) consent.Period {
	return rapid.SampledFrom([]consent.Period{
		{},
		{},
		{From: noon},
		{Until: noon},
		{Until: noon.Add(-1)},
		{From: noon.Add(1)},
	}).Draw(t, "period")
}

func drawActor(t *rapid.T) consent.Actor {
	return rapid.SampledFrom([]consent.Actor{
		{Organization: "ward"},
		{Organization: "hospital"},
		{Organization: "cluster"},
		{Organization: "elsewhere"},
		{Practitioner: "Practitioner/me"},
		{Practitioner: "Practitioner/other"},
		{Role: "PractitionerRole/me"},
		{},
	}).Draw(t, "actor")
}

func drawRule(t *rapid.T, depth int) consent.Rule {
	r := consent.Rule{
		Effect:  rapid.SampledFrom([]consent.Effect{consent.Permit, consent.Deny}).Draw(t, "effect"),
		Actors:  rapid.SliceOfN(rapid.Custom(drawActor), 0, 2).Draw(t, "actors"),
		Period:  drawPeriod(t),
		Purpose: rapid.SampledFrom([]consent.Purpose{0, 0, consent.Treatment, consent.EmergencyTreatment, consent.BreakGlass, consent.Insurance}).Draw(t, "purpose"),
		Types:   rapid.SliceOfN(rapid.SampledFrom(everyType()), 0, 2).Draw(t, "types"),
		Labels:  rapid.SliceOfN(rapid.SampledFrom([]string{"s|HIV", "s|PSY"}), 0, 1).Draw(t, "labels"),
	}
	if depth > 0 {
		r.Except = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) consent.Rule { return drawRule(t, depth-1) }), 0, 2).Draw(t, "except")
	}
	return r
}

func drawRestriction(t *rapid.T) consent.Restriction {
	return consent.Restriction{
		Version:   [1]string{"Consent/" + rapid.StringMatching(`[a-z]{3}`).Draw(t, "id") + "/_history/1"},
		Inert:     rapid.IntRange(0, 9).Draw(t, "inert") == 0,
		Malformed: rapid.IntRange(0, 9).Draw(t, "malformed") == 0,
		Base:      rapid.SampledFrom([]consent.Effect{consent.Permit, consent.Deny}).Draw(t, "base"),
		Period:    drawPeriod(t),
		Rules:     rapid.SliceOfN(rapid.Custom(func(t *rapid.T) consent.Rule { return drawRule(t, 1) }), 0, 3).Draw(t, "rules"),
	}
}

func drawCaller(t *rapid.T) *consent.Caller {
	return &consent.Caller{
		Kind:          consent.Practitioner,
		Client:        "emr",
		Practitioner:  "Practitioner/me",
		Role:          "PractitionerRole/me",
		Organization:  "ward",
		Lineage:       []string{"ward", "hospital", "cluster"},
		LineageBroken: rapid.Bool().Draw(t, "broken"),
		Purpose:       rapid.SampledFrom([]consent.Purpose{consent.Treatment, consent.EmergencyTreatment, consent.BreakGlass}).Draw(t, "purpose"),
	}
}

func drawFacts(t *rapid.T) *consent.Facts {
	f := &consent.Facts{
		Patient: "p", Exists: true,
		Restrictions: rapid.SliceOfN(rapid.Custom(drawRestriction), 0, 3).Draw(t, "restrictions"),
		Unreadable:   rapid.IntRange(0, 9).Draw(t, "unreadable") == 0,
		Registrations: []consent.Registration{{
			Organization: rapid.SampledFrom([]string{"ward", "ward", "hospital", "elsewhere"}).Draw(t, "registered"),
			Period:       drawPeriod(t),
		}},
	}
	if rapid.Bool().Draw(t, "grant") {
		f.Grants = []consent.Grant{{
			ID: "g", Patient: "p", Organization: "ward", Client: "emr", From: noon, Until: noon.Add(time.Hour),
			User: rapid.SampledFrom([]string{"Practitioner/me", "Practitioner/other"}).Draw(t, "for"),
		}}
	}
	return f
}

// view is the whole of what a decision shows, in comparable numbers.
func view(d consent.Decision) []int {
	rank := map[consent.Edition]int{0: 0, consent.EditionBasic: 1, consent.EditionFull: 2}
	out := []int{int(d.Level)}
	for _, typ := range everyType() {
		for _, labels := range [][]string{nil, {"s|HIV"}, {"s|PSY", "s|HIV"}, {consent.LabelOversight}} {
			out = append(out, rank[d.Edition(typ, labels)])
		}
	}
	return out
}

func noMore(less, more []int) bool {
	return !slices.ContainsFunc(zip(less, more), func(p [2]int) bool { return p[0] > p[1] })
}

func zip(a, b []int) (out [][2]int) {
	for i := range a {
		out = append(out, [2]int{a[i], b[i]})
	}
	return out
}

func TestARestrictionNeverShowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, f := drawCaller(t), drawFacts(t)
		before := view(consent.Decide(consent.Policy{}, c, f, noon))
		f.Restrictions = append(slices.Clone(f.Restrictions), drawRestriction(t))
		if after := view(consent.Decide(consent.Policy{}, c, f, noon)); !noMore(after, before) {
			t.Fatalf("before %v, after %v", before, after)
		}
	})
}

func TestAPermitForOthersNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, f := drawCaller(t), drawFacts(t)
		if len(f.Restrictions) == 0 {
			t.Skip("nothing to permit")
		}
		before := view(consent.Decide(consent.Policy{}, c, f, noon))
		f.Restrictions = slices.Clone(f.Restrictions)
		r := &f.Restrictions[0]
		r.Rules = append(slices.Clone(r.Rules), consent.Rule{
			Effect: consent.Permit,
			Actors: []consent.Actor{{Organization: "elsewhere"}, {Practitioner: "Practitioner/other"}, {}},
		})
		if after := view(consent.Decide(consent.Policy{}, c, f, noon)); !slices.Equal(after, before) {
			t.Fatalf("before %v, after %v", before, after)
		}
	})
}

func TestTheBasicSetIsTheFloorOfCare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, f := drawCaller(t), drawFacts(t)
		d := consent.Decide(consent.Policy{RelationWaived: true}, c, f, noon)
		for _, typ := range everyType()[:3] {
			if d.Edition(typ, []string{"s|HIV"}) == 0 {
				t.Fatalf("%s is withheld at level %d", typ, d.Level)
			}
		}
		if d.Level == consent.Self || d.Edition("Consent", nil) != 0 || d.Edition("AuditEvent", nil) != 0 {
			t.Fatal("a provider sees what is the patient's alone")
		}
	})
}

func TestWithoutARegistrationNothingExists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, f := drawCaller(t), drawFacts(t)
		f.Registrations = []consent.Registration{{Organization: "elsewhere"}, {Organization: "part-of-ward"}, {}}
		if d := consent.Decide(consent.Policy{}, c, f, noon); slices.Max(view(d)) != 0 {
			t.Fatalf("level %d, %s", d.Level, d.Reason)
		}
	})
}

// TestExcludesIsNeverWrong: what is passed by unread would not have been shown,
// and where no rule is about labels nothing else is read.
func TestExcludesIsNeverWrong(t *testing.T) {
	labels := [][]string{nil, {"s|HIV"}, {"s|PSY"}, {"s|PSY", "s|HIV"}, {consent.LabelOversight}}
	rapid.Check(t, func(t *rapid.T) {
		c, f := drawCaller(t), drawFacts(t)
		d := consent.Decide(consent.Policy{RelationWaived: rapid.Bool().Draw(t, "waived")}, c, f, noon)
		if rapid.IntRange(0, 4).Draw(t, "self") == 0 {
			d = consent.Decision{Level: consent.Self}
		}
		for _, typ := range append(everyType(), "") {
			for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
				shown := slices.ContainsFunc(labels, func(l []string) bool { return d.Edition(typ, l) == e })
				if shown && d.Excludes(typ, e) {
					t.Fatalf("%s in edition %d is shown and excluded at level %d", typ, e, d.Level)
				}
			}
		}
	})
	ward := &consent.Caller{Kind: consent.Practitioner, Purpose: consent.Treatment, Organization: "a", Practitioner: "Practitioner/x"}
	byType := []consent.Rule{{Effect: consent.Permit, Types: []fhir.ResourceType{"Observation"}}}
	byLabel := []consent.Rule{{Effect: consent.Permit, Except: []consent.Rule{{Labels: []string{"s|HIV"}}}}}
	for name, c := range map[string]struct {
		rules              []consent.Rule
		observation, other bool // the full edition is excluded
	}{"closed": {nil, true, true}, "by type": {byType, false, true}, "by label": {byLabel, false, false}} {
		d := consent.Decide(consent.Policy{RelationWaived: true}, ward, &consent.Facts{
			Patient: "p", Exists: true, Restrictions: []consent.Restriction{{Rules: c.rules}},
		}, noon)
		full := consent.EditionFull
		if o, other := d.Excludes("Observation", full), d.Excludes("Condition", full); o != c.observation || other != c.other || !d.Excludes("AuditEvent", full) {
			t.Errorf("%s: excludes Observation %v, Condition %v, want %v, %v", name, o, other, c.observation, c.other)
		}
	}
}

// TestAGrantOpensOnePatient: filed with the facts of another, it opens nothing.
func TestAGrantOpensOnePatient(t *testing.T) {
	c := &consent.Caller{Kind: consent.Practitioner, Purpose: consent.Treatment, Client: "emr", Organization: "a", Practitioner: "Practitioner/x"}
	f := &consent.Facts{
		Patient: "p", Exists: true, Registrations: []consent.Registration{{Organization: "a"}}, Restrictions: []consent.Restriction{{}},
		Grants: []consent.Grant{{ID: "g", Patient: "q", User: "Practitioner/x", Organization: "a", Client: "emr", From: noon, Until: noon.Add(time.Hour)}},
	}
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Basic || d.Grant != "" {
		t.Errorf("the grant for q: level %d, %q", d.Level, d.Grant)
	}
	f.Grants[0].Patient = "p"
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Full || d.Grant != "g" {
		t.Errorf("the grant for p: level %d, %q", d.Level, d.Grant)
	}
}

// TestZeroValuesDeny takes one field after another away from a caller who sees
// everything.
func TestZeroValuesDeny(t *testing.T) {
	full := func() (*consent.Caller, *consent.Facts) {
		return &consent.Caller{Kind: consent.Practitioner, Purpose: consent.Treatment, Organization: "a", Practitioner: "Practitioner/x"},
			&consent.Facts{Patient: "p", Exists: true, Registrations: []consent.Registration{{Organization: "a"}}}
	}
	c, f := full()
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Full {
		t.Fatalf("the permit beside the denials: level %d, %s", d.Level, d.Reason)
	}
	for name, take := range map[string]func(*consent.Caller, *consent.Facts){
		"kind":         func(c *consent.Caller, _ *consent.Facts) { c.Kind = 0 },
		"unknown kind": func(c *consent.Caller, _ *consent.Facts) { c.Kind = 99 },
		"purpose":      func(c *consent.Caller, _ *consent.Facts) { c.Purpose = 0 },
		"organization": func(c *consent.Caller, f *consent.Facts) { c.Organization, f.Registrations[0].Organization = "", "" },
		"patient":      func(_ *consent.Caller, f *consent.Facts) { f.Patient = "" },
		"existence":    func(_ *consent.Caller, f *consent.Facts) { f.Exists = false },
		"registration": func(_ *consent.Caller, f *consent.Facts) { f.Registrations = []consent.Registration{{}} },
	} {
		c, f := full()
		take(c, f)
		if d := consent.Decide(consent.Policy{}, c, f, noon); slices.Max(view(d)) != 0 {
			t.Errorf("without %s: level %d, %s", name, d.Level, d.Reason)
		}
	}
	c, f = full()
	f.Restrictions = []consent.Restriction{{}}
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Basic {
		t.Errorf("the zero restriction: level %d", d.Level)
	}
	f.Restrictions = []consent.Restriction{{Rules: []consent.Rule{{Effect: consent.Permit, Actors: []consent.Actor{{}}}}}}
	c.Practitioner, c.Role, c.Lineage = "", "", []string{""}
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Basic {
		t.Errorf("a permit for the zero actor: level %d", d.Level)
	}
	f.Registrations = []consent.Registration{{}}
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.None {
		t.Errorf("the zero registration and an empty lineage: level %d", d.Level)
	}
	c, f = full()
	f.Restrictions = []consent.Restriction{{}}
	f.Grants = []consent.Grant{{}}
	if d := consent.Decide(consent.Policy{}, c, f, noon); d.Level != consent.Basic {
		t.Errorf("the zero grant: level %d", d.Level)
	}
	if slices.Max(view(consent.Decision{})) != 0 || slices.Max(view(consent.Decide(consent.Policy{}, nil, nil, noon))) != 0 {
		t.Error("the zero decision shows something")
	}
}

// TestKeeps: what Where leaves out is told without a decision, and what Keeps
// denies is never admitted.
func TestKeeps(t *testing.T) {
	permit := func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Full}, nil
	}
	only := func(r consent.Row) bool {
		return r.Type == "Condition" && r.Home == consent.HomePatients && len(r.Labels) == 0
	}
	for name, c := range map[string]struct {
		u    *consent.Universe
		want bool
	}{
		"nil": {nil, false}, "zero": {&consent.Universe{}, false}, "patients": {consent.OfPatients([]string{"p"}, nil, permit), true},
		"narrowed": {consent.OfAnyPatient(nil, permit).Where(only), true}, "everything": {consent.Everything().Where(only), true},
		"left out": {consent.Everything().Where(func(consent.Row) bool { return false }), false},
	} {
		if got := c.u.Keeps("Condition", consent.HomePatients); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		e, err := c.u.Admit(t.Context(), consent.Row{Type: "Condition", Home: consent.HomePatients, Patients: []string{"p"}})
		if err != nil || (e != 0) != c.want {
			t.Errorf("%s: admitted in %d, %v; want %v", name, e, err, c.want)
		}
	}
	if consent.Everything().Where(only).Keeps("Observation", consent.HomePatients) {
		t.Error("another type is kept")
	}
}
