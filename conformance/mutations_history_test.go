package conformance

// historyMutations break who sees which version.
func historyMutations() []mutation {
	const scenario = "TestScenario66VersionsOfTheHidden"
	return []mutation{
		{
			name: "history: that of a type is anybody's", test: scenario,
			edits: []edit{{"consent/gate/changes.go", "return k == consent.Custodian || k == consent.Regulator && t == auditEvents", "return k != consent.Nobody || t == auditEvents"}},
		},
		{
			name: "history: a hidden List chooses versions", test: scenario,
			edits: []edit{{"consent/gate/changes.go", `v.reader.Read(ctx, u, "List", id)`, `v.reader.Read(ctx, consent.Everything(), "List", id)`}},
		},
	}
}
