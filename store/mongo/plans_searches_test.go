package mongo

import (
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// searches are those of clinical rows and of the directory.
func (w *world) searches() []asked {
	p := w.patients[0]
	one := func() *consent.Universe { return consent.OfPatients([]string{p}, directory, full) }
	few := func() *consent.Universe { return consent.OfPatients(w.patients[:20], directory, full) }
	every := consent.Everything
	page := store.PageRequest{Limit: 50}
	const height = "http://loinc.org|8302-2"
	const sinusitis = "http://snomed.info/sct|444814009"
	awaited := &search.Query{Type: "Observation", Clauses: []search.Clause{{
		Any: []search.Match{search.AwaitsMatch(fhir.Identifier{System: "http://example.org/nhid", Value: "7"})},
	}}}
	return []asked{
		{name: "one patient by type", universe: one, typ: "Observation", query: "patient=Patient/" + p, page: page, perResult: 1.2},
		{name: "one patient by code", universe: one, typ: "Observation", query: "patient=Patient/" + p + "&code=" + height, page: page, perResult: 1.2},
		{name: "one patient by code and date", universe: one, typ: "Observation", query: "patient=Patient/" + p + "&code=" + height + "&date=ge2012&date=lt2016", page: page, perResult: 3},
		{name: "one patient by date", universe: one, typ: "Observation", query: "patient=Patient/" + p + "&date=ge2012&date=lt2016", page: page, perResult: 4},
		{name: "one patient by several codes", universe: one, typ: "Observation", query: "patient=Patient/" + p + "&code=" + height + ",http://loinc.org|29463-7,http://loinc.org|39156-5", page: page, perResult: 1.5},
		{name: "one patient sorted by date", universe: one, typ: "Observation", query: "patient=Patient/" + p + "&_sort=-date", page: page, perResult: 2.1},
		{name: "one patient counted", universe: one, typ: "Observation", query: "patient=Patient/" + p, page: store.PageRequest{Count: true}, perResult: 1.2},
		{
			name: "one patient in the basic edition", typ: "Immunization", query: "patient=Patient/" + p, page: page, perResult: 1.2,
			universe: func() *consent.Universe { return consent.OfPatients([]string{p}, directory, basicOnly) },
		},
		{name: "one patient deep page", universe: one, typ: "Observation", query: "patient=Patient/" + p, page: store.PageRequest{Limit: 5}, deep: 5, perResult: 1.2},
		{name: "by id", universe: one, typ: "Patient", query: "_id=" + p, page: page, perResult: 1.2},
		{name: "several patients by code", universe: few, typ: "Observation", query: "code=" + height, page: page, perResult: 1.5},
		{name: "several patients by code and category", universe: few, typ: "Observation", query: "code=" + height + "&category=vital-signs", page: page, perResult: 1.7},
		{name: "several patients by date sorted and counted", universe: few, typ: "Observation", query: "date=ge2012&date=lt2013&_sort=date", page: store.PageRequest{Limit: 50, Count: true}, perResult: 20},
		{name: "several patients counted by code", universe: few, typ: "Observation", query: "code=" + height, page: store.PageRequest{Count: true}, perResult: 1.2},
		{name: "patients by prefix of a name", universe: every, typ: "Patient", query: "family=Ho", page: page, perResult: 3, sorts: true},
		{name: "directory by name", universe: one, typ: "Organization", query: "name=LOWELL", page: page, perResult: 3, sorts: true},
		{
			name: "candidates by link", typ: "Condition", query: "code=" + sinusitis, page: page, perResult: 2,
			universe: func() *consent.Universe { return consent.OfCandidates(w.links(), directory, full) },
		},
		{
			name: "any patient by code", typ: "Condition", query: "code=" + sinusitis, page: page, perResult: 2,
			universe: func() *consent.Universe { return consent.OfAnyPatient(directory, full) },
		},
		{
			name: "contributors own by code", typ: "Condition", query: "code=" + sinusitis, page: page, perResult: 4,
			universe: func() *consent.Universe { return consent.OfContributor("clinic-1") },
		},
		{name: "custodian by token", universe: every, typ: "Condition", query: "code=" + sinusitis, page: page, perResult: 1.2},
		{name: "custodian by rare and common token", universe: every, typ: "Condition", query: "code=" + sinusitis + "&subject=Patient/" + w.patients[3], page: page, perResult: 3},
		{name: "custodian counts a token", universe: every, typ: "Observation", query: "code=" + height, page: store.PageRequest{Count: true}, perResult: 1.2},
		{name: "quarantine by awaited identifier", universe: every, typ: "Observation", query: "(awaited identifier)", parsed: awaited, page: page, perResult: 1.2},
	}
}

// furtherSearches lead from one resource to others, ask for what is not, and sort.
func (w *world) furtherSearches() []asked {
	p, of := w.patients[0], "patient=Patient/"+w.patients[0]
	one := func() *consent.Universe { return consent.OfPatients([]string{p}, directory, full) }
	few := func() *consent.Universe { return consent.OfPatients(w.patients[:20], directory, full) }
	candidates := func() *consent.Universe { return consent.OfCandidates(w.links(), directory, full) }
	every := consent.Everything
	page := store.PageRequest{Limit: 50}
	const height = "http://loinc.org|8302-2"
	return []asked{
		{name: "chain of one patient", universe: one, typ: "Observation", query: "subject:Patient._id=" + p, page: page, perResult: 1.3},
		{name: "chain of several patients", universe: few, typ: "Observation", query: "code=" + height + "&encounter.class=AMB", page: page, perResult: 40, sorts: true},
		{name: "chain of candidates", universe: candidates, typ: "Condition", query: "code=http://snomed.info/sct|444814009&subject:Patient.gender=female,male", page: page, perResult: 4, sorts: true},
		{name: "chain of the custodian", universe: every, typ: "Observation", query: "subject:Patient._id=" + p, page: page, perResult: 1.3},
		{name: "chain of two steps", universe: every, typ: "Observation", query: "encounter.subject:Patient._id=" + p, page: page, perResult: 2, sorts: true},
		{name: "has of one patient", universe: one, typ: "Patient", query: "_has:Observation:patient:code=" + height, page: page, perResult: 1.3},
		{name: "has of several patients", universe: few, typ: "Patient", query: "_has:Observation:patient:code=" + height, page: page, perResult: 31, sorts: true},
		{name: "has of the custodian", universe: every, typ: "Patient", query: "_has:Observation:patient:code=" + height, page: page, perResult: 3},
		{name: "not of one patient", universe: one, typ: "Observation", query: of + "&code:not=" + height, page: page, perResult: 1.3},
		{name: "not of the custodian", universe: every, typ: "Observation", query: "code:not=" + height, page: page, perResult: 1.3},
		{name: "missing of several patients", universe: few, typ: "Encounter", query: "reason-code:missing=true", page: page, perResult: 3},
		{name: "present of one patient", universe: one, typ: "Encounter", query: of + "&service-provider:missing=false", page: page, perResult: 3},
		{name: "part of a name", universe: every, typ: "Patient", query: "family:contains=er", page: page, perResult: 6, sorts: true},
		{name: "references to many", universe: one, typ: "Observation", query: "encounter=" + strings.Join(w.visits, ","), page: page, perResult: 1.5},
		{name: "sorted by two keys", universe: one, typ: "Observation", query: of + "&_sort=code,-date", page: page, perResult: 2.1},
		{name: "sort of the custodian", universe: every, typ: "Condition", query: "code=http://snomed.info/sct|444814009&_sort=-recorded-date", page: page, perResult: 2.1},
		{name: "count of what is not", universe: few, typ: "Observation", query: "code:not=" + height, page: store.PageRequest{Count: true}, perResult: 1.3},
	}
}

// links are those of whom an organisation has encounters with.
func (w *world) links() []search.Match {
	q := w.m.parse("Encounter", "service-provider=Organization/8b58cdd1-3d79-3126-8fe0-da2c54d68001,Organization/b0e04623-b02c-3f8b-92ea-943fc4db6001")
	return q.Clauses[0].Any
}

// eventSearches are those of the record of access.
func (w *world) eventSearches() []asked {
	p := w.patients[0]
	every := consent.Everything
	page := store.PageRequest{Limit: 50}
	return []asked{
		{name: "events by patient", universe: every, typ: "AuditEvent", query: "patient=Patient/" + p, page: page, perResult: 1.2},
		{
			name: "events of ones own", typ: "AuditEvent", query: "", page: page, perResult: 1.2,
			universe: func() *consent.Universe { return consent.OfPatients([]string{p}, directory, self) },
		},
		{name: "events by agent latest first", universe: every, typ: "AuditEvent", query: "agent=PractitionerRole/d7&_sort=-date", page: page, perResult: 1.2},
		{name: "events by date", universe: every, typ: "AuditEvent", query: "date=ge2026-03-01T09:00:00Z&date=lt2026-03-01T10:00:00Z", page: page, perResult: 1.2},
		{name: "events by agent and date", universe: every, typ: "AuditEvent", query: "agent=PractitionerRole/d7&date=ge2026-03-01T09:00:00Z&date=lt2026-03-02T10:00:00Z&_sort=-date", page: page, perResult: 1.2},
		{name: "events by entity", universe: every, typ: "AuditEvent", query: "entity=Observation/o41", page: page, perResult: 1.2},
		{name: "events by patient counted", universe: every, typ: "AuditEvent", query: "patient=Patient/" + p, page: store.PageRequest{Count: true}, perResult: 1.2},
		{name: "event by id", universe: every, typ: "AuditEvent", query: "_id=00000001-0000-0005-0000-000000000000", page: page, perResult: 1.2, sorts: true},
	}
}
