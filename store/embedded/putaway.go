package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

var _ store.Archive = (*DB)(nil)

// sweepMost is how many keys are dropped in one write.
const sweepMost = 1 << 14

// cold says what was put away: the leaves before an index, which are the records
// before a number. One key settles it: from then on there are no rows of them, and
// what is kept is swept out at leisure.
type cold struct {
	index  int64
	record uint64
}

func readCold(eng *pebble.DB) (*cold, error) {
	v, closer, err := eng.Get([]byte(metaCold))
	if errors.Is(err, pebble.ErrNotFound) {
		return &cold{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	if len(v) != 16 {
		return nil, fmt.Errorf("%w: what was put away", errSchema)
	}
	return &cold{
		index:  int64(binary.BigEndian.Uint64(v)), //nolint:gosec // it was one
		record: binary.BigEndian.Uint64(v[8:]),
	}, nil
}

func (c *cold) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(c.index)), c.record) //nolint:gosec // not negative
}

// Hot is the first leaf that was not put away.
func (db *DB) Hot(ctx context.Context) (int64, error) {
	if err := db.life.Enter(); err != nil {
		return 0, err
	}
	defer db.life.Leave()
	return db.cold.Load().index, ctx.Err()
}

// PutAway drops the records of leaves and all that is kept of their events.
func (db *DB) PutAway(ctx context.Context, to int64) error {
	if err := db.Settle(ctx); err != nil { // no row comes later
		return err
	}
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	db.cooling.Lock()
	defer db.cooling.Unlock()
	g := db.tree.now.Load()
	if to < 0 || to > g.size {
		return fmt.Errorf("leaf %d of %d", to, g.size)
	}
	c := db.cold.Load()
	if to > c.index {
		next := &cold{index: to, record: g.at + 1}
		if record, ok := g.recordOf(to); ok {
			next.record = record
		}
		if err := db.eng.Set([]byte(metaCold), next.bytes(), pebble.Sync); err != nil {
			return err
		}
		db.cold.Store(next)
		c = next
	}
	return db.sweep(ctx, c)
}

// sweep takes out what is kept of the events that were put away. A block that has
// others too stays.
func (db *DB) sweep(ctx context.Context, c *cold) error {
	if c.index == 0 {
		return nil
	}
	if err := db.sweepRounds(c.record); err != nil {
		return err
	}
	for _, space := range []byte{spaceEvent, spaceEventID, spaceMoment} {
		if err := db.sweepBetween(ctx, []byte{space}, []byte{space + 1}, c.record); err != nil {
			return err
		}
	}
	t, ok := db.typeNumber(typeAuditEvent)
	if !ok {
		return nil
	}
	for param, more := search.Param(0), true; more; param++ { // from parameter to parameter that has any
		var err error
		if param, more, err = db.paramFrom(param); err != nil || !more {
			return err
		}
		lower := prefixPostings(nil, consent.EditionFull, param, t)
		if err := db.sweepBetween(ctx, lower, after(lower), c.record); err != nil {
			return err
		}
		if param == math.MaxUint16 {
			return nil
		}
	}
	return nil
}

// paramFrom is the first parameter of the full edition from one on that has
// postings of any type.
func (db *DB) paramFrom(from search.Param) (search.Param, bool, error) {
	space := []byte{spacePosting, byte(consent.EditionFull)}
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: prefixParam(nil, consent.EditionFull, from), UpperBound: after(space)})
	if err != nil {
		return 0, false, err
	}
	if !it.First() {
		return 0, false, errors.Join(it.Error(), it.Close())
	}
	return search.Param(binary.BigEndian.Uint16(it.Key()[2:])), true, it.Close()
}

// sweepRounds drops the rounds before that of a record.
func (db *DB) sweepRounds(record uint64) error {
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	if err != nil {
		return err
	}
	end := keyAudit(nil, record)
	if it.SeekLT(keyAudit(nil, record+1)) {
		var u unpacked
		value, err := it.ValueAndErr()
		if err == nil && u.read(binary.BigEndian.Uint64(it.Key()[1:]), value) == nil && u.last() >= record {
			end = bytes.Clone(it.Key())
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	return db.eng.DeleteRange([]byte{spaceAuditLog}, end, pebble.Sync)
}

// sweepBetween drops the blocks of which every record is before one: the first number
// is that of the latest.
func (db *DB) sweepBetween(ctx context.Context, lower, upper []byte, record uint64) error {
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	batch := db.eng.NewBatch()
	for live := it.First(); live && err == nil; live = it.Next() {
		if recordOf(lastNumber(it.Key())) >= record {
			continue
		}
		if err = batch.Delete(it.Key(), nil); err == nil && batch.Count() >= sweepMost {
			if err = errors.Join(ctx.Err(), batch.Commit(pebble.NoSync)); err == nil {
				batch.Reset()
			}
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err == nil {
		err = batch.Commit(pebble.NoSync) // what is lost with the machine is swept with the next call
	}
	return errors.Join(err, batch.Close())
}
