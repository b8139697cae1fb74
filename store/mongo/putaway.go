package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/store"
)

var _ store.Archive = (*DB)(nil)

// dropMost is how many events are dropped by one command.
const dropMost = 10_000

// Hot is the first leaf that was not put away.
func (db *DB) Hot(ctx context.Context) (int64, error) {
	if err := db.life.Enter(); err != nil {
		return 0, err
	}
	defer db.life.Leave()
	head, err := db.head(ctx)
	return head.Hot, err
}

// PutAway notes in the head how far the records are put away, and drops the events.
func (db *DB) PutAway(ctx context.Context, to int64) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	head, err := db.head(ctx)
	if err != nil {
		return err
	}
	if to < 0 || to > head.Size {
		return fmt.Errorf("%w: %d of %d", errLeaf, to, head.Size)
	}
	if to = max(to, head.Hot); to == 0 {
		return nil
	}
	if _, err := db.collection(collMeta).UpdateOne(ctx, is("_id", metaTree), is("$max", is("h", to))); err != nil {
		return clean(err)
	}
	for {
		from, ok, err := db.firstLeaf(ctx)
		if err != nil || !ok || from >= to {
			return err
		}
		some := is("l", bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: min(from+dropMost, to)}})
		if _, err := db.collection(collEvents).DeleteMany(ctx, some, options.DeleteMany().SetHint(byLeaf())); err != nil {
			return clean(err)
		}
	}
}

// firstLeaf is the index of the first leaf whose event is there.
func (db *DB) firstLeaf(ctx context.Context) (index int64, ok bool, err error) {
	var d struct {
		Leaf int64 `bson:"l"`
	}
	err = db.collection(collEvents).FindOne(ctx, is("l", is("$gte", 0)),
		options.FindOne().SetHint(byLeaf()).SetSort(is("l", 1)).SetProjection(is("l", 1))).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return 0, false, nil
	}
	return d.Leaf, err == nil, clean(err)
}
