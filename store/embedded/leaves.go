package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/store"
)

var errNoTile = errors.New("the tree has no such tile yet")

// Tiles reads tiles as they are stored. The last of a level may have grown since
// and is cut to the width asked for.
func (db *DB) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	defer db.life.Leave()
	size := db.tree.now.Load().size
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if tile.H != store.TileHeight || tile.L < 0 || tile.N < 0 || tile.W < 1 || tile.W > tileWidth || tile.L > 62/tileBits ||
			tile.N > size/tileWidth || tile.N*tileWidth+int64(tile.W) > size>>(tile.L*tileBits) {
			return nil, errNoTile
		}
		stored, err := db.tree.tile(tile.L, tile.N)
		if err != nil {
			return nil, err
		}
		all[i] = stored[:min(len(stored), tile.W*tlog.HashSize)]
	}
	return all, nil
}

// Leaves reads the log along the runs of the tree.
func (db *DB) Leaves(ctx context.Context, from, to int64, each func(index int64, record []byte) error) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	g, hot := db.tree.now.Load(), db.cold.Load().index
	if from < 0 || to > g.size || from > to {
		return fmt.Errorf("leaves %d to %d of %d", from, to, g.size)
	}
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	if err != nil {
		return err
	}
	w := walkedLog{it: it}
	for index := from; index < to && err == nil; index++ {
		if index%tileWidth == 0 {
			if err = ctx.Err(); err != nil {
				break
			}
		}
		number, ok := g.recordOf(index)
		var raw []byte
		if ok && index >= hot {
			raw, err = w.record(number)
		}
		if err == nil {
			err = each(index, raw)
		}
	}
	return errors.Join(err, it.Close())
}

// walkedLog reads records in the order of their numbers.
type walkedLog struct {
	it    *pebble.Iterator
	round unpacked
	// behind is the first number that the round at hand cannot tell of.
	behind uint64
}

// record is a record of the log, valid until the next call; nil when it is gone,
// and when what is in its place is not a round.
func (w *walkedLog) record(number uint64) ([]byte, error) {
	if number >= w.behind {
		if err := w.seek(number); err != nil {
			return nil, err
		}
	}
	raw, _ := w.round.record(number)
	return raw, nil
}

// seek reads the round that would have a record.
func (w *walkedLog) seek(number uint64) error {
	w.round.ends = w.round.ends[:0]
	if w.it.SeekLT(keyAudit(nil, number+1)) {
		value, err := w.it.ValueAndErr()
		if err != nil {
			return err
		}
		_ = w.round.read(binary.BigEndian.Uint64(w.it.Key()[1:]), value) // then it has no records
		w.it.Next()
	} else {
		w.it.First()
	}
	w.behind = ^uint64(0)
	if w.it.Valid() {
		w.behind = binary.BigEndian.Uint64(w.it.Key()[1:])
	}
	return w.it.Error()
}

// Leaf goes from the id of an event by its row to the record, and from there to
// the leaf. Events that have no row yet get one.
func (db *DB) Leaf(ctx context.Context, id [16]byte) (int64, bool, error) {
	if err := db.life.Enter(); err != nil {
		return 0, false, err
	}
	defer db.life.Leave()
	g := db.tree.now.Load()
	record, ok, err := db.recordWith(id)
	for !ok && err == nil && db.shelf.at.Load() < g.at {
		if err = db.shelf.shelve(ctx, g.at); err == nil {
			record, ok, err = db.recordWith(id)
		}
	}
	if !ok || err != nil {
		return 0, false, err
	}
	index, ok := g.indexOf(record)
	return index, ok, nil
}

// recordWith is the number of the record of an event that was not put away.
func (db *DB) recordWith(id [16]byte) (record uint64, ok bool, err error) {
	n, ok, err := findEvent(db.eng, id)
	if !ok || err != nil {
		return 0, false, err
	}
	record = recordOf(n)
	return record, record >= db.cold.Load().record, nil
}
