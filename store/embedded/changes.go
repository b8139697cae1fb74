package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// changed files a new version of the full edition among the changes of its type,
// and notes with the one before when it was replaced. The other edition has no
// history but that of its resource.
func (x *tx) changed(c *change, e consent.Edition, old *was, h *header) error {
	if e != consent.EditionFull {
		return nil
	}
	if old.found {
		if err := x.change(c, &old.head, h.updated); err != nil {
			return err
		}
	}
	return x.change(c, h, time.Time{})
}

// change files one version; replaced is zero of the current one.
func (x *tx) change(c *change, h *header, replaced time.Time) error {
	var value []byte
	if !replaced.IsZero() {
		value = binary.BigEndian.AppendUint64(nil, uint64(replaced.UnixMilli())) //nolint:gosec // after 1970
	}
	return x.batch.Set(keyChange(x.scratch.key[:0], c.t, h.updated.UnixMilli(), c.head.id, h.count), value, nil)
}

// Changes walks along the changes of every type at once.
func (v *view) Changes(ctx context.Context, u *consent.Universe, q store.ChangesRequest) (store.ChangesPage, error) {
	w := changesWalk{view: v, u: u, q: &q, budget: v.db.opt.ScanBudget}
	if err := w.open(); err != nil {
		return store.ChangesPage{}, errors.Join(err, w.close())
	}
	page, err := w.page(ctx)
	return page, errors.Join(err, w.close())
}

// changesWalk is a page of changes under way.
type changesWalk struct {
	*view
	u      *consent.Universe
	q      *store.ChangesRequest
	lanes  []*lane
	budget int
}

// lane are the changes of one type. at is the one on which it stands.
type lane struct {
	name     fhir.ResourceType
	t        typeNumber
	it       *pebble.Iterator
	live     bool
	at       store.Change
	replaced int64 // zero of a current version
}

// open puts every lane on the first change that is wanted.
func (w *changesWalk) open() error {
	var behind store.Change
	if len(w.q.After) > 0 {
		var err error
		if behind, err = store.ReadChange(w.q.After); err != nil {
			return err
		}
	}
	for _, name := range w.q.Types {
		t, ok := w.typeNumber(name)
		if !ok || name == typeAuditEvent {
			continue
		}
		prefix := prefixChanges(nil, t)
		upper := after(prefix)
		if oldest := w.q.Oldest(); oldest > 0 {
			upper = keyChangesAt(nil, t, oldest-1)
		}
		it, err := w.src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
		if err != nil {
			return err
		}
		l := &lane{name: name, t: t, it: it}
		w.lanes = append(w.lanes, l)
		if err := l.stand(it.SeekGE(w.start(l, behind))); err != nil {
			return err
		}
	}
	return nil
}

// start is the key at which a lane begins: behind the place after, and within the
// time that is asked for.
func (w *changesWalk) start(l *lane, after store.Change) []byte {
	first := prefixChanges(nil, l.t)
	if _, until, ok := w.q.Window(); ok {
		first = keyChangesAt(nil, l.t, until-1)
	}
	if after.ID == "" {
		return first
	}
	var behind []byte
	switch {
	case l.name < after.Type:
		behind = keyChangesAt(nil, l.t, after.At-1)
	case l.name > after.Type:
		behind = keyChangesAt(nil, l.t, after.At)
	default:
		behind = append(keyChange(nil, l.t, after.At, after.ID, after.Count), 0)
	}
	if bytes.Compare(behind, first) > 0 {
		return behind
	}
	return first
}

var errChange = errors.New("malformed change")

// stand reads where the lane stands; live says whether it stands anywhere.
func (l *lane) stand(live bool) error {
	l.live = live
	if !live {
		return l.it.Error()
	}
	const before = 1 + 2 + 8
	key := l.it.Key()
	if len(key) < before+9 || key[len(key)-9] != 0 {
		return errChange
	}
	l.at = store.Change{
		At:   int64(^binary.BigEndian.Uint64(key[3:])), //nolint:gosec // as it was written
		Type: l.name, ID: string(key[before : len(key)-9]),
		Count: ^binary.BigEndian.Uint64(key[len(key)-8:]),
	}
	value, err := l.it.ValueAndErr()
	l.replaced = 0
	if len(value) == 8 {
		l.replaced = int64(binary.BigEndian.Uint64(value)) //nolint:gosec // as it was written
	}
	return err
}

// first is the lane whose change comes first; nil at the end.
func (w *changesWalk) first() *lane {
	var best *lane
	for _, l := range w.lanes {
		if l.live && (best == nil || l.at.Compare(best.at) < 0) {
			best = l
		}
	}
	return best
}

func (w *changesWalk) page(ctx context.Context) (store.ChangesPage, error) {
	var page store.ChangesPage
	var last store.Change
	for l := w.first(); l != nil; l = w.first() {
		if w.budget--; w.budget < 0 {
			return store.ChangesPage{}, store.ErrTooCostly
		}
		f, ok, err := w.found(ctx, l)
		if err != nil {
			return store.ChangesPage{}, err
		}
		if ok && len(page.Found) >= w.q.Limit {
			if len(page.Found) > 0 {
				page.Next = last.Append(nil)
			}
			return page, nil
		}
		if ok {
			page.Found, last = append(page.Found, f), l.at
		}
		if err := l.stand(l.it.Next()); err != nil {
			return store.ChangesPage{}, err
		}
	}
	return page, nil
}

// found is the version on which the lane stands; ok is false when it is not
// wanted or not admitted.
func (w *changesWalk) found(ctx context.Context, l *lane) (f store.Found, ok bool, err error) {
	from, _, window := w.q.Window()
	before := window && l.at.At < from
	if before && l.replaced != 0 && l.replaced <= from {
		return f, false, nil
	}
	p, err := w.admit(ctx, w.u, l.name, l.at.ID)
	if errors.Is(err, store.ErrNotFound) {
		return f, false, nil
	}
	if err != nil {
		return f, false, err
	}
	defer p.closer.Close()
	if p.edition != consent.EditionFull {
		return f, false, nil
	}
	if p.head.count == l.at.Count {
		if before && p.head.deleted {
			return f, false, nil
		}
		f, err = w.view.found(&p.head, p.edition, p.body)
		return f, err == nil, err
	}
	return w.former(ctx, &p, l.at.Count, before)
}

// former is a former version, as it was then.
func (w *changesWalk) former(ctx context.Context, p *place, count uint64, before bool) (f store.Found, ok bool, err error) {
	raw, closer, err := w.src.Get(keyVersion(nil, p.n.sequence(), p.edition, count))
	if err != nil {
		return f, false, fmt.Errorf("former version: %w", err)
	}
	defer closer.Close()
	var h header
	body, err := cutHeader(&h, p.head.row.Type, raw, nil)
	if err != nil || before && h.deleted {
		return f, false, err
	}
	f, missing, err := w.formerFound(ctx, w.u, p, &h, body)
	return f, err == nil && missing == nil, err
}

func (w *changesWalk) close() error {
	var err error
	for _, l := range w.lanes {
		err = errors.Join(err, l.it.Close())
	}
	return err
}
