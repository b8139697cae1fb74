package mongo

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/store"
)

// stateDocument is a state. Its key is that of the collection, whose order is that
// of the bytes.
type stateDocument struct {
	Key   string `bson:"_id"`
	Value []byte `bson:"v"`
	Until int64  `bson:"u"` // milliseconds
}

func (d *stateDocument) state() store.State {
	return store.State{Key: d.Key, Value: append([]byte{}, d.Value...), Until: time.UnixMilli(d.Until).UTC()}
}

// noResource makes a view ready without what a write has kept back.
const noResource = "/"

// State returns the value under the key.
func (v *view) State(ctx context.Context, key string) (value []byte, until time.Time, err error) {
	in, err := v.about(ctx, noResource)
	if err != nil {
		return nil, time.Time{}, err
	}
	var d stateDocument
	err = v.db.collection(collStates).FindOne(in, is("_id", key)).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, v.forgotten(clean(err))
	}
	s := d.state()
	return s.Value, s.Until, nil
}

// States reads the states whose keys have the prefix.
func (v *view) States(ctx context.Context, prefix, beyond string, each func(key string, value []byte, until time.Time) error) error {
	in, err := v.about(ctx, noResource)
	if err != nil {
		return err
	}
	return v.forgotten(v.eachState(in, prefix, beyond, func(s store.State) error { return each(s.Key, s.Value, s.Until) }))
}

func (v *view) eachState(in context.Context, prefix, beyond string, each func(store.State) error) error {
	bounds := bson.D{{Key: "$gte", Value: prefix}}
	if beyond >= prefix {
		bounds = bson.D{{Key: "$gt", Value: beyond}}
	}
	if end := next([]byte(prefix)); end != nil && utf8.Valid(end) {
		bounds = append(bounds, bson.E{Key: "$lt", Value: string(end)})
	}
	cur, err := v.db.collection(collStates).Find(in, is("_id", bounds), options.Find().SetSort(is("_id", 1)))
	if err != nil {
		return clean(err)
	}
	defer func() { _ = cur.Close(in) }()
	for cur.Next(in) {
		var d stateDocument
		if err := cur.Decode(&d); err != nil {
			return clean(err)
		}
		if !strings.HasPrefix(d.Key, prefix) {
			break
		}
		if err := each(d.state()); err != nil {
			return err
		}
	}
	return clean(cur.Err())
}

// SetState puts a value under the key or takes it away.
func (x *tx) SetState(key string, value []byte, until time.Time) error {
	if x.over {
		return errOver
	}
	if err := store.CheckState(key, value); err != nil {
		return err
	}
	x.states[key] = nil
	if value != nil {
		x.states[key] = &stateDocument{Key: key, Value: bytes.Clone(value), Until: until.UnixMilli()}
	}
	return nil
}

// State is what the write has set, or what was before it.
func (x *tx) State(ctx context.Context, key string) (value []byte, until time.Time, err error) {
	d, set := x.states[key]
	switch {
	case x.over || !set:
		return x.view.State(ctx, key)
	case d == nil:
		return nil, time.Time{}, nil
	}
	s := d.state()
	return s.Value, s.Until, nil
}

// States merges what the write has set into what was before it.
func (x *tx) States(ctx context.Context, prefix, beyond string, each func(key string, value []byte, until time.Time) error) error {
	in, err := x.about(ctx, noResource)
	if err != nil {
		return err
	}
	all := map[string]store.State{}
	err = x.eachState(in, prefix, beyond, func(s store.State) error {
		all[s.Key] = s
		return nil
	})
	if err != nil {
		return err
	}
	for key, d := range x.states {
		if !strings.HasPrefix(key, prefix) || key <= beyond {
			continue
		}
		if delete(all, key); d != nil {
			all[key] = d.state()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s := all[key]
		if err := each(s.Key, s.Value, s.Until); err != nil {
			return err
		}
	}
	return nil
}

// keepStates brings to the servers what the writes have set.
func (b *batch) keepStates() error {
	if len(b.states) == 0 {
		return nil
	}
	c := changes{}
	for _, key := range slices.Sorted(maps.Keys(b.states)) {
		if d := b.states[key]; d != nil {
			c[collStates] = append(c[collStates], driver.NewReplaceOneModel().SetFilter(is("_id", key)).SetReplacement(d).SetUpsert(true))
		} else {
			c[collStates] = append(c[collStates], driver.NewDeleteOneModel().SetFilter(is("_id", key)))
		}
	}
	return b.apply(b.in, c)
}

// AllStates reads the states in the order of their keys.
func (db *DB) AllStates(ctx context.Context, after []byte) (some []store.State, next []byte, err error) {
	if err := db.life.Enter(); err != nil {
		return nil, nil, err
	}
	defer db.life.Leave()
	filter := bson.D{}
	if len(after) > 0 {
		key, ok := bytes.CutPrefix(after, db.salt[:copySalt])
		if !ok {
			return nil, nil, store.ErrBadCursor
		}
		filter = is("_id", is("$gt", string(key)))
	}
	cur, err := db.collection(collStates).Find(ctx, filter, options.Find().SetSort(is("_id", 1)).SetLimit(copyChronicles))
	if err != nil {
		return nil, nil, clean(err)
	}
	var docs []stateDocument
	if err := cur.All(ctx, &docs); err != nil || len(docs) == 0 {
		return nil, nil, clean(err)
	}
	for i := range docs {
		some = append(some, docs[i].state())
	}
	return some, db.copyPosition([]byte(docs[len(docs)-1].Key)), nil
}
