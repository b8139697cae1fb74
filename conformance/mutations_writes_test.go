package conformance

// inWrites is the part of TestTwoWorlds in which callers write.
const inWrites = "TestTwoWorlds/seed/writes"

// writeMutations break what writes are held against, and what they tell.
func writeMutations() []mutation {
	return append(addressMutations(), linkMutations()...)
}

// addressMutations break what a caller may address, and what conditions are
// answered from.
func addressMutations() []mutation {
	const newest = "prior, err := newest(ctx, v.reader, u, t, id)\n\tif err != nil {\n"
	const settled = "\tprior, err := w.addressed(ctx, d.typ, d.id)\n\tswitch {\n"
	const everywhere = "newest(ctx, w.tx, consent.Everything(), d.typ, d.id)"
	return []mutation{
		{
			name: "writes: another's id is a precondition that fails", test: inWrites,
			edits: []edit{{"consent/gate/write.go", newest, newest + "\t\tif _, e := newest(ctx, v.reader, consent.Everything(), t, id); e == nil {\n\t\t\treturn nil, ErrPrecondition\n\t\t}\n"}},
		},
		{
			name: "writes: If-Match is held against what is not the caller's", test: inWrites,
			edits: []edit{{"consent/gate/write.go", settled, "\tif p, e := " + everywhere + "; e == nil && ifMatch != \"\" && p.Version != ifMatch {\n\t\treturn item, false, ErrPrecondition\n\t}\n" + settled}},
		},
		{
			name: "writes: If-None-Match: * is held against what is not the caller's", test: inWrites,
			edits: []edit{{"consent/gate/write.go", settled, "\tif _, e := " + everywhere + "; e == nil && ifMatch == Absent {\n\t\treturn item, false, ErrPrecondition\n\t}\n" + settled}},
		},
		{
			name: "writes: what says the same as another's is answered for with that", test: inWrites,
			edits: []edit{{"consent/gate/write.go", settled, "\tif p, e := " + everywhere + "; e == nil && !p.Deleted {\n\t\tif ok, _ := w.same(d, p); ok {\n\t\t\treturn Item{Resource: p.Resource, Status: http.StatusOK}, false, nil\n\t\t}\n\t}\n" + settled}},
		},
		{
			name: "writes: to delete what is another's succeeds", test: inWrites,
			edits: []edit{{"consent/gate/conditional.go", "\tprior, err := w.addressed(ctx, t, id)\n\tif err != nil {\n", "\tprior, err := w.addressed(ctx, t, id)\n\tif _, e := newest(ctx, w.tx, consent.Everything(), t, id); err != nil && e == nil {\n\t\treturn Item{Status: http.StatusNoContent}, nil\n\t}\n\tif err != nil {\n"}},
		},
		{
			name: "writes: ids are anybody's to choose", test: "TestScenario73And74ForeignIsAbsent",
			edits: []edit{{"consent/gate/write.go", "case errors.Is(err, store.ErrNotFound) && w.caller.Kind == consent.Custodian:", "case errors.Is(err, store.ErrNotFound):"}},
		},
		{
			name: "writes: a delete of many is of everybody's", test: inWrites,
			edits: []edit{{"consent/gate/deletes.go", "w.matchingMost(ctx, w.partition(), q, most+1)", "w.matchingMost(ctx, consent.Everything(), q, most+1)"}, {"consent/gate/deletes.go", "\t\"vitrine/fhir\"\n", "\t\"vitrine/consent\"\n\t\"vitrine/fhir\"\n"}},
		},
		{
			name: "writes: a patch looks at what is not the caller's", test: inWrites,
			edits: []edit{{"consent/gate/patch.go", "prior, err := v.addressed(ctx, p.typ, id)", "prior, err := newest(ctx, v.reader, consent.Everything(), p.typ, id)"}},
		},
		{
			name: "writes: a patch keeps the label of what it goes with", test: "TestAttackByWhatGoesWithIt",
			edits: []edit{{"consent/gate/patch.go", "own = labels(t)", "own = prior.Labels"}},
		},
		{
			name: "writes: what goes with a practitioner's word is written again", test: "TestAttackByWhatGoesWithIt",
			edits: []edit{{"consent/gate/write.go", "d.always || registers(d.typ) && ", "d.always || "}},
		},
		{
			name: "writes: conditional references look everywhere", test: inWrites,
			edits: []edit{{"consent/gate/meant.go", "return []*consent.Universe{v.partition(), consent.OfPatients(nil, anyShared, nil)}", "return []*consent.Universe{consent.Everything()}"}},
		},
		{
			name: "writes: a read within a transaction sees everything", test: "TestAttackEntriesPassEveryGate",
			edits: []edit{{"consent/gate/transaction.go", "u, err := w.instance(ctx)", "u, err := consent.Everything(), error(nil)"}},
		},
		{
			name: "writes: what a condition finds is given back", test: "TestAttackReadingByConditionalCreate",
			edits: []edit{{"consent/gate/write.go", "!reads || w.caller.Kind != consent.Custodian", "!reads"}},
		},
		{
			name: "writes: a business identifier is taken once one has it", test: inWrites,
			edits: []edit{{"consent/gate/write.go", "\tr, err := w.put(ctx, d, nil)\n", "\tif value := d.tape.Text(d.tape.Field(d.tape.First(d.tape.Field(d.tape.Root(), \"identifier\")), \"value\")); value != \"\" && d.typ == \"Observation\" {\n" +
				"\t\tif err := w.each(ctx, d.typ, []search.Clause{w.g.coded(d.typ, \"identifier\", fhir.Coding{Code: value})}, func(store.Found, *fhir.Tape) error { return ErrConflict }); err != nil {\n\t\t\treturn item, false, err\n\t\t}\n\t}\n\tr, err := w.put(ctx, d, nil)\n"}},
		},
		{
			name: "writes: the history of a type is anybody's, and of everybody", test: inWrites,
			edits: []edit{{"consent/gate/changes.go", "return k == consent.Custodian || k == consent.Regulator && t == auditEvents", "return k != consent.Nobody || t == auditEvents"}, {"consent/gate/changes.go", "u, err := v.universe(ctx, nil)", "u, err := consent.Everything(), error(nil)"}},
		},
		{
			name: "writes: an entry of a transaction passes over its scope", test: "TestAttackEntriesPassEveryGate",
			edits: []edit{{"consent/gate/transaction.go", "if err := v.admit(ctx, e.Interaction, e.Type); err != nil || !e.Interaction.Write {", "if err := error(nil); err != nil || !e.Interaction.Write {"}},
		},
		{
			name: "writes: the server's own label is anybody's", test: "TestAttackServersOwnLabel",
			edits: []edit{{"consent/gate/content.go", "if system == consent.SystemLabel && (code == labelOversight || code == labelIndex) && !slices.Contains(before, l) {", "if system+code == \"\" && slices.Contains(before, l) {"}},
		},
		{
			name: "writes: what is written leaves no record", test: "TestAttackWritesOffTheRecord",
			edits: []edit{{"consent/gate/commit.go", "\tw.note(h.patients, ref)\n", ""}},
		},
	}
}

// linkMutations break what the server does inside itself with what is written.
func linkMutations() []mutation {
	return []mutation{
		{
			name: "writes: conditions hear what was linked", test: "TestAttackConditionsAskWhoIsOnFile",
			edits: []edit{{"consent/gate/conditional.go", "if own { // to", "if own && v.caller.Kind == consent.Nobody { // to"}},
		},
		{
			name: "writes: a Patient of one's own draws what nobody else's does", test: inWrites,
			edits: []edit{{"consent/gate/link.go", "if f.Contributor == \"\" {", "if f.Contributor == \"\" || f.Contributor == contributor {"}},
		},
		{
			name: "writes: any number links", test: "TestAttackTryingPassports",
			edits: []edit{{"consent/gate/link.go", "if id.Value == \"\" || contributor != \"\" && !w.g.tools.Basic.Identifies(id.System) {", "if id.Value == \"\" {"}},
		},
		{
			name: "writes: arrival is told by a version", test: inWrites,
			edits: []edit{{"consent/gate/link.go", "w.editionsAt(f.Updated, d, h, f.Version)", "w.editionsAt(f.Updated, d, h, next(f.Version))"}, {"consent/gate/link.go", "e.full.Unchanged = true", "e.full.Unchanged = false"}},
		},
		{
			name: "writes: anybody links records", test: inWrites,
			edits: []edit{{"consent/gate/facts.go", "if contributor != \"\" {\n\t\treturn nil\n\t}", "if contributor == \"?\" {\n\t\treturn nil\n\t}"}},
		},
		{
			name: "writes: a launch is held against where things are filed", test: inWrites,
			edits: []edit{{"consent/gate/confine.go", "return v.caller.Confined && v.caller.Kind != consent.Patient && v.caller.Kind != consent.Representative", "return v.caller.Confined && v.caller.Kind == consent.Nobody"}},
		},
		{
			name: "writes: a launch hears of the organisation's others", test: "TestAttackProbingByTheLaunch",
			edits: []edit{{"consent/gate/saying.go", "if ok, err = s.concerns(ctx, &f, t); !ok || err != nil {", "if err != nil {"}, {"consent/gate/conditional.go", "if own && v.heldToWords() {", "if own && said.heard > 0 {"}},
		},
		{
			name: "writes: what goes with the hidden loses its label", test: "TestAttackWhatAccompaniesTheHidden",
			edits: []edit{{"consent/gate/link.go", "h.labels = merge(slices.Clone(h.labels), append(slices.Clone(row.Labels), consent.Within(row.Type)))", "h.labels = merge(slices.Clone(h.labels), nil)"}},
		},
		{
			name: "writes: one practitioner's word registers", test: "TestAttackRegisteringByHand",
			edits: []edit{{"consent/gate/facts.go", "return l.own(f) && !slices.Contains(f.Labels, consent.LabelHearsay)", "return l.own(f)"}},
		},
	}
}
