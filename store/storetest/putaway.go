package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

// testPutAway: what was put away is found by nobody, by no way, and is nil among the
// leaves; all else is found as before, the tree is the same, and it grows on.
func testPutAway(t *testing.T, st, empty store.Store) {
	l, ok := st.(store.Archive)
	if !ok {
		t.Fatal("this store puts nothing away")
	}
	add := func(groups ...int) {
		for _, group := range groups {
			var batch [][]byte
			for n := range 100 {
				_, record := leafRecord(group, n)
				batch = append(batch, record)
			}
			if _, err := st.Record(t.Context(), batch...); err != nil {
				t.Fatalf("record: %v", err)
			}
		}
	}
	add(1, 2, 3, 4, 5, 6)
	if size := grown(t, l); size != 600 {
		t.Fatalf("%d leaves", size)
	}
	before := leaves(t, l, 0, 600)
	if err := l.PutAway(t.Context(), 601); err == nil {
		t.Error("a leaf that is not there was put away")
	}
	for _, to := range []int64{0, 256, 256, 100, 430, 600} {
		if err := l.PutAway(t.Context(), to); err != nil {
			t.Fatalf("put away to %d: %v", to, err)
		}
		hot := max(to, map[int64]int64{100: 256}[to])
		if got, err := l.Hot(t.Context()); got != hot || err != nil {
			t.Fatalf("hot: %d, %v, want %d", got, err, hot)
		}
		heldAfter(t, st, before, int(hot))
		sameTiles(t, l, before)
	}
	add(7)
	if size := grown(t, l); size != 700 {
		t.Fatalf("%d leaves", size)
	}
	if err := l.PutAway(t.Context(), 600); err != nil { // once more, and nothing of what came since goes
		t.Fatal(err)
	}
	now := leaves(t, l, 600, 700)
	heldAfter(t, st, append(slices.Clip(before), now...), 600)
	sameTiles(t, l, append(slices.Clip(before), now...))
	to, ok := empty.(store.Target)
	if from, also := st.(store.Target); !ok || !also {
		t.Error("the store cannot be copied")
	} else if err := store.Copy(t.Context(), from, to, func(store.Progress) {}); !errors.Is(err, store.ErrPutAway) {
		t.Errorf("copy: got %v, want %v", err, store.ErrPutAway)
	}
}

// heldAfter wants the events of the leaves from an index on, and no others, by every
// way to find them.
func heldAfter(t *testing.T, st store.Store, leaves [][]byte, hot int) {
	t.Helper()
	if err := st.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := store.Log(st)
	got := [][]byte{}
	err := l.Leaves(t.Context(), 0, int64(len(leaves)), func(_ int64, record []byte) error {
		got = append(got, slices.Clone(record))
		return nil
	})
	want := append(make([][]byte, hot), leaves[hot:]...)
	if err != nil || !slices.EqualFunc(got, want, func(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }) {
		t.Errorf("put away to %d: the leaves are others: %v", hot, err)
	}
	s := open(t, st)
	defer s.Close()
	var names, mine []string
	for i, record := range leaves {
		e, err := audit.Decode(record)
		if err != nil {
			t.Fatal(err)
		}
		id := uuid(e)
		_, err = s.Read(context.Background(), consent.Everything(), "AuditEvent", id)
		index, ok, leafErr := l.Leaf(t.Context(), e.ID)
		if i < hot {
			if !errors.Is(err, store.ErrNotFound) || leafErr != nil || ok {
				t.Fatalf("put away to %d: event %d: %v; leaf %d, %t, %v", hot, i, err, index, ok, leafErr)
			}
			continue
		}
		if err != nil || !ok || index != int64(i) || leafErr != nil {
			t.Fatalf("put away to %d: event %d: %v; leaf %d, %t, %v", hot, i, err, index, ok, leafErr)
		}
		if names = append(names, "AuditEvent/"+id+"/1"); e.Patient == "p1" {
			mine = append(mine, id)
		}
	}
	sorted := query("AuditEvent")
	sorted.Sort = []search.SortKey{{Param: search.ParamLastUpdated, Range: true, Descending: true}}
	for _, q := range []*search.Query{query("AuditEvent"), sorted} {
		same(t, "events", len(labels(all(t, s, consent.Everything(), q))), len(names))
		same(t, "one's own", len(all(t, s, levels{"p1": consent.Self}.to("p1"), q)), len(mine))
	}
	same(t, "events", sortedCopy(labels(all(t, s, consent.Everything(), query("AuditEvent")))), sortedCopy(names))
}
