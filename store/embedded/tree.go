package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/store"
)

// What the tree has in its key space: a byte for what it is, then numbers.
const (
	treeTile = 't' // level, number → hashes, of the last tile of a level perhaps not all
	treeRun  = 'r' // index → number of the record: from there on both count up together
)

const (
	// growMost is about how many records become leaves in one write.
	growMost = 1 << 14
	// tileWidth is how many hashes a tile has.
	tileBits  = store.TileHeight
	tileWidth = 1 << tileBits
)

var errTree = errors.New("the tree of the log is damaged")

// tree is the log of records as a Merkle tree. Its leaves are the records in the
// order of their numbers; a number that never got a record, as when a write
// failed, is no leaf. What it says is settled by one key, which is written
// together with the tiles and behind the records: what is lost of it with the
// machine is growth again, the same. It takes no turn of the writer, for nobody
// else writes to its key space.
type tree struct {
	db  *DB
	now atomic.Pointer[growth]
	mu  sync.Mutex // one Grow at a time
	// edge are the last tiles of all levels, as far as they are filled, under mu.
	// Nil until they are read.
	edge [][]byte
}

// growth is how far the tree has come. It does not change.
type growth struct {
	size int64
	at   uint64 // the record up to which all are leaves
	runs []stretch
}

// stretch is where leaves begin whose records have numbers without a gap.
type stretch struct {
	index  int64
	record uint64
}

func (t *tree) open(db *DB) error {
	t.db = db
	g := &growth{}
	v, closer, err := db.eng.Get([]byte(metaTree))
	if errors.Is(err, pebble.ErrNotFound) {
		t.now.Store(g)
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(v) != 16 {
		return fmt.Errorf("%w: tree", errSchema)
	}
	g.size, g.at = int64(binary.BigEndian.Uint64(v)), binary.BigEndian.Uint64(v[8:]) //nolint:gosec // it was one
	if g.runs, err = readRuns(db.eng); err != nil {
		return err
	}
	t.now.Store(g)
	db.log.next = max(db.log.next, g.at+1) // what was passed by is not looked at again
	return nil
}

func readRuns(eng *pebble.DB) (runs []stretch, err error) {
	prefix := []byte{spaceTree, treeRun}
	it, err := eng.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != 10 || len(it.Value()) != 8 {
			return nil, errors.Join(errTree, it.Close())
		}
		runs = append(runs, stretch{
			index:  int64(binary.BigEndian.Uint64(it.Key()[2:])), //nolint:gosec // it was one
			record: binary.BigEndian.Uint64(it.Value()),
		})
	}
	return runs, errors.Join(it.Error(), it.Close())
}

// recordOf is the number of the record that is a leaf.
func (g *growth) recordOf(index int64) (record uint64, ok bool) {
	i := sort.Search(len(g.runs), func(i int) bool { return g.runs[i].index > index }) - 1
	if i < 0 || index >= g.size {
		return 0, false
	}
	return g.runs[i].record + uint64(index-g.runs[i].index), true //nolint:gosec // not negative
}

// indexOf is the leaf that a record is.
func (g *growth) indexOf(record uint64) (index int64, ok bool) {
	i := sort.Search(len(g.runs), func(i int) bool { return g.runs[i].record > record }) - 1
	if i < 0 {
		return 0, false
	}
	index = g.runs[i].index + int64(record-g.runs[i].record) //nolint:gosec // a count
	end := g.size
	if i+1 < len(g.runs) {
		end = g.runs[i+1].index
	}
	return index, index < end
}

// Grow makes leaves of the records that were acknowledged before, some thousands
// in a write.
func (db *DB) Grow(ctx context.Context) (int64, error) {
	if err := db.life.Enter(); err != nil {
		return 0, err
	}
	defer db.life.Leave()
	t := &db.tree
	for target := db.log.settle(); t.now.Load().at < target; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := t.grow(target); err != nil {
			return 0, err
		}
	}
	return t.now.Load().size, ctx.Err()
}

// grow makes leaves of the next records, up to target.
func (t *tree) grow(target uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now.Load()
	if now.at >= target {
		return nil
	}
	if err := t.readEdge(now.size); err != nil {
		return err
	}
	batch := t.db.eng.NewBatch()
	s := sprout{growth: growth{size: now.size, runs: now.runs[:len(now.runs):len(now.runs)]}, batch: batch, log: t.db.opt.Logger}
	for _, tile := range t.edge {
		s.edge = append(s.edge, bytes.Clone(tile))
	}
	err := s.leaves(t.db.eng, now.at+1, target)
	if err == nil {
		err = s.finish(now)
	}
	if err == nil {
		err = t.db.reserve.room(batch.Len())
	}
	if err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := hand(t.db.eng, batch, engineLog{t.db.opt.Logger}); err != nil {
		return err
	}
	if err := synced(batch, engineLog{t.db.opt.Logger}); err != nil {
		return err
	}
	t.edge = s.edge
	t.now.Store(&s.growth)
	return nil
}

// readEdge reads the tiles that are not full, which a tree of that size goes on
// from.
func (t *tree) readEdge(size int64) error {
	if t.edge != nil {
		return nil
	}
	edge := [][]byte{}
	for level := 0; size > 0; level, size = level+1, size>>tileBits {
		width := size % tileWidth * tlog.HashSize
		tile := make([]byte, 0, tileWidth*tlog.HashSize)
		if width > 0 {
			stored, err := t.tile(level, size/tileWidth)
			if err != nil {
				return err
			}
			if int64(len(stored)) != width {
				return errTree
			}
			tile = append(tile, stored...)
		}
		edge = append(edge, tile)
	}
	t.edge = edge
	return nil
}

// tile is what is stored of a tile; empty when that is nothing.
func (t *tree) tile(level int, n int64) ([]byte, error) {
	v, closer, err := t.db.eng.Get(keyTile(level, n))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(v), closer.Close()
}

func keyTile(level int, n int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceTree, treeTile, byte(level)}, uint64(n)) //nolint:gosec // both are small and not negative
}

// last is the greatest record that a run can have reached with a size.
func (g *growth) last() (uint64, bool) { return g.recordOf(g.size - 1) }

// numbers are how far g has come, as it is stored.
func (g *growth) numbers() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(g.size)), g.at) //nolint:gosec // not negative
}

// begins adds a run, unless the record follows on the one before.
func (g *growth) begins(record uint64) (begun bool) {
	if last, ok := g.last(); ok && last+1 == record {
		return false
	}
	g.runs = append(g.runs, stretch{g.size, record})
	return true
}
