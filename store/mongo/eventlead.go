package mongo

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir/search"
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

// lead turns the clauses into conditions, as far as postings go.
func (k *seeking) lead() {
	for _, c := range k.q.Clauses {
		var any []bson.D
		exact, index := true, k.index
		for _, m := range c.Any {
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
		return is("x", entry(lead.Param, lead.Key)), lead.Param == m.Param, true
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
