package search

import (
	"bytes"

	"vitrine/fhir"
)

// Beyond answers of one resource what its own entries do not: a store does, from
// the universe.
type Beyond interface {
	// Joined reports whether the join holds for it.
	Joined(j *Join) (bool, error)
	// Reads reports whether the reading holds for it.
	Reads(r Reading) (bool, error)
}

// Plain reports whether nothing but matches is in the clause, not inverted: then
// entries lead to all that it holds for.
func (c *Clause) Plain() bool {
	return !c.Not && len(c.Via) == 0 && len(c.Read) == 0 && len(c.All) == 0
}

// Own reports whether the resource's own entries answer the clause.
func (c *Clause) Own() bool {
	if len(c.Via) > 0 || len(c.Read) > 0 {
		return false
	}
	for _, group := range c.All {
		for i := range group {
			if !group[i].Own() {
				return false
			}
		}
	}
	return true
}

// HoldsWith reports whether the clause holds. What costs least is asked first,
// and what needs no answer is not asked. An error is neither yes nor no.
func (c *Clause) HoldsWith(e Encoded, b Beyond) (bool, error) {
	holds, err := c.any(e, b)
	return holds != c.Not, err
}

func (c *Clause) any(e Encoded, b Beyond) (bool, error) {
	if c.matches(e) {
		return true, nil
	}
	for _, group := range c.All {
		if holds, err := AllHold(group, e, b); holds || err != nil {
			return holds, err
		}
	}
	for _, r := range c.Read {
		if holds, err := b.Reads(r); holds || err != nil {
			return holds, err
		}
	}
	for i := range c.Via {
		if holds, err := b.Joined(&c.Via[i]); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// AllHold reports whether every clause holds: those that entries answer are asked
// before the others.
func AllHold(all []Clause, e Encoded, b Beyond) (bool, error) {
	for i := range all {
		if all[i].Own() && !all[i].Holds(e) {
			return false, nil
		}
	}
	for i := range all {
		if all[i].Own() {
			continue
		}
		if holds, err := all[i].HoldsWith(e, b); !holds || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Own reports whether entries answer the whole query.
func (q *Query) Own() bool {
	for i := range q.Clauses {
		if !q.Clauses[i].Own() {
			return false
		}
	}
	return true
}

// ReferenceKey is the entry of a reference to a resource of this server.
func ReferenceKey(t fhir.ResourceType, id string) []byte {
	return appendPart([]byte{tagReference}, []byte(string(t)+"/"+id))
}

// LocalReference is the resource of this server that the entry of a reference
// names without a version; ok is false for all other entries.
func LocalReference(value []byte) (t fhir.ResourceType, id string, ok bool) {
	if len(value) == 0 || value[0] != tagReference {
		return "", "", false
	}
	typ, rest, cut := bytes.Cut(value[1:], []byte("/"))
	if !cut || len(typ) == 0 || typ[0] < 'A' || typ[0] > 'Z' || !fhir.ValidID(string(rest)) {
		return "", "", false
	}
	return fhir.ResourceType(typ), string(rest), true
}

// CanonicalKey is the entry of a uri parameter for the canonical that the entry
// of a reference names; ok is false when it names none.
func CanonicalKey(value []byte) (key []byte, ok bool) {
	if len(value) < 2 || value[0] != tagReference {
		return nil, false
	}
	key = bytes.Clone(value)
	key[0] = tagURI
	return key, true
}
