package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/patch"
	"vitrine/fhir/search"
	"vitrine/store"
)

// patching is a patch, or another change of a resource on file, on its way to the one
// resource it is for. It is worked out before the commit that needs it: what a client
// may make long must not hold up the store's one writer. Where another write has come
// in between it is begun anew.
type patching struct {
	// change is the resource as it becomes, for so much work (patch.Limits).
	change func(t *fhir.Tape, work int) ([]byte, error)
	typ    fhir.ResourceType
	// id is that of the resource; empty when the condition finds it.
	id      string
	query   *search.Query
	ifMatch string
	// linked puts what the links of a transaction mean into what comes out; nil
	// for a patch by itself.
	linked func(context.Context, *visit, Content) (linked Content, leads bool, err error)
	// entry is the number of the entry, from one; zero by itself.
	entry int
	// draft is what comes out of the version of the resource, or problem says why
	// nothing does. The zero version is none.
	of, version string
	draft       *draft
	problem     error
	// reads is what the gates say to a reading of the type by the same caller.
	reads consent.Verdict
	// last says that it is not begun anew once more.
	last bool
	// leads says that what comes out refers to other entries of the transaction, so
	// that it depends on what became of these.
	leads bool
}

// errStale says that what was worked out before a commit is of a version that is not
// the current one any more.
var errStale = fmt.Errorf("%w: another version was changed", ErrConflict)

// attempts is how often a change that others come before is begun anew.
const attempts = 4

// anew does something until others do not come before it. The last time what is small
// is worked out within the commit, before which nobody comes; what is not is refused
// (409).
func anew(do func(last bool) (Released, error)) (out Released, err error) {
	for n := range attempts {
		if out, err = do(n == attempts-1); !errors.Is(err, errStale) {
			return out, err
		}
	}
	return Released{}, ErrConflict
}

// applying is what a document of a patch makes.
func (g *Gate) applying(doc *patch.Document) func(*fhir.Tape, int) ([]byte, error) {
	return func(t *fhir.Tape, work int) ([]byte, error) {
		return doc.Apply(t, patch.Limits{Size: g.cfg.MaxBody, Work: work})
	}
}

// Patch answers R4 http.html#patch. ifMatch is the version required; empty for
// any.
func (g *Gate) Patch(ctx context.Context, req *Request, t fhir.ResourceType, id string, doc *patch.Document, ifMatch string) (Released, error) {
	return g.change(ctx, req, patching{change: g.applying(doc), typ: t, id: id, ifMatch: ifMatch})
}

// PatchWhere answers R4 http.html#patch with a condition in place of the id.
func (g *Gate) PatchWhere(ctx context.Context, req *Request, q *search.Query, doc *patch.Document, ifMatch string) (Released, error) {
	return g.change(ctx, req, patching{change: g.applying(doc), typ: q.Type, query: q, ifMatch: ifMatch})
}

func (g *Gate) change(ctx context.Context, req *Request, p patching) (Released, error) {
	return anew(func(last bool) (Released, error) {
		again := p
		again.last = last
		return g.changeOnce(ctx, req, &again)
	})
}

func (g *Gate) changeOnce(ctx context.Context, req *Request, p *patching) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if err := v.writable(ctx, p.typ); err != nil {
		return Released{}, err
	}
	if p.reads, err = v.verdict(ctx, Interaction{Code: "read", Letter: 'r'}, p.typ); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v.foreseePatch(ctx, p)
	return v.commit(ctx, func(w *writing) (Released, error) {
		item, err := w.patch(ctx, p)
		return Released{items: []Item{item}, total: -1}, err
	})
}

// foreseePatch works the patch out on the version that is current now, so that the
// store's one writer is not held up by it. What goes wrong is said by the commit.
func (v *visit) foreseePatch(ctx context.Context, p *patching) {
	early := *v
	if prior, err := early.patched(ctx, p); err == nil {
		p.of, p.version = prior.ID, prior.Version
		p.draft, p.problem = early.revised(ctx, p, prior, 0)
	}
}

// patched is the current version of what the patch is for: of what the caller may
// address, and nothing else. A test in a patch asks about no other resource
// (ACCESS §4).
func (v *visit) patched(ctx context.Context, p *patching) (*store.Found, error) {
	id := p.id
	if p.query != nil {
		f, ok, err := v.only(ctx, p.query)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, ErrNotFound
		}
		id = f.ID
	}
	if !fhir.ValidID(id) {
		return nil, ErrNotFound
	}
	prior, err := v.addressed(ctx, p.typ, id)
	switch {
	case err != nil:
		return nil, err
	case prior.Deleted:
		return nil, ErrGone
	case p.ifMatch != "" && prior.Version != p.ifMatch:
		return nil, ErrPrecondition
	}
	return prior, nil
}

// What is worked out within a commit holds up all others: so many patches of one
// transaction, of resources of so many bytes, and so much work for each.
const (
	lateMost  = 64
	lateBytes = 64 << 10
	lateWork  = 2 << 20
)

// revise holds the draft against the version that is current, and makes it anew where
// it says what became of other entries.
func (w *writing) revise(ctx context.Context, p *patching, prior *store.Found) error {
	stale := p.of != prior.ID || p.version != prior.Version
	if !p.leads && !stale {
		return nil
	}
	w.late++
	small := w.late <= lateMost && len(prior.JSON) <= lateBytes
	if stale && (!p.last || !small) {
		return errStale
	}
	if !small {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly,
			"patches that refer to other entries of their transaction are for "+strconv.Itoa(lateMost)+" resources, each of 64 KiB at most", "")
	}
	p.draft, p.problem = w.revised(ctx, p, prior, lateWork)
	return nil
}

// revised is the draft of what the patch makes of a version. It is held to all
// that an update is held to; as the client did not send it, what is wrong with it
// has no line, and is no fault of the syntax (RFC 5789 §2.2).
func (v *visit) revised(ctx context.Context, p *patching, prior *store.Found, work int) (*draft, error) {
	c := Content{Tape: new(fhir.Tape)}
	var own []string // not those of what it goes with, which would tell of that
	err := v.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		own = labels(t)
		out, err := p.change(t, work)
		if err != nil {
			return err
		}
		return c.Tape.Parse(out, fhir.Stored())
	})
	if wrong := (*patch.Error)(nil); errors.As(err, &wrong) {
		return nil, &Invalid{Status: http.StatusUnprocessableEntity, Issues: []fhir.Issue{wrong.Issue()}}
	}
	if err != nil {
		return nil, err
	}
	if p.linked != nil {
		if c, p.leads, err = p.linked(ctx, v, c); err != nil {
			p.leads = true // what it leads to may yet come
			return nil, err
		}
	}
	c.labels = own
	d, err := v.acceptable(ctx, p.typ, c)
	if invalid := (*Invalid)(nil); errors.As(err, &invalid) && invalid.Status == http.StatusBadRequest {
		issues := make([]fhir.Issue, len(invalid.Issues))
		for i, issue := range invalid.Issues {
			issue.Line, issue.Column = 0, 0
			issues[i] = issue
		}
		return nil, &Invalid{Status: http.StatusUnprocessableEntity, Issues: issues}
	}
	if err != nil {
		return nil, err
	}
	d.id = prior.ID
	return d, v.makeBasic(d)
}

// patch stores what the patch makes of the newest version.
func (w *writing) patch(ctx context.Context, p *patching) (Item, error) {
	prior, err := w.patched(ctx, p)
	if err != nil {
		return Item{}, err
	}
	if err := w.revise(ctx, p, prior); err != nil {
		return Item{}, err
	}
	if p.problem != nil {
		return Item{}, p.problem
	}
	d := *p.draft // the commit may be run again
	d.entry = p.entry
	same, err := w.same(&d, prior)
	if err != nil {
		return Item{}, err
	}
	if same {
		w.note(prior.Patients, versioned(prior.Resource))
		return w.shown(ctx, p, prior.Resource, prior.Row)
	}
	r, err := w.put(ctx, &d, prior)
	if err != nil {
		return Item{}, err
	}
	return w.shown(ctx, p, r, w.rows[string(r.Type)+"/"+r.ID])
}

// shown is the answer to a patch. What it leaves is more than what the client
// sent, and to write is no right to read: the resource comes back to who could
// read it, at that moment.
func (w *writing) shown(ctx context.Context, p *patching, r fhir.Resource, row consent.Row) (Item, error) {
	item := Item{Resource: r, Status: http.StatusOK}
	item.Resource.JSON = nil
	if !p.reads.Admitted || w.opens('r', r.Type).narrowed {
		return item, nil
	}
	writes := w.caller.Confined
	w.caller.Confined = p.reads.Confined
	defer func() { w.caller.Confined = writes }()
	u, err := w.instance(ctx)
	if err != nil {
		return item, err
	}
	edition, err := u.Admit(ctx, row)
	if err != nil || edition != consent.EditionFull {
		return item, err
	}
	item.Resource.JSON = r.JSON
	return item, w.saw(ctx, u, row.Patients)
}

// patchAll does the patches of a transaction, after everything that they may refer
// to is written (R4 http.html#trules).
func (w *writing) patchAll(ctx context.Context, p *plan, items []Item) error {
	for i := range p.steps {
		s := &p.steps[i]
		if !s.is("patch") {
			continue
		}
		w.caller.Confined = s.confined
		if s.found == nil && s.condition() != nil {
			return &EntryError{Index: i, Err: ErrNotFound}
		}
		if s.patching == nil || s.patching.id != s.id && !p.last {
			return errStale
		}
		one := *s.patching // the commit may be run again
		one.id, one.last = s.id, p.last
		one.linked = func(ctx context.Context, v *visit, c Content) (Content, bool, error) {
			return v.linked(ctx, p, s, items, c)
		}
		var err error
		if one.reads, err = w.verdict(ctx, Interaction{Code: "read", Letter: 'r'}, s.entry.Type); err == nil {
			items[i], err = w.patch(ctx, &one)
		}
		if errors.Is(err, errStale) {
			return err
		}
		if err != nil {
			return &EntryError{Index: i, Err: err}
		}
	}
	return nil
}

// linked is what a patch makes, with the links to other entries in it replaced.
// Most of it was on file before, so of the addresses by which entries name each
// other only those count that cannot mean anything else.
func (v *visit) linked(ctx context.Context, p *plan, s *step, items []Item, c Content) (linked Content, leads bool, err error) {
	now := &plan{steps: slices.Clone(p.steps), versioned: map[int]bool{}, meant: map[string]string{}}
	now.names.whole = map[string]int{}
	for full, to := range p.names.whole {
		if strings.HasPrefix(full, "urn:") {
			now.names.whole[full] = to
		}
	}
	for i := range items {
		if made := items[i].Resource.Version; made != "" {
			now.steps[i].version = made
		}
	}
	entry := *s.entry
	entry.Content, entry.FullURL = c, ""
	within := step{index: s.index, entry: &entry}
	c, err = v.rewritten(ctx, now, &within)
	leads = len(within.links) > 0 || len(within.asks) > 0
	if err == nil && within.open {
		err = errUnresolved()
	}
	return c, leads, err
}

// foreseePatches works out the patches of a transaction.
func (v *visit) foreseePatches(ctx context.Context, p *plan) {
	for i := range p.steps {
		s := &p.steps[i]
		if !s.is("patch") {
			continue
		}
		v.caller.Confined = s.confined
		s.patching = &patching{change: v.g.applying(s.entry.Patch), typ: s.entry.Type, id: s.id, ifMatch: s.entry.IfMatch, entry: i + 1}
		s.patching.linked = func(ctx context.Context, v *visit, c Content) (Content, bool, error) {
			return v.linked(ctx, p, s, nil, c)
		}
		v.foreseePatch(ctx, s.patching)
	}
}
