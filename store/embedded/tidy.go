package embedded

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// lull is how long no table must have been written before the store is put in
	// order.
	lull = 5 * time.Second
	// baseLevel is how large the level below the newest tables grows, which spares
	// an import much rewriting.
	baseLevel = 256 << 20
	// tidyShare is the part of the last level that the levels above it may have in
	// a store at rest, and tidyLeast the size below which they do not matter.
	tidyShare = 8
	tidyLeast = 8 << 20
)

// tidier puts a store in order after it was written to. While the last level is
// small against the first, a good part of each patient's rows lies in the one
// above, and every page reads its rows in two or three places. Once the writing
// pauses the levels above are merged into the last, a few tables at a time. What
// is written is so rewritten some tidyShare times at most. In a store in which
// the first level is a small part anyhow the engine's own order is as good.
type tidier struct {
	db *DB
	// tables is how many had been flushed and compacted at the last look.
	tables int64
}

func (t *tidier) run(ctx context.Context) {
	tick := time.NewTicker(lull)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !t.paused() || !t.db.untidy() {
				continue
			}
			if err := t.db.tidy(ctx); err != nil && ctx.Err() == nil {
				t.db.opt.Logger.ErrorContext(ctx, "store not put in order")
			}
		}
	}
}

// paused reports whether no table was written since the last look.
func (t *tidier) paused() bool {
	m := t.db.eng.Metrics()
	before := t.tables
	t.tables = m.Flush.Count + m.Compact.Count
	return t.tables == before && m.Compact.NumInProgress == 0
}

// untidy reports whether the levels above the last hold more than their share.
func (db *DB) untidy() bool {
	levels := db.eng.Metrics().Levels
	last, above := levels[len(levels)-1].TablesSize, int64(0)
	for _, l := range levels[:len(levels)-1] {
		above += l.TablesSize
	}
	return tooMuch(above, last)
}

// tooMuch reports whether it is worth it to merge so much into the last level.
func tooMuch(above, last int64) bool {
	return above > max(last/tidyShare, tidyLeast) && last < tidyShare*baseLevel
}

// tidy merges the levels above the last into it. It goes from table to table of
// the last level, so that each step is short, and begins none after ctx is done:
// the engine does not stop in the midst of one.
func (db *DB) tidy(ctx context.Context) error {
	levels, err := db.eng.SSTables()
	if err != nil {
		return err
	}
	steps := steps(levels)
	for i := 1; i < len(steps); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := db.eng.Compact(ctx, steps[i-1], steps[i], false); err != nil {
			return err
		}
	}
	return nil
}

// steps are keys from the first above the last level to behind the last such,
// and between them those at which the tables of the last level begin.
func steps(levels [][]pebble.SSTableInfo) [][]byte {
	last := len(levels) - 1
	var from, to []byte
	for _, tables := range levels[:last] {
		for _, t := range tables {
			if from == nil || bytes.Compare(t.Smallest.UserKey, from) < 0 {
				from = t.Smallest.UserKey
			}
			if bytes.Compare(t.Largest.UserKey, to) > 0 {
				to = t.Largest.UserKey
			}
		}
	}
	if from == nil {
		return nil
	}
	all := [][]byte{from, append(bytes.Clone(to), 0)}
	for _, t := range levels[last] {
		if key := t.Smallest.UserKey; bytes.Compare(key, from) > 0 && bytes.Compare(key, to) < 0 {
			all = append(all, key)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return slices.CompactFunc(all, bytes.Equal)
}
