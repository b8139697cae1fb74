package gate

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Create answers R4 http.html#create. cond is If-None-Exist, or nil.
func (g *Gate) Create(ctx context.Context, req *Request, c Content, cond *search.Query) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	d, err := v.acceptable(ctx, req.Type, c)
	if err != nil {
		return Released{}, err
	}
	if err := v.ready(d, newID()); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v.begin()
	return v.commit(ctx, func(w *writing) (Released, error) {
		item, created, err := w.create(ctx, d, cond)
		return Released{items: []Item{item}, total: -1, created: created, issues: d.noticed}, err
	})
}

// newID is the id of a new resource: 130 random bits.
func newID() string { return strings.ToLower(rand.Text()) }

// create stores a new resource unless the condition finds one.
func (w *writing) create(ctx context.Context, d *draft, cond *search.Query) (item Item, created bool, err error) {
	if cond != nil {
		f, ok, err := w.only(ctx, cond)
		if err != nil || ok {
			return w.already(f), false, err
		}
	}
	r, err := w.put(ctx, d, nil)
	return Item{Resource: r, Status: http.StatusCreated}, true, err
}

// already is the answer when a conditional create finds what it asked for: which
// it is, and nothing of what is in it, since to write is no right to read. The
// custodian, who may read it anyway, gets it.
func (w *writing) already(f store.Found) Item {
	w.note(f.Patients, versioned(f.Resource))
	if reads, _ := w.caller.Scopes.Allows('r', f.Resource.Type); !reads || w.caller.Kind != consent.Custodian {
		f.JSON = nil
	}
	return Item{Resource: f.Resource, Status: http.StatusOK}
}

// Absent is no version: as the one that an update requires it says that there must
// be none (If-None-Match: *, RFC 9110 §13.1.2).
const Absent = "*"

// Update answers R4 http.html#update. ifMatch is the version required; empty
// for any, and for none as well.
func (g *Gate) Update(ctx context.Context, req *Request, t fhir.ResourceType, id string, c Content, ifMatch string) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	d, err := v.acceptable(ctx, t, c)
	if err != nil {
		return Released{}, err
	}
	if err := v.addressing(d, id); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v.begin()
	return v.commit(ctx, func(w *writing) (Released, error) {
		item, created, err := w.update(ctx, d, ifMatch)
		return Released{items: []Item{item}, total: -1, created: created, issues: d.noticed}, err
	})
}

// addressing makes the draft ready under the id in the URL, which the content must
// repeat (R4 http.html#update).
func (v *visit) addressing(d *draft, id string) error {
	if !fhir.ValidID(id) {
		return ErrNotFound
	}
	if issues := otherID(d.typ, d.tape, id); issues != nil {
		return &Invalid{Status: http.StatusBadRequest, Issues: issues}
	}
	return v.ready(d, id)
}

// otherID is what is wrong with content that does not repeat the id in the URL.
func otherID(t fhir.ResourceType, tape *fhir.Tape, id string) []fhir.Issue {
	if tape.Text(tape.Field(tape.Root(), "id")) == id {
		return nil
	}
	return []fhir.Issue{errorIssue(fhir.CodeInvalid, "the id must be there and be the one in the URL", string(t)+".id")}
}

// update stores a new version of what the caller may address. To create under
// an id of one's choice is the custodian's alone.
func (w *writing) update(ctx context.Context, d *draft, ifMatch string) (item Item, created bool, err error) {
	prior, err := w.addressed(ctx, d.typ, d.id)
	switch {
	case errors.Is(err, store.ErrNotFound) && w.caller.Kind == consent.Custodian:
	case err != nil:
		return item, false, err
	}
	there := prior != nil && !prior.Deleted
	switch {
	case ifMatch == "":
	case ifMatch == Absent && there, ifMatch != Absent && (!there || prior.Version != ifMatch):
		return item, false, ErrPrecondition
	}
	if there {
		if same, err := w.same(d, prior); err != nil || same {
			w.note(prior.Patients, versioned(prior.Resource))
			return Item{Resource: prior.Resource, Status: http.StatusOK}, false, err
		}
	}
	r, err := w.put(ctx, d, prior)
	created = prior == nil || prior.Deleted
	item = Item{Resource: r, Status: http.StatusOK}
	if created {
		item.Status = http.StatusCreated
	}
	return item, created, err
}

// same reports whether an update would change nothing: then there is no new
// version of it, and the request is on record all the same. What registers a
// patient on one practitioner's word is written again by whoever vouches for it.
func (w *writing) same(d *draft, prior *store.Found) (same bool, err error) {
	if d.always || registers(d.typ) && slices.Contains(prior.Labels, consent.LabelHearsay) && !w.hearsay(d, prior.Row) {
		return false, nil
	}
	err = w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		same = fhir.Same(d.tape, t)
		return nil
	})
	return same, err
}

// addressed is the newest version, perhaps a deletion, of what the caller may
// write to (ACCESS §4).
func (v *visit) addressed(ctx context.Context, t fhir.ResourceType, id string) (*store.Found, error) {
	u, before := v.addressable(), len(v.gathered)
	prior, err := newest(ctx, v.reader, u, t, id)
	if err != nil {
		_, own := u.Contributor()
		if errors.Is(err, store.ErrNotFound) && !own && len(v.gathered) == before { // nobody was decided about
			if failed := v.phantom(ctx, string(t)+"/"+id); failed != nil {
				return nil, failed
			}
		}
		return nil, err
	}
	return prior, v.within(ctx, u, prior)
}

// newest is the newest version in a universe, deletions included.
func newest(ctx context.Context, r store.Reader, u *consent.Universe, t fhir.ResourceType, id string) (*store.Found, error) {
	f, err := r.Read(ctx, u, t, id)
	if err == nil {
		return &f, nil
	}
	if !errors.Is(err, store.ErrGone) {
		return nil, err
	}
	versions, _, _, err := r.History(ctx, u, t, id, 1, nil)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, store.ErrNotFound
	}
	return &versions[0], nil
}

// addressable is the universe of what the caller may write to: its own
// contributions; for a patient, the Consents of that patient.
func (v *visit) addressable() *consent.Universe {
	switch v.caller.Kind {
	case consent.Custodian:
		return consent.Everything()
	case consent.Practitioner, consent.System:
		return consent.OfContributor(v.caller.Organization)
	case consent.Patient, consent.Representative:
		return consent.OfAnyPatient(nil, v.decide).Where(func(r consent.Row) bool { return r.Type == "Consent" })
	case consent.Regulator:
		return consent.Everything().Where(func(r consent.Row) bool {
			return r.Type == "Basic" && slices.Contains(r.Labels, consent.LabelOversight)
		})
	case consent.Nobody:
		return &consent.Universe{}
	default:
		return &consent.Universe{}
	}
}

// put stores the draft as the version after prior; nil when it is new.
func (w *writing) put(ctx context.Context, d *draft, prior *store.Found) (fhir.Resource, error) {
	d.contributor = d.partition
	if prior != nil {
		d.contributor = prior.Contributor
	}
	h, err := w.home(ctx, d)
	if err != nil {
		return fhir.Resource{}, err
	}
	if err := w.confined(ctx, d, &h); err != nil {
		return fhir.Resource{}, err
	}
	if err := w.lawful(ctx, d, h, prior); err != nil {
		return fhir.Resource{}, err
	}
	if d.typ == "SearchParameter" && d.contributor == "" {
		if err := w.registering(ctx, d.id, d); err != nil {
			return fhir.Resource{}, err
		}
	}
	e := d.first
	var before consent.Row
	if prior != nil || e == nil || d.by != w.params {
		if e, before, err = w.following(ctx, d, h, prior); err != nil {
			return fhir.Resource{}, err
		}
	}
	if err := w.store(d, h, e, before); err != nil {
		return fhir.Resource{}, err
	}
	if d.typ == "SearchParameter" && w.parametersChanged {
		if err := w.learn(ctx); err != nil { // another in the same commit may clash with it
			return fhir.Resource{}, err
		}
	}
	r := fhir.Resource{Type: d.typ, ID: d.id, Version: e.full.Version, Updated: w.now, JSON: e.full.JSON}
	w.wrote(d, h, r, prior)
	w.refers(d)
	if prior != nil && (prior.Home != h.home || !slices.Equal(prior.Patients, h.patients) || !slices.Equal(prior.Labels, h.labels)) {
		if err := w.follow(ctx, d.typ, d.id); err != nil {
			return r, err
		}
	}
	if d.typ == "Patient" && d.contributor == "" { // nothing is linked to those of others
		return r, w.relink(ctx, d.tape)
	}
	return r, nil
}

// following are the editions of the draft at the versions after prior's. A
// basic edition that would say the same gets no new version (ARCHITECTURE §4).
func (w *writing) following(ctx context.Context, d *draft, h homing, prior *store.Found) (*editions, consent.Row, error) {
	full, basic := "1", "b1"
	var before consent.Row
	var kept *store.Found
	if prior != nil {
		full, before = next(prior.Version), prior.Row
		var err error
		if before.Patients, err = w.named(ctx, prior); err != nil {
			return nil, before, err
		}
		if kept, err = w.basicOf(ctx, prior); err != nil {
			return nil, before, err
		}
		if kept != nil {
			basic = next(kept.Version)
		}
	}
	e, err := w.editions(d, h.links, h.awaits, full, basic)
	if err != nil || kept == nil || kept.Deleted || d.basic == nil {
		return e, before, err
	}
	same, err := restamped(w.g, e.basic.JSON, kept.Resource)
	if err == nil && same {
		at := w.now
		w.now = kept.Updated
		e.basic, err = w.basicVersion(d, h.links, kept.Version)
		w.now = at
		e.basic.Unchanged = true
	}
	return e, before, err
}

// restamped reports whether the resource, under the stamp of the one kept, is
// the one kept.
func restamped(g *Gate, resource []byte, kept fhir.Resource) (bool, error) {
	t := g.tape()
	defer g.tapes.Put(t)
	if err := t.Parse(resource, fhir.Stored()); err != nil {
		return false, err
	}
	return bytes.Equal(fhir.Stamp(nil, t, kept.ID, kept.Version, kept.Updated), kept.JSON), nil
}

// basicOf is the newest version of the basic edition of a row; nil when it has
// none. Only a row of exactly one patient has one that anybody can see.
func (w *writing) basicOf(ctx context.Context, f *store.Found) (*store.Found, error) {
	if f.Home != consent.HomePatients || len(f.Patients) != 1 {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	u := consent.OfPatients(f.Patients, nil, func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Basic}, nil
	})
	b, err := newest(ctx, w.reader, u, f.Resource.Type, f.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return b, err
}

// store puts the row. before is the row it replaces; zero when it is new.
func (w *writing) store(d *draft, h homing, e *editions, before consent.Row) error {
	row := consent.Row{Type: d.typ, Home: h.home, Patients: h.patients, Contributor: d.contributor, Labels: h.labels}
	if w.hearsay(d, before) {
		row.Labels = merge(slices.Clone(row.Labels), []string{consent.LabelHearsay})
	}
	p := store.Put{Row: row, ID: d.id, Full: e.full}
	if d.basic != nil && h.home == consent.HomePatients && len(h.patients) == 1 {
		p.Basic = &e.basic
	}
	if err := w.tx.Put(p); err != nil {
		return err
	}
	w.rows[string(d.typ)+"/"+d.id] = row
	w.touch(d.typ, h.named, before.Patients, before.Labels, row.Labels)
	w.defined(d.typ, d.contributor)
	if d.typ == "Patient" {
		for _, id := range w.g.links(d.contributor, d.tape) {
			w.tx.Touch(keyPatient(id))
		}
	}
	return nil
}

// registers reports whether resources of the type may say that a patient is here.
func registers(t fhir.ResourceType) bool {
	return t == "EpisodeOfCare" || t == "Encounter" || t == "Patient"
}

// hearsay reports whether the row says on the word of one practitioner that a
// patient is here. That it was vouched for before does not help: a visit that is
// over could be reopened, and an employer's be made to look like care.
func (w *writing) hearsay(d *draft, before consent.Row) bool {
	if !registers(d.typ) {
		return false
	}
	switch {
	case d.refiled:
		return slices.Contains(before.Labels, consent.LabelHearsay)
	case d.byServer, w.caller.Kind == consent.System, w.caller.Kind == consent.Custodian:
		return false
	default:
		return true
	}
}

// touch changes the epochs of the facts that a write bears on.
func (w *writing) touch(t fhir.ResourceType, patients, formerly, labelsBefore, labelsNow []string) {
	switch t {
	case "Organization", "Practitioner", "PractitionerRole", "Device":
		w.tx.Touch(keyDirectory)
	case "Basic":
		if slices.Contains(labelsBefore, consent.LabelOversight) || slices.Contains(labelsNow, consent.LabelOversight) {
			w.tx.Touch(directivesKey)
		}
	}
	if !bearsOnFacts(t) {
		return
	}
	for _, id := range merge(slices.Clone(patients), formerly) {
		w.tx.Touch(keyPatient(id))
	}
}
