package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/store"
)

// leavesOf are all leaves of a tree that was let grow.
func leavesOf(t testing.TB, db *DB) (all [][]byte) {
	t.Helper()
	size, err := db.Grow(t.Context())
	if err != nil {
		t.Fatalf("grow: %v", err)
	}
	err = db.Leaves(t.Context(), 0, size, func(_ int64, record []byte) error {
		all = append(all, bytes.Clone(record))
		return nil
	})
	if err != nil {
		t.Fatalf("leaves: %v", err)
	}
	return all
}

// rootOf is the hash of the whole tree, from its tiles; want is that of the leaves.
func rootOf(t testing.TB, db *DB, leaves [][]byte) (got, want tlog.Hash) {
	t.Helper()
	size := int64(len(leaves))
	got, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			tile := tlog.TileForIndex(store.TileHeight, index)
			data, err := db.Tiles(context.Background(), []tlog.Tile{tile})
			if err != nil {
				return nil, err
			}
			if hashes[i], err = tlog.HashFromTile(tile, data[0], index); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	}))
	if err != nil {
		t.Fatalf("root: %v", err)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			hashes[i] = stored[at]
		}
		return hashes, nil
	})
	for i, record := range leaves {
		more, err := tlog.StoredHashes(int64(i), record, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	if want, err = tlog.TreeHash(size, reader); err != nil {
		t.Fatal(err)
	}
	return got, want
}

// fillLog records events with ids that begin with a byte.
func fillLog(t testing.TB, db *DB, group byte, n int) (records [][]byte) {
	t.Helper()
	for i := range n {
		e := event(group, byte(i))
		e.ID[2] = byte(i >> 8)
		records = append(records, e.AppendBinary(nil))
	}
	if _, err := db.Record(t.Context(), records...); err != nil {
		t.Fatalf("record: %v", err)
	}
	return records
}

// TestTreeGoesOn: a store that was shut in between has the tree it would have had,
// and numbers that never got a record are no leaves.
func TestTreeGoesOn(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	var want [][]byte
	for group := range byte(5) {
		db, err := Open(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fillLog(t, db, group, 100)...)
		if group%2 == 0 {
			if _, err := db.Grow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		db.log.applied(db.log.reserve(3)) // a write that failed
		want = append(want, fillLog(t, db, 10+group, 300)...)
		if group%2 == 1 {
			db.log.applied(db.log.reserve(2))
		}
		if group > 0 {
			got := leavesOf(t, db)
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("leaves (-want +got):\n%s", d)
			}
			if got, want := rootOf(t, db, got); got != want {
				t.Errorf("the root is %v, of the leaves %v", got, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := openIn(t, dir, opt)
	if got := len(db.tree.now.Load().runs); got != 8 {
		t.Errorf("%d stretches, want 8", got)
	}
	for i, group := range []byte{0, 10, 1, 11, 4, 14} {
		at := []int64{0, 100, 400, 500, 1600, 1700}[i]
		if index, ok, err := db.Leaf(t.Context(), [16]byte{group, 7}); index != at+7 || !ok || err != nil {
			t.Errorf("leaf of %d: got %d, %v, %v, want %d", group, index, ok, err, at+7)
		}
	}
}

// TestLeavesThatAreGone: records that were taken away, and what cannot be read in
// their place, come back as nothing; those around them come back.
func TestLeavesThatAreGone(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	var want [][]byte
	for group := range byte(6) {
		want = append(want, fillLog(t, db, group, 3)...)
	}
	if got := leavesOf(t, db); !cmp.Equal(got, want) {
		t.Fatal("the leaves are not the records")
	}
	var rounds [][]byte
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		rounds = append(rounds, bytes.Clone(it.Key()))
	}
	if err := it.Close(); err != nil || len(rounds) != 6 {
		t.Fatalf("%d rounds, %v", len(rounds), err)
	}
	for _, n := range []int{0, 3} {
		if err := db.eng.Delete(rounds[n], nil); err != nil {
			t.Fatal(err)
		}
		want[3*n], want[3*n+1], want[3*n+2] = nil, nil, nil
	}
	if err := db.eng.Set(rounds[5], []byte("no round"), nil); err != nil {
		t.Fatal(err)
	}
	want[15], want[16], want[17] = nil, nil, nil
	if d := cmp.Diff(want, leavesOf(t, db)); d != "" {
		t.Errorf("leaves (-want +got):\n%s", d)
	}
}

// TestDamagedEdge: a tree whose last tiles are not what they were does not grow.
func TestDamagedEdge(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	fillLog(t, db, 1, 300)
	leavesOf(t, db)
	if err := db.eng.Delete(keyTile(0, 1), nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openIn(t, dir, opt)
	if size, err := db.Grow(t.Context()); size != 300 || err != nil {
		t.Errorf("nothing to grow: got %d, %v", size, err)
	}
	fillLog(t, db, 2, 1)
	if _, err := db.Grow(t.Context()); err == nil {
		t.Error("the tree grew on a tile that is gone")
	}
	if got, err := db.Tiles(t.Context(), []tlog.Tile{{H: 8, L: 0, N: 1, W: 44}}); err != nil || len(got[0]) != 0 {
		t.Errorf("a tile that is gone: got %d bytes, %v", len(got[0]), err)
	}
}

// BenchmarkGrow is what a record costs to become a leaf.
func BenchmarkGrow(b *testing.B) {
	db := openIn(b, filepath.Join(b.TempDir(), "store"), options(b))
	const batch = 512
	e := event(1, 1)
	e.Query, e.Agent.Subject, e.Agent.Client = "GET /fhir/Observation?patient=Patient/p1", "a-subject", "a-client"
	n := 0
	for b.Loop() {
		b.StopTimer()
		var records [][]byte
		for range batch {
			binary.BigEndian.PutUint64(e.ID[8:], uint64(n)) //nolint:gosec // a count
			n++
			records = append(records, e.AppendBinary(nil))
		}
		for range 32 {
			if _, err := db.Record(b.Context(), records...); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if _, err := db.Grow(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch*32), "ns/record")
}
