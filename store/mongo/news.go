package mongo

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// lockKey is the key of the lock among the epochs. Its number is that of the
// last commit.
const lockKey = ""

// epochDocument says in which commit the facts under a key last changed.
type epochDocument struct {
	Key string `bson:"_id"`
	At  int64  `bson:"at"`
	// Classes is the commit in which a class last came; of the lock.
	Classes int64 `bson:"cls,omitempty"`
}

// ticks is how many documents the processes write between them.
const ticks = 256

// maxEpochs bounds the memory of epochs; beyond it all are forgotten at once,
// which makes every cached fact stale and none wrong.
const maxEpochs = 1 << 20

// moment is a state of the store: a cluster time, and the last commit before it.
type moment struct {
	time   bson.Timestamp
	commit uint64
}

// news tells which commits there were, of all processes. Requests that ask
// together are told together, by an enquiry that begins after each has asked.
type news struct {
	db *DB
	// tick is the document that enquiries of this process write.
	tick string

	mu      sync.Mutex
	running bool
	coming  *telling

	epochs sync.RWMutex
	last   map[string]uint64
	floor  uint64
	seen   uint64
	// heard is seen, with the classes that go with it.
	heard atomic.Uint64
}

type telling struct {
	done chan struct{}
	at   moment
	err  error
}

func (n *news) open(ctx context.Context, db *DB) error {
	n.db, n.last = db, map[string]uint64{}
	n.tick = metaTick + strconv.Itoa(rand.N(ticks)) //nolint:gosec // not a secret
	var lock epochDocument
	err := db.collection(collEpochs).FindOne(ctx, bson.D{{Key: "_id", Value: lockKey}}).Decode(&lock)
	if err != nil {
		return clean(err)
	}
	n.seen = uint64(lock.At) //nolint:gosec // it counts
	n.floor = n.seen
	return db.classes.load(ctx, db, lock.Classes)
}

// ask is the newest moment: whatever was acknowledged before the call, by any
// process, lies before it.
func (n *news) ask(ctx context.Context) (moment, error) {
	n.mu.Lock()
	if n.coming == nil {
		n.coming = &telling{done: make(chan struct{})}
	}
	t := n.coming
	if !n.running {
		n.running = true
		n.db.work.Go(n.run)
	}
	n.mu.Unlock()
	select {
	case <-t.done:
		return t.at, t.err
	case <-ctx.Done():
		return moment{}, ctx.Err()
	}
}

func (n *news) run() {
	for {
		n.mu.Lock()
		t := n.coming
		n.coming = nil
		if t == nil {
			n.running = false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		t.at, t.err = n.enquire()
		close(t.done)
	}
}

// enquire asks in two steps. The first writes: only a primary that a majority
// follows, and that knows all that was acknowledged, can acknowledge it, and the
// time of the write is that of the answer. A server that was deposed, or has not
// caught up, would have to pass. A linearizable read promises the same, and waits
// for the servers' journal to be due. The second step reads what changed, at that
// time exactly.
func (n *news) enquire() (moment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), n.db.opt.Timeout) //nolint:forbidigo // it serves many requests
	defer cancel()
	var at moment
	var err error
	if !n.db.alone() {
		if at.time, err = n.time(ctx); err != nil {
			return moment{}, clean(err)
		}
	}
	s, err := n.db.sessionAt(at)
	if err != nil {
		return moment{}, clean(err)
	}
	defer s.EndSession(ctx)
	ctx = driver.NewSessionContext(ctx, s)
	cur, err := n.db.collection(collEpochs).Find(ctx, bson.D{{Key: "at", Value: bson.D{{Key: "$gte", Value: int64(n.seen)}}}}) //nolint:gosec // it counts
	if err != nil {
		return moment{}, clean(err)
	}
	var changed []epochDocument
	if err := cur.All(ctx, &changed); err != nil {
		return moment{}, clean(err)
	}
	lock, err := n.take(changed)
	if err != nil {
		return moment{}, err
	}
	if err := n.db.classes.load(ctx, n.db, lock.Classes); err != nil {
		return moment{}, err
	}
	at.commit = uint64(lock.At) //nolint:gosec // it counts
	n.heard.Store(at.commit)
	return at, nil
}

func (n *news) time(ctx context.Context) (bson.Timestamp, error) {
	s, err := n.db.client.StartSession()
	if err != nil {
		return bson.Timestamp{}, err
	}
	defer s.EndSession(ctx)
	_, err = n.db.collection(collMeta).UpdateOne(driver.NewSessionContext(ctx, s), is("_id", n.tick), is("$inc", is("n", int64(1))), options.UpdateOne().SetUpsert(true))
	if err != nil {
		return bson.Timestamp{}, err
	}
	if at := s.OperationTime(); at != nil {
		return *at, nil
	}
	return bson.Timestamp{}, errors.New("mongodb: no operation time")
}

// take keeps what changed, and returns the lock.
func (n *news) take(changed []epochDocument) (epochDocument, error) {
	n.epochs.Lock()
	defer n.epochs.Unlock()
	at := slices.IndexFunc(changed, func(c epochDocument) bool { return c.Key == lockKey })
	if at < 0 {
		return epochDocument{}, errors.New("mongodb: the lock is not there")
	}
	lock := changed[at]
	n.seen = uint64(lock.At) //nolint:gosec // it counts
	if len(n.last)+len(changed) > maxEpochs {
		n.last, n.floor = map[string]uint64{}, n.seen
	}
	for _, c := range changed {
		if c.Key != lockKey {
			n.last[c.Key] = uint64(c.At) //nolint:gosec // it counts
		}
	}
	return lock, nil
}

// knows reports whether a commit was heard of, and the classes that came with it.
func (n *news) knows(commit uint64) bool { return n.heard.Load() >= commit }

// told reports whether the last enquiry told of that commit as the last one.
func (n *news) told(commit uint64) bool {
	n.epochs.RLock()
	defer n.epochs.RUnlock()
	return n.seen == commit
}

// epoch is when the facts under key last changed before a commit; false when it
// was after.
func (n *news) epoch(key string, commit uint64) (uint64, bool) {
	n.epochs.RLock()
	defer n.epochs.RUnlock()
	last, known := n.last[key]
	if !known {
		last = n.floor
	}
	if last > commit {
		return 0, false
	}
	return last, true
}

// Epoch says when the facts under key last changed before this transaction, which
// has the lock: nobody changes them meanwhile. The servers are asked only when
// there were commits that the last enquiry did not tell of.
func (x *tx) Epoch(key string) (epoch uint64, ok bool) {
	if x.over || x.touched[key] {
		return 0, false
	}
	before := uint64(x.commit - 1) //nolint:gosec // it counts
	if x.db.news.told(before) {
		return x.db.news.epoch(key, before)
	}
	at, known := x.read[key]
	if !known {
		var doc epochDocument
		err := x.db.collection(collEpochs).FindOne(x.in, is("_id", key)).Decode(&doc)
		if err != nil && !errors.Is(err, driver.ErrNoDocuments) {
			return 0, false
		}
		at = uint64(doc.At) //nolint:gosec // it counts
		x.read[key] = at
	}
	n := &x.db.news
	n.epochs.RLock()
	defer n.epochs.RUnlock()
	if _, known := n.last[key]; !known { // a snapshot has no better answer
		return max(at, n.floor), true
	}
	return at, true
}
