package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
)

// A process that dies in the middle of a write leaves its transaction open, and
// with it the lock: the servers end it only after transactionLifetimeLimitSeconds,
// a minute by default. Nobody could write for as long. A writer that waits for
// the lock therefore looks for transactions in which nothing has happened for a
// while, and ends them. To a process that is alive and only slow it is a
// transaction that was lost, which is run again; one that was being committed
// is no longer open.
const (
	// abandoned is how long nothing has happened in such a transaction.
	abandoned = 1500 * time.Millisecond
	// appName marks our sessions.
	appName = "vitrine"
)

// endAbandoned ends the transactions that were left. A user may always see and
// end its own.
func (db *DB) endAbandoned(ctx context.Context) error {
	admin := db.client.Database("admin", options.Database().SetReadConcern(readconcern.Local()))
	cur, err := admin.Aggregate(ctx, driver.Pipeline{
		is("$currentOp", bson.D{{Key: "allUsers", Value: false}, {Key: "idleSessions", Value: true}}),
		is("$match", bson.D{
			{Key: "type", Value: "idleSession"},
			{Key: "appName", Value: appName},
			{Key: "transaction.timeInactiveMicros", Value: is("$gt", abandoned.Microseconds())},
		}),
	})
	if err != nil {
		return clean(err)
	}
	var idle []struct {
		Session struct {
			ID bson.Binary `bson:"id"`
		} `bson:"lsid"`
	}
	if err := cur.All(ctx, &idle); err != nil {
		return clean(err)
	}
	var ids []bson.D
	for _, one := range idle {
		ids = append(ids, is("id", one.Session.ID))
	}
	if len(ids) == 0 {
		return nil
	}
	db.opt.Logger.WarnContext(ctx, "writes that their processes left open are ended", "count", len(ids))
	return clean(db.client.Database("admin").RunCommand(ctx, is("killSessions", ids)).Err())
}

// dropTimeout is when the servers have ended a transaction by themselves.
const dropTimeout = 2 * time.Minute

// drop ends a transaction of our own whose end the servers may not have heard.
// Others would wait for it until they take it for abandoned.
func (db *DB) drop(ctx context.Context, s *driver.Session) {
	db.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		defer s.EndSession(ctx)
		for wait := leastWait; db.life.Enter() == nil; wait = min(2*wait, mostWait) {
			err := clean(db.client.Database("admin").RunCommand(ctx, is("killSessions", bson.A{s.ID()})).Err())
			db.life.Leave()
			var f *failure
			if !errors.As(err, &f) || f.answered() || pause(ctx, wait) != nil {
				return
			}
		}
	})
}

// lookEvery is after how many attempts a writer that waits looks for what was
// left.
const lookEvery = 10

// afterLosing is what a writer does that lost the lock once more. If it may not
// look, it waits.
func (db *DB) afterLosing(ctx context.Context, attempt int) {
	if (attempt+1)%lookEvery == 0 && db.endAbandoned(ctx) != nil {
		db.opt.Logger.WarnContext(ctx, "writes that their processes left open cannot be looked for")
	}
}
