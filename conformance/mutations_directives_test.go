package conformance

// directiveMutations break the rule of two, and what goes with a direction.
func directiveMutations() []mutation {
	const two, clinic, stricter, destroy = "TestAttackOnePersonDirects", "TestScenario37DirectiveAgainstAClinic", "TestScenario38TheStricterDirectiveCounts", "TestScenario39DestroyWhatWasDisclosed"
	in := func(file, name, test, before, after string) mutation {
		return mutation{name: "directives: " + name, test: test, edits: []edit{{file, before, after}}}
	}
	const acts, task = "consent/gate/directives.go", "consent/gate/destroy.go"
	return []mutation{
		in("consent/directive/record.go", "one person is two", two, "return !same && (p.User", "return same || (p.User"),
		in(acts, "a back end is a person", two, "known := p.Known() && c.Subject != c.Client", "known := p.Known()"),
		in(acts, "what a body says counts", two, "text := directive.Recorded(d.tape, directive.Record{State: directive.Proposed, Proposed: directive.Act{By: by, At: v.now}})", "text := d.tape.Source()\n\tif by.Subject == \"\" {\n\t\treturn nil, nil\n\t}"),
		in(acts, "the custodian changes a proposal", two, "if w.caller.Kind != consent.Regulator || d == nil {", "if w.caller.Kind == consent.Nobody {"),
		in(acts, "what is in force is changed", two, "if o.Record.State == directive.Proposed {\n\t\t\treturn nil\n\t\t}", "if o.Record.State < 9 {\n\t\t\treturn nil\n\t\t}"),
		in("consent/gate/admission.go", "a proposal is in force", two, "if d.Record.State == directive.Active { // the others", "if d.Record.State = directive.Active; true { // the others"),
		in("consent/directive/directive.go", "others of the organisation go on", clinic, "return c.PartOf(r.ID)", "return c.Organization == \"\""),
		in("consent/directive/directive.go", "types are not told apart", stricter, "return !write && of\n", "return !write && len(d.Of) == 0\n"),
		in("consent/directive/directive.go", "a direction holds nothing back", destroy, "case Destroy:\n\t\t\treturn !write\n", "case Destroy:\n\t\t\treturn false\n"),
		in(task, "no certificate is needed", destroy, "case n.status != statusCompleted || n.certificate == \"\":", "case n.status == \"\":"),
		in("consent/audit/disclosure.go", "questions are no disclosures", destroy, "return e.appendDisclosure(dst, id, \"query\", line), 1", "return dst, len(line) * 0"),
		in("consent/gate/directions.go", "directions of others are certified", destroy, "case n == nil || n.organization != w.caller.Organization:", "case n == nil:"),
	}
}
