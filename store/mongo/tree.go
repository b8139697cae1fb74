package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/store"
)

var _ store.Log = (*DB)(nil)

// mostLeaves is how many events are placed in one transaction.
const mostLeaves = 2000

// metaTree is the key of the head of the tree.
const metaTree = "tree"

// headDocument is the head: how many leaves there are, and how often it was
// taken. Who places events takes it first, so that of several only one goes on.
type headDocument struct {
	Size  int64 `bson:"n"`
	Taken int64 `bson:"t"`
	// Hot is the index of the first leaf that was not put away.
	Hot int64 `bson:"h,omitempty"`
}

var (
	errTree = errors.New("the tiles of the record of access are damaged: nothing is added to it until they are restored")
	errLeaf = errors.New("no such leaf")
	errTile = errors.New("no such tile")
)

// Grow places the events that have no place yet. A transaction takes the head,
// gives some of them the next indexes, and writes these, the tiles and the head as
// one, so whoever else does so at the same time begins again behind it.
func (db *DB) Grow(ctx context.Context) (size int64, err error) {
	if err := db.life.Enter(); err != nil {
		return 0, err
	}
	defer db.life.Leave()
	select {
	case db.growing <- struct{}{}: // of this process one at a time
		defer func() { <-db.growing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for more := true; more; {
		if size, more, err = db.growSome(ctx); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// growSome places some events, as often as it takes to be the only one.
func (db *DB) growSome(ctx context.Context) (size int64, more bool, err error) {
	if db.alone() {
		return db.growAlone(ctx)
	}
	over := time.NewTimer(db.opt.Timeout)
	defer over.Stop()
	wait := leastWait
	for n := 0; ; n++ {
		err := db.transaction(ctx, func(in context.Context, _ *driver.Session) (err error) {
			size, more, err = db.place(in)
			return err
		})
		// What became of a commit is told by the head that the next attempt takes.
		if !transient(err) && !errors.Is(err, errUnknown) {
			return size, more, err
		}
		select {
		case <-over.C:
			return 0, false, store.ErrConflict
		default:
		}
		db.afterLosing(ctx, n)
		if err := pause(ctx, wait); err != nil {
			return 0, false, err
		}
		wait = min(2*wait, mostWait)
	}
}

// growAlone places events on a standalone server, where the head is written last:
// what was given an index and is not below it is placed anew.
func (db *DB) growAlone(ctx context.Context) (size int64, more bool, err error) {
	head, err := db.head(ctx)
	if err != nil {
		return 0, false, err
	}
	_, err = db.collection(collEvents).UpdateMany(ctx, is("l", is("$gte", head.Size)), is("$unset", is("l", "")))
	if err != nil {
		return 0, false, clean(err)
	}
	return db.place(ctx)
}

// takeHead makes the head one's own until the transaction ends.
func (db *DB) takeHead(in context.Context) (headDocument, error) {
	var h headDocument
	err := db.collection(collMeta).FindOneAndUpdate(in, is("_id", metaTree), is("$inc", is("t", int64(1)))).Decode(&h)
	return h, clean(err)
}

// place gives some of the events that have no place the next ones.
func (db *DB) place(in context.Context) (size int64, more bool, err error) {
	head, err := db.takeHead(in)
	if err != nil {
		return 0, false, err
	}
	var docs []eventDocument
	cur, err := db.collection(collEvents).Find(in, is("l", nil),
		options.Find().SetHint(byLeaf()).SetLimit(mostLeaves).SetBatchSize(mostLeaves+1).SetProjection(by("_id", "s", "n", "r")))
	if err != nil {
		return 0, false, clean(err)
	}
	if err := cur.All(in, &docs); err != nil {
		return 0, false, clean(err)
	}
	if len(docs) == 0 {
		return head.Size, false, nil
	}
	t, err := db.treeAt(in, head.Size)
	if err != nil {
		return 0, false, err
	}
	models := make([]driver.WriteModel, len(docs))
	for i := range docs {
		d := &docs[i]
		models[i] = driver.NewUpdateOneModel().SetFilter(db.named(d)).SetUpdate(is("$set", is("l", t.size)))
		t.add(d.Record)
	}
	if _, err := db.collection(collEvents).BulkWrite(in, models, options.BulkWrite().SetOrdered(false)); err != nil {
		return 0, false, clean(err)
	}
	return t.size, len(docs) == mostLeaves, db.keepTree(in, t)
}

// named is the key of an event, and on a cluster where it lies.
func (db *DB) named(d *eventDocument) bson.D {
	key := is("_id", d.ID)
	if db.server.topology == sharded {
		key = append(key, bson.E{Key: "s", Value: d.S}, bson.E{Key: "n", Value: d.N})
	}
	return key
}

// keepTree writes the tiles that were added to, and the head.
func (db *DB) keepTree(in context.Context, t *tree) error {
	models := make([]driver.WriteModel, 0, len(t.tiles))
	for at, hashes := range t.tiles {
		models = append(models, driver.NewReplaceOneModel().SetFilter(is("_id", at.key())).
			SetReplacement(tileDocument{ID: at.key(), Hashes: hashes}).SetUpsert(true))
	}
	if _, err := db.collection(collTiles).BulkWrite(in, models, options.BulkWrite().SetOrdered(false)); err != nil {
		return clean(err)
	}
	_, err := db.collection(collMeta).UpdateOne(in, is("_id", metaTree), is("$set", is("n", t.size)))
	return clean(err)
}

// makeHead makes the head of an empty tree where a store has none.
func (db *DB) makeHead(ctx context.Context) error {
	_, err := db.collection(collMeta).UpdateOne(ctx, is("_id", metaTree),
		is("$setOnInsert", bson.D{{Key: "n", Value: int64(0)}, {Key: "t", Value: int64(0)}}), options.UpdateOne().SetUpsert(true))
	if driver.IsDuplicateKeyError(err) {
		return nil // another process has made it
	}
	return clean(err)
}

func (db *DB) head(ctx context.Context) (headDocument, error) {
	var h headDocument
	err := db.collection(collMeta).FindOne(ctx, is("_id", metaTree)).Decode(&h)
	return h, clean(err)
}

// Tiles reads the hashes of tiles. The head is read first, and tiles only grow.
func (db *DB) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	defer db.life.Leave()
	head, err := db.head(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([][]byte, len(tiles))
	for i, t := range tiles {
		if t.H != store.TileHeight || t.L < 0 || t.L >= 8 || t.N < 0 || t.W < 1 || t.W > perTile || t.N >= head.Size ||
			t.N<<store.TileHeight+int64(t.W) > head.Size>>(store.TileHeight*t.L) {
			return nil, fmt.Errorf("%w: %s", errTile, t.Path())
		}
		keys[i] = tileAt{t.L, t.N}.key()
	}
	found, err := db.readTiles(ctx, keys)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		hashes := found[string(keys[i])]
		all[i] = hashes[:min(len(hashes), t.W*tlog.HashSize)]
	}
	return all, nil
}

// Leaves reads the records of leaves. An index that two events claim is that of
// neither.
func (db *DB) Leaves(ctx context.Context, from, to int64, each func(index int64, record []byte) error) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	head, err := db.head(ctx)
	if err != nil {
		return err
	}
	if from < 0 || to < from || to > head.Size {
		return fmt.Errorf("%w: %d to %d of %d", errLeaf, from, to, head.Size)
	}
	for from < to {
		end := min(from+mostRecords, to)
		records, err := db.leaves(ctx, from, end)
		if err != nil {
			return err
		}
		for i, r := range records {
			if from+int64(i) < head.Hot {
				r = nil
			}
			if err := each(from+int64(i), r); err != nil {
				return err
			}
		}
		from = end
	}
	return nil
}

func (db *DB) leaves(ctx context.Context, from, to int64) ([][]byte, error) {
	cur, err := db.collection(collEvents).Find(ctx, is("l", bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: to}}),
		options.Find().SetHint(byLeaf()).SetSort(is("l", 1)).SetProjection(by("l", "r")))
	if err != nil {
		return nil, clean(err)
	}
	defer func() { _ = cur.Close(ctx) }()
	records, claimed := make([][]byte, to-from), int64(-1)
	for cur.Next(ctx) {
		var d struct {
			Leaf   int64  `bson:"l"`
			Record []byte `bson:"r"`
		}
		if cur.Decode(&d) != nil {
			continue // it is no record any more, and so it is gone
		}
		if d.Leaf == claimed {
			d.Record = nil
		}
		records[d.Leaf-from], claimed = d.Record, d.Leaf
	}
	return records, clean(cur.Err())
}

// Leaf finds the index of the record of an event.
func (db *DB) Leaf(ctx context.Context, id [16]byte) (index int64, ok bool, err error) {
	if err := db.life.Enter(); err != nil {
		return 0, false, err
	}
	defer db.life.Leave()
	var d struct {
		Leaf int64 `bson:"l"`
	}
	err = db.collection(collEvents).FindOne(ctx, bson.D{{Key: "_id", Value: idsOf(id)}, {Key: "l", Value: is("$gte", 0)}},
		options.FindOne().SetHint(is("_id", 1)).SetProjection(is("l", 1)).SetSort(is("l", 1))).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, clean(err)
	}
	head, err := db.head(ctx)
	return d.Leaf, err == nil && d.Leaf < head.Size, err
}
