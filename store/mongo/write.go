package mongo

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"vitrine/store"
)

const (
	// mostWrites is how many writes share a transaction.
	mostWrites = 100
	// leastWait and mostWait bound the time before it is; it doubles, and is
	// drawn, so that two writers do not meet again and again.
	leastWait = time.Millisecond
	mostWait  = 100 * time.Millisecond
	// commits is how often a commit is asked for again whose outcome is not
	// known. The servers tell the same outcome each time.
	commits = 10
)

// errUnknown: a commit was sent and nobody could say what became of it. It is
// not acknowledged.
var errUnknown = errors.New("mongodb: the outcome of a write is not known")

// errSolo: one write of several failed when some of it was on the servers. Each
// is run by itself.
var errSolo = errors.New("mongodb: writes do not go together")

// writes wait here for whoever holds the turn.
type writes struct {
	mu      sync.Mutex
	waiting []*writing
}

// writing is one call of Write.
type writing struct {
	ctx  context.Context //nolint:containedctx // it waits in a queue, and its reads are its own
	do   func(store.Tx) error
	err  error
	done chan struct{}
	// panicked is what do panicked with. It is its caller's to meet, who may not
	// be the one that ran it.
	panicked any
}

// outcome is what Write returns.
func (w *writing) outcome() error {
	if w.panicked != nil {
		panic(w.panicked)
	}
	return w.err
}

// add queues a write.
func (w *writes) add(one *writing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, one)
}

// take is what waits, up to mostWrites.
func (w *writes) take() []*writing {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), mostWrites)
	some := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	return some
}

// Write runs do in a transaction, after all writes before it. Whoever comes
// first takes along those who wait: they see each other's writes in their order,
// and share the commit. What was lost to a writer of another process, or to an
// election, is run again.
func (db *DB) Write(ctx context.Context, do func(store.Tx) error) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	one := &writing{ctx: ctx, do: do, done: make(chan struct{})}
	db.writes.add(one)
	select {
	case <-one.done:
		return one.outcome()
	case db.turn <- struct{}{}:
	}
	defer func() { <-db.turn }()
	for {
		select {
		case <-one.done:
			return one.outcome()
		default:
			db.together(context.WithoutCancel(ctx), db.writes.take())
		}
	}
}

// together runs some writes, in one transaction if they go together.
func (db *DB) together(ctx context.Context, some []*writing) {
	err := db.repeatedly(ctx, some)
	if errors.Is(err, errSolo) {
		for i := range some {
			one := some[i : i+1]
			if err := db.repeatedly(ctx, one); err != nil {
				one[0].err = err
			}
		}
		err = nil
	}
	for _, one := range some {
		if err != nil {
			one.err = err
		}
		close(one.done)
	}
}

// repeatedly runs a transaction until it is not lost to another process's, for as
// long as one operation may take. Several writes that are lost twice with the
// lock in hand are run each by itself: the servers end a transaction with the
// first operation that fails in it, which may be that of one write only.
func (db *DB) repeatedly(ctx context.Context, some []*writing) error {
	over := time.NewTimer(db.opt.Timeout)
	defer over.Stop()
	wait, broken := leastWait, 0
	for n := 0; ; n++ {
		held, err := db.attempt(ctx, some)
		if !transient(err) {
			return err
		}
		if held {
			broken++
		}
		if broken > 1 && len(some) > 1 {
			return errSolo
		}
		select {
		case <-over.C:
			return store.ErrConflict
		default:
		}
		db.afterLosing(ctx, n)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, mostWait)
	}
}

// pause waits up to d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(rand.N(d) + 1) //nolint:gosec // not a secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt is one transaction. What it returns is whether it had the lock, and
// the outcome for all; a write that refused by itself has its own error.
func (db *DB) attempt(ctx context.Context, some []*writing) (held bool, err error) {
	if db.alone() {
		return true, db.attemptAlone(ctx, some)
	}
	err = db.transaction(ctx, func(in context.Context, s *driver.Session) error {
		b, err := db.begin(in, s)
		if held = err == nil; held {
			err = b.run(some)
		}
		return err
	})
	return held, err
}

// transaction runs do in a transaction of its own and commits it.
func (db *DB) transaction(ctx context.Context, do func(in context.Context, s *driver.Session) error) error {
	s, err := db.client.StartSession(options.Session().SetDefaultTransactionOptions(options.Transaction().
		SetReadConcern(readconcern.Snapshot()).SetWriteConcern(durable()).SetReadPreference(readpref.Primary())))
	if err != nil {
		return clean(err)
	}
	err = db.transact(ctx, s, do)
	var f *failure
	if errors.Is(err, errUnknown) || errors.As(err, &f) && !f.answered() {
		db.drop(ctx, s)
	} else {
		s.EndSession(ctx)
	}
	return err
}

func (db *DB) transact(ctx context.Context, s *driver.Session, do func(in context.Context, s *driver.Session) error) error {
	if err := s.StartTransaction(); err != nil {
		return clean(err)
	}
	if err := do(driver.NewSessionContext(ctx, s), s); err != nil {
		_ = s.AbortTransaction(ctx) // what is not committed is dropped in any case
		return err
	}
	// Also when nothing was written, because the writes refuse: only what a
	// transaction that was committed has read is sure to outlive an election.
	return db.commit(ctx, s)
}

// commit asks for the commit until it is known what became of it. A transaction
// is committed once, however often that is asked.
func (db *DB) commit(ctx context.Context, s *driver.Session) error {
	ctx, cancel := context.WithTimeout(ctx, db.opt.Timeout)
	defer cancel()
	wait := leastWait
	for range commits {
		err := clean(s.CommitTransaction(ctx))
		var f *failure
		if !errors.As(err, &f) {
			return err
		}
		if !f.unknown && f.answered() {
			return err
		}
		if pause(ctx, wait) != nil {
			break
		}
		wait = min(2*wait, mostWait)
	}
	return errUnknown
}
