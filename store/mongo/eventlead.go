package mongo

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// confine keeps the events to those that may be the caller's to see. Those of
// others are not looked at: how many there are would tell by the time it takes.
func (k *seeking) confine(ctx context.Context) error {
	k.exact = len(k.q.Clauses) == 0
	_, own := k.u.Contributor() // nobody contributes events
	if k.never = own || !k.u.Keeps(typeAuditEvent, consent.HomePatients); k.never {
		return nil
	}
	ids, ok := k.u.Patients()
	if !ok {
		return nil
	}
	var some []string
	for _, id := range ids {
		d, err := k.u.Decide(ctx, id)
		if err != nil {
			return err
		}
		if !d.Excludes(typeAuditEvent, consent.EditionFull) || !d.Excludes(typeAuditEvent, consent.EditionBasic) {
			some = append(some, id)
		}
	}
	k.of(some)
	return nil
}

// of confines the events to those of patients.
func (k *seeking) of(ids []string) {
	spread := make([][]byte, len(ids))
	for i, id := range ids {
		spread[i] = k.v.db.spreadOf(id)
	}
	k.index = bySpread()
	k.never = len(ids) == 0
	k.conditions = append(k.conditions, among("s", spread), among("p", ids))
}

// leadAll turns clauses into conditions, as far as postings go.
func (k *seeking) leadAll(clauses []search.Clause) {
	for i := range clauses {
		c := &clauses[i]
		if group, ok := conjunction(c); ok {
			k.leadAll(group)
			continue
		}
		matches, open := k.alternatives(c)
		if open || c.Not || len(c.All) > 0 {
			k.exact = false
			continue
		}
		k.lead(matches)
	}
}

// lead turns the matches of a clause into a condition.
func (k *seeking) lead(matches []search.Match) {
	var any []bson.D
	exact, index := true, k.index
	for _, m := range matches {
		f, all, ok := k.leads(m)
		if !ok {
			any, exact, k.index = nil, false, index // no condition, and none of its index
			break
		}
		exact = exact && all
		if f != nil {
			any = append(any, f)
		}
	}
	k.exact = k.exact && exact
	switch {
	case len(any) > 0:
		k.conditions = append(k.conditions, anyOf(any))
	case exact: // nothing can hold
		k.never = true
	}
}

// leads is the condition of a match; nil where no event satisfies it. all says
// that it holds for no others; ok is false when there is none.
func (k *seeking) leads(m search.Match) (f bson.D, all, ok bool) {
	if m.Param == search.ParamID && m.Op == search.OpEqual {
		id, _ := search.CodeOf(m.Key)
		bounds, ok := eventIDs(string(id))
		if !ok {
			return nil, true, true
		}
		k.index = nil
		return is("_id", bounds), true, true
	}
	lead, ok := k.v.db.events.Lead(consent.EditionFull, m)
	if !ok {
		return nil, false, false
	}
	if lead.Op == search.OpEqual {
		if k.index != nil {
			k.index = byEntry()
		}
		return is("x", entry(lead.Param, lead.Key)), lead.Param == m.Param && bytes.Equal(lead.Key, m.Key), true
	}
	if lead.Op == search.OpPrefix {
		if k.index != nil {
			k.index = byEntry()
		}
		return between(entry(lead.Param, lead.Key), beyond(lead.Param, lead.Key)), true, true
	}
	low, high, ok := span(&lead)
	if !ok {
		return nil, true, true
	}
	return is("n", bson.D{
		{Key: "$gte", Value: append(binary.BigEndian.AppendUint64(nil, low), make([]byte, 16)...)},
		{Key: "$lte", Value: append(binary.BigEndian.AppendUint64(nil, high), bytes.Repeat([]byte{0xFF}, 16)...)},
	}), true, true
}

// millisecond is how much longer _lastUpdated lasts than the instant of date, in
// the units of entries.
const millisecond = 999

// span are the instants of the events that a match of a time holds for.
func span(m *search.Match) (low, high uint64, ok bool) {
	var e search.Entries
	search.AppendInstant(&e, 0, time.Unix(0, 0))
	if _, v := e.At(0); !bytes.Equal(v[:1], m.Key) {
		return 0, 0, false // of lengths that no event has
	}
	longer := uint64(0)
	if m.Param == search.ParamLastUpdated {
		longer = millisecond
	}
	b := m.Bounds
	if b.HighMax < longer {
		return 0, 0, false
	}
	low, high = b.LowMin, min(b.LowMax, b.HighMax-longer)
	if b.HighMin > longer {
		low = max(low, b.HighMin-longer)
	}
	return low, high, low <= high
}

// chronological reports whether the order is that of positions.
func (k *seeking) chronological() (descending, ok bool) {
	switch len(k.q.Sort) {
	case 0:
		return false, true
	case 1:
		return k.q.Sort[0].Descending, k.v.db.events.Chronological(k.q.Sort[0].Param)
	default:
		return false, false
	}
}

// start is the place behind which a page begins: before the instant of the
// position, in the direction of the page, because other events of that instant
// may follow.
func (k *seeking) start(descending bool, from []byte, after *store.Position) []byte {
	const instant = 8
	if after == nil || !after.Keys[0].Has || len(after.Keys[0].Value) != 2*instant {
		return from
	}
	at := binary.BigEndian.Uint64(after.Keys[0].Value)
	switch {
	case descending && at < math.MaxUint64:
		return append(binary.BigEndian.AppendUint64(nil, at+1), make([]byte, eventPosition-instant)...)
	case !descending && at > 0:
		return append(binary.BigEndian.AppendUint64(nil, at-1), bytes.Repeat([]byte{0xFF}, eventPosition-instant)...)
	default:
		return nil
	}
}

// place is where an event stands in a chronological order.
func (k *seeking) place(e *seen) store.Position {
	p := store.Position{ID: e.id}
	var one search.Entries
	for _, key := range k.q.Sort {
		one.Reset()
		if key.Param == search.ParamLastUpdated {
			search.AppendUpdated(&one, e.ev.Recorded)
		} else {
			search.AppendInstant(&one, key.Param, e.ev.Recorded)
		}
		_, v := one.At(0)
		v, ok := key.Cut(v)
		p.Keys = append(p.Keys, store.SortValue{Has: ok, Value: bytes.Clone(v)})
	}
	return p
}
