package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// Read returns the current version in the edition admitted.
func (v *view) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	p, err := v.admit(ctx, u, t, id)
	if err != nil {
		return store.Found{}, err
	}
	defer p.closer.Close()
	if p.head.deleted {
		return store.Found{}, store.ErrGone
	}
	if p.kept {
		return store.Found{Resource: p.head.resource(p.body), Row: p.head.row, Edition: p.edition}, nil
	}
	return v.found(&p.head, p.edition, p.body)
}

// place is the current version of a row that was admitted. body is the engine's
// until closer is closed.
type place struct {
	t       typeNumber
	n       number
	head    header
	edition consent.Edition
	body    []byte
	closer  io.Closer
	kept    bool // it is shared and stays as it is
}

// admit finds the current version of a row in the edition admitted; a row that
// is not admitted is not found.
func (v *view) admit(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (place, error) {
	p, err := v.locate(t, id)
	if err != nil {
		return place{}, err
	}
	p.edition, err = u.Admit(ctx, p.head.row)
	if err == nil && p.edition == consent.EditionFull {
		return p, nil
	}
	_ = p.closer.Close()
	switch {
	case err != nil:
		return place{}, err
	case p.edition == 0:
		return place{}, store.ErrNotFound // as if it were absent
	default:
		return v.current(p.edition, t, p.t, p.n)
	}
}

// locate finds the full edition of a row.
func (v *view) locate(t fhir.ResourceType, id string) (place, error) {
	n, ok := v.typeNumber(t)
	if !ok {
		return place{}, store.ErrNotFound
	}
	if v.kept != nil {
		if r := v.kept.get(n, id, v.commit); r != nil {
			return r.place(n), nil
		}
	}
	at, ok, err := v.numberOf(t, n, id)
	if err != nil {
		return place{}, err
	}
	if !ok {
		return place{}, store.ErrNotFound
	}
	p, err := v.current(consent.EditionFull, t, n, at)
	if err != nil || v.kept == nil || t == typeAuditEvent {
		return p, err
	}
	if r := v.kept.put(n, &p, v.commit); r != nil {
		return r.place(n), p.closer.Close()
	}
	return p, nil
}

// place is the row as one that was located.
func (r *keptRow) place(t typeNumber) place {
	return place{t: t, n: r.n, head: r.head, edition: consent.EditionFull, body: r.body, closer: noCloser{}, kept: true}
}

// current reads the current version of an edition by number.
func (v *view) current(e consent.Edition, t fhir.ResourceType, tn typeNumber, n number) (place, error) {
	if t == typeAuditEvent {
		return v.event(e, tn, n)
	}
	p := place{t: tn, n: n, edition: e}
	raw, closer, err := v.src.Get(keyCurrent(make([]byte, 0, 16), e, tn, n))
	if errors.Is(err, pebble.ErrNotFound) {
		return place{}, store.ErrNotFound
	}
	if err != nil {
		return place{}, err
	}
	p.closer = closer
	if p.body, err = cutHeader(&p.head, t, raw, nil); err != nil {
		return place{}, errors.Join(err, closer.Close())
	}
	return p, nil
}

func (v *view) typeNumber(t fhir.ResourceType) (typeNumber, bool) {
	if n, ok := v.db.typeNumber(t); ok {
		return n, true
	}
	if x, ok := v.src.(*tx); ok {
		n, ok := x.types[t]
		return n, ok
	}
	return 0, false
}

// resource is the envelope of the version.
func (h *header) resource(json []byte) fhir.Resource {
	return fhir.Resource{Type: h.row.Type, ID: h.id, Version: h.version, Updated: h.updated, JSON: json, Deleted: h.deleted}
}

// found makes the answer from a header and the bytes behind it, which it
// copies.
func (v *view) found(h *header, e consent.Edition, body []byte) (store.Found, error) {
	if h.event {
		return foundEvent(body, e)
	}
	f := store.Found{Resource: h.resource(nil), Row: h.row, Edition: e}
	f.Patients, f.Labels = slices.Clone(h.row.Patients), slices.Clone(h.row.Labels)
	if !h.deleted {
		f.JSON = bytes.Clone(body)
	}
	return f, nil
}

// Version returns one version of the edition admitted. A former version must be
// admitted by what it was, too: it may have belonged to somebody else.
func (v *view) Version(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id, version string) (store.Found, error) {
	p, err := v.admit(ctx, u, t, id)
	if err != nil {
		return store.Found{}, err
	}
	defer p.closer.Close()
	if p.head.version == version {
		return v.found(&p.head, p.edition, p.body)
	}
	if f, ok, err := v.guess(ctx, u, &p, version); ok || err != nil {
		return f, err
	}
	var out store.Found
	missing := store.ErrNotFound
	err = v.former(&p, 0, func(h *header, body []byte) (bool, error) {
		if h.version != version {
			return true, nil
		}
		var err error
		if out, missing, err = v.formerFound(ctx, u, &p, h, body); err != nil {
			return false, err
		}
		return false, nil
	})
	if err == nil {
		err = missing
	}
	return out, err
}

// formerFound admits a former version and makes the answer; missing is set when
// it is not admitted.
func (v *view) formerFound(ctx context.Context, u *consent.Universe, p *place, h *header, body []byte) (f store.Found, missing, err error) {
	e, err := u.Admit(ctx, h.row)
	if err != nil {
		return store.Found{}, nil, err
	}
	if e != p.edition {
		return store.Found{}, store.ErrNotFound, nil
	}
	f, err = v.found(h, e, body)
	return f, nil, err
}

// guess looks for a version under the count its name ends in, which is where it
// nearly always is.
func (v *view) guess(ctx context.Context, u *consent.Universe, p *place, version string) (f store.Found, ok bool, err error) {
	digits := version[len(strings.TrimRight(version, "0123456789")):]
	count, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return store.Found{}, false, nil //nolint:nilerr // no number, no guess
	}
	raw, closer, err := v.src.Get(keyVersion(nil, p.n.sequence(), p.edition, count))
	if errors.Is(err, pebble.ErrNotFound) {
		return store.Found{}, false, nil
	}
	if err != nil {
		return store.Found{}, false, err
	}
	defer closer.Close()
	var h header
	body, err := cutHeader(&h, p.head.row.Type, raw, nil)
	if err != nil || h.version != version {
		return store.Found{}, false, err
	}
	f, missing, err := v.formerFound(ctx, u, p, &h, body)
	if err == nil {
		err = missing
	}
	return f, true, err
}

// former walks the former versions of a row in the edition of p, newest first,
// from the one before count; zero starts at the newest. What it hands out is the
// engine's.
func (v *view) former(p *place, count uint64, each func(h *header, body []byte) (bool, error)) error {
	prefix := prefixVersions(nil, p.n.sequence(), p.edition)
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	start := prefix
	if count > 0 {
		start = keyVersion(nil, p.n.sequence(), p.edition, count-1)
	}
	var h header
	for ok := it.SeekGE(start); ok; ok = it.Next() {
		body, err := cutHeader(&h, p.head.row.Type, it.Value(), nil)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		more, err := each(&h, body)
		if err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// newestVersion is the count of the newest former version; zero without one.
func newestVersion(src source, sequence uint64, e consent.Edition) (uint64, error) {
	prefix := prefixVersions(nil, sequence, e)
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	var count uint64
	if it.First() {
		count = ^binary.BigEndian.Uint64(it.Key()[len(prefix):])
	}
	return count, errors.Join(it.Error(), it.Close())
}

// History returns versions of the edition admitted, newest first. The position
// is the count of the last version given.
func (v *view) History(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, limit int, after []byte) (versions []store.Found, next []byte, total int, err error) {
	before, err := historyPosition(after)
	if err != nil {
		return nil, nil, 0, err
	}
	p, err := v.admit(ctx, u, t, id)
	if err != nil {
		return nil, nil, 0, err
	}
	defer p.closer.Close()
	g := gathering{limit: limit, before: before}
	if err := g.take(v, &p.head, p.edition, p.body); err != nil {
		return nil, nil, 0, err
	}
	err = v.former(&p, 0, func(h *header, body []byte) (bool, error) {
		e, err := u.Admit(ctx, h.row)
		if err != nil || e != p.edition {
			return err == nil, err
		}
		return true, g.take(v, h, e, body)
	})
	if err != nil {
		return nil, nil, 0, err
	}
	if g.more && len(g.found) > 0 {
		next = binary.AppendUvarint(nil, g.last)
	}
	return g.found, next, g.total, nil
}

// gathering is a page of a history.
type gathering struct {
	limit  int
	before uint64 // zero: from the newest
	found  []store.Found
	last   uint64
	total  int
	more   bool
}

func (g *gathering) take(v *view, h *header, e consent.Edition, body []byte) error {
	g.total++
	if g.before != 0 && h.count >= g.before {
		return nil
	}
	if len(g.found) >= g.limit {
		g.more = true
		return nil
	}
	f, err := v.found(h, e, body)
	g.found, g.last = append(g.found, f), h.count
	return err
}

func historyPosition(after []byte) (uint64, error) {
	if len(after) == 0 {
		return 0, nil
	}
	before, n := binary.Uvarint(after)
	if n != len(after) || before == 0 {
		return 0, store.ErrBadCursor
	}
	return before, nil
}
