package consent_test

import (
	"testing"

	"vitrine/consent"
)

// BenchmarkDecide is the warm decision: facts known, nothing looked up.
func BenchmarkDecide(b *testing.B) {
	c := &consent.Caller{
		Kind: consent.Practitioner, Purpose: consent.Treatment, Client: "emr", Practitioner: "Practitioner/x", Role: "PractitionerRole/x",
		Organization: "ward", Lineage: []string{"ward", "hospital", "cluster"},
	}
	allow := consent.Restriction{Version: [1]string{"Consent/c/_history/1"}, Rules: []consent.Rule{
		{Effect: consent.Permit, Actors: []consent.Actor{{Organization: "x"}, {Organization: "y"}, {Organization: "hospital"}}},
	}}
	byType := consent.Restriction{Version: [1]string{"Consent/c/_history/1"}, Base: consent.Permit, Rules: []consent.Rule{
		{Actors: []consent.Actor{{Organization: "cluster"}}, Types: everyType()[3:4], Labels: []string{"s|HIV"}},
	}}
	for name, rs := range map[string][]consent.Restriction{
		"unrestricted": nil, "allowed": {allow}, "by type": {byType}, "denied": {{Version: allow.Version}},
	} {
		f := &consent.Facts{
			Patient: "p", Exists: true, Restrictions: rs,
			Registrations: []consent.Registration{{Organization: "other"}, {Organization: "hospital"}},
			Grants:        []consent.Grant{{ID: "g", Patient: "p", User: "Practitioner/y"}},
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			labels := []string{"s|PSY", "s|HIV"}
			for b.Loop() {
				d := consent.Decide(consent.Policy{}, c, f, noon)
				d.Edition("Condition", labels)
			}
		})
	}
}

// TestDecideAllocatesNothing holds the promise of the benchmark.
func TestDecideAllocatesNothing(t *testing.T) {
	c := &consent.Caller{Kind: consent.Practitioner, Purpose: consent.Treatment, Organization: "a", Practitioner: "Practitioner/x"}
	f := &consent.Facts{
		Patient: "p", Exists: true, Registrations: []consent.Registration{{Organization: "a"}},
		Restrictions: []consent.Restriction{{Version: [1]string{"Consent/c/_history/1"}, Base: consent.Permit, Rules: []consent.Rule{
			{Types: everyType()[3:4]},
		}}},
	}
	var d consent.Decision
	if n := testing.AllocsPerRun(100, func() {
		d = consent.Decide(consent.Policy{}, c, f, noon)
		d.Edition("Condition", nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(d.Consents) != 1 || d.Consents[0] != "Consent/c/_history/1" {
		t.Errorf("consents %v", d.Consents)
	}
}
