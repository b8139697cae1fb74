package embedded

import (
	"bytes"
	"slices"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// entry is one index entry, shared with the bytes it was read from.
type entry struct {
	param search.Param
	value []byte
}

func compareEntries(a, b entry) int {
	if a.param != b.param {
		return int(a.param) - int(b.param)
	}
	return bytes.Compare(a.value, b.value)
}

// The marks of postings: what keeps them from being counted without a look at the
// row. All postings of a row have the same.
const (
	markShared byte = 1 << iota // the row has several numbers
	markLabels                  // it has labels, which may hide it
)

// mark is that of the postings of a row.
func (h *header) mark() (m byte) {
	if len(h.ordinals) > 1 {
		m |= markShared
	}
	if len(h.row.Labels) > 0 {
		m |= markLabels
	}
	return m
}

// markValues are the values of postings by their mark. Most have none.
var markValues = [4][]byte{nil, {1}, {2}, {3}} //nolint:gochecknoglobals // never changes

// entriesOf lists the postings of an edition: its entries, sorted, the one that
// every row has, and its contributor.
func entriesOf(dst []entry, e consent.Edition, h *header, encoded search.Encoded) []entry {
	if h == nil || h.deleted {
		return dst
	}
	if len(encoded) > 0 {
		for p, v := range encoded.All() {
			dst = append(dst, entry{p, v})
		}
	}
	dst = append(dst, entry{param: paramEvery})
	if e == consent.EditionFull && (h.row.Contributor != "" || h.row.Home == consent.HomeShared) { // as consent.OfCustodian has it
		dst = append(dst, entry{paramContributor, []byte(h.row.Contributor)})
	}
	return dst
}

// repost writes the difference between the postings that were and those that
// will be. A nil header means none will be.
func (x *tx) repost(c *change, e consent.Edition, old *was, h *header, entries search.Encoded) error {
	s := &x.scratch
	s.old, s.new = s.old[:0], entriesOf(s.new[:0], e, h, entries)
	if old.found {
		s.old = entriesOf(s.old, e, &old.head, old.entries)
	}
	if err := x.noteSeveral(c.t, e, s.new); err != nil {
		return err
	}
	if old.found && h != nil && slices.Equal(c.were, c.are) && old.head.mark() == h.mark() {
		return x.repostChanged(c, e, h.mark())
	}
	for _, entry := range s.old {
		if err := x.unpost(c, e, entry); err != nil {
			return err
		}
	}
	for _, entry := range s.new {
		if err := x.post(c, e, entry, h.mark()); err != nil {
			return err
		}
	}
	return nil
}

// noteSeveral marks the parameters of which a row has more than one range. For
// the others, the range by which a row sorts is the one that a query met.
func (x *tx) noteSeveral(t typeNumber, e consent.Edition, all []entry) error {
	last := several{edition: e, t: t}
	some := false
	for _, one := range all {
		if _, sorts := (search.SortKey{Range: true}).Cut(one.value); !sorts {
			continue
		}
		again := some && one.param == last.param
		last.param, some = one.param, true
		if !again || x.db.several[last] || x.several[last] {
			continue
		}
		if x.several == nil {
			x.several = map[several]bool{}
		}
		x.several[last] = true
		if err := x.batch.Set(last.key(), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// repostChanged merges the two sorted lists and writes what only one has.
func (x *tx) repostChanged(c *change, e consent.Edition, mark byte) error {
	old, now := x.scratch.old, x.scratch.new
	for len(old) > 0 || len(now) > 0 {
		order := 0
		switch {
		case len(old) == 0:
			order = 1
		case len(now) == 0:
			order = -1
		default:
			order = compareEntries(old[0], now[0])
		}
		var err error
		switch {
		case order < 0:
			err, old = x.unpost(c, e, old[0]), old[1:]
		case order > 0:
			err, now = x.post(c, e, now[0], mark), now[1:]
		default:
			old, now = old[1:], now[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) post(c *change, e consent.Edition, one entry, mark byte) error {
	prefix := prefixValue(x.scratch.key[:0], e, one.param, c.t, one.value)
	x.scratch.key = prefix
	for _, n := range c.are {
		if err := x.batch.Set(appendNumber(prefix, n), markValues[mark], nil); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) unpost(c *change, e consent.Edition, one entry) error {
	prefix := prefixValue(x.scratch.key[:0], e, one.param, c.t, one.value)
	x.scratch.key = prefix
	for _, n := range c.were {
		if err := x.batch.Delete(appendNumber(prefix, n), nil); err != nil {
			return err
		}
	}
	return nil
}
