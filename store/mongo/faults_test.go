package mongo_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitrine/store/mongo"
	"vitrine/store/mongo/mongotest"
)

// lanes is how many databases are written to at a time, each through a proxy of
// its own: after a lost connection a driver waits, and others can work.
const lanes = 8

// TestCutConnections breaks connections in the midst of writes, of insertions of
// audit records and of commits, at every moment of a request, so often that the
// driver's own second attempt fails too. Another process writes to the same
// database all the while.
func TestCutConnections(t *testing.T) {
	uri, opt, each := mongotest.Server(t), settings(t), (rounds(t, "VITRINE_FAULTS", everyFault)+lanes-1)/lanes
	start := time.Now()
	var work sync.WaitGroup
	for n := range lanes { // by themselves: a lane mostly waits, and is to be in nobody's way
		work.Go(func() {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				l, struck := newLane(t, uri, opt), 0
				for round := range each {
					struck += l.round(t, fault(round*lanes+n))
				}
				l.settle(l.steady, l.writers())
				t.Logf("%d rounds, in which %d requests were struck", each, struck)
			})
		})
	}
	work.Wait()
	t.Logf("%d rounds in %v", each*lanes, time.Since(start).Round(time.Second))
}

// everyFault is how many faults differ.
const everyFault = 3 * 4 * 3 * 3

// fault is one of all that differ, in turn.
func fault(n int) mongotest.Fault {
	pick := func(of int) int {
		i := n % of
		n /= of
		return i
	}
	random := rand.New(rand.NewPCG(uint64(n), 1)) //nolint:gosec // the same each time
	f := mongotest.Fault{
		Match: []func(mongotest.Message) bool{
			mongotest.Command("commitTransaction"), mongotest.In("events", "insert"), inWrite,
		}[pick(3)],
		When: []mongotest.When{mongotest.Before, mongotest.Midway, mongotest.Forwarded, mongotest.Answered}[pick(4)],
		Do:   []mongotest.Break{mongotest.Cut, mongotest.CutAll, mongotest.Reset}[pick(3)],
		Skip: random.IntN(4),
	}
	f.Times = []int{1, 3, math.MaxInt}[pick(3)]
	return f
}

// inWrite matches whatever a write asks for before its commit.
func inWrite(m mongotest.Message) bool {
	_, err := m.Body.LookupErr("txnNumber")
	return err == nil && m.Command != "commitTransaction" && m.Command != "abortTransaction"
}

// lane is a database with two processes, one of which has a bad connection.
type lane struct {
	*ledger
	proxy          *mongotest.Proxy
	steady, shaken *mongo.DB
}

// newLane opens both on a new database. The one with the bad connection gives up
// early: a driver tries until then, whatever is cut.
func newLane(t *testing.T, uri string, opt mongo.Options) *lane {
	t.Helper()
	name, proxy := mongotest.Database(t), mongotest.Through(t, uri)
	l := &lane{ledger: newLedger(t), proxy: proxy, steady: open(t, opt, uri, name)}
	opt.Timeout = 500 * time.Millisecond
	l.shaken = open(t, opt, proxy.URI(), name)
	return l
}

func (l *lane) writers() []string { return []string{"w0", "w1", "w2"} }

// round works until the fault has struck and all have got an answer, good or
// bad. It returns how many requests were struck.
func (l *lane) round(t *testing.T, f mongotest.Fault) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	trap := l.proxy.Arm(f)
	var work sync.WaitGroup
	steadily := func(do func(context.Context, *mongo.DB, string) error, writer string) func() {
		return func() {
			if err := do(ctx, l.steady, writer); err != nil {
				t.Errorf("a process whose connections are good: %v", err)
			}
		}
	}
	// What comes of the others does not matter: what is not acknowledged is not
	// promised.
	shakily := func(do func(context.Context, *mongo.DB, string) error, writer string) func() {
		return func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_ = do(ctx, l.shaken, writer)
		}
	}
	for i, writer := range l.writers() {
		way := shakily
		if i == 2 {
			way = steadily
		}
		until(ctx, &work, trap.Sprung(), way(l.write, writer))
		until(ctx, &work, trap.Sprung(), way(l.record, writer))
		until(ctx, &work, trap.Sprung(), shakily(l.look, writer))
		until(ctx, &work, trap.Sprung(), steadily(l.look, writer))
	}
	until(ctx, &work, trap.Sprung(), func() { _ = l.grow(ctx, l.steady) })
	work.Wait()
	trap.Disarm()
	if trap.Struck() == 0 {
		t.Errorf("nothing was struck by %+v", f)
	}
	return trap.Struck()
}

// until does something again and again until it was done after the end of a
// channel.
func until(ctx context.Context, work *sync.WaitGroup, end <-chan struct{}, do func()) {
	work.Go(func() {
		for ctx.Err() == nil {
			ended := false
			select {
			case <-end:
				ended = true
			default:
			}
			do()
			if ended {
				return
			}
		}
	})
}

// TestGone: whoever asks for a write and goes away has no promise, and leaves
// nothing half done and nobody waiting.
func TestGone(t *testing.T) {
	uri, opt := mongotest.Server(t), settings(t)
	l := newLane(t, uri, opt)
	moments := []mongotest.When{mongotest.Before, mongotest.Forwarded, mongotest.Answered}
	matches := []func(mongotest.Message) bool{mongotest.Command("commitTransaction"), mongotest.In("events", "insert"), inWrite}
	var gone atomic.Int64
	for i := range 4 * len(moments) * len(matches) {
		trap := l.proxy.Arm(mongotest.Fault{Match: matches[i%len(matches)], When: moments[i/len(matches)%len(moments)], Do: mongotest.Hold, Skip: i / 9})
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for _, writer := range l.writers() {
			work.Go(func() {
				for ctx.Err() == nil {
					if l.write(ctx, l.shaken, writer) != nil {
						gone.Add(1)
					}
				}
			})
		}
		<-trap.Sprung()
		cancel()
		trap.Release()
		work.Wait()
		for _, writer := range l.writers() {
			if err := l.write(t.Context(), l.steady, writer); err != nil {
				t.Errorf("the next write: %v", err)
			}
			if err := l.record(t.Context(), l.shaken, writer); err != nil {
				t.Errorf("the next record: %v", err)
			}
			if err := l.look(t.Context(), l.shaken, writer); err != nil {
				t.Errorf("the next look: %v", err)
			}
		}
	}
	l.settle(l.steady, l.writers())
	t.Logf("%d writes were given up", gone.Load())
}
