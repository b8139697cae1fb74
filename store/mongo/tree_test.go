package mongo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// accessOf is the record of the nth access of a patient.
func accessOf(n int, patient string) []byte {
	e := audit.Event{Recorded: time.UnixMilli(1e12 + int64(n)).UTC(), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: patient}
	binary.BigEndian.PutUint64(e.ID[8:], uint64(n)+1) //nolint:gosec // a count
	return e.AppendBinary(nil)
}

// TestTree holds the tiles against those of tlog, at sizes around every change of
// their shape, built in steps of every kind.
func TestTree(t *testing.T) {
	var hashes hashStore
	whole := &tree{tiles: map[tileAt][]byte{}}
	const size = perTile*perTile + 3*perTile + 2
	for n := range int64(size) {
		record := binary.AppendVarint(nil, n)
		whole.add(record)
		more, err := tlog.StoredHashes(n, record, &hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	if whole.size != size {
		t.Errorf("size %d, want %d", whole.size, size)
	}
	for _, tile := range tlog.NewTiles(store.TileHeight, 0, size) {
		want, err := tlog.ReadTileData(tile, &hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := whole.tiles[tileAt{tile.L, tile.N}]; !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes that differ from those of tlog", tile.Path(), len(got))
		}
	}
	if got, want := len(whole.tiles), len(tlog.NewTiles(store.TileHeight, 0, size)); got != want {
		t.Errorf("%d tiles, want %d", got, want)
	}
}

// hashStore are the stored hashes of a tree.
type hashStore []tlog.Hash

// ReadHashes reads some.
func (s *hashStore) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for _, i := range indexes {
		all = append(all, (*s)[i])
	}
	return all, nil
}

// leavesOf reads all leaves.
func leavesOf(t *testing.T, db *DB, size int64) [][]byte {
	t.Helper()
	var all [][]byte
	err := db.Leaves(t.Context(), 0, size, func(i int64, record []byte) error {
		if i != int64(len(all)) {
			t.Errorf("leaf %d comes in place of %d", i, len(all))
		}
		all = append(all, bytes.Clone(record))
		return nil
	})
	if err != nil {
		t.Fatalf("leaves: %v", err)
	}
	return all
}

// holdTree wants the tiles to be those of the leaves.
func holdTree(t *testing.T, db *DB, leaves [][]byte) {
	t.Helper()
	want := &tree{tiles: map[tileAt][]byte{}}
	for _, r := range leaves {
		want.add(r)
	}
	tiles := tlog.NewTiles(store.TileHeight, 0, want.size)
	got, err := db.Tiles(t.Context(), tiles)
	if err != nil {
		t.Fatalf("tiles: %v", err)
	}
	for i, tile := range tiles {
		if !bytes.Equal(got[i], want.tiles[tileAt{tile.L, tile.N}]) {
			t.Errorf("%s is not that of the leaves", tile.Path())
		}
	}
}

// recordSome records accesses together.
func recordSome(t *testing.T, db *DB, from, to int) {
	t.Helper()
	var records [][]byte
	for n := from; n < to; n++ {
		records = append(records, accessOf(n, "p1"))
	}
	if _, err := db.Record(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, db *DB, want int64) {
	t.Helper()
	if size, err := db.Grow(t.Context()); err != nil || size != want {
		t.Fatalf("grow: %d leaves, %v, want %d", size, err, want)
	}
}

// TestGrow: what was recorded, by itself or with a write, is a leaf once after the
// next Grow, whoever of two processes makes it, and stays where it is.
func TestGrow(t *testing.T) {
	one := openFresh(t, testOptions(t))
	two := again(t, one)
	grow(t, one, 0)
	var before [][]byte
	n := 0
	for _, more := range []int{1, 254, 1, 1, mostLeaves + 1} {
		var want [][]byte
		for range more {
			want = append(want, accessOf(n, "p1"))
			n++
		}
		alone := len(want) / 2
		if _, err := one.Record(t.Context(), want[:alone]...); err != nil {
			t.Fatal(err)
		}
		if err := two.Write(t.Context(), func(x store.Tx) error { x.Record(want[alone:]...); return nil }); err != nil {
			t.Fatal(err)
		}
		grow(t, two, int64(n))
		grow(t, one, int64(n))
		leaves := leavesOf(t, one, int64(n))
		if !slices.EqualFunc(leaves[:len(before)], before, bytes.Equal) {
			t.Errorf("of %d leaves those from before are others", n)
		}
		got := slices.SortedFunc(slices.Values(leaves[len(before):]), bytes.Compare)
		slices.SortFunc(want, bytes.Compare)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%d new leaves are not the %d records", len(got), len(want))
		}
		holdTree(t, two, leaves)
		before = leaves
	}
	for i, r := range before {
		if i%97 != 0 {
			continue
		}
		ev, _ := audit.Decode(r)
		if at, ok, err := one.Leaf(t.Context(), ev.ID); err != nil || !ok || at != int64(i) {
			t.Errorf("leaf %d is found at %d, %t, %v", i, at, ok, err)
		}
	}
	if _, err := one.Record(t.Context(), accessOf(n, "")); err != nil {
		t.Fatal(err)
	}
	ev, _ := audit.Decode(accessOf(n, ""))
	if _, ok, err := one.Leaf(t.Context(), ev.ID); ok || err != nil {
		t.Errorf("a record that is no leaf yet is one: %v", err)
	}
	if _, err := one.Tiles(t.Context(), []tlog.Tile{{H: 8, L: 0, N: int64(n) / perTile, W: n%perTile + 1}}); !errors.Is(err, errTile) {
		t.Errorf("a tile that the tree is too small for: %v", err)
	}
	if err := one.Leaves(t.Context(), 0, int64(n)+1, func(int64, []byte) error { return nil }); !errors.Is(err, errLeaf) {
		t.Errorf("a leaf that is not there: %v", err)
	}
}

// TestGrowTogether: processes that record and place at the same time.
func TestGrowTogether(t *testing.T) {
	const each, processes, batch = 300, 3, 20
	db := openFresh(t, testOptions(t))
	all := []*DB{db}
	for len(all) < processes {
		all = append(all, again(t, db))
	}
	var work sync.WaitGroup
	for i, one := range all {
		work.Go(func() {
			for n := range each / batch {
				var records [][]byte
				for k := range batch {
					records = append(records, accessOf(i*each+n*batch+k, "p1"))
				}
				if _, err := one.Record(t.Context(), records...); err != nil {
					t.Error(err)
				}
				if _, err := one.Grow(t.Context()); err != nil {
					t.Errorf("grow: %v", err)
				}
			}
		})
	}
	work.Wait()
	grow(t, db, processes*each)
	leaves := leavesOf(t, db, processes*each)
	holdTree(t, db, leaves)
	seen := map[string]bool{}
	for _, r := range leaves {
		seen[string(r)] = true
	}
	if len(seen) != processes*each {
		t.Errorf("%d records of %d are leaves", len(seen), processes*each)
	}
}

// TestTampered: what is removed or changed beneath comes back as it is, and a tree
// that is damaged does not grow.
func TestTampered(t *testing.T) {
	db := openFresh(t, testOptions(t))
	const size = 300
	recordSome(t, db, 0, size)
	grow(t, db, size)
	want := leavesOf(t, db, size)
	coll := db.collection(collEvents)
	removed, err := coll.DeleteOne(t.Context(), is("l", 7))
	if err != nil || removed.DeletedCount != 1 {
		t.Fatal(err)
	}
	if _, err := coll.UpdateOne(t.Context(), is("l", 9), is("$set", is("r", []byte("changed")))); err != nil {
		t.Fatal(err)
	}
	if _, err := coll.UpdateOne(t.Context(), is("l", 11), is("$set", is("l", 12))); err != nil {
		t.Fatal(err)
	}
	if _, err := coll.UpdateOne(t.Context(), is("l", 20), is("$unset", is("l", ""))); err != nil {
		t.Fatal(err)
	}
	want[7], want[9], want[11], want[12], want[20] = nil, []byte("changed"), nil, nil, nil
	got := leavesOf(t, db, size)
	for i := range want {
		if !bytes.Equal(got[i], want[i]) || (got[i] == nil) != (want[i] == nil) {
			t.Errorf("leaf %d: %x, want %x", i, got[i], want[i])
		}
	}
	first := tlog.Tile{H: store.TileHeight, N: 0, W: perTile}
	if _, err := db.collection(collTiles).DeleteOne(t.Context(), is("_id", tileAt{0, 0}.key())); err != nil {
		t.Fatal(err)
	}
	if lost, err := db.Tiles(t.Context(), []tlog.Tile{first}); err != nil || len(lost) != 1 || len(lost[0]) != 0 {
		t.Errorf("a tile that is lost: %x, %v", lost, err)
	}
	grow(t, db, size+1) // the record whose place was taken away has another now
	edge := tileAt{0, 1}.key()
	if _, err := db.collection(collTiles).UpdateOne(t.Context(), is("_id", edge), is("$set", is("h", make([]byte, 3)))); err != nil {
		t.Fatal(err)
	}
	grow(t, db, size+1)
	if _, err := db.Record(t.Context(), accessOf(size, "p1")); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Grow(t.Context()); !errors.Is(err, errTree) {
		t.Errorf("a tree that is damaged grows: %v", err)
	}
}

// TestGrowStandalone: without transactions what was begun and did not come to its
// end is begun anew.
func TestGrowStandalone(t *testing.T) {
	db := lone(t, mongotest.Standalone(t), mongotest.Database(t))
	recordSome(t, db, 0, 400)
	grow(t, db, 400)
	recordSome(t, db, 400, 600)
	grow(t, db, 600)
	// The process died before it wrote the head.
	if _, err := db.collection(collMeta).UpdateOne(t.Context(), is("_id", metaTree), is("$set", is("n", 450))); err != nil {
		t.Fatal(err)
	}
	grow(t, db, 600)
	holdTree(t, db, leavesOf(t, db, 600))
}

// TestCopiedLeaves: a copy has the leaves of what was copied, where they were, and
// what was none behind them.
func TestCopiedLeaves(t *testing.T) {
	const size, most = copyRecords + 100, copyRecords + 150
	from, to := openFresh(t, testOptions(t)), openFresh(t, testOptions(t))
	recordSome(t, from, 100, size) // not in the order of time
	grow(t, from, size-100)
	recordSome(t, from, 0, 100)
	grow(t, from, size)
	recordSome(t, from, size, most)
	if err := store.Copy(t.Context(), from, to, func(store.Progress) {}); err != nil {
		t.Fatalf("copy: %v", err)
	}
	if err := to.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	grow(t, to, most)
	want, got := leavesOf(t, from, size), leavesOf(t, to, most)
	if !slices.EqualFunc(want, got[:size], bytes.Equal) {
		t.Error("the leaves of the copy are others")
	}
	holdTree(t, to, got)
}
