package mongo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// schema is the version of the layout. A store of another is not opened.
const schema = "vitrine mongo 4"

// The collections.
const (
	collFull     = "full"
	collBasic    = "basic"
	collVersions = "versions"
	collEvents   = "events"
	collEpochs   = "epochs"
	collClasses  = "classes"
	collMeta     = "meta"
	collStates   = "states"
	collTiles    = "tiles"
)

// The kinds of deployment.
const (
	replicaSet = "replica set"
	sharded    = "sharded cluster"
	standalone = "standalone"
)

// leastVersion has snapshot reads outside transactions.
const leastVersion = 5

var (
	errOldServer = errors.New("the MongoDB server is older than 5.0, which has no snapshot reads; upgrade it")
	errHalf      = errors.New("the database holds part of a store, as a restore leaves it that did not end; drop it, or name another")
)

// errOtherSchema: whatever this program did to such a store would be wrong.
func errOtherSchema(found string) error {
	return fmt.Errorf("the store is of schema %q, and this program is for %q: run the version of vitrine that made it, or name another database", found, schema)
}

// server is what the store runs on.
type server struct {
	version  string
	topology string
}

func inspect(ctx context.Context, data *driver.Database) (server, error) {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	if err := data.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return server{}, reason(err)
	}
	var build struct {
		Version string `bson:"version"`
	}
	if err := data.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return server{}, reason(err)
	}
	s := server{version: build.Version, topology: standalone}
	switch {
	case hello.Msg == "isdbgrid":
		s.topology = sharded
	case hello.SetName != "":
		s.topology = replicaSet
	}
	return s, nil
}

func (s server) serves() error {
	major, _, _ := strings.Cut(s.version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
		return errOldServer
	}
	return nil
}

// byEntry, byPlace, bySpread and the two of changes are the indexes that searches name, so that the
// servers weigh no others.
func byEntry() bson.D { return bson.D{{Key: "x", Value: 1}, {Key: "n", Value: 1}} }

func byPlace() bson.D { return is("n", 1) }

// byChange and byFormerChange find versions by type and time.
func byChange() bson.D {
	return bson.D{{Key: "t", Value: 1}, {Key: "u", Value: -1}, {Key: "_id", Value: 1}}
}

func byFormerChange() bson.D {
	return bson.D{{Key: "t", Value: 1}, {Key: "u", Value: -1}, {Key: "f", Value: 1}, {Key: "i", Value: -1}}
}

func bySpread() bson.D { return bson.D{{Key: "s", Value: 1}, {Key: "n", Value: 1}} }

// byLeaf finds the leaves of the record of access, and before them the events that
// are none yet.
func byLeaf() bson.D { return is("l", 1) }

// indexes are what each collection needs besides the index of _id.
func indexes() map[string][]bson.D {
	return map[string][]bson.D{
		collFull:     {byEntry(), byPlace(), byChange()},
		collBasic:    {byEntry(), byPlace()},
		collVersions: {{{Key: "f", Value: 1}, {Key: "i", Value: -1}}, byFormerChange()},
		collEvents:   {byEntry(), bySpread(), byPlace(), byLeaf()},
		collEpochs:   {is("at", 1)},
		collClasses:  nil,
		collMeta:     nil,
		collUndo:     nil,
		collStates:   nil,
		collTiles:    nil,
	}
}

// The keys of meta.
const (
	metaSchema = "schema"
	metaSalt   = "salt"
	metaUsual  = "usual"
	metaTick   = "tick "
)

type metaDocument struct {
	ID    string `bson:"_id"`
	Text  string `bson:"text,omitempty"`
	Bytes []byte `bson:"bytes,omitempty"`
}

func (db *DB) readSchema(ctx context.Context) (string, error) {
	var m metaDocument
	err := db.collection(collMeta).FindOne(ctx, bson.D{{Key: "_id", Value: metaSchema}}).Decode(&m)
	if errors.Is(err, driver.ErrNoDocuments) {
		return "", nil
	}
	return m.Text, clean(err)
}

func (db *DB) readSalt(ctx context.Context) ([]byte, error) {
	var m metaDocument
	err := db.collection(collMeta).FindOne(ctx, bson.D{{Key: "_id", Value: metaSalt}}).Decode(&m)
	return m.Bytes, clean(err)
}

// readUsual is the name of the server that events have no entries of.
func (db *DB) readUsual(ctx context.Context) (string, error) {
	var m metaDocument
	err := db.collection(collMeta).FindOne(ctx, is("_id", metaUsual)).Decode(&m)
	return m.Text, clean(err)
}

// makeSchema makes what is not there. Several processes may do so at once: the
// schema is written last.
func (db *DB) makeSchema(ctx context.Context) error {
	found, err := db.readSchema(ctx)
	if err != nil {
		return err
	}
	switch found {
	case schema:
		return nil
	case "":
	default:
		return errOtherSchema(found)
	}
	for _, coll := range []string{collFull, collEvents} { // what a restore that did not end has left
		if n, err := db.collection(coll).EstimatedDocumentCount(ctx); err != nil || n > 0 {
			if now, again := db.readSchema(ctx); again == nil && err == nil && now == schema {
				return nil // another process has made it, and is at work
			}
			return errors.Join(clean(err), errHalf)
		}
	}
	if err := db.makeCollections(ctx); err != nil {
		return err
	}
	return db.seed(ctx)
}

// younger are the collections that a store of this schema may be older than.
func younger() []string { return []string{collStates, collTiles} }

// makeYounger makes what a store may be older than, but for indexes. A transaction
// cannot be relied on to do so.
func (db *DB) makeYounger(ctx context.Context) error {
	existing, err := db.data.ListCollectionNames(ctx, among("name", younger()))
	if err != nil {
		return clean(err)
	}
	for _, name := range younger() {
		if !slices.Contains(existing, name) {
			if err := db.makeCollection(ctx, name); err != nil {
				return err
			}
		}
	}
	return db.makeHead(ctx)
}

func (db *DB) makeCollection(ctx context.Context, name string) error {
	var exists driver.CommandError
	if err := db.data.CreateCollection(ctx, name); err != nil && (!errors.As(err, &exists) || exists.Name != "NamespaceExists") {
		return clean(err)
	}
	return nil
}

// makeCollections makes the collections and indexes that are not there.
func (db *DB) makeCollections(ctx context.Context) error {
	existing, err := db.data.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return clean(err)
	}
	for name, keys := range indexes() {
		if !slices.Contains(existing, name) {
			if err := db.makeCollection(ctx, name); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if _, err := db.collection(name).Indexes().CreateOne(ctx, driver.IndexModel{Keys: key}); err != nil {
				return clean(err)
			}
		}
	}
	return nil
}

// seed writes the documents that a store begins with.
func (db *DB) seed(ctx context.Context) error {
	salt := make([]byte, 32)
	if _, err := rand.Read(salt); err != nil {
		return err
	}
	for _, m := range []struct {
		coll string
		id   string
		set  bson.D
	}{
		{collMeta, metaSalt, bson.D{{Key: "bytes", Value: salt}}},
		{collMeta, metaUsual, bson.D{{Key: "text", Value: db.opt.Site}}},
		{collEpochs, lockKey, bson.D{{Key: "at", Value: int64(1)}}},
		{collMeta, metaSchema, bson.D{{Key: "text", Value: schema}}},
	} {
		_, err := db.collection(m.coll).UpdateOne(ctx, bson.D{{Key: "_id", Value: m.id}},
			bson.D{{Key: "$setOnInsert", Value: m.set}}, options.UpdateOne().SetUpsert(true))
		if err != nil && !driver.IsDuplicateKeyError(err) {
			return clean(err)
		}
	}
	return nil
}
