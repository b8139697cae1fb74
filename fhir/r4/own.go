package r4

import "vitrine/fhir"

const canon = "https://vitrine.example"

// addOwn adds the search parameters that are this server's own.
func (l *loader) addOwn() { l.d.own = own() }

// Own are the search parameters of this server's own that clients may ask by.
func Own() (all []*SearchParam) {
	for _, p := range own() {
		if !p.Internal {
			all = append(all, p)
		}
	}
	return all
}

// own are all that R4 has not.
func own() []*SearchParam {
	return []*SearchParam{
		{
			Number: ParamAuditPurpose, Code: "purpose", Name: "purpose", Kind: ParamToken,
			URL:        canon + "/SearchParameter/auditevent-purpose",
			Bases:      []fhir.ResourceType{"AuditEvent"},
			Expression: "AuditEvent.purposeOfEvent | AuditEvent.agent.purposeOfUse",
		},
		{
			Number: ParamAwaits, Code: "_awaits", Name: "awaits", Kind: ParamToken,
			URL:      canon + "/SearchParameter/awaits",
			Bases:    []fhir.ResourceType{"Resource"},
			Internal: true,
		},
	}
}
