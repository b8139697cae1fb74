package conformance

// searchMutations break what searches lead to, count and sort by.
func searchMutations() []mutation {
	return []mutation{
		{name: "search: what a query leads to is of every universe", edits: []edit{{"store/embedded/search.go", "newOthers(v, u, &s.budget)", "newOthers(v, consent.Everything(), &s.budget)"}}},
		{name: "search: a chain does not ask for admission", edits: []edit{{"store/embedded/joins.go", "e, err := o.u.Admit(ctx, r.head.row)", "e, err := consent.EditionFull, error(nil)"}}},
		{name: "search: _has looks beyond the universe, row by row", edits: []edit{{"store/embedded/probe.go", "u: o.u,", "u: consent.Everything(),"}}},
		{name: "search: joins begin beyond the universe", edits: []edit{
			{"store/embedded/rarer.go", "u: o.u,", "u: consent.Everything(),"},
			{"store/embedded/rarer.go", "\t\"vitrine/fhir\"\n", "\t\"vitrine/consent\"\n\t\"vitrine/fhir\"\n"},
		}},
		{name: "search: joins pass over scopes", edits: []edit{{"consent/gate/reach.go", "return u.Where(open.reads), nil", "return u, nil"}}},
		{name: "search: _include reads by id whatever there is", edits: []edit{{"consent/gate/include.go", "near, err := v.instance(ctx)", "near, err := consent.Everything(), error(nil)"}}},
		{name: "search: _revinclude finds whatever there is", edits: []edit{{"consent/gate/include.go", "far, err := v.universe(ctx, nil)", "far, err := consent.Everything(), error(nil)"}}},
		{name: "search: includes pass over scopes", edits: []edit{{"consent/gate/reach.go", "out := o.reading(t)", "out := typeWhole"}}},
		{name: "search: sort keys, :missing, :not and matches are of the whole resource", edits: []edit{{"consent/gate/content.go", "v.entries(t, &draft{", "v.entries(d.tape, &draft{"}}},
		{name: "search: what is read is the whole resource", edits: []edit{{"store/embedded/joins.go", "o.view.current(a.key.e, a.t, a.key.t, a.key.n)", "o.view.current(consent.EditionFull, a.t, a.key.t, a.key.n)"}}},
		{name: "search: totals count what is labelled", edits: []edit{{"store/embedded/tally.go", "if mark == 0 {\n\t\treturn true, nil", "if mark|1 != 0 {\n\t\treturn true, nil"}}},
		{name: "search: cursors are anybody's", edits: []edit{{"consent/gate/cursor.go", "kind, c.Kind.String(), c.Issuer, c.Subject, c.User, c.Organization, c.Client, c.Patient, c.Purpose.String(),", "kind, c.Kind.String()[:0],"}}},
		{name: "search: cursors are for any question", edits: []edit{{"consent/gate/cursor.go", "\tasked(h)\n", "\t_ = asked\n"}}},
		{
			name: "search: pages give rows as they were", test: "TestAttackWhatChangedBetweenPages",
			edits: []edit{{"consent/gate/pages.go", "\tif s.past == nil {\n\t\treturn rows, nil", "\tif s.past != s.reader {\n\t\treturn rows, nil"}},
		},
		{name: "search: a search of all types passes over scopes", edits: []edit{{"consent/gate/system.go", "if verdict.Admitted {", "if verdict.Admitted || t != \"\" {"}}},
		{name: "search: what is contained is of every universe", edits: []edit{{"consent/gate/contained.go", "u = u.Where(open.reads)", "u = consent.Everything()"}}},
		{name: "search: plans are told to everybody", edits: []edit{
			{"fhir/rest/search.go", "p.Name == explained && x.request.Caller.Kind == consent.Custodian", "p.Name == explained && x.request.Caller.Kind != consent.Nobody"},
			{"consent/gate/pages.go", "s.q.Explain && s.caller.Kind == consent.Custodian", "s.q.Explain"},
		}},
		{name: "search: lists of people are shown to providers", edits: []edit{{"consent/gate/universe.go", ` && r.Type != "Group"`, ""}}},
	}
}
