package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"vitrine/store"
	"vitrine/store/events"
)

// DB is a store in a MongoDB database. It is safe for concurrent use.
type DB struct {
	opt    Options
	client *driver.Client
	data   *driver.Database
	server server
	salt   []byte
	events *events.Index // nil without an indexer

	life    store.Life
	turn    chan struct{} // held by the one writer of this process
	growing chan struct{} // held by the one that grows the tree
	writes  writes
	news    news
	log     auditLog
	classes classes
	work    sync.WaitGroup
}

var _ store.Store = (*DB)(nil)

// Open connects to the servers and opens the store in the database. Collections
// and indexes are made where there are none.
func Open(ctx context.Context, opt Options) (*DB, error) {
	db, err := connect(ctx, opt)
	if err != nil {
		return nil, err
	}
	if err := db.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.disconnect(ctx))
	}
	for range rounds {
		db.work.Go(db.log.run)
	}
	return db, nil
}

// connect makes a client and learns what kind of servers it speaks to.
func connect(ctx context.Context, opt Options) (*DB, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	db := &DB{opt: opt, turn: make(chan struct{}, 1), growing: make(chan struct{}, 1)}
	if err := db.dial(opt.client()); err != nil {
		return nil, err
	}
	if db.server, err = inspect(ctx, db.data); err != nil {
		return nil, errors.Join(err, db.disconnect(ctx))
	}
	if !db.alone() {
		return db, nil
	}
	// Such a server knows no retries and no majority to read from.
	if err := db.disconnect(ctx); err != nil {
		return nil, err
	}
	return db, db.dial(opt.client().SetRetryWrites(false).SetReadConcern(readconcern.Local()))
}

func (db *DB) dial(o *options.ClientOptions) error {
	if o.Validate() != nil {
		return ErrURI
	}
	client, err := driver.Connect(o)
	if err != nil {
		return ErrURI
	}
	db.client, db.data = client, client.Database(db.opt.Database)
	return nil
}

func (db *DB) prepare(ctx context.Context) error {
	if err := db.server.serves(); err != nil {
		return err
	}
	if err := db.makeSchema(ctx); err != nil {
		return err
	}
	if err := db.makeYounger(ctx); err != nil {
		return err
	}
	if err := db.whole(ctx); err != nil {
		return err
	}
	if db.alone() {
		db.opt.Logger.WarnContext(ctx, "the MongoDB server is standalone: transaction Bundles are refused, and one process may serve")
		if err := db.undo(ctx); err != nil {
			return err
		}
	}
	if err := db.checkWhole(ctx); err != nil {
		return err
	}
	var err error
	if db.salt, err = db.readSalt(ctx); err != nil {
		return err
	}
	if db.opt.Indexer != nil {
		usual, err := db.readUsual(ctx)
		if err != nil {
			return err
		}
		if db.events, err = events.New(db.opt.Indexer, db.opt.Definitions, usual); err != nil {
			return err
		}
	}
	db.log.open(db)
	return db.news.open(ctx, db)
}

// Ping reports whether the store can be reached and a primary takes writes.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	_, err := db.news.ask(ctx)
	return err
}

// Close waits for what is under way and for open snapshots, refuses what comes
// after, and lets go of the connections.
func (db *DB) Close() error {
	if !db.life.End() {
		return store.ErrClosed
	}
	db.log.close()
	db.work.Wait()
	return db.disconnect(context.Background()) //nolint:forbidigo // the end of a store is nobody's request
}

func (db *DB) disconnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.opt.Timeout)
	defer cancel()
	return clean(db.client.Disconnect(ctx))
}

func (db *DB) collection(name string) *driver.Collection { return db.data.Collection(name) }

// Describe is the kind and the version of the servers, for a log.
func (db *DB) Describe() string {
	return fmt.Sprintf("MongoDB %s, %s", db.server.version, db.server.topology)
}
