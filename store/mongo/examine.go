package mongo

import (
	"context"
	"errors"
	"iter"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// hit is a row of the universe that satisfies the clauses of a step.
type hit struct {
	id      string
	doc     *document      // of all but events
	encoded search.Encoded // of events
}

// values are those of a parameter.
func (h *hit) values(p search.Param) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if h.doc == nil {
			for param, v := range h.encoded.All() {
				if param == p && !yield(v) {
					return
				}
			}
			return
		}
		for _, s := range h.doc.Entries {
			if paramOf(s) == p && !yield(value(s)) {
				return
			}
		}
	}
}

// each goes over the rows of a step, in both editions; limit is how many will be
// wanted, zero for all. Of their entries it knows those of one parameter for
// certain.
func (s *searching) each(ctx context.Context, p search.Param, limit int, use func(*hit) (more bool, err error)) error {
	if s.q.Type == typeAuditEvent {
		return s.eachEvent(ctx, use)
	}
	if err := s.understand(ctx); err != nil {
		return err
	}
	s.fields = s.lean(p)
	return s.batches(ctx, func(all []branch) (bool, error) {
		more := true
		err := s.stream(ctx, all, limit, func(d *document, _ consent.Edition) (bool, error) {
			if len(s.residual) == 0 { // else they were charged for when they were examined
				if err := s.ask.charge(1); err != nil {
					return false, err
				}
			}
			var err error
			more, err = use(&hit{id: d.id(), doc: d})
			return more, err
		})
		return more, err
	})
}

// subject is a row whose clauses are examined.
type subject struct {
	id      string
	entries search.Encoded
	json    []byte
}

// examination asks of some rows of a type, all of them admitted, what the
// servers were not asked: what leads to other resources of all of them at once.
type examination struct {
	s    *searching
	ctx  context.Context //nolint:containedctx // of one call, on the way through search.Beyond
	rows []subject
	at   int
	tape fhir.Tape
	read int // the row that the tape is of, from one on
}

var _ search.Beyond = (*examination)(nil)

// readingCost is what it costs to read the content of a row, in rows.
const readingCost = 8

// examine leaves those of some documents for which all clauses hold.
func (s *searching) examine(ctx context.Context, docs []document) ([]document, error) {
	if len(s.residual) == 0 || len(docs) == 0 {
		return docs, nil
	}
	if err := errors.Join(s.turn(len(docs)), s.ask.charge(len(docs))); err != nil {
		return nil, err
	}
	x := examination{s: s, ctx: ctx, rows: make([]subject, len(docs))}
	var entries search.Entries
	for i := range docs {
		x.rows[i] = subject{id: docs[i].id(), entries: encode(&entries, docs[i].Entries, nil), json: docs[i].JSON}
	}
	var kept []document
	for i := range docs {
		holds, err := x.holds(i, s.residual)
		if err != nil {
			return nil, err
		}
		if holds {
			kept = append(kept, docs[i])
		}
	}
	return kept, nil
}

func (x *examination) holds(row int, all []search.Clause) (bool, error) {
	x.at = row
	return search.AllHold(all, x.rows[row].entries, x)
}

// Reads reports whether the content of the row satisfies a reading.
func (x *examination) Reads(r search.Reading) (bool, error) {
	if x.read != x.at+1 {
		if err := x.s.ask.charge(readingCost); err != nil {
			return false, err
		}
		x.read = 0
		if err := x.tape.Parse(x.rows[x.at].json, fhir.Stored()); err != nil {
			return false, err
		}
		x.read = x.at + 1
	}
	return r.Holds(&x.tape), nil
}

// Joined reports whether a join holds for the row.
func (x *examination) Joined(j *search.Join) (bool, error) {
	t := x.s.ask.joins[j]
	if !t.all && x.unknown(t, x.at, nil) > 0 {
		var values []string
		for row := range x.rows {
			x.unknown(t, row, &values)
		}
		if err := x.s.inquire(x.ctx, j, values); err != nil {
			return false, err
		}
	}
	for p, v := range x.rows[x.at].entries.All() {
		if p == t.param && t.holds[string(v)] {
			return true, nil
		}
	}
	return false, nil
}

// unknown adds the values of a row of which it is not known where they lead.
func (x *examination) unknown(t *targets, row int, values *[]string) (count int) {
	for p, v := range x.rows[row].entries.All() {
		if p != t.param {
			continue
		}
		if _, known := t.holds[string(v)]; known {
			continue
		}
		count++
		if values != nil {
			*values = append(*values, string(v))
		}
	}
	return count
}
