package embedded

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

const (
	// knownMost bounds what is remembered of one join; beyond it all is forgotten.
	knownMost = 1 << 14
	// readingCost is what it costs to read the content of a row, in rows.
	readingCost = 8
)

// others are the resources that a search asks about besides those it finds: what
// they refer to, and what refers to them. They are admitted in the same universe
// before anything else is asked of them.
type others struct {
	view   *view
	u      *consent.Universe
	budget *int
	owners map[ownersKey]*owners
	joins  map[*search.Join]*joined
	// content is that of the row last read.
	content fhir.Tape
	of      contentKey
}

type ownersKey struct {
	t typeNumber
	e consent.Edition
}

type contentKey struct {
	ownersKey
	n number
}

// joined is what is known of one join.
type joined struct {
	// answers are by what names the other side: the value of a reference, or the
	// id of what is referred to.
	answers map[string]bool
	// whole says that what is not among the answers does not satisfy the join.
	whole  bool
	names  [][]byte // that satisfy it, once they are known as a whole
	tried  int      // the effort that was not enough for that
	probes []*probe
	begun  bool
}

func newOthers(v *view, u *consent.Universe, budget *int) *others {
	return &others{view: v, u: u, budget: budget}
}

func (o *others) close() error {
	var err error
	for _, own := range o.owners {
		err = errors.Join(err, own.patient.close())
	}
	for _, g := range o.joins {
		for _, p := range g.probes {
			err = errors.Join(err, p.close())
		}
	}
	o.owners, o.joins = nil, nil
	return err
}

func (o *others) joined(j *search.Join) *joined {
	g := o.joins[j]
	if g == nil {
		if o.joins == nil {
			o.joins = map[*search.Join]*joined{}
		}
		g = &joined{answers: map[string]bool{}}
		o.joins[j] = g
	}
	return g
}

func (g *joined) answer(name []byte) (holds, known bool) {
	holds, known = g.answers[string(name)]
	return holds, known || g.whole
}

func (g *joined) learn(name []byte, holds bool) {
	if len(g.answers) >= knownMost {
		clear(g.answers)
	}
	g.answers[string(name)] = holds
}

// charge takes the price of so many rows from the budget.
func (o *others) charge(rows int) error {
	if *o.budget -= rows; *o.budget < 0 {
		return store.ErrTooCostly
	}
	return nil
}

// asked is an admitted row of which something is asked that its entries do not
// answer.
type asked struct {
	ctx     context.Context //nolint:containedctx // for as long as one row is looked at
	others  *others
	t       fhir.ResourceType
	key     contentKey // by the primary number
	id      string
	entries search.Encoded
}

var _ search.Beyond = (*asked)(nil)

// Joined implements search.Beyond.
func (a *asked) Joined(j *search.Join) (bool, error) {
	if j.Reverse {
		return a.referred(j)
	}
	for p, value := range a.entries.All() {
		if p > j.Param {
			break
		}
		if p != j.Param {
			continue
		}
		if holds, err := a.others.refers(a.ctx, j, value); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// refers reports whether the join holds for one that has a reference.
func (o *others) refers(ctx context.Context, j *search.Join, value []byte) (holds bool, err error) {
	g := o.joined(j)
	if holds, known := g.answer(value); known {
		return holds, nil
	}
	if j.By != 0 {
		key, ok := search.CanonicalKey(value)
		if !ok {
			return false, nil
		}
		holds, err = o.exists(ctx, j, search.Match{Param: j.By, Op: search.OpEqual, Key: key})
	} else {
		t, id, ok := search.LocalReference(value)
		if !ok || t != j.Type {
			return false, nil
		}
		holds, err = o.target(ctx, j, id)
	}
	if err == nil {
		g.learn(value, holds)
	}
	return holds, err
}

// referred reports whether the join holds for one that others refer to.
func (a *asked) referred(j *search.Join) (bool, error) {
	if j.By == 0 {
		return a.others.refer(a.ctx, j, search.ReferenceKey(a.t, a.id))
	}
	for p, value := range a.entries.All() {
		if p > j.By {
			break
		}
		if p != j.By {
			continue
		}
		reference, ok := referenceOf(value)
		if !ok {
			continue
		}
		if holds, err := a.others.refer(a.ctx, j, reference); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// referenceOf is the entry of a reference by which a canonical names what has the
// entry of a uri: the way back from search.CanonicalKey.
func referenceOf(uri []byte) (reference []byte, ok bool) {
	if len(uri) < 2 {
		return nil, false
	}
	reference = append(search.ReferenceKey("", "")[:1], uri[1:]...)
	back, ok := search.CanonicalKey(reference)
	return reference, ok && back[0] == uri[0]
}

// refer reports whether something satisfies the join that has the reference.
func (o *others) refer(ctx context.Context, j *search.Join, reference []byte) (bool, error) {
	g := o.joined(j)
	if holds, known := g.answer(reference); known {
		return holds, nil
	}
	holds, err := o.exists(ctx, j, search.Match{Param: j.Param, Op: search.OpEqual, Key: reference})
	if err == nil {
		g.learn(reference, holds)
	}
	return holds, err
}

// target reports whether the resource with an id is in the universe and satisfies
// the join.
func (o *others) target(ctx context.Context, j *search.Join, id string) (bool, error) {
	r, err := o.row(ctx, j.Type, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.closer.Close()
	if err := o.charge(1); err != nil {
		return false, err
	}
	if j.Type == typeAuditEvent && len(j.Clauses) > 0 {
		if r.entries, err = o.view.entriesOfEvent(r.n, r.edition); err != nil {
			return false, err
		}
	}
	return search.AllHold(j.Clauses, r.entries, &asked{
		ctx: ctx, others: o, t: j.Type, id: id, key: contentKey{ownersKey{r.t, r.edition}, r.n}, entries: r.entries,
	})
}

// entered is a row of which the entries were read. They are the engine's until
// closer is closed.
type entered struct {
	place
	entries search.Encoded
}

// row finds the resource with an id in the edition in which it is in the
// universe.
func (o *others) row(ctx context.Context, t fhir.ResourceType, id string) (entered, error) {
	tn, ok := o.view.typeNumber(t)
	if !ok {
		return entered{}, store.ErrNotFound
	}
	n, ok, err := o.view.numberOf(t, tn, id)
	if err != nil {
		return entered{}, err
	}
	if !ok {
		return entered{}, store.ErrNotFound
	}
	r, err := o.view.enter(consent.EditionFull, t, tn, n)
	if err != nil {
		return entered{}, err
	}
	e, err := o.u.Admit(ctx, r.head.row)
	if err == nil && e == consent.EditionBasic {
		_ = r.closer.Close()
		if r, err = o.view.enter(e, t, tn, n); err != nil {
			return entered{}, err
		}
	}
	in := false
	if err == nil && e != 0 && !r.head.deleted {
		in, err = o.reaches(ctx, &r)
	}
	if err == nil && !in {
		err = store.ErrNotFound
	}
	if err != nil {
		_ = r.closer.Close()
		return entered{}, err
	}
	return r, nil
}

// enter reads a row of an edition by number.
func (v *view) enter(e consent.Edition, t fhir.ResourceType, tn typeNumber, n number) (entered, error) {
	if t == typeAuditEvent {
		p, err := v.event(e, tn, n)
		for i := 0; err == nil && i < len(p.head.row.Patients); i++ {
			var at ordinal
			if at, _, err = readOrdinal(v.src, p.head.row.Patients[i]); err == nil {
				p.head.ordinals = append(p.head.ordinals, at)
			}
		}
		return entered{place: p}, err
	}
	r := entered{place: place{t: tn, n: n, edition: e}}
	raw, closer, err := v.src.Get(keyRow(make([]byte, 0, 16), e, tn, n))
	if errors.Is(err, pebble.ErrNotFound) {
		return r, store.ErrNotFound
	}
	if err != nil {
		return r, err
	}
	r.closer = closer
	rest, err := cutHeader(&r.head, t, raw, nil)
	if err != nil {
		return r, errors.Join(err, closer.Close())
	}
	r.entries = rest
	return r, nil
}

// reaches reports whether a row belongs to somebody of whom the universe may have
// rows. Whether it exists was for Universe.Admit to say.
func (o *others) reaches(ctx context.Context, r *entered) (bool, error) {
	k := ownersKey{r.t, r.edition}
	own := o.owners[k]
	if own == nil {
		var err error
		if own, err = o.view.ownersOf(ctx, o.u, r.head.row.Type, r.edition); err != nil {
			return false, err
		}
		if o.owners == nil {
			o.owners = map[ownersKey]*owners{}
		}
		o.owners[k] = own
	}
	for _, n := range r.head.numbers(r.n.sequence()) {
		if at, ok := own.next(n.ordinal()); ok && at == n.ordinal() {
			return true, nil
		}
	}
	return false, nil
}

// Reads implements search.Beyond.
func (a *asked) Reads(r search.Reading) (bool, error) {
	o := a.others
	if o.of != a.key {
		if err := o.charge(readingCost); err != nil {
			return false, err
		}
		o.of = contentKey{}
		p, err := o.view.current(a.key.e, a.t, a.key.t, a.key.n)
		if err != nil {
			return false, err
		}
		f, err := o.view.found(&p.head, a.key.e, p.body)
		if err := errors.Join(err, p.closer.Close()); err != nil {
			return false, err
		}
		if err := o.content.Parse(f.JSON, fhir.Stored()); err != nil {
			return false, err
		}
		o.of = a.key
	}
	return r.Holds(&o.content), nil
}
