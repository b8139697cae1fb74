package mongo

import (
	"bytes"
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
)

// stream goes over the rows of some branches that exist and satisfy the query,
// in the order of positions. limit is how many will be wanted; zero for all.
func (s *searching) stream(ctx context.Context, all []branch, limit int, each func(*document, consent.Edition) (bool, error)) error {
	return s.streamOf(ctx, all, limit, (*branch).all, each)
}

func (s *searching) streamOf(ctx context.Context, all []branch, limit int, classes func(*branch) []string, each func(*document, consent.Edition) (bool, error)) error {
	chunk := mostRows
	if limit > 0 && !anyLoose(all) && len(s.residual) == 0 {
		chunk = min(limit, mostRows)
	} else if limit > 0 {
		chunk = min(limit+spareRows, mostRows)
	}
	var m merged
	for _, part := range s.parts(all) {
		for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			m = append(m, &reader{s: s, all: all, classes: classes, part: part, edition: e, after: s.from, chunk: chunk})
		}
	}
	var last []byte
	for {
		r, err := m.first(ctx)
		if err != nil || r == nil {
			return err
		}
		d := &r.docs[0]
		r.docs = r.docs[1:]
		if bytes.Equal(d.N, last) {
			continue // another part has it, too
		}
		last = d.N
		if more, err := each(d, r.edition); err != nil || !more {
			return err
		}
	}
}

// parts are the conditions in place of the clauses, one set a reader: where every
// condition that leads names too many entries to be merged by the servers, some
// of one are asked for at a time, and merged here.
func (s *searching) parts(all []branch) [][]condition {
	least := -1
	for i := range s.clauses {
		if c := &s.clauses[i]; c.exact && (least < 0 || len(c.entries) < len(s.clauses[least].entries)) {
			least = i
		}
	}
	merged := s.v.db.opt.ways.merged
	if least < 0 || len(s.clauses[least].entries) <= merged || all[0].patient != "" {
		return [][]condition{s.clauses}
	}
	var parts [][]condition
	for some := range slices.Chunk(s.clauses[least].entries, merged) {
		part := slices.Clone(s.clauses)
		part[least] = condition{filter: among("x", some), exact: true, entries: some}
		parts = append(parts, part)
	}
	return parts
}

func anyLoose(all []branch) bool {
	for i := range all {
		if all[i].loose {
			return true
		}
	}
	return false
}

// onlyLoose are the classes of the loose rows of a branch.
func (b *branch) onlyLoose() []string {
	all := b.all()
	return all[len(b.classes):]
}

const (
	mostRows  = 500 // read at once
	spareRows = 20  // read beyond those wanted, where some may not exist
)

// reader reads the rows of one edition, some at a time, so that no cursor is
// left open on the servers.
type reader struct {
	s       *searching
	all     []branch
	classes func(*branch) []string
	part    []condition
	edition consent.Edition
	after   []byte
	chunk   int
	docs    []document // that exist and satisfy the query
	ended   bool
}

// fill reads on until something is there that exists and satisfies the query.
func (r *reader) fill(ctx context.Context) error {
	for len(r.docs) == 0 && !r.ended {
		docs, err := r.read(ctx)
		if err != nil {
			return err
		}
		if r.ended = len(docs) < r.chunk; !r.ended {
			r.after = bytes.Clone(docs[len(docs)-1].N)
			r.chunk = min(2*r.chunk, mostRows) // few of them may satisfy it
		}
		if docs, err = r.s.existing(ctx, docs, r.edition); err != nil {
			return err
		}
		if r.docs, err = r.s.examine(ctx, docs); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) read(ctx context.Context) ([]document, error) {
	f, hint := r.s.filter(r.all, r.part, r.edition, r.after, r.classes)
	if f == nil {
		return nil, nil
	}
	in, err := r.s.v.within(ctx)
	if err != nil {
		return nil, err
	}
	o := options.Find().SetHint(hint).SetSort(is("n", 1)).SetProjection(r.s.fields).SetLimit(int64(r.chunk)).SetBatchSize(int32(r.chunk) + 1) //nolint:gosec // small
	return find(in, r.s.v.db.collection(collectionOf(r.edition)), f, o)
}

// merged are the readers of both editions. A row is admitted in one of them at
// most, so none is met twice.
type merged []*reader

// first is the reader with the least position.
func (m merged) first(ctx context.Context) (*reader, error) {
	var best *reader
	for _, r := range m {
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
		if len(r.docs) > 0 && (best == nil || bytes.Compare(r.docs[0].N, best.docs[0].N) < 0) {
			best = r
		}
	}
	return best, nil
}

// existing leaves those of some documents that exist in the universe.
func (s *searching) existing(ctx context.Context, docs []document, e consent.Edition) ([]document, error) {
	kept := docs[:0]
	for i := range docs {
		ok, err := s.exists(ctx, &docs[i], e)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, docs[i])
		}
	}
	return kept, nil
}

// exists admits a loose row by itself, and has it met once: under the first of
// its owners in the universe. Of other rows the filter has said so.
func (s *searching) exists(ctx context.Context, d *document, e consent.Edition) (bool, error) {
	if d.K == kindClassed {
		return true, nil
	}
	admitted, err := s.u.Admit(ctx, d.row(s.q.Type))
	if err != nil || admitted != e {
		return false, err
	}
	if _, own := s.u.Contributor(); own || s.u.IsEverything() {
		return true, nil // the filter has left out copies
	}
	at := stretchAt(d.N)
	for _, o := range d.Owners {
		if stretch := s.v.db.stretchOf(o); stretch > at || o == d.P {
			continue
		}
		if before, err := s.candidate(ctx, o); err != nil || before {
			return false, err
		}
	}
	return true, nil
}
