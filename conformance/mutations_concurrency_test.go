package conformance

// concurrencyMutations break what happens when several write at once, or a server
// dies.
func concurrencyMutations() []mutation {
	return []mutation{
		{
			name: "concurrent: a write is acknowledged before it is on the disk", test: "TestHistories",
			edits: []edit{{"store/embedded/write.go", "err = synced(batch, engineLog{db.opt.Logger})", "go synced(batch, engineLog{db.opt.Logger})"}},
		},
		{
			name: "concurrent: a write is recorded apart", test: "TestHistories",
			edits: []edit{{"consent/gate/commit.go", "tx.Record(records...)", "go v.g.store.Record(context.WithoutCancel(ctx), records...)"}},
		},
		{
			name: "concurrent: If-Match is not asked for", test: "TestHistories",
			edits: []edit{{"consent/gate/write.go", "(!there || prior.Version != ifMatch)", "!there"}},
		},
		{
			name: "concurrent: readers are shown what was", test: "TestHistories",
			edits: []edit{
				{"store/embedded/sharing.go", "s.now != nil && s.now.state != at && s.now.users == 0", "s.now != nil && s.now.users < 0"},
				{"store/embedded/sharing.go", "s.now == nil || s.now.state != at", "s.now == nil"},
			},
		},
		{
			name: "concurrent: conditions are asked of what was before the write", test: "TestRacesForOneCondition",
			edits: []edit{{"consent/gate/commit.go", "w.reader, w.snap = v.sifted(tx), nil", "w.snap = nil"}},
		},
	}
}
