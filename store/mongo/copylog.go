package mongo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/store"
)

// A copy has the leaves of what was copied, in their order, so that the
// checkpoints of the one hold for the other.

// The position of a copy among records is that of a leaf or, behind all leaves, of
// an event that is none yet.
const (
	copyLeaf  = 'l'
	copyPlace = 'n'
)

// Records reads the leaves in their order, and then the events that are none yet
// in that of time.
func (db *DB) Records(ctx context.Context, after []byte) (some [][]byte, next []byte, err error) {
	if err := db.life.Enter(); err != nil {
		return nil, nil, err
	}
	defer db.life.Leave()
	if hot, err := db.Hot(ctx); err != nil || hot > 0 { // the copy could not have the same tree
		return nil, nil, cmp.Or(err, store.ErrPutAway)
	}
	at, ok := bytes.CutPrefix(after, db.salt[:copySalt])
	if len(after) > 0 && (!ok || len(at) == 0) {
		return nil, nil, store.ErrBadCursor
	}
	if len(at) == 0 || at[0] == copyLeaf {
		some, next, err = db.leavesAfter(ctx, at)
		if err != nil || len(some) > 0 {
			return some, next, err
		}
		at = []byte{copyPlace}
	}
	return db.othersAfter(ctx, at[1:])
}

// leavesAfter are some leaves behind a position.
func (db *DB) leavesAfter(ctx context.Context, at []byte) (some [][]byte, next []byte, err error) {
	last := int64(-1)
	if len(at) == 9 {
		last = int64(binary.BigEndian.Uint64(at[1:])) //nolint:gosec // as it was written
	}
	cur, err := db.collection(collEvents).Find(ctx, is("l", is("$gt", last)),
		options.Find().SetHint(byLeaf()).SetSort(is("l", 1)).SetLimit(copyRecords).SetProjection(by("l", "r")))
	if err != nil {
		return nil, nil, clean(err)
	}
	var found []eventDocument
	if err := cur.All(ctx, &found); err != nil || len(found) == 0 {
		return nil, nil, clean(err)
	}
	for i := range found {
		some = append(some, found[i].Record)
	}
	last = *found[len(found)-1].Leaf
	return some, db.copyPosition(binary.BigEndian.AppendUint64([]byte{copyLeaf}, uint64(last))), nil //nolint:gosec // not below zero
}

// othersAfter are some events that are no leaves. Those of one place are given
// together, so that the next goes on behind them.
func (db *DB) othersAfter(ctx context.Context, n []byte) (some [][]byte, next []byte, err error) {
	filter := is("l", nil)
	if len(n) > 0 {
		filter = append(filter, bson.E{Key: "n", Value: is("$gt", n)})
	}
	found, err := db.recordsOf(ctx, filter, options.Find().SetLimit(copyRecords))
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	last := found[len(found)-1].N
	if len(found) == copyRecords {
		same, err := db.recordsOf(ctx, append(is("l", nil), bson.E{Key: "n", Value: last}), options.Find())
		if err != nil {
			return nil, nil, err
		}
		for bytes.Equal(found[len(found)-1].N, last) {
			if found = found[:len(found)-1]; len(found) == 0 {
				break
			}
		}
		found = append(found, same...)
	}
	for i := range found {
		some = append(some, found[i].Record)
	}
	return some, db.copyPosition(append([]byte{copyPlace}, last...)), nil
}

func (db *DB) recordsOf(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]eventDocument, error) {
	cur, err := db.collection(collEvents).Find(ctx, filter, o.SetHint(byPlace()).SetSort(is("n", 1)).SetProjection(by("n", "r")))
	if err != nil {
		return nil, clean(err)
	}
	var all []eventDocument
	return all, clean(cur.All(ctx, &all))
}

// adopt writes records that are leaves from the beginning.
func (b *batch) adopt(in context.Context, records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	db := b.v.db
	head, err := db.takeHead(in)
	if err != nil {
		return err
	}
	t, err := db.treeAt(in, head.Size)
	if err != nil {
		return err
	}
	docs := make([]*eventDocument, len(records))
	for i, r := range records {
		if docs[i], err = db.log.document(r); err != nil {
			return err
		}
		leaf := t.size
		docs[i].Leaf = &leaf
		t.add(r)
	}
	if _, err := db.collection(collEvents).InsertMany(in, docs); err != nil {
		return clean(err)
	}
	return db.keepTree(in, t)
}
