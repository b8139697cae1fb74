package storetest

import (
	"context"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// model is the naive store: the rows as they were last put.
type model map[string]store.Put

// world is who sees what of whom, drawn at random. It makes the same universe as
// often as asked.
type world struct {
	levels   levels
	patients []string
	kind     string
	where    func(consent.Row) bool
}

func (w world) universe() *consent.Universe {
	var u *consent.Universe
	switch w.kind {
	case "listed":
		u = w.levels.to(w.patients...)
	case "linked":
		u = w.levels.through("A")
	case "any":
		u = w.levels.any()
	case "own":
		u = consent.OfContributor("B")
	default:
		u = consent.Everything()
	}
	if w.where != nil {
		u.Where(w.where)
	}
	return u
}

// reaches tells whether the universe has the owners of a row among its patients
// at all; the levels are Admit's.
func (w world) reaches(m model) func(consent.Row) bool {
	among := map[string]bool{}
	switch w.kind {
	case "listed":
		for _, p := range w.patients {
			among[p] = true
		}
	case "linked":
		links, _ := w.levels.through("A").Links()
		for _, p := range m {
			if links[0].Holds(search.Encoded(p.Full.Entries.AppendBinary(nil))) {
				for _, owner := range p.Patients {
					among[owner] = true
				}
			}
		}
	default:
		return func(consent.Row) bool { return true }
	}
	return func(r consent.Row) bool {
		return r.Home == consent.HomeShared || slices.ContainsFunc(r.Patients, func(p string) bool { return among[p] })
	}
}

// naive answers queries row by row, from what a universe has of the model.
type naive struct {
	rows map[string]naiveRow
	// with are the rows that have a value of a parameter.
	with map[value][]naiveRow
}

type value struct {
	param search.Param
	value string
}

// naiveRow is a row in the edition admitted.
type naiveRow struct {
	*naive
	p       store.Put
	v       store.Version
	entries search.Encoded
}

func (w world) naive(t *rapid.T, m model) *naive {
	n := &naive{map[string]naiveRow{}, map[value][]naiveRow{}}
	u, reached := w.universe(), w.reaches(m)
	for id, p := range m {
		if !reached(p.Row) {
			continue
		}
		e, err := u.Admit(context.Background(), p.Row)
		if err != nil {
			t.Fatalf("admit: %v", err)
		}
		v := p.Full
		if e == consent.EditionBasic && p.Basic != nil {
			v = *p.Basic
		}
		if e == 0 || e == consent.EditionBasic && p.Basic == nil {
			continue
		}
		r := naiveRow{n, p, v, v.Entries.Encode(nil)}
		n.rows[id] = r
		for param, b := range r.entries.All() {
			n.with[value{param, string(b)}] = append(n.with[value{param, string(b)}], r)
		}
	}
	return n
}

// expected evaluates a query.
func (w world) expected(t *rapid.T, m model, q *search.Query) []string {
	n := w.naive(t, m)
	var hits []string
	for _, id := range slices.Sorted(maps.Keys(n.rows)) {
		r := n.rows[id]
		if r.p.Type != q.Type {
			continue
		}
		holds, err := search.AllHold(q.Clauses, r.entries, r)
		if err != nil {
			t.Fatalf("evaluate: %v", err)
		}
		if holds {
			hits = append(hits, string(r.p.Type)+"/"+r.p.ID+"/"+r.v.Version)
		}
	}
	return sortedCopy(hits)
}

// Joined implements search.Beyond.
func (r naiveRow) Joined(j *search.Join) (bool, error) {
	for _, other := range r.led(j) {
		if other.p.Type != j.Type {
			continue
		}
		if holds, err := search.AllHold(j.Clauses, other.entries, other); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// led are the rows that the join leads to, of whatever type.
func (r naiveRow) led(j *search.Join) (others []naiveRow) {
	switch {
	case j.Reverse && j.By == 0:
		return r.with[value{j.Param, string(search.ReferenceKey(r.p.Type, r.p.ID))}]
	case j.Reverse:
		for param, b := range r.entries.All() {
			if param == j.By && len(b) > 0 && b[0] == 'u' {
				others = append(others, r.with[value{j.Param, "R" + string(b[1:])}]...)
			}
		}
		return others
	}
	for param, b := range r.entries.All() {
		if param != j.Param {
			continue
		}
		if j.By != 0 {
			if key, ok := search.CanonicalKey(b); ok {
				others = append(others, r.with[value{j.By, string(key)}]...)
			}
			continue
		}
		if t, id, ok := search.LocalReference(b); ok {
			if other, ok := r.rows[string(t)+"/"+id]; ok {
				others = append(others, other)
			}
		}
	}
	return others
}

// Reads implements search.Beyond.
func (r naiveRow) Reads(reading search.Reading) (bool, error) {
	var tape fhir.Tape
	if err := tape.Parse(r.v.JSON, fhir.Limits{}); err != nil {
		return false, err
	}
	return reading.Holds(&tape), nil
}
