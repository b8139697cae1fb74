package conformance

// onboardingMutations break who is let in at all.
func onboardingMutations() []mutation {
	const clients, roles, whole, authority = "TestScenario35ClientsAreOnboarded", "TestScenario33RoleEndsInMidToken", "TestScenario34RolesAtTwoOrganisations", "TestScenario08RepresentativeNeedsAuthority"
	const own = "if r.Organization != contributor && (line.broken || !slices.Contains(line.ids, contributor)) {"
	policy := func(name, test, old, new string) mutation {
		return mutation{name: "onboarding: " + name, test: test, edits: []edit{{"consent/onboarding.go", old, new}}}
	}
	return []mutation{
		policy("a suspended client is let in", clients, `return "client-suspended"`, `return ""`),
		policy("a client that waits is let in", clients, `return "client-pending"`, `return ""`),
		policy("an ended client is let in", clients, `return "client-ended"`, `return ""`),
		policy("anybody vouches for a client", clients, "if c.ByHand && !p.ClientsListed {", "if !p.ClientsListed {"),
		policy("a client reads that only contributes", clients, "\t\treturn c.Read\n", "\t\treturn c.Read || c.Contribute\n"),
		policy("a client contributes that only reads", clients, "\t\treturn c.Contribute\n", "\t\treturn c.Read || c.Contribute\n"),
		policy("an organisation's capabilities count for nothing", clients, `case c.Organization != "" && !s.OrganizationMay.has(ask):`, `case c.Kind == Nobody:`),
		policy("a client acts for any organisation", whole, "if d == distanceNowhere ||", "if c == nil ||"),
		{
			name: "onboarding: a standing outlives the directory", test: clients,
			edits: []edit{{"consent/gate/write.go", `case "Organization", "Practitioner", "PractitionerRole", "Device":`, `case "Organization", "Practitioner", "PractitionerRole":`}},
		},
		{
			name: "onboarding: what is ended begins again", test: clients,
			edits: []edit{{"consent/gate/enrol.go", "case before != nil && !before.State.Becomes(now.State):", "case before != nil && before.Device == \"\":"}},
		},
		{
			name: "roles: an organisation makes doctors of its clerks", test: "TestAttackPromotingOnesStaff",
			edits: []edit{{"consent/gate/roles.go", "a.Active && a.Period.Contains(now)", "a.Active && a.Period.Until.Equal(now)"}},
		},
		{
			name: "roles: an organisation speaks for others", test: "TestAttackStaffOfOthers",
			edits: []edit{{"consent/gate/roles.go", own, "if r.Organization != contributor && line.ids == nil {"}},
		},
		{
			name: "roles: one that ended counts", test: roles,
			edits: []edit{{"consent/gates.go", "case !r.Period.Contains(now):", "case r.Period.Contains(now) && !r.Active:"}, {"consent/gates.go", "r.Active && r.Period.Contains(now) &&", "r.Active &&"}},
		},
		{
			name: "representatives: a relative acts", test: authority,
			edits: []edit{{"consent/relation/authority.go", "if fault || a == consent.AuthorityNone {", "if a == consent.AuthorityNone {\n\t\ta = consent.AuthorityFamily\n\t}\n\tif fault {"}},
		},
		{
			name: "representatives: any authority is for anything", test: authority,
			edits: []edit{{"consent/authority.go", "r.Authority.Purpose() == c.Purpose", "c.Purpose != PurposeNone"}},
		},
	}
}
