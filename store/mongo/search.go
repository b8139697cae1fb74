package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// searching is one page under way, or a step that leads to it.
type searching struct {
	v   *view
	u   *consent.Universe
	q   *search.Query
	p   store.PageRequest
	ask *asking
	// inner says that it is a step.
	inner bool
	// clauses are what the servers are asked, and residual what is examined where
	// the documents are: of a clause that says both, the servers are asked what
	// is necessary for it.
	clauses  []condition
	residual []search.Clause
	never    bool // a clause that nothing satisfies
	// fields are those of the documents that are read.
	fields bson.D
	from   []byte // the position behind which an unsorted page begins
	weight int    // of the alternatives of the query
	spent  int    // of weight, over all patients
	// candidates are the patients of whom it is known whether they are some.
	candidates map[string]bool
}

// Search returns one page of what matches within the universe: by position, or
// as the query sorts.
func (v *view) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	if _, err := v.within(ctx); err != nil {
		return store.Page{}, err
	}
	s := searching{v: v, u: u, q: q, p: p, ask: &asking{budget: v.db.opt.ScanBudget}}
	if p.Explain {
		s.ask.plan = &[]string{}
	}
	page, err := s.fromEither(func() (store.Page, error) { return s.page(ctx) })
	if err != nil {
		return store.Page{}, v.forgotten(err)
	}
	if p.Explain {
		page.Plan = *s.ask.plan
	}
	return page, nil
}

func (s *searching) page(ctx context.Context) (store.Page, error) {
	if s.q.Type == typeAuditEvent {
		return s.eventPage(ctx)
	}
	if len(s.q.Sort) > 0 {
		after, err := s.position()
		if err != nil {
			return store.Page{}, err
		}
		if err := s.understand(ctx); err != nil {
			return store.Page{}, err
		}
		return s.sorted(ctx, after)
	}
	after, err := readPlace(s.p.After, 2*stretchSize)
	if err != nil {
		return store.Page{}, err
	}
	if err := s.understand(ctx); err != nil {
		return store.Page{}, err
	}
	return s.inOrder(ctx, after)
}

// position is where a page of a query that sorts begins; nil for the first.
func (s *searching) position() (*store.Position, error) {
	if len(s.p.After) == 0 {
		return nil, nil //nolint:nilnil // the beginning
	}
	after, err := store.ReadPosition(s.p.After, len(s.q.Sort))
	return &after, err
}

// understand finds out where joins lead, and parts the clauses between the
// servers and this process.
func (s *searching) understand(ctx context.Context) error {
	if err := s.lead(ctx, s.q.Clauses); err != nil {
		return err
	}
	s.serve(s.q.Clauses)
	s.told()
	if s.weight > mostWeight {
		return store.ErrTooCostly
	}
	return nil
}

// inOrder is a page in the order of positions.
func (s *searching) inOrder(ctx context.Context, after []byte) (store.Page, error) {
	page := store.Page{Total: -1}
	s.from, s.fields = after, s.content()
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
		page.Next = placeOf(last)
	}
	if !s.p.Count {
		return page, nil
	}
	if !more && len(after) == 0 && s.p.Limit > 0 {
		page.Total = len(page.Found)
		return page, nil
	}
	var err error
	s.from = nil
	if page.Total, err = s.count(ctx); err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// count counts all matches, whatever the page: on the servers, but for loose
// rows and for what they were not asked.
func (s *searching) count(ctx context.Context) (int, error) {
	total := 0
	s.ask.budget, s.spent, s.fields = s.v.db.opt.ScanBudget, 0, s.lean(0)
	err := s.batches(ctx, func(all []branch) (bool, error) {
		rest := (*branch).all
		if len(s.residual) == 0 {
			rest = (*branch).onlyLoose
			for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
				n, err := s.countClassed(ctx, all, e)
				if err != nil {
					return false, err
				}
				total += n
			}
		}
		err := s.streamOf(ctx, all, 0, rest, func(*document, consent.Edition) (bool, error) {
			total++
			return total <= s.v.db.opt.ScanBudget, nil
		})
		if err == nil && total > s.v.db.opt.ScanBudget {
			err = store.ErrTooCostly
		}
		return true, err
	})
	return total, err
}

func (s *searching) countClassed(ctx context.Context, all []branch, e consent.Edition) (int, error) {
	f, hint := s.filter(all, s.clauses, e, nil, func(b *branch) []string { return b.classes })
	if f == nil {
		return 0, nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return 0, err
	}
	cur, err := s.v.db.collection(collectionOf(e)).Aggregate(in, bson.A{
		is("$match", f), is("$limit", s.v.db.opt.ScanBudget+1), is("$count", "n"),
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

// find reads all that a filter holds for.
func find(in context.Context, coll *driver.Collection, f bson.D, o *options.FindOptionsBuilder) ([]document, error) {
	cur, err := coll.Find(in, f, o)
	if err != nil {
		return nil, clean(err)
	}
	var all []document
	return all, clean(cur.All(in, &all))
}

const placeForm = 1

// placeOf is the place behind a position in the store's own order.
func placeOf(n []byte) []byte { return append([]byte{placeForm}, n...) }

// readPlace is the position, of a size, that placeOf wrote; nil for the first page.
func readPlace(b []byte, size int) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != placeForm || len(b) != 1+size {
		return nil, store.ErrBadCursor
	}
	return b[1:], nil
}
