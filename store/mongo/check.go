package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
)

// Report is what Check found.
type Report struct {
	// Server is the version of the servers.
	Server string
	// Topology is "replica set", "sharded cluster" or "standalone".
	Topology string
	// Database is the name of the database.
	Database string
	// Schema is the version of the schema found; empty when there is none yet.
	Schema string
	// Problems are what keeps the store from serving, or from all it promises.
	Problems []string
}

// Init makes the collections and indexes of a store, on a cluster spreads them
// over the shards, and does nothing where that is done.
func Init(ctx context.Context, opt Options) error {
	db, err := connect(ctx, opt)
	if err != nil {
		return err
	}
	err = db.server.serves()
	if err == nil {
		err = db.makeSchema(ctx)
	}
	if err == nil {
		err = db.makeCollections(ctx) // an index may be missing of a store that is there
	}
	if err == nil && db.server.topology == sharded {
		err = db.shard(ctx)
	}
	return errors.Join(err, db.disconnect(ctx))
}

// Check compares the collections and indexes of a store with what this version
// needs. It writes nothing.
func Check(ctx context.Context, opt Options) (Report, error) {
	db, err := connect(ctx, opt)
	if err != nil {
		return Report{}, err
	}
	r := Report{Server: db.server.version, Topology: db.server.topology, Database: db.opt.Database}
	err = db.check(ctx, &r)
	return r, errors.Join(err, db.disconnect(ctx))
}

func (db *DB) check(ctx context.Context, r *Report) error {
	if err := db.server.serves(); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	if r.Topology == standalone {
		r.Problems = append(r.Problems, "a standalone server has no transactions and is for trials, with one server alone: start it as a replica set, of one node if need be")
	}
	var err error
	if r.Schema, err = db.readSchema(ctx); err != nil {
		return err
	}
	switch r.Schema {
	case schema:
	case "":
		r.Problems = append(r.Problems, "there is no store in the database yet; run: vitrine store init")
		return nil
	default:
		r.Problems = append(r.Problems, errOtherSchema(r.Schema).Error())
		return nil
	}
	missing, err := db.missing(ctx)
	if err != nil {
		return err
	}
	r.Problems = append(r.Problems, missing...)
	if r.Topology == sharded {
		problems, err := db.checkShards(ctx)
		if err != nil {
			return err
		}
		r.Problems = append(r.Problems, problems...)
	}
	slices.Sort(r.Problems)
	return nil
}

// missing says which indexes there are not. Searches name the index they go by,
// and without it would fail, one after the other.
func (db *DB) missing(ctx context.Context) ([]string, error) {
	existing, err := db.data.ListCollectionNames(ctx, among("name", younger()))
	if err != nil {
		return nil, clean(err)
	}
	var missing []string
	for _, name := range younger() {
		if !slices.Contains(existing, name) {
			missing = append(missing, fmt.Sprintf("the collection %s is not there; run: vitrine store init", name))
		}
	}
	for name, keys := range indexes() {
		specs, err := db.collection(name).Indexes().ListSpecifications(ctx)
		if err != nil {
			return nil, clean(err)
		}
		for _, key := range keys {
			want, err := bson.Marshal(key)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(specs, func(s driver.IndexSpecification) bool { return sameKeys(s.KeysDocument, want) }) {
				missing = append(missing, fmt.Sprintf("the collection %s lacks the index %s; run: vitrine store init", name, indexName(key)))
			}
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// whole refuses a store that lacks an index: that is to be told at the start.
func (db *DB) whole(ctx context.Context) error {
	missing, err := db.missing(ctx)
	if err == nil && len(missing) > 0 {
		err = errors.New(missing[0])
	}
	return err
}

// sameKeys compares index keys, whose directions may be of any number type.
func sameKeys(a, b bson.Raw) bool {
	x, errA := a.Elements()
	y, errB := b.Elements()
	return errA == nil && errB == nil && slices.EqualFunc(x, y, func(p, q bson.RawElement) bool {
		return p.Key() == q.Key() && p.Value().AsInt64() == q.Value().AsInt64()
	})
}

func indexName(key bson.D) string {
	var parts []string
	for _, e := range key {
		parts = append(parts, fmt.Sprintf("%s: %v", e.Key, e.Value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
