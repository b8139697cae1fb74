package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// shardKey is by what a collection is spread over a cluster. What is in none of
// them stays together, on one shard: the lock, the epochs and the ticks must.
type shardKey struct {
	coll string
	key  bson.D
}

// shardKeys keep together what is read together. No deployment has a choice: the
// filters of this package name these fields, and no others.
func shardKeys() []shardKey {
	return []shardKey{
		{collFull, byPlace()},
		{collBasic, byPlace()},
		{collVersions, is("f", 1)},
		{collEvents, bySpread()},
	}
}

// shard spreads the collections over a cluster. What is spread by the same key
// stays as it is. It takes an owner's rights, those of the role clusterManager.
func (db *DB) shard(ctx context.Context) error {
	admin := db.client.Database("admin")
	if err := admin.RunCommand(ctx, is("enableSharding", db.opt.Database)).Err(); err != nil { // 5.0 wants it
		return fmt.Errorf("spread the store over the shards: %w", reason(err))
	}
	for _, s := range shardKeys() {
		command := bson.D{{Key: "shardCollection", Value: db.opt.Database + "." + s.coll}, {Key: "key", Value: s.key}}
		if err := admin.RunCommand(ctx, command).Err(); err != nil {
			return fmt.Errorf("spread the collection %s over the shards: %w", s.coll, reason(err))
		}
	}
	return nil
}

// checkShards reports the collections of a cluster that lie on one shard.
func (db *DB) checkShards(ctx context.Context) (problems []string, err error) {
	for _, s := range shardKeys() {
		spread, err := db.spread(ctx, s.coll)
		if err != nil {
			return nil, err
		}
		if !spread {
			problems = append(problems, fmt.Sprintf("the collection %s lies on one shard; run vitrine store init as a user who has the role clusterManager", s.coll))
		}
	}
	return problems, nil
}

// spread reports whether a collection is sharded. The command is an old one; the
// stage of aggregations that has its name does not say it.
func (db *DB) spread(ctx context.Context, coll string) (bool, error) {
	var stats struct {
		Sharded bool `bson:"sharded"`
	}
	err := db.data.RunCommand(ctx, is("collStats", coll)).Decode(&stats)
	return stats.Sharded, clean(err)
}
