package mongo

import (
	"bytes"
	"context"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// searching is one page under way.
type searching struct {
	v       *view
	u       *consent.Universe
	q       *search.Query
	p       store.PageRequest
	clauses []condition
	never   bool // a clause that nothing satisfies
	after   place
	from    []byte // the position behind which an unsorted page begins
	budget  int
	weight  int // of the alternatives of the query
	spent   int // of weight, over all patients
	// candidates are the patients of whom it is known whether they are some.
	candidates map[string]bool
}

// Search returns one page of what matches within the universe: by position, or
// as the query sorts.
func (v *view) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	after, err := readPlace(p.After, len(q.Sort))
	if err != nil {
		return store.Page{}, err
	}
	if _, err := v.within(ctx); err != nil {
		return store.Page{}, err
	}
	s := searching{v: v, u: u, q: q, p: p, after: after, budget: v.db.opt.ScanBudget}
	if q.Type == typeAuditEvent {
		return s.eventPage(ctx)
	}
	if after.set && len(after.n) != 2*stretchSize {
		return store.Page{}, store.ErrBadCursor
	}
	if s.weight = weight(q); s.weight > mostWeight {
		return store.Page{}, store.ErrTooCostly
	}
	s.clauses, s.never = conditions(q.Clauses)
	if len(q.Sort) > 0 {
		return s.sorted(ctx)
	}
	return s.inOrder(ctx)
}

// inOrder is a page in the order of positions.
func (s *searching) inOrder(ctx context.Context) (store.Page, error) {
	page := store.Page{Total: -1}
	s.from = s.after.n
	var last []byte
	more := false
	if s.p.Limit > 0 || !s.p.Count {
		err := s.batches(ctx, func(all []branch) (bool, error) {
			err := s.stream(ctx, all, s.p.Limit+1-len(page.Found), func(d *document, e consent.Edition) (bool, error) {
				if more = len(page.Found) >= s.p.Limit; more {
					return false, nil
				}
				page.Found = append(page.Found, d.found(s.q.Type, d.id(), e))
				last = d.N
				return true, nil
			})
			return !more, err
		})
		if err != nil {
			return store.Page{}, err
		}
	}
	if more && s.p.Limit > 0 {
		page.Next = place{n: last}.append(nil)
	}
	if !s.p.Count {
		return page, nil
	}
	if !more && !s.after.set && s.p.Limit > 0 {
		page.Total = len(page.Found)
		return page, nil
	}
	var err error
	s.from = nil
	page.Total, err = s.count(ctx)
	return page, err
}

// count counts all matches, whatever the page: on the servers, but for loose
// rows.
func (s *searching) count(ctx context.Context) (int, error) {
	total := 0
	err := s.batches(ctx, func(all []branch) (bool, error) {
		for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			n, err := s.countClassed(ctx, all, e)
			if err != nil {
				return false, err
			}
			total += n
		}
		err := s.streamOf(ctx, all, 0, (*branch).onlyLoose, func(*document, consent.Edition) (bool, error) {
			total++
			return total <= s.budget, nil
		})
		if err == nil && total > s.budget {
			err = store.ErrTooCostly
		}
		return true, err
	})
	return total, err
}

func (s *searching) countClassed(ctx context.Context, all []branch, e consent.Edition) (int, error) {
	f, hint := s.filter(all, e, nil, func(b *branch) []string { return b.classes })
	if f == nil {
		return 0, nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return 0, err
	}
	cur, err := s.v.db.collection(collectionOf(e)).Aggregate(in, bson.A{
		is("$match", f), is("$limit", s.budget+1), is("$count", "n"),
	}, options.Aggregate().SetHint(hint))
	if err != nil {
		return 0, clean(err)
	}
	var counted []struct {
		N int `bson:"n"`
	}
	if err := cur.All(in, &counted); err != nil || len(counted) == 0 {
		return 0, clean(err)
	}
	return counted[0].N, nil
}

func collectionOf(e consent.Edition) string {
	if e == consent.EditionBasic {
		return collBasic
	}
	return collFull
}

// stream goes over the rows of some branches that exist and satisfy the query,
// in the order of positions. limit is how many will be wanted; zero for all.
func (s *searching) stream(ctx context.Context, all []branch, limit int, each func(*document, consent.Edition) (bool, error)) error {
	return s.streamOf(ctx, all, limit, (*branch).all, each)
}

func (s *searching) streamOf(ctx context.Context, all []branch, limit int, classes func(*branch) []string, each func(*document, consent.Edition) (bool, error)) error {
	chunk := mostRows
	if limit > 0 && !anyLoose(all) {
		chunk = min(limit, mostRows)
	} else if limit > 0 {
		chunk = min(limit+spareRows, mostRows)
	}
	var m merged
	for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
		m = append(m, &reader{s: s, all: all, classes: classes, edition: e, after: s.from, chunk: chunk})
	}
	for {
		r, err := m.first(ctx)
		if err != nil || r == nil {
			return err
		}
		d := &r.docs[0]
		r.docs = r.docs[1:]
		ok, err := s.exists(ctx, d, r.edition)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if more, err := each(d, r.edition); err != nil || !more {
			return err
		}
	}
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
	edition consent.Edition
	after   []byte
	chunk   int
	docs    []document
	ended   bool
}

func (r *reader) fill(ctx context.Context) error {
	if len(r.docs) > 0 || r.ended {
		return nil
	}
	f, hint := r.s.filter(r.all, r.edition, r.after, r.classes)
	if f == nil {
		r.ended = true
		return nil
	}
	in, err := r.s.v.within(ctx)
	if err != nil {
		return err
	}
	o := options.Find().SetHint(hint).SetSort(is("n", 1)).SetProjection(bare()).SetLimit(int64(r.chunk)).SetBatchSize(int32(r.chunk) + 1) //nolint:gosec // small
	if r.docs, err = find(in, r.s.v.db.collection(collectionOf(r.edition)), f, o); err != nil {
		return err
	}
	if r.ended = len(r.docs) < r.chunk; !r.ended {
		r.after = r.docs[len(r.docs)-1].N
	}
	return nil
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

// find reads all that a filter holds for.
func find(in context.Context, coll *driver.Collection, f bson.D, o *options.FindOptionsBuilder) ([]document, error) {
	cur, err := coll.Find(in, f, o)
	if err != nil {
		return nil, clean(err)
	}
	var all []document
	return all, clean(cur.All(in, &all))
}

// place is a position in the order of a query: the sort values of the last
// resource given, and its position.
type place struct {
	set  bool
	keys []sortValue
	n    []byte
}

// sortValue is the value of one sort key; a resource may have none.
type sortValue struct {
	has   bool
	value []byte
}

const placeForm = 1

func (p place) append(dst []byte) []byte {
	dst = append(dst, placeForm)
	for _, k := range p.keys {
		if !k.has {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(append(dst, 1), uint64(len(k.value))), k.value...)
	}
	return append(dst, p.n...)
}

func readPlace(b []byte, keys int) (place, error) {
	if len(b) == 0 {
		return place{}, nil
	}
	if b[0] != placeForm {
		return place{}, store.ErrBadCursor
	}
	p := place{set: true}
	b = b[1:]
	for range keys {
		if len(b) == 0 || b[0] > 1 {
			return place{}, store.ErrBadCursor
		}
		has := b[0] == 1
		if b = b[1:]; !has {
			p.keys = append(p.keys, sortValue{})
			continue
		}
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return place{}, store.ErrBadCursor
		}
		end := size + int(n) //nolint:gosec // within b
		p.keys = append(p.keys, sortValue{has: true, value: b[size:end]})
		b = b[end:]
	}
	if len(b) != 2*stretchSize && len(b) != eventPosition {
		return place{}, store.ErrBadCursor
	}
	p.n = b
	return p, nil
}
