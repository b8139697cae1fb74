package mongo

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

var _ store.Target = (*DB)(nil)

// metaCopying is the mark of a copy that is not finished.
const metaCopying = "copying"

const (
	// copySalt is how much of the salt stands before a position in a copy, so that
	// one of another store is known.
	copySalt = 8
	// copyChronicles and copyRecords are read at once.
	copyChronicles = 256
	copyRecords    = 1000
)

var errAlone = errors.New("mongodb: a copy comes in transactions, which a standalone server has not; start it as a replica set, of one node if need be")

// Extent is the servers' own estimate. It counts a resource of several patients
// with each.
func (db *DB) Extent(ctx context.Context) (store.Size, error) {
	full, err := db.collection(collFull).EstimatedDocumentCount(ctx)
	if err != nil {
		return store.Size{}, clean(err)
	}
	records, err := db.collection(collEvents).EstimatedDocumentCount(ctx)
	return store.Size{Chronicles: uint64(full), Records: uint64(records)}, clean(err) //nolint:gosec // counts
}

// copyFrom is the position from which to go on.
func (db *DB) copyFrom(after []byte) (bson.D, error) {
	if len(after) == 0 {
		return bson.D{}, nil
	}
	n, ok := bytes.CutPrefix(after, db.salt[:copySalt])
	if !ok {
		return nil, store.ErrBadCursor
	}
	return is("n", is("$gt", n)), nil
}

func (db *DB) copyPosition(n []byte) []byte {
	return append(bytes.Clone(db.salt[:copySalt]), n...)
}

// Chronicles reads the current versions in their order, each with what came
// before it.
func (db *DB) Chronicles(ctx context.Context, after []byte) (some []store.Chronicle, next []byte, err error) {
	if err := db.life.Enter(); err != nil {
		return nil, nil, err
	}
	defer db.life.Leave()
	filter, err := db.copyFrom(after)
	if err != nil {
		return nil, nil, err
	}
	full, err := find(ctx, db.collection(collFull), append(filter, bson.E{Key: "k", Value: is("$lt", kindCopy)}),
		options.Find().SetSort(is("n", 1)).SetLimit(copyChronicles))
	if err != nil || len(full) == 0 {
		return nil, nil, err
	}
	basic, former, err := db.companions(ctx, full)
	if err != nil {
		return nil, nil, err
	}
	for i := range full {
		some = append(some, chronicle(&full[i], basic[full[i].ID], former))
	}
	return some, db.copyPosition(full[len(full)-1].N), nil
}

// companions are the basic editions of resources, and the former versions of
// both by what they are of, oldest first.
func (db *DB) companions(ctx context.Context, full []document) (basic map[string]*document, former map[string][]document, err error) {
	var names, of []string
	for i := range full {
		d := &full[i]
		if d.Count > 1 {
			of = append(of, "f "+d.ID)
		}
		if d.Basics > 0 {
			names, of = append(names, d.ID), append(of, "b "+d.ID)
		}
	}
	basic, former = map[string]*document{}, map[string][]document{}
	if len(names) > 0 {
		found, err := find(ctx, db.collection(collBasic), among("_id", names), options.Find())
		if err != nil {
			return nil, nil, err
		}
		for i := range found {
			basic[found[i].ID] = &found[i]
		}
	}
	if len(of) > 0 {
		found, err := find(ctx, db.collection(collVersions), among("f", of), options.Find().SetSort(is("i", 1)))
		if err != nil {
			return nil, nil, err
		}
		for _, d := range found {
			former[d.Of] = append(former[d.Of], d)
		}
	}
	return basic, former, nil
}

func chronicle(full, basic *document, former map[string][]document) store.Chronicle {
	t, _, _ := strings.Cut(full.ID, "/")
	c := store.Chronicle{Type: fhir.ResourceType(t), ID: full.id()}
	for _, d := range former["f "+full.ID] {
		c.Full = append(c.Full, d.chapter(c.Type))
	}
	c.Full = append(c.Full, full.chapter(c.Type))
	for _, d := range former["b "+full.ID] {
		c.Basic = append(c.Basic, d.chapter(c.Type))
	}
	if basic != nil {
		c.Basic = append(c.Basic, basic.chapter(c.Type))
	}
	c.BasicEnded = basic == nil && len(c.Basic) > 0
	return c
}

// chapter is a document as a copy carries it. What the store itself has put
// among the entries stays here.
func (d *document) chapter(t fhir.ResourceType) store.Chapter {
	c := store.Chapter{Row: d.row(t), Version: d.Version, Updated: d.updated(), Deleted: d.Deleted, JSON: d.JSON}
	if len(d.Entries) == 0 {
		return c
	}
	var e search.Entries
	for _, s := range d.Entries {
		if p := paramOf(s); p != paramType && p != paramContributor {
			e.Add(p, value(s))
		}
	}
	e.Sort()
	c.Entries = e.AppendBinary(nil)
	return c
}

// Mark is what the last batch of a copy left; nil in an empty store.
func (db *DB) Mark(ctx context.Context) ([]byte, error) {
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	defer db.life.Leave()
	mark, err := db.readMark(ctx)
	if err != nil || mark != nil {
		return mark, err
	}
	for _, coll := range []string{collFull, collEvents} {
		err := db.collection(coll).FindOne(ctx, bson.D{}, options.FindOne().SetProjection(is("_id", 1))).Err()
		if err == nil {
			return nil, store.ErrNotEmpty
		}
		if !errors.Is(err, driver.ErrNoDocuments) {
			return nil, clean(err)
		}
	}
	return nil, nil
}

func (db *DB) readMark(ctx context.Context) ([]byte, error) {
	var m metaDocument
	err := db.collection(collMeta).FindOne(ctx, is("_id", metaCopying)).Decode(&m)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil, nil
	}
	return m.Bytes, clean(err)
}

// checkWhole refuses the half of a store.
func (db *DB) checkWhole(ctx context.Context) error {
	mark, err := db.readMark(ctx)
	if err == nil && mark != nil && !db.opt.Copying {
		err = store.ErrCopying
	}
	return err
}

// Copy writes a batch of a copy and its mark as one transaction.
func (db *DB) Copy(ctx context.Context, b store.Batch) error {
	if db.alone() {
		return errAlone
	}
	err := db.Write(ctx, func(t store.Tx) error {
		x, ok := t.(*tx)
		if !ok {
			return errOver
		}
		in := x.in
		if mark, err := db.readMark(in); err != nil || bytes.Equal(mark, b.Mark) {
			return err // it was written already
		}
		c := changes{}
		for i := range b.Chronicles {
			if err := x.chronicle(in, c, &b.Chronicles[i]); err != nil {
				return err
			}
		}
		if err := x.apply(in, c); err != nil {
			return err
		}
		for _, s := range b.States {
			if err := x.SetState(s.Key, s.Value, s.Until); err != nil {
				return err
			}
		}
		if err := x.adopt(in, b.Records); err != nil {
			return err
		}
		x.wrote, x.dirty = true, true
		_, err := db.collection(collMeta).UpdateOne(in, is("_id", metaCopying), is("$set", is("bytes", b.Mark)), options.UpdateOne().SetUpsert(true))
		return clean(err)
	})
	var f *failure
	if errors.As(err, &f) && f.code == codeDuplicate {
		return store.ErrNotEmpty // the mark comes with the batch, so somebody else put it there
	}
	return err
}

// Finish takes the mark away.
func (db *DB) Finish(ctx context.Context) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	_, err := db.collection(collMeta).DeleteOne(ctx, is("_id", metaCopying))
	return clean(err)
}

// chronicle adds everything of a resource.
func (b *batch) chronicle(in context.Context, c changes, all *store.Chronicle) error {
	if all.ID == "" || len(all.Full) == 0 {
		return errPut
	}
	if _, err := b.next(0); err != nil {
		return err
	}
	if err := b.edition(in, c, collFull, all, all.Full, true); err != nil || len(all.Basic) == 0 {
		return err
	}
	if err := b.class(in, all.Type, markBasic); err != nil {
		return err
	}
	return b.edition(in, c, collBasic, all, all.Basic, !all.BasicEnded)
}

func (b *batch) edition(in context.Context, c changes, coll string, all *store.Chronicle, chapters []store.Chapter, current bool) error {
	for i := range chapters {
		d, err := b.chapter(in, all, &chapters[i])
		if err != nil {
			return err
		}
		if d.Count = int64(i) + 1; coll == collFull {
			d.Basics, d.Type = int64(len(all.Basic)), string(all.Type)
		}
		switch {
		case current && i == len(chapters)-1:
			b.supersede(c, coll, d, nil, false)
		case i == len(chapters)-1:
			c.insert(collVersions, formerly(coll, d, nil))
		default:
			c.insert(collVersions, formerly(coll, d, &document{Updated: chapters[i+1].Updated.UnixMilli()}))
		}
	}
	return nil
}

// chapter is the document of a version, where it lies and how it is admitted.
func (b *batch) chapter(in context.Context, all *store.Chronicle, v *store.Chapter) (*document, error) {
	if v.Version == "" || v.Type != all.Type || (v.Home == consent.HomePatients) != (len(v.Patients) > 0) {
		return nil, errPut
	}
	p := store.Put{Row: v.Row, ID: all.ID}
	version := store.Version{Version: v.Version, Updated: v.Updated, JSON: v.JSON, Entries: &search.Entries{}}
	for param, value := range v.Entries.All() {
		version.Entries.Add(param, value)
	}
	d, err := b.fresh(in, &p, &version, nil)
	if err != nil {
		return nil, err
	}
	d.N = position(stretchAt(d.N), b.sequence)
	if v.Deleted {
		d.Deleted, d.Entries, d.JSON = true, nil, nil
	}
	return d, nil
}
