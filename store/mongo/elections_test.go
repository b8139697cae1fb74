package mongo_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"vitrine/store/mongo"
	"vitrine/store/mongo/mongotest"
)

// TestElections makes three nodes elect another primary again and again while
// two processes write, and wants every promise kept: nothing acknowledged is
// lost, nothing is done twice or by half, and what one process was told is
// shown by the next snapshot of the other. A third, which knows no other node
// than the one that is deposed, must fail rather than show what was.
// VITRINE_ELECTIONS asks for more rounds.
func TestElections(t *testing.T) {
	replicas, opt := mongotest.ReplicaSet(t, 3), settings(t)
	one, two := open(t, opt, replicas.URI(), "vitrine"), open(t, opt, replicas.URI(), "vitrine")
	opt.Timeout = 3 * time.Second // of the one that cannot succeed
	l, writers := newLedger(t), []string{"w0", "w1", "w2"}
	start, n := time.Now(), rounds(t, "VITRINE_ELECTIONS", 1)
	var closing sync.WaitGroup
	defer closing.Wait()
	for round := range n {
		left := replicas.AwaitPrimary(t.Context())
		behind := open(t, opt, "mongodb://"+replicas.Addr(left)+"/?directConnection=true", "vitrine")
		elect(t, replicas, l, round, func(ctx, brief context.Context, work *sync.WaitGroup, end <-chan struct{}) {
			for i, writer := range writers {
				db, other := one, two
				if i == 2 {
					db, other = two, one
				}
				until(ctx, work, end, func() {
					if l.write(ctx, db, writer) == nil {
						_ = l.look(ctx, other, writer)
					}
				})
				until(ctx, work, end, func() { _ = l.record(ctx, db, writer) })
				until(brief, work, end, func() { _ = l.look(brief, behind, writer) })
			}
			for _, db := range []*mongo.DB{one, two} {
				until(ctx, work, end, func() { _ = l.grow(ctx, db) })
			}
		})
		closing.Go(func() { _ = behind.Close() })
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d elections in %v", n, time.Since(start).Round(time.Second))
	l.settle(one, writers)
}

// elect takes the primary away in the midst of writes, waits for the next, and
// gives the old one back while it is written to. What begin starts ends by its
// last channel, or, what need not come to its end, by its second context.
func elect(t *testing.T, r *mongotest.Replicas, l *ledger, round int, begin func(ctx, brief context.Context, work *sync.WaitGroup, end <-chan struct{})) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	end := make(chan struct{})
	var work sync.WaitGroup
	defer work.Wait()
	brief, stop := context.WithCancel(ctx)
	defer stop()
	defer close(end)
	begin(ctx, brief, &work, end)
	l.await(ctx, l.count(), 5)
	before := r.AwaitPrimary(ctx)
	repair := func(int) {}
	switch round % 4 {
	case 0:
		r.Kill(before)
		repair = r.Start
	case 1:
		r.Freeze(before)
		repair = r.Thaw
	case 2:
		r.CutOff(before)
		repair = r.Rejoin
	case 3:
		r.StepDown()
	}
	if after := r.AwaitPrimary(ctx); after == before {
		t.Errorf("node %d is the primary as before", after)
	}
	l.await(ctx, l.count(), 5)
	repair(before)
	r.AwaitWhole(ctx)
	l.await(ctx, l.count(), 5)
}
