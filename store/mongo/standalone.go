package mongo

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A standalone server has neither transactions nor reads of one moment. It will
// do for trying things out, with one process: what a write changes is first
// noted as it was, and put back when the write, or the process, does not come to
// its end. Readers may meet a write half done for as long as it takes. A whole
// transaction Bundle is refused before it comes here.

// collUndo has what a write under way has changed.
const collUndo = "undo"

// alone reports whether the server is standalone.
func (db *DB) alone() bool { return db.server.topology == standalone }

// Transactions reports whether several resources can be written as one.
func (db *DB) Transactions() bool { return !db.alone() }

// undoDocument is one step of a write, as things were before it.
type undoDocument struct {
	ID   bson.ObjectID `bson:"_id"`
	Step int           `bson:"step"`
	// IDs are the keys that the step writes, by collection, and Before the
	// documents that they had.
	IDs    map[string][]string   `bson:"ids"`
	Before map[string][]bson.Raw `bson:"before"`
}

// attemptAlone runs writes without a transaction, one by one.
func (db *DB) attemptAlone(ctx context.Context, some []*writing) error {
	if len(some) > 1 {
		return errSolo
	}
	s, err := db.client.StartSession()
	if err != nil {
		return clean(err)
	}
	defer s.EndSession(ctx)
	b, err := db.begin(driver.NewSessionContext(ctx, s), s)
	if err != nil {
		return err
	}
	if err := b.run(some); err != nil {
		// Facts that were read in between must not be taken for those of before.
		return errors.Join(err, db.undo(ctx), b.touch())
	}
	if !b.wrote {
		return nil
	}
	_, err = db.collection(collUndo).DeleteMany(ctx, bson.D{}) // with this the write is done
	return clean(err)
}

// note writes down what a step is about to change.
func (b *batch) note(in context.Context, c changes) error {
	b.steps++
	u := undoDocument{ID: bson.NewObjectID(), Step: b.steps, IDs: map[string][]string{}, Before: map[string][]bson.Raw{}}
	for coll, models := range c {
		for _, m := range models {
			u.IDs[coll] = append(u.IDs[coll], written(m))
		}
		slices.Sort(u.IDs[coll])
		u.IDs[coll] = slices.Compact(u.IDs[coll])
		cur, err := b.v.db.collection(coll).Find(in, among("_id", u.IDs[coll]))
		if err != nil {
			return clean(err)
		}
		var before []bson.Raw
		if err := cur.All(in, &before); err != nil {
			return clean(err)
		}
		u.Before[coll] = before
	}
	_, err := b.v.db.collection(collUndo).InsertOne(in, u)
	return clean(err)
}

// written is the key of the document that a change writes.
func written(m driver.WriteModel) string {
	var filter any
	switch m := m.(type) {
	case *driver.InsertOneModel:
		if d, ok := m.Document.(*document); ok {
			return d.ID
		}
	case *driver.ReplaceOneModel:
		filter = m.Filter
	case *driver.DeleteOneModel:
		filter = m.Filter
	}
	if f, ok := filter.(bson.D); ok && len(f) > 0 {
		if id, ok := f[0].Value.(string); ok {
			return id
		}
	}
	return ""
}

// undo puts back what a write has changed that did not come to its end, the last
// step first.
func (db *DB) undo(ctx context.Context) error {
	cur, err := db.collection(collUndo).Find(ctx, bson.D{}, options.Find().SetSort(is("step", -1)))
	if err != nil {
		return clean(err)
	}
	var steps []undoDocument
	if err := cur.All(ctx, &steps); err != nil {
		return clean(err)
	}
	for _, u := range steps {
		for coll, ids := range u.IDs {
			if _, err := db.collection(coll).DeleteMany(ctx, among("_id", ids)); err != nil {
				return clean(err)
			}
			if len(u.Before[coll]) == 0 {
				continue
			}
			if _, err := db.collection(coll).InsertMany(ctx, u.Before[coll]); err != nil {
				return clean(err)
			}
		}
		if _, err := db.collection(collUndo).DeleteOne(ctx, is("_id", u.ID)); err != nil {
			return clean(err)
		}
	}
	return nil
}
