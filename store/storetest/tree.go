package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"vitrine/store"
)

// leafRecord is a record of which there is one.
func leafRecord(group, n int) (id [16]byte, record []byte) {
	e := event(byte(n), []string{"p1", "p2", ""}[n%3])
	e.ID = [16]byte{1, 0, 0, byte(group >> 8), byte(group), 0, byte(n >> 8), byte(n), 9}
	return e.ID, e.AppendBinary(nil)
}

// testTree: what is acknowledged before Grow is exactly one leaf after it, whoever
// else records, writes and grows; leaves and tiles stay what they were; the tiles
// are those of the leaves.
func testTree(t *testing.T, st store.Store) {
	l := store.Log(st)
	const hands, each, rounds = 4, 30, 3
	acknowledged := map[string][16]byte{}
	var before [][]byte
	for round := range rounds {
		var mu sync.Mutex
		var wait sync.WaitGroup
		for hand := range hands {
			wait.Go(func() {
				for i := range each {
					id, record := leafRecord(round*hands+hand, i)
					if err := recordSomehow(st, hand, i, record); err != nil {
						t.Errorf("record: %v", err)
						return
					}
					mu.Lock()
					acknowledged[string(record)] = id
					mu.Unlock()
					if i%10 == 9 {
						if _, err := l.Grow(context.Background()); err != nil {
							t.Errorf("grow: %v", err)
						}
					}
				}
			})
		}
		wait.Wait()
		size := grown(t, l)
		if size != int64(len(acknowledged)) {
			t.Fatalf("%d leaves of %d records", size, len(acknowledged))
		}
		now := leaves(t, l, 0, size)
		for i, record := range before {
			if !bytes.Equal(now[i], record) {
				t.Fatalf("leaf %d of %d is another since the tree grew", i, len(before))
			}
		}
		before = now
		sameTiles(t, l, now)
	}
	found := map[string]bool{}
	for index, record := range before {
		id, ok := acknowledged[string(record)]
		if !ok || found[string(record)] {
			t.Fatalf("leaf %d is no record, or twice one", index)
		}
		found[string(record)] = true
		if at, ok, err := l.Leaf(t.Context(), id); at != int64(index) || !ok || err != nil {
			t.Errorf("leaf by id: got %d, %v, %v, want %d", at, ok, err, index)
		}
	}
	if at, ok, err := l.Leaf(t.Context(), [16]byte{200}); ok || err != nil {
		t.Errorf("the leaf of no event: got %d, %v, %v", at, ok, err)
	}
}

// recordSomehow records alone, or with a write.
func recordSomehow(st store.Store, hand, i int, record []byte) error {
	if hand%2 == 0 {
		_, err := st.Record(context.Background(), record)
		return err
	}
	return st.Write(context.Background(), func(tx store.Tx) error {
		tx.Record(record)
		return tx.Put(first(of("Observation", "p1"), "o"+number(hand)+"-"+number(i)))
	})
}

// testTreeOfNothing: an empty store has an empty tree, and what a write did not
// keep is no leaf; what is not there cannot be asked for.
func testTreeOfNothing(t *testing.T, st store.Store) {
	l := store.Log(st)
	if size := grown(t, l); size != 0 {
		t.Fatalf("%d leaves of nothing", size)
	}
	_, lost := leafRecord(0, 1)
	failed := errors.New("no")
	if err := st.Write(t.Context(), func(tx store.Tx) error { tx.Record(lost); return failed }); !errors.Is(err, failed) {
		t.Fatalf("write: %v", err)
	}
	id, kept := leafRecord(0, 2)
	if _, err := st.Record(t.Context(), kept); err != nil {
		t.Fatalf("record: %v", err)
	}
	if at, ok, err := l.Leaf(t.Context(), id); ok || err != nil {
		t.Errorf("a leaf before the tree grew: got %d, %v, %v", at, ok, err)
	}
	for range 2 { // a second time there is nothing to do
		if size := grown(t, l); size != 1 {
			t.Fatalf("%d leaves of one record", size)
		}
	}
	same(t, "leaves", leaves(t, l, 0, 1), [][]byte{kept})
	same(t, "no leaves", leaves(t, l, 1, 1), [][]byte{})
	for _, tile := range []tlog.Tile{{H: store.TileHeight, W: 2}, {H: store.TileHeight, N: 1, W: 1}, {H: store.TileHeight, L: 1, W: 1}, {H: store.TileHeight, L: -1, W: 1}, {H: 2, W: 1}, {H: store.TileHeight}} {
		if _, err := l.Tiles(t.Context(), []tlog.Tile{tile}); err == nil {
			t.Errorf("tile %+v of a tree of one leaf came without an error", tile)
		}
	}
	for _, r := range [][2]int64{{0, 2}, {-1, 1}, {1, 0}} {
		if err := l.Leaves(t.Context(), r[0], r[1], func(int64, []byte) error { return nil }); err == nil {
			t.Errorf("leaves %v of a tree of one came without an error", r)
		}
	}
	if err := l.Leaves(t.Context(), 0, 1, func(int64, []byte) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("leaves that somebody has enough of: got %v, want %v", err, failed)
	}
}

// testTreeGrows: however the records come and however often the tree grows
// meanwhile, it is the tree of its leaves, and they are the records.
func testTreeGrows(t *testing.T, st store.Store) {
	l := store.Log(st)
	var all [][]byte
	group := 0
	rapid.Check(t, func(t *rapid.T) {
		old := slices.Clone(all)
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			group++
			most := []int{1, 2, 3}
			if len(all) < 600 {
				most = []int{1, 2, 40, 255, 256, 257}
			}
			var batch [][]byte
			for n := range rapid.SampledFrom(most).Draw(t, "records") {
				_, record := leafRecord(group, n)
				batch = append(batch, record)
			}
			if _, err := st.Record(context.Background(), batch...); err != nil {
				t.Fatalf("record: %v", err)
			}
			all = append(all, batch...)
			if rapid.Bool().Draw(t, "grow") {
				grown(t, l)
			}
		}
		size := grown(t, l)
		if size != int64(len(all)) {
			t.Fatalf("%d leaves of %d records", size, len(all))
		}
		now := leaves(t, l, 0, size)
		for i := range old {
			if !bytes.Equal(now[i], old[i]) {
				t.Fatalf("leaf %d is another since the tree grew", i)
			}
		}
		all = now
		sameTiles(t, l, now)
		from := rapid.Int64Range(0, size).Draw(t, "from")
		to := rapid.Int64Range(from, size).Draw(t, "to")
		if part := leaves(t, l, from, to); !slices.EqualFunc(part, now[from:to], bytes.Equal) {
			t.Fatalf("leaves %d to %d are others than among all", from, to)
		}
	})
}

// testCopiedTree: a copy has the same leaves in the same order, so that what was
// signed of the tree before is true of the copy's.
func testCopiedTree(t *testing.T, st, empty store.Store) {
	from, to := store.Log(st), store.Log(empty)
	for group := range 7 {
		var batch [][]byte
		for n := range 100 {
			_, record := leafRecord(group, n)
			batch = append(batch, record)
		}
		if _, err := st.Record(t.Context(), batch...); err != nil {
			t.Fatalf("record: %v", err)
		}
		if group%3 == 0 {
			grown(t, from)
		}
	}
	copyWhole(t, st, empty)
	size := grown(t, from)
	if got := grown(t, to); got != size || size != 700 {
		t.Fatalf("%d leaves, %d in the copy", size, got)
	}
	if !slices.EqualFunc(leaves(t, to, 0, size), leaves(t, from, 0, size), bytes.Equal) {
		t.Error("the leaves of the copy are in another order")
	}
}

// copyWhole copies a store without interruption.
func copyWhole(t *testing.T, st, empty store.Store) {
	t.Helper()
	from, ok := st.(store.Target)
	to, also := empty.(store.Target)
	if !ok || !also {
		t.Fatal("the store cannot be copied")
	}
	if err := errors.Join(store.Copy(t.Context(), from, to, func(store.Progress) {}), to.Finish(t.Context())); err != nil {
		t.Fatalf("copy: %v", err)
	}
}

// fataler is a test, or a check of a property.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func grown(t fataler, l store.Log) int64 {
	t.Helper()
	size, err := l.Grow(context.Background())
	if err != nil {
		t.Fatalf("grow: %v", err)
	}
	return size
}

func leaves(t fataler, l store.Log, from, to int64) [][]byte {
	t.Helper()
	var all [][]byte
	err := l.Leaves(context.Background(), from, to, func(index int64, record []byte) error {
		if index != from+int64(len(all)) {
			t.Fatalf("leaf %d after %d from %d", index, len(all), from)
		}
		all = append(all, bytes.Clone(record))
		return nil
	})
	if err != nil || int64(len(all)) != to-from {
		t.Fatalf("%d leaves from %d to %d: %v", len(all), from, to, err)
	}
	return all
}

// sameTiles holds all tiles of a tree, and some of smaller trees, against those
// made of its leaves.
func sameTiles(t fataler, l store.Log, leaves [][]byte) {
	t.Helper()
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
			t.Fatalf("hashes: %v", err)
		}
		stored = append(stored, more...)
	}
	size := int64(len(leaves))
	for _, smaller := range []int64{1, size / 3, size / 2, size - 1, size} {
		tiles := tlog.NewTiles(store.TileHeight, 0, smaller)
		got, err := l.Tiles(context.Background(), tiles)
		if err != nil || len(got) != len(tiles) {
			t.Fatalf("%d of %d tiles: %v", len(got), len(tiles), err)
		}
		for i, tile := range tiles {
			want, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				t.Fatalf("tile: %v", err)
			}
			if !bytes.Equal(got[i], want) {
				t.Fatalf("tile %s of %d leaves is not that of the leaves", tile.Path(), smaller)
			}
		}
	}
}
