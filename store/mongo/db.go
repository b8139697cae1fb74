package mongo

import (
	"context"

	"vitrine/store"
)

// DB is a store in a MongoDB database. It is safe for concurrent use.
type DB struct{ store.Store }

// Open connects to the servers and opens the store in the database. Collections
// and indexes are made where there are none.
func Open(ctx context.Context, opt Options) (*DB, error) { panic("soon") }

// Ping reports whether the store can be reached and written to.
func (db *DB) Ping(ctx context.Context) error { panic("soon") }
