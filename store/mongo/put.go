package mongo

import (
	"context"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// most is how many puts are kept back.
const most = 500

// Put stores a new current version of a resource.
func (x *tx) Put(p store.Put) error {
	if x.over {
		return errOver
	}
	if p.ID == "" || p.Type == "" || p.Type == typeAuditEvent || (p.Home == consent.HomePatients) != (len(p.Patients) > 0) {
		return x.fails(errPut)
	}
	for _, v := range []*store.Version{&p.Full, p.Basic} {
		if v != nil && !v.Unchanged && (v.Version == "" || v.Entries == nil || len(v.JSON) == 0) {
			return x.fails(errPut)
		}
	}
	n := name(p.Type, p.ID)
	if x.known[n] || len(x.pending) >= most {
		if err := x.flush(x.in); err != nil {
			return err
		}
	}
	if x.known == nil {
		x.known = map[string]bool{}
	}
	x.known[n] = true
	x.pending = append(x.pending, keep(p))
	return nil
}

// keep copies what the caller may use again.
func keep(p store.Put) store.Put {
	p.Full.Entries, p.Full.JSON = copied(p.Full.Entries), slices.Clone(p.Full.JSON)
	if p.Basic != nil {
		b := *p.Basic
		b.Entries, b.JSON = copied(b.Entries), slices.Clone(b.JSON)
		p.Basic = &b
	}
	p.Patients, p.Labels = slices.Clone(p.Patients), slices.Clone(p.Labels)
	slices.Sort(p.Patients)
	p.Patients = slices.Compact(p.Patients)
	return p
}

func copied(e *search.Entries) *search.Entries {
	if e == nil {
		return nil
	}
	c := &search.Entries{}
	for i := range e.Len() {
		p, v := e.At(i)
		c.Add(p, v)
	}
	return c
}

// changes are what a flush writes, by collection.
type changes map[string][]driver.WriteModel

func (c changes) insert(coll string, d *document) {
	c[coll] = append(c[coll], driver.NewInsertOneModel().SetDocument(d))
}

// remove names the position too, by which documents are sharded.
func (c changes) remove(coll string, id string, n []byte) {
	c[coll] = append(c[coll], driver.NewDeleteOneModel().SetFilter(bson.D{{Key: "_id", Value: id}, {Key: "n", Value: n}}))
}

func (c changes) replace(coll string, d *document) {
	c[coll] = append(c[coll], driver.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: d.ID}, {Key: "n", Value: d.N}}).SetReplacement(d))
}

// flush brings what is kept back to the servers.
func (b *batch) flush(in context.Context) error {
	if b.failed != nil {
		return b.failed
	}
	if len(b.pending) == 0 {
		return nil
	}
	puts := b.pending
	b.dirty = b.dirty || len(puts) > b.own
	b.pending, b.known, b.own = nil, nil, 0
	names := make([]string, len(puts))
	for i := range puts {
		names[i] = name(puts[i].Type, puts[i].ID)
	}
	old, err := b.load(in, names)
	if err != nil {
		return b.fails(err)
	}
	c := changes{}
	for i := range puts {
		if err := b.put(in, c, &puts[i], old[names[i]]); err != nil {
			return b.fails(err)
		}
	}
	return b.fails(b.apply(in, c))
}

func (b *batch) apply(in context.Context, c changes) error {
	if b.v.db.alone() {
		if err := b.note(in, c); err != nil {
			return err
		}
	}
	for _, coll := range []string{collVersions, collFull, collBasic, collStates} {
		if len(c[coll]) == 0 {
			continue
		}
		b.wrote = true
		if _, err := b.v.db.collection(coll).BulkWrite(in, c[coll]); err != nil {
			return clean(err)
		}
	}
	return nil
}

// was are the editions of a row as they were.
type was struct{ full, basic *document }

// load reads the rows as they are, entries included. The basic edition is looked
// for where there ever was one.
func (b *batch) load(in context.Context, names []string) (map[string]was, error) {
	all := map[string]was{}
	full, err := find(in, b.v.db.collection(collFull), among("_id", names), options.Find())
	if err != nil {
		return nil, err
	}
	var basics []string
	for i := range full {
		all[full[i].ID] = was{full: &full[i]}
		if full[i].Basics > 0 {
			basics = append(basics, full[i].ID)
		}
	}
	if len(basics) == 0 {
		return all, nil
	}
	basic, err := find(in, b.v.db.collection(collBasic), among("_id", basics), options.Find())
	for i := range basic {
		w := all[basic[i].ID]
		w.basic = &basic[i]
		all[basic[i].ID] = w
	}
	return all, err
}

// put writes both editions over those that were.
func (b *batch) put(in context.Context, c changes, p *store.Put, old was) error {
	full, err := b.fresh(in, p, &p.Full, old.full)
	if err != nil {
		return err
	}
	full.Type = string(p.Type)
	if old.full != nil {
		full.Count, full.Basics, full.N = old.full.Count, old.full.Basics, position(stretchAt(full.N), sequenceAt(old.full.N))
	} else if full.N, err = b.next(stretchAt(full.N)); err != nil {
		return err
	}
	var basic *document
	if p.Basic != nil {
		if basic, err = b.fresh(in, p, p.Basic, old.basic); err != nil {
			return err
		}
		basic.N = full.N
		basic.Count = full.Basics
		if !p.Basic.Unchanged {
			basic.Count++
		}
		full.Basics = basic.Count
		if err := b.class(in, p.Type, markBasic); err != nil {
			return err
		}
	}
	if !p.Full.Unchanged {
		full.Count++
	}
	b.supersede(c, collFull, full, old.full, p.Full.Unchanged)
	b.supersede(c, collBasic, basic, old.basic, p.Basic != nil && p.Basic.Unchanged)
	return nil
}

// fresh is the document of an edition, without its number.
func (b *batch) fresh(in context.Context, p *store.Put, v *store.Version, old *document) (*document, error) {
	d := &document{ID: name(p.Type, p.ID), Contributor: p.Contributor}
	if err := b.settleClass(in, d, p); err != nil {
		return nil, err
	}
	if !v.Unchanged {
		d.Version, d.Updated, d.JSON = v.Version, v.Updated.UnixMilli(), v.JSON
		d.Entries = entriesOf(p, v.Entries)
		if !d.fits() {
			return nil, store.ErrTooLarge
		}
		return d, nil
	}
	if old == nil || old.Deleted {
		return nil, errPut
	}
	d.Version, d.Updated, d.JSON, d.Entries = old.Version, old.Updated, old.JSON, old.Entries
	if v.Entries != nil {
		d.Entries = entriesOf(p, v.Entries)
	} else {
		d.Entries = slices.DeleteFunc(slices.Clone(old.Entries), func(s string) bool { return paramOf(s) == paramContributor })
		d.Entries = append(d.Entries, contributorEntry(p.Contributor))
	}
	return d, nil
}

// settleClass fills in by what the row is admitted, and where it lies.
func (b *batch) settleClass(in context.Context, d *document, p *store.Put) error {
	d.W = classOf(p.Home, p.Labels)
	stretch := stretchOfHome(p.Home)
	if p.Home == consent.HomePatients {
		d.P, stretch = b.v.db.firstOf(p.Patients)
		if len(p.Patients) > 1 {
			d.K, d.Owners = kindLoose, p.Patients
		}
	}
	if d.K == kindClassed && (severs(p.Labels) || !b.v.room(p.Type, d.W)) {
		d.K = kindLoose
	}
	if d.K == kindLoose {
		d.W, d.Labels = classOf(p.Home, nil)+looseMark, p.Labels
	}
	d.N = position(stretch, 0)
	return b.class(in, p.Type, d.W)
}

func entriesOf(p *store.Put, e *search.Entries) []string {
	all := make([]string, 0, e.Len()+2)
	all = append(all, typeEntry(p.Type), contributorEntry(p.Contributor))
	for i := range e.Len() {
		param, v := e.At(i)
		all = append(all, entry(param, v))
	}
	return all
}

// class sees to it that a class is known before a row has it.
func (b *batch) class(in context.Context, t fhir.ResourceType, class string) error {
	if slices.Contains(b.v.classes(t), class) {
		return nil
	}
	_, err := b.v.db.collection(collClasses).UpdateOne(in, is("_id", string(t)+" "+class),
		is("$setOnInsert", is("at", b.commit)), options.UpdateOne().SetUpsert(true))
	if err != nil {
		return clean(err)
	}
	b.v.made[t] = append(b.v.made[t], class)
	return nil
}

// supersede puts a document in the place of the one that was, which goes to the
// former versions unless it stays. A nil document takes the edition away.
func (b *batch) supersede(c changes, coll string, d, old *document, stays bool) {
	if old != nil && !stays {
		c.insert(collVersions, formerly(coll, old, d))
	}
	if old != nil {
		for _, owner := range old.copies() {
			c.remove(coll, old.ID+" "+owner, b.copyAt(owner, old))
		}
	}
	switch {
	case d == nil && old == nil:
		return
	case d == nil:
		c.remove(coll, old.ID, old.N)
		return
	case old == nil:
		c.insert(coll, d)
	case slices.Equal(old.N, d.N):
		c.replace(coll, d)
	default:
		c.remove(coll, old.ID, old.N)
		c.insert(coll, d)
	}
	for _, owner := range d.copies() {
		one := *d
		one.ID, one.N, one.P, one.K, one.Type = d.ID+" "+owner, b.copyAt(owner, d), owner, kindCopy, ""
		c.insert(coll, &one)
	}
}

// copies are the owners under whom the row lies besides the first.
func (d *document) copies() []string {
	return slices.DeleteFunc(slices.Clone(d.Owners), func(o string) bool { return o == d.P })
}

func (b *batch) copyAt(owner string, d *document) []byte {
	return position(b.v.db.stretchOf(owner), sequenceAt(d.N))
}

// formerly is a document as a former version; by is what replaced it, or nil.
func formerly(coll string, d, by *document) *document {
	f := *d
	if by != nil {
		f.Replaced = by.Updated
	}
	f.Of = "f " + d.ID
	if coll == collBasic {
		f.Of = "b " + d.ID
	}
	f.ID, f.Entries, f.K = f.Of+" "+strconv.FormatInt(d.Count, 10), nil, kindClassed
	return &f
}

// Delete records a deletion as a new version; the row stays where it was.
func (x *tx) Delete(t fhir.ResourceType, id, full, basic string, at time.Time) error {
	if x.over {
		return errOver
	}
	in := x.in
	if err := x.flush(in); err != nil {
		return err
	}
	x.dirty = true
	old, err := x.load(in, []string{name(t, id)})
	if err != nil {
		return x.fails(err)
	}
	w := old[name(t, id)]
	switch {
	case w.full == nil:
		return store.ErrNotFound
	case w.full.Deleted:
		return store.ErrGone
	}
	c := changes{}
	gone := w.full.deletion(full, at)
	if w.basic != nil && basic != "" && !w.basic.Deleted {
		b := w.basic.deletion(basic, at)
		gone.Basics = b.Count
		x.supersede(c, collBasic, b, w.basic, false)
	}
	x.supersede(c, collFull, gone, w.full, false)
	return x.fails(x.apply(in, c))
}

// deletion is the version that says that the resource is deleted.
func (d *document) deletion(version string, at time.Time) *document {
	g := *d
	g.Version, g.Updated, g.Deleted, g.Entries, g.JSON = version, at.UnixMilli(), true, nil, nil
	g.Count++
	return &g
}
