package gate

import (
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// still is a snapshot in which nothing ever changes.
type still struct{ store.Snapshot }

func (still) Epoch(string) (uint64, bool) { return 1, true }
func (still) Mark() []byte                { return nil }

// warm is a visit whose patient's facts are kept.
func warm() *visit {
	now := time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	g := &Gate{facts: newCache[string, *consent.Facts](factsKept)}
	v := &visit{view: view{g: g, snap: still{}, now: now}, caller: consent.Caller{
		Kind: consent.Practitioner, Purpose: consent.Treatment, Organization: "A", Lineage: []string{"A"},
		Scopes: smart.ParseScopes("user/*.rs"),
	}}
	f := &consent.Facts{
		Patient: "p", Exists: true, Registrations: []consent.Registration{{Organization: "A"}},
		Restrictions: []consent.Restriction{{Base: consent.Deny}},
	}
	var b basis
	b.on(v.snap, keyPatient("p"))
	g.facts.put("p", f, b)
	return v
}

func TestWarmDecisionAllocatesNothing(t *testing.T) {
	v := warm()
	decide := func() {
		if d, err := v.decide(t.Context(), "p"); err != nil || d.Level != consent.Basic {
			t.Fatalf("level %v, %v", d.Level, err)
		}
	}
	if n := testing.AllocsPerRun(100, decide); n != 0 {
		t.Errorf("a warm decision allocates %v times", n)
	}
	v.caller.Lineage, v.caller.Organization = nil, "B"
	if d, err := v.decide(t.Context(), "p"); err != nil || d.Level != consent.None {
		t.Errorf("level of the unregistered: %v, %v", d.Level, err)
	}
}

// BenchmarkDecision is one warm decision, from the kept facts.
func BenchmarkDecision(b *testing.B) {
	v := warm()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if d, err := v.decide(ctx, "p"); err != nil || d.Level != consent.Basic {
			b.Fatal(d.Level, err)
		}
	}
}
