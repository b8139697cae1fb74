package embedded

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/store"
)

// auditLog appends audit records. Callers put their records on the round that is
// being filled and wait; one goroutine writes a round as one batch with one
// sync, while the next is filled. A caller's bytes are not copied until the round
// is put together, since the caller waits for that.
type auditLog struct {
	eng    *pebble.DB
	space  *reserve
	log    engineLog
	packer packer // of run

	mu      sync.Mutex
	filling *round
	shut    bool
	wake    chan struct{}

	// next is the number of the next record, under numbers; reserved are the
	// first numbers of batches that cannot be seen yet. What lies below all of
	// them can be read without a gap that closes later.
	numbers  sync.Mutex
	seen     *sync.Cond // of numbers: a batch can be seen
	next     uint64
	reserved []uint64
}

// round is what one sync makes durable.
type round struct {
	records [][]byte
	first   uint64
	err     error
	done    chan struct{}
}

func newRound() *round { return &round{done: make(chan struct{})} }

func (l *auditLog) open(db *DB) error {
	l.eng, l.space, l.log = db.eng, &db.reserve, engineLog{db.opt.Logger}
	l.filling, l.wake = newRound(), make(chan struct{}, 1)
	l.seen = sync.NewCond(&l.numbers)
	last, err := lastRecord(db.eng)
	l.next = last + 1
	return err
}

// Record appends records and returns when they are durable. Once queued they are
// waited for whatever becomes of ctx: what is on its way to the disk is not taken
// back.
func (db *DB) Record(ctx context.Context, records ...[]byte) (store.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return store.Receipt{}, err
	}
	if len(records) == 0 {
		return store.Receipt{}, nil
	}
	if err := db.life.Enter(); err != nil {
		return store.Receipt{}, err
	}
	defer db.life.Leave()
	l := &db.log
	l.mu.Lock()
	r := l.filling
	r.records = append(r.records, records...)
	last := uint64(len(r.records)) - 1
	l.mu.Unlock()
	l.signal()
	<-r.done
	if r.err != nil {
		return store.Receipt{}, r.err
	}
	db.figures.records.Add(uint64(len(records)))
	return store.NewReceipt(r.first + last), nil
}

func (l *auditLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes round after round until the log is shut and nothing waits. Before
// it takes a round it lets everybody run who can: those about to record join in,
// and one sync serves them all. When nobody is about, that costs nothing.
func (l *auditLog) run() {
	for range l.wake {
		for {
			runtime.Gosched()
			l.mu.Lock()
			r := l.filling
			if len(r.records) == 0 {
				shut := l.shut
				l.mu.Unlock()
				if shut {
					return
				}
				break
			}
			l.filling = newRound()
			l.mu.Unlock()
			r.err = l.write(r)
			close(r.done)
		}
	}
}

// close ends run. No Record is under way any more.
func (l *auditLog) close() {
	l.mu.Lock()
	l.shut = true
	l.mu.Unlock()
	l.signal()
}

func (l *auditLog) write(r *round) error {
	size := 0
	for _, one := range r.records {
		size += len(one)
	}
	if err := l.space.room(size); err != nil {
		return err
	}
	batch := l.eng.NewBatch()
	r.first = l.reserve(len(r.records))
	if err := l.packer.set(batch, r.first, r.records); err != nil {
		l.applied(r.first)
		return errors.Join(err, batch.Close())
	}
	err := hand(l.eng, batch, l.log)
	l.applied(r.first)
	if err != nil {
		return err
	}
	return synced(batch, l.log)
}

// reserve gives out n numbers, which applied must follow.
func (l *auditLog) reserve(n int) (first uint64) {
	l.numbers.Lock()
	defer l.numbers.Unlock()
	first = l.next
	l.next += uint64(n) //nolint:gosec // a count
	l.reserved = append(l.reserved, first)
	return first
}

func (l *auditLog) applied(first uint64) {
	l.numbers.Lock()
	defer l.numbers.Unlock()
	if i := slices.Index(l.reserved, first); i >= 0 {
		l.reserved = slices.Delete(l.reserved, i, i+1)
	}
	l.seen.Broadcast()
}

// settled is the last number up to which every record given a number can be
// seen.
func (l *auditLog) settled() uint64 {
	l.numbers.Lock()
	defer l.numbers.Unlock()
	return l.whole()
}

// settle waits until every number given out so far can be seen, and returns the
// last of them. Batches on their way to the engine take no longer than that.
func (l *auditLog) settle() uint64 {
	l.numbers.Lock()
	defer l.numbers.Unlock()
	last := l.next - 1
	for l.whole() < last {
		l.seen.Wait()
	}
	return last
}

func (l *auditLog) whole() uint64 {
	end := l.next
	for _, f := range l.reserved {
		end = min(end, f)
	}
	return end - 1
}
