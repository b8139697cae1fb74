package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

var _ store.Target = (*DB)(nil)

// A position in a copy starts with the first bytes of the store's salt, so that
// one of another store is known; the key of the last thing read follows.
const positionSalt = 8

// What is read at once for a copy.
const (
	copyMost  = 512
	copyBytes = 4 << 20
)

var errBasicRow = errors.New("the editions of a resource lie in different rows")

// Extent counts the resources by their ids and the records by the number of the
// last.
func (db *DB) Extent(ctx context.Context) (store.Size, error) {
	if err := db.life.Enter(); err != nil {
		return store.Size{}, err
	}
	defer db.life.Leave()
	size := store.Size{Records: db.log.settle()}
	for name, t := range *db.types.Load() {
		if name == typeAuditEvent {
			continue
		}
		n, err := db.countIDs(ctx, t)
		if err != nil {
			return store.Size{}, err
		}
		size.Chronicles += n
	}
	return size, nil
}

func (db *DB) countIDs(ctx context.Context, t typeNumber) (n uint64, err error) {
	prefix := keyID(nil, t, "")
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%(1<<16) == 0 && ctx.Err() != nil {
			break
		}
	}
	return n, errors.Join(ctx.Err(), it.Error(), it.Close())
}

// Chronicles reads the current versions in the order of their keys, each with
// what came before it. AuditEvents have none: they are made from records.
func (db *DB) Chronicles(ctx context.Context, after []byte) (some []store.Chronicle, next []byte, err error) {
	size := 0
	prefix := []byte{spaceCurrent, byte(consent.EditionFull)}
	next, err = db.eachKey(ctx, prefix, after, func(v *view, key, value []byte) (bool, error) {
		c, err := v.chronicle(key, value)
		some = append(some, c)
		size += sizeOf(&c)
		return len(some) < copyMost && size < copyBytes, err
	})
	return some, next, err
}

// Records reads the log in its order.
func (db *DB) Records(ctx context.Context, after []byte) (some [][]byte, next []byte, err error) {
	if db.cold.Load().index > 0 { // the copy could not have the same tree
		return nil, nil, store.ErrPutAway
	}
	size := 0
	next, err = db.eachKey(ctx, []byte{spaceAuditLog}, after, func(_ *view, _, value []byte) (bool, error) {
		records, err := recordsUnder(value)
		for _, r := range records {
			some = append(some, r)
			size += len(r)
		}
		return len(some) < copyMost && size < copyBytes, err
	})
	return some, next, err
}

// recordsUnder are the records that one key of the log holds.
func recordsUnder(value []byte) ([][]byte, error) {
	var r unpacked
	if err := r.read(1, value); err != nil {
		return nil, err
	}
	all := make([][]byte, 0, r.last())
	for n := range r.last() {
		if raw, ok := r.record(n + 1); ok {
			all = append(all, raw)
		}
	}
	return all, nil
}

// eachKey walks the keys with a prefix after a position, as long as each wants
// more, and returns the position of the last.
func (db *DB) eachKey(ctx context.Context, prefix, position []byte, each func(v *view, key, value []byte) (bool, error)) (next []byte, err error) {
	from, err := db.keyAfter(prefix, position)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	defer db.life.Leave()
	eng := db.eng.NewSnapshot()
	v := &view{db: db, src: eng}
	it, err := eng.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	more := true
	for ok := it.SeekGE(from); ok && more && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			next = append(append(next[:0], db.salt[:positionSalt]...), it.Key()...)
			more, err = each(v, it.Key(), value)
		}
	}
	return next, errors.Join(err, it.Error(), it.Close(), eng.Close())
}

// keyAfter is where to go on after a position.
func (db *DB) keyAfter(prefix, position []byte) ([]byte, error) {
	if len(position) == 0 {
		return prefix, nil
	}
	key, ok := bytes.CutPrefix(position, db.salt[:positionSalt])
	if !ok || !bytes.HasPrefix(key, prefix) {
		return nil, store.ErrBadCursor
	}
	return append(bytes.Clone(key), 0), nil
}

func sizeOf(c *store.Chronicle) (size int) {
	for _, edition := range [][]store.Chapter{c.Full, c.Basic} {
		for i := range edition {
			size += len(edition[i].JSON) + len(edition[i].Entries) + 256
		}
	}
	return size
}

// chronicle reads everything of the resource whose current full edition is
// given.
func (v *view) chronicle(key, value []byte) (store.Chronicle, error) {
	tn, n := typeNumber(binary.BigEndian.Uint16(key[2:])), number(binary.BigEndian.Uint64(key[4:]))
	t, ok := v.typeName(tn)
	if !ok {
		return store.Chronicle{}, fmt.Errorf("%w: types", errSchema)
	}
	var p place
	var err error
	p.t, p.n, p.edition = tn, n, consent.EditionFull
	if p.body, err = cutHeader(&p.head, t, value, nil); err != nil {
		return store.Chronicle{}, err
	}
	c := store.Chronicle{Type: t, ID: p.head.id}
	if c.Full, err = v.chapters(&p, true); err != nil || !v.db.hasBasic(t, tn) {
		return c, err
	}
	basic, err := v.current(consent.EditionBasic, t, tn, n)
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.edition = consent.EditionBasic
		c.Basic, err = v.chapters(&p, false)
		c.BasicEnded = len(c.Basic) > 0
		return c, err
	case err != nil:
		return c, err
	}
	c.Basic, err = v.chapters(&basic, true)
	return c, errors.Join(err, basic.closer.Close())
}

func (v *view) typeName(n typeNumber) (fhir.ResourceType, bool) {
	for name, number := range *v.db.types.Load() {
		if number == n {
			return name, true
		}
	}
	return "", false
}

// chapters are the versions of the edition of p, oldest first; p itself is the
// last, if it is there.
func (v *view) chapters(p *place, current bool) ([]store.Chapter, error) {
	var all []store.Chapter
	if !current || p.head.count > 1 {
		err := v.former(p, 0, func(h *header, body []byte) (bool, error) {
			all = append(all, chapter(h, body, nil))
			return true, nil
		})
		if err != nil {
			return nil, err
		}
		slices.Reverse(all)
	}
	if !current {
		return all, nil
	}
	value, closer, err := v.src.Get(keyRow(nil, p.edition, p.t, p.n))
	if err != nil {
		return nil, err
	}
	var h header
	entries, err := cutHeader(&h, p.head.row.Type, value, nil)
	all = append(all, chapter(&p.head, p.body, entries))
	return all, errors.Join(err, closer.Close())
}

// chapter copies what belongs to the engine.
func chapter(h *header, body []byte, entries search.Encoded) store.Chapter {
	c := store.Chapter{Row: h.row, Version: h.version, Updated: h.updated, Deleted: h.deleted, Entries: bytes.Clone(entries)}
	c.Patients, c.Labels = slices.Clone(h.row.Patients), slices.Clone(h.row.Labels)
	if !h.deleted {
		c.JSON = bytes.Clone(body)
	}
	return c
}

// Mark is what the last batch of a copy left; nil in an empty store.
func (db *DB) Mark(ctx context.Context) ([]byte, error) {
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	defer db.life.Leave()
	if err := db.takeTurn(ctx); err != nil { // the counters are the writer's
		return nil, err
	}
	defer func() { <-db.turn }()
	mark, err := readMark(db.eng)
	if err == nil && mark == nil && (db.counters != counters{} || db.log.settle() > 0) {
		err = store.ErrNotEmpty
	}
	return mark, err
}

// getter is an engine or a write under way.
type getter interface {
	Get(key []byte) ([]byte, io.Closer, error)
}

func readMark(r getter) ([]byte, error) {
	v, closer, err := r.Get([]byte(metaCopying))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(v), closer.Close()
}

// checkWhole refuses the half of a store.
func checkWhole(eng *pebble.DB, opt *Options) error {
	mark, err := readMark(eng)
	if err == nil && mark != nil && !opt.Copying {
		err = store.ErrCopying
	}
	return err
}

// Copy writes a batch of a copy and its mark as one.
func (db *DB) Copy(ctx context.Context, b store.Batch) error {
	return db.Write(ctx, func(t store.Tx) error {
		x, ok := t.(*tx)
		if !ok {
			return errOver
		}
		if mark, err := readMark(x); err != nil || bytes.Equal(mark, b.Mark) {
			return err // it was written already
		}
		for i := range b.Chronicles {
			if err := x.copied(&b.Chronicles[i]); err != nil {
				return err
			}
		}
		for _, s := range b.States {
			if err := x.SetState(s.Key, s.Value, s.Until); err != nil {
				return err
			}
		}
		x.Record(b.Records...)
		return x.batch.Set([]byte(metaCopying), b.Mark, nil)
	})
}

// Finish takes the mark away.
func (db *DB) Finish(ctx context.Context) error {
	return db.Write(ctx, func(t store.Tx) error {
		x, ok := t.(*tx)
		if !ok {
			return errOver
		}
		return x.batch.Delete([]byte(metaCopying), nil)
	})
}

// copied writes everything of a resource. What is there already was put there by
// somebody else, for the mark comes with the batch.
func (x *tx) copied(c *store.Chronicle) error {
	if c.ID == "" || len(c.Full) == 0 {
		return errPut
	}
	g, err := x.begin(c.Full[len(c.Full)-1].Row, c.ID)
	if err != nil {
		return err
	}
	if g.existed {
		return store.ErrNotEmpty
	}
	if err := x.set(keyID(nil, g.t, c.ID), appendNumber(nil, g.to)); err != nil {
		return err
	}
	if err := x.copiedEdition(&g, consent.EditionFull, c.Full, true); err != nil || len(c.Basic) == 0 {
		return err
	}
	x.db.basics.Store(g.t, true)
	return x.copiedEdition(&g, consent.EditionBasic, c.Basic, !c.BasicEnded)
}

func (x *tx) copiedEdition(c *change, e consent.Edition, all []store.Chapter, current bool) error {
	for i := range all {
		v := &all[i]
		h := header{row: sortedOwners(v.Row), id: c.head.id, version: v.Version, updated: v.Updated, deleted: v.Deleted, count: uint64(i) + 1} //nolint:gosec // an index
		if v.Version == "" || v.Type != c.head.row.Type || (v.Home == consent.HomePatients) != (len(v.Patients) > 0) {
			return errPut
		}
		for _, patient := range h.row.Patients {
			o, err := x.ordinalFor(patient)
			if err != nil {
				return err
			}
			h.ordinals = append(h.ordinals, o)
		}
		if !current || i < len(all)-1 {
			if err := x.batch.Set(keyVersion(x.scratch.key[:0], c.sequence, e, h.count), append(h.append(nil), v.JSON...), nil); err != nil {
				return err
			}
			if e == consent.EditionFull {
				if err := x.change(c, &h, all[i+1].Updated); err != nil {
					return err
				}
			}
			continue
		}
		if !slices.Equal(h.numbers(c.sequence), c.are) {
			return errBasicRow
		}
		body := v.JSON
		if body == nil {
			body = []byte{} // none is another thing than the one that was
		}
		if err := x.replace(c, e, &was{}, &h, v.Entries, body); err != nil {
			return err
		}
	}
	return nil
}
