package embedded

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// scratch is memory a write uses again for each resource.
type scratch struct {
	key, head, entries, body []byte
	old, new                 []entry
}

// change is one resource on its way from what was to what will be.
type change struct {
	t        typeNumber
	sequence uint64
	existed  bool
	from     number   // primary number before
	were     []number // all numbers before
	to       number
	are      []number
	head     header // of the new row; version, updated and count by edition
}

// was is what the store held of one edition.
type was struct {
	found   bool
	head    header
	entries search.Encoded
}

var (
	errOver   = errors.New("the write is over")
	errPut    = errors.New("put without id, version, or owners that fit its home")
	errNoText = errors.New("edition said to be unchanged is not stored")
)

// Put stores a new current version of a resource. When it fails nothing of the
// write is kept, whatever becomes of the error.
func (x *tx) Put(p store.Put) error {
	if x.over {
		return errOver
	}
	err := x.put(p)
	if err != nil {
		x.failed = err
	}
	return err
}

func (x *tx) put(p store.Put) error {
	if p.ID == "" || p.Type == "" || (p.Home == consent.HomePatients) != (len(p.Patients) > 0) {
		return errPut
	}
	c, err := x.begin(p.Row, p.ID)
	if err != nil {
		return err
	}
	if !c.existed || c.from != c.to {
		if err := x.set(keyID(nil, c.t, p.ID), appendNumber(nil, c.to)); err != nil {
			return err
		}
	}
	if err := x.putEdition(&c, consent.EditionFull, &p.Full); err != nil {
		return err
	}
	return x.putEdition(&c, consent.EditionBasic, p.Basic)
}

// begin finds what was there and gives out the numbers of what will be.
func (x *tx) begin(row consent.Row, id string) (change, error) {
	row = sortedOwners(row)
	c := change{head: header{row: row, id: id}}
	var err error
	if c.t, err = x.typeFor(row.Type); err != nil {
		return c, err
	}
	x.writes(c.t, id)
	for _, patient := range row.Patients {
		o, err := x.ordinalFor(patient)
		if err != nil {
			return c, err
		}
		c.head.ordinals = append(c.head.ordinals, o)
	}
	c.from, c.existed, err = readNumber(x, c.t, id)
	if err != nil {
		return c, err
	}
	if c.existed {
		c.sequence = c.from.sequence()
	} else if c.sequence, err = x.nextSequence(); err != nil {
		return c, err
	}
	c.to, c.are = c.head.primary(c.sequence), c.head.numbers(c.sequence)
	return c, nil
}

// sortedOwners is the row with each of its patients once, in order.
func sortedOwners(row consent.Row) consent.Row {
	row.Patients = slices.Clone(row.Patients)
	slices.Sort(row.Patients)
	row.Patients = slices.Compact(row.Patients)
	return row
}

// load reads one edition of the row as it was.
func (x *tx) load(c *change, e consent.Edition) (was, error) {
	if !c.existed {
		return was{}, nil
	}
	v, closer, err := x.Get(keyRow(x.scratch.key[:0], e, c.t, c.from))
	if errors.Is(err, pebble.ErrNotFound) {
		return was{}, nil
	}
	if err != nil {
		return was{}, err
	}
	defer closer.Close()
	w := was{found: true}
	rest, err := cutHeader(&w.head, c.head.row.Type, v, nil)
	if err != nil {
		return was{}, err
	}
	w.entries = bytes.Clone(rest)
	c.were = w.head.numbers(c.sequence)
	return w, nil
}

func (x *tx) putEdition(c *change, e consent.Edition, v *store.Version) error {
	old, err := x.load(c, e)
	if err != nil {
		return err
	}
	if v == nil {
		return x.drop(c, e, &old)
	}
	if e == consent.EditionBasic {
		x.db.basics.Store(c.t, true) // before anyone can see the row
	}
	h := c.head
	if v.Unchanged {
		if !old.found || old.head.deleted {
			return errNoText
		}
		h.version, h.updated, h.count = old.head.version, old.head.updated, old.head.count
		return x.replace(c, e, &old, &h, x.reindexed(v, &old), nil)
	}
	if v.Version == "" || v.Entries == nil || len(v.JSON) == 0 {
		return errPut
	}
	h.version, h.updated = v.Version, v.Updated
	if h.count, err = x.nextCount(c, e, &old); err != nil {
		return err
	}
	x.scratch.entries = v.Entries.AppendBinary(x.scratch.entries[:0])
	return x.replace(c, e, &old, &h, search.Encoded(x.scratch.entries), v.JSON)
}

// reindexed are the entries of an edition that stays: those given, or those it
// had.
func (x *tx) reindexed(v *store.Version, old *was) search.Encoded {
	if v.Entries == nil {
		return old.entries
	}
	x.scratch.entries = v.Entries.AppendBinary(x.scratch.entries[:0])
	return x.scratch.entries
}

// replace writes an edition over the one that was. A nil body means the body
// that is there.
func (x *tx) replace(c *change, e consent.Edition, old *was, h *header, entries search.Encoded, body []byte) error {
	if body == nil {
		if slices.Equal(c.were, c.are) && bytes.Equal(entries, old.entries) && bytes.Equal(h.append(nil), old.head.append(nil)) {
			return nil
		}
		kept, err := x.body(c, e, h.row.Type)
		if err != nil {
			return err
		}
		body = kept
	} else if err := errors.Join(x.archive(c, e, old), x.changed(c, e, old, h)); err != nil {
		return err
	}
	if err := x.repost(c, e, old, h, entries); err != nil {
		return err
	}
	head := h.append(x.scratch.head[:0])
	x.scratch.head = head
	if old.found {
		if err := x.unplace(c, e); err != nil {
			return err
		}
	}
	for _, n := range c.are {
		if err := x.set(keyRow(x.scratch.key[:0], e, c.t, n), head, entries); err != nil {
			return err
		}
	}
	return x.set(keyCurrent(x.scratch.key[:0], e, c.t, c.to), head, body)
}

// body is a copy of the JSON as it is stored.
func (x *tx) body(c *change, e consent.Edition, t fhir.ResourceType) ([]byte, error) {
	v, closer, err := x.Get(keyCurrent(x.scratch.key[:0], e, c.t, c.from))
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	var h header
	rest, err := cutHeader(&h, t, v, nil)
	x.scratch.body = append(x.scratch.body[:0], rest...)
	return x.scratch.body, err
}

// archive moves the current version to the former ones.
func (x *tx) archive(c *change, e consent.Edition, old *was) error {
	if !old.found {
		return nil
	}
	v, closer, err := x.Get(keyCurrent(x.scratch.key[:0], e, c.t, c.from))
	if err != nil {
		return err
	}
	defer closer.Close()
	return x.batch.Set(keyVersion(nil, c.sequence, e, old.head.count), v, nil)
}

// unplace removes the row from the numbers it has no longer.
func (x *tx) unplace(c *change, e consent.Edition) error {
	for _, n := range c.were {
		if !slices.Contains(c.are, n) {
			if err := x.del(keyRow(x.scratch.key[:0], e, c.t, n)); err != nil {
				return err
			}
		}
	}
	if c.from == c.to {
		return nil
	}
	return x.del(keyCurrent(x.scratch.key[:0], e, c.t, c.from))
}

// drop takes an edition away that the resource no longer has. Its versions
// stay.
func (x *tx) drop(c *change, e consent.Edition, old *was) error {
	if !old.found {
		return nil
	}
	if err := x.archive(c, e, old); err != nil {
		return err
	}
	if err := x.repost(c, e, old, nil, nil); err != nil {
		return err
	}
	for _, n := range c.were {
		if err := x.del(keyRow(x.scratch.key[:0], e, c.t, n)); err != nil {
			return err
		}
	}
	return x.del(keyCurrent(x.scratch.key[:0], e, c.t, c.from))
}

// nextCount numbers the new version of an edition.
func (x *tx) nextCount(c *change, e consent.Edition, old *was) (uint64, error) {
	if old.found {
		return old.head.count + 1, nil
	}
	if !c.existed {
		return 1, nil
	}
	newest, err := newestVersion(x, c.sequence, e)
	return newest + 1, err
}

// Delete records a deletion as a new version; the row stays where it was.
func (x *tx) Delete(t fhir.ResourceType, id, full, basic string, at time.Time) error {
	if x.over {
		return errOver
	}
	err := x.remove(t, id, full, basic, at)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone) {
		x.failed = err
	}
	return err
}

func (x *tx) remove(t fhir.ResourceType, id, full, basic string, at time.Time) error {
	n, ok := x.types[t]
	if !ok {
		if n, ok = x.db.typeNumber(t); !ok {
			return store.ErrNotFound
		}
	}
	c := change{t: n, head: header{id: id}}
	c.head.row.Type = t
	var err error
	if c.from, c.existed, err = readNumber(x, n, id); err != nil {
		return err
	}
	if !c.existed {
		return store.ErrNotFound
	}
	x.writes(n, id)
	c.sequence, c.to = c.from.sequence(), c.from
	if err := x.removeEdition(&c, consent.EditionFull, full, at); err != nil || basic == "" {
		return err
	}
	return x.removeEdition(&c, consent.EditionBasic, basic, at)
}

func (x *tx) removeEdition(c *change, e consent.Edition, version string, at time.Time) error {
	old, err := x.load(c, e)
	if err != nil {
		return err
	}
	switch {
	case !old.found && e == consent.EditionFull:
		return store.ErrNotFound
	case !old.found:
		return nil
	case old.head.deleted:
		return store.ErrGone
	}
	h := old.head
	h.version, h.updated, h.count, h.deleted = version, at, old.head.count+1, true
	c.are = c.were
	return x.replace(c, e, &old, &h, nil, []byte{})
}
