package mongo_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit"
	"vitrine/store"
	"vitrine/store/mongo"
	"vitrine/store/mongo/mongotest"
)

// growths are the trees that somebody was told of: root hashes by size.
type growths struct {
	mu    sync.Mutex
	roots map[int64]tlog.Hash
	fails int
}

// grow grows the tree and notes its root. A tree that was told of is a beginning of
// every later one, which settleTree sees to.
func (l *ledger) grow(ctx context.Context, db *mongo.DB) error {
	size, err := db.Grow(ctx)
	var root tlog.Hash
	if err == nil && size > 0 {
		root, err = tlog.TreeHash(size, hashes{ctx, db})
	}
	l.grown.mu.Lock()
	defer l.grown.mu.Unlock()
	if err != nil {
		l.grown.fails++
		return err
	}
	if l.grown.roots == nil {
		l.grown.roots = map[int64]tlog.Hash{}
	}
	if was, ok := l.grown.roots[size]; ok && was != root {
		l.t.Errorf("two trees of %d leaves", size)
	}
	l.grown.roots[size] = root
	return nil
}

// hashes are those in the tiles of a store, as they are: they are not held against
// a root that is known already.
type hashes struct {
	ctx context.Context //nolint:containedctx // tlog has none
	db  *mongo.DB
}

// ReadHashes reads some, each from the least tile that has it.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	tiles := make([]tlog.Tile, len(indexes))
	for i, at := range indexes {
		tiles[i] = tlog.TileForIndex(store.TileHeight, at)
	}
	data, err := h.db.Tiles(h.ctx, tiles)
	if err != nil {
		return nil, err
	}
	all := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if all[i], err = tlog.HashFromTile(tiles[i], data[i], at); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// settleTree makes a leaf of everything and goes through all of them: each record
// that can be found is a leaf once, and nothing else is; the roots that were told
// are those of the first leaves.
func (l *ledger) settleTree(db *mongo.DB, events []string) {
	l.t.Helper()
	size, err := db.Grow(l.t.Context())
	if err != nil {
		l.t.Fatalf("grow: %v", err)
	}
	var own storedHashes
	var ids []string
	err = db.Leaves(l.t.Context(), 0, size, func(i int64, record []byte) error {
		ev, err := audit.Decode(record)
		if err != nil {
			l.t.Errorf("leaf %d: %v", i, err)
		}
		ids = append(ids, uuid.UUID(ev.ID).String())
		more, err := tlog.StoredHashes(i, record, &own)
		own = append(own, more...)
		if err != nil {
			return err
		}
		l.checkRoot(&own, i+1)
		return nil
	})
	if err != nil {
		l.t.Fatalf("leaves: %v", err)
	}
	l.same("the leaves", sorted(ids), sorted(events))
	root, err := tlog.TreeHash(size, hashes{l.t.Context(), db})
	if want, _ := tlog.TreeHash(size, &own); err != nil || root != want {
		l.t.Errorf("the tiles have the root %v of %d leaves, want %v: %v", root, size, want, err)
	}
	l.t.Logf("%d leaves, %d trees told of, %d times none", size, len(l.grown.roots), l.grown.fails)
}

func (l *ledger) checkRoot(own *storedHashes, size int64) {
	l.grown.mu.Lock()
	defer l.grown.mu.Unlock()
	if told, ok := l.grown.roots[size]; ok {
		if root, err := tlog.TreeHash(size, own); err != nil || root != told {
			l.t.Errorf("the tree of %d leaves that was told of is no beginning of the last: %v", size, err)
		}
	}
}

// storedHashes are those of a tree, in the order of tlog.
type storedHashes []tlog.Hash

// ReadHashes reads some.
func (s *storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	all := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		all[i] = (*s)[at]
	}
	return all, nil
}

// TestCutGrowth breaks the connection of one who grows the tree, at each of its
// steps, while another records and grows it too.
func TestCutGrowth(t *testing.T) {
	l := newLane(t, mongotest.Server(t), settings(t))
	moments := []mongotest.When{mongotest.Before, mongotest.Forwarded, mongotest.Answered}
	for i, step := range []func(mongotest.Message) bool{
		mongotest.In("meta", "findAndModify"), mongotest.In("events", "update"), mongotest.In("tiles", "update"),
		mongotest.In("meta", "update"), mongotest.Command("commitTransaction"),
	} {
		for _, when := range moments {
			do := []mongotest.Break{mongotest.Cut, mongotest.CutAll, mongotest.Reset}[i%3]
			trap := l.proxy.Arm(mongotest.Fault{Match: step, When: when, Do: do, Times: 1})
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			until(ctx, &work, trap.Sprung(), func() { _ = l.record(ctx, l.shaken, "w0") })
			until(ctx, &work, trap.Sprung(), func() { _ = l.grow(ctx, l.shaken) })
			until(ctx, &work, trap.Sprung(), func() {
				if err := l.grow(ctx, l.steady); err != nil {
					t.Errorf("a process whose connections are good: %v", err)
				}
			})
			work.Wait()
			cancel()
			trap.Disarm()
			if trap.Struck() == 0 {
				t.Errorf("step %d was not struck", i)
			}
		}
	}
	s, err := l.steady.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := l.found(s, "AuditEvent")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for token, d := range l.deeds {
		if _, there := slices.BinarySearch(events, token); d.acked && !there {
			t.Errorf("%s was acknowledged and is not there", token)
		}
	}
	l.settleTree(l.steady, events)
}
