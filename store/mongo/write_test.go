package mongo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// TestWritesTogether: writes that share a commit are kept or refused each for
// itself, whatever the others do, and see what came before them.
func TestWritesTogether(t *testing.T) {
	db := lone(t, mongotest.Server(t), mongotest.Database(t))
	const writers = 120
	refused := errors.New("no")
	outcomes := make([]error, writers)
	var before epochDocument
	lock := func(d *epochDocument) {
		if err := db.collection(collEpochs).FindOne(t.Context(), is("_id", lockKey)).Decode(d); err != nil {
			t.Fatal(err)
		}
	}
	lock(&before)
	db.turn <- struct{}{} // let them gather
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcomes[i] = db.Write(ctx, func(x store.Tx) error {
				x.Touch(fmt.Sprintf("Patient/t%d", i))
				if err := x.Put(plain(fmt.Sprintf("o%d", i), "1")); err != nil {
					return err
				}
				switch {
				case i == 77: // read back, and refused: it cannot be taken from among the others
					_, err := x.Read(ctx, consent.Everything(), "Observation", "o77")
					return errors.Join(refused, err)
				case i == 55: // who asked has gone
					cancel()
					_, err := x.Read(ctx, consent.Everything(), "Observation", "o55")
					return err
				case i%7 == 0:
					return refused
				}
				return nil
			})
		})
	}
	for queued := 0; queued < writers; {
		db.writes.mu.Lock()
		queued = len(db.writes.waiting)
		db.writes.mu.Unlock()
	}
	<-db.turn
	wait.Wait()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kept := 0
	for i, outcome := range outcomes {
		_, err := s.Read(t.Context(), consent.Everything(), "Observation", fmt.Sprintf("o%d", i))
		want := i%7 != 0 && i != 55
		if want {
			kept++
		}
		if (outcome == nil) != want || (err == nil) != want {
			t.Errorf("write %d: %v, and then %v", i, outcome, err)
		}
		if i%7 == 0 && !errors.Is(outcome, refused) || i == 55 && !errors.Is(outcome, context.Canceled) {
			t.Errorf("write %d was refused with %v", i, outcome)
		}
		n, err := db.collection(collEpochs).CountDocuments(t.Context(), is("_id", fmt.Sprintf("Patient/t%d", i)))
		if err != nil || (n == 1) != want {
			t.Errorf("write %d: %d epochs, %v", i, n, err)
		}
	}
	if n, err := db.collection(collFull).CountDocuments(t.Context(), bson.D{}); err != nil || int(n) != kept {
		t.Errorf("%d documents, %v, want %d", n, err, kept)
	}

	// A panic is met by whose it is, and by nobody else.
	func() {
		defer func() {
			if got := recover(); got != "mine" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = db.Write(t.Context(), func(store.Tx) error { panic("mine") })
	}()

	// Without one that spoils it, they share a commit.
	lock(&before)
	db.turn <- struct{}{}
	for i := range writers / 2 {
		wait.Go(func() {
			outcomes[i] = db.Write(t.Context(), func(x store.Tx) error {
				if i%7 == 0 {
					return errors.Join(x.Put(plain(fmt.Sprintf("p%d", i), "1")), refused)
				}
				return x.Put(plain(fmt.Sprintf("p%d", i), "1"))
			})
		})
	}
	for queued := 0; queued < writers/2; {
		db.writes.mu.Lock()
		queued = len(db.writes.waiting)
		db.writes.mu.Unlock()
	}
	<-db.turn
	wait.Wait()
	for i, outcome := range outcomes[:writers/2] {
		if (outcome == nil) != (i%7 != 0) {
			t.Errorf("write %d: %v", i, outcome)
		}
	}
	var after epochDocument
	if lock(&after); after.At != before.At+1 {
		t.Errorf("%d writes in %d commits, want one", writers/2, after.At-before.At)
	}
}

// TestWriteThatBreaks: a write in which the servers fail, again and again, takes
// none of those with it that share its commit.
func TestWriteThatBreaks(t *testing.T) {
	proxy := mongotest.Through(t, mongotest.Server(t))
	db, err := Open(t.Context(), Options{URI: proxy.URI(), Database: mongotest.Database(t), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Write(t.Context(), func(x store.Tx) error { return x.Put(plain("before", "1")) }); err != nil {
		t.Fatalf("write: %v", err)
	}
	proxy.Arm(mongotest.Fault{Match: mongotest.Command("aggregate"), Times: 1 << 20, When: mongotest.Before, Do: mongotest.Cut})
	const writers, breaks = 9, 4
	outcomes := make([]error, writers)
	db.turn <- struct{}{} // let them gather
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			outcomes[i] = db.Write(t.Context(), func(x store.Tx) error {
				if i != breaks {
					return x.Put(plain(fmt.Sprintf("o%d", i), "1"))
				}
				q := search.Query{Type: "Observation", Sort: []search.SortKey{{Param: 7}}}
				_, err := x.Search(t.Context(), consent.Everything(), &q, store.PageRequest{Limit: 1})
				return err
			})
		})
	}
	for queued := 0; queued < writers; {
		db.writes.mu.Lock()
		queued = len(db.writes.waiting)
		db.writes.mu.Unlock()
	}
	<-db.turn
	wait.Wait()
	for i, outcome := range outcomes {
		if (outcome == nil) != (i != breaks) {
			t.Errorf("write %d: %v", i, outcome)
		}
	}
}

// TestTooLarge: a resource that no document can hold is refused by name, also when
// others share its commit, and what came close to it is kept.
func TestTooLarge(t *testing.T) {
	db := lone(t, mongotest.Server(t), mongotest.Database(t))
	const limit = 16 << 20
	for i, c := range []struct {
		size int
		err  error
	}{{limit - 70_000, nil}, {limit - 100, store.ErrTooLarge}, {limit, store.ErrTooLarge}, {limit + limit/4, store.ErrTooLarge}} {
		large, small := plain(fmt.Sprintf("large%d", i), "1"), plain(fmt.Sprintf("small%d", i), "1")
		large.Full.JSON = bytes.Repeat([]byte(" "), c.size)
		outcomes := make([]error, 2)
		db.turn <- struct{}{} // let them gather
		var wait sync.WaitGroup
		for n, p := range []store.Put{large, small} {
			wait.Go(func() { outcomes[n] = db.Write(t.Context(), func(x store.Tx) error { return x.Put(p) }) })
		}
		for queued := 0; queued < 2; {
			db.writes.mu.Lock()
			queued = len(db.writes.waiting)
			db.writes.mu.Unlock()
		}
		<-db.turn
		wait.Wait()
		if !errors.Is(outcomes[0], c.err) || outcomes[1] != nil {
			t.Errorf("%d bytes: %v, and another write %v; want %v", c.size, outcomes[0], outcomes[1], c.err)
		}
	}
}

// TestTooManyOwners: a row lies with each of its owners, so that there is an end
// to how many it can have.
func TestTooManyOwners(t *testing.T) {
	db := lone(t, mongotest.Server(t), mongotest.Database(t))
	for owners, want := range map[int]error{50: nil, 1000: store.ErrTooLarge} {
		p := plain(fmt.Sprintf("of%d", owners), "1")
		p.Patients = nil
		for i := range owners {
			p.Patients = append(p.Patients, fmt.Sprintf("p%d", i))
			p.Full.Entries.Add(9, fmt.Appendf(nil, "rPatient/p%d", i))
		}
		p.Full.Entries.Sort()
		if err := db.Write(t.Context(), func(x store.Tx) error { return x.Put(p) }); !errors.Is(err, want) {
			t.Errorf("%d owners: %v, want %v", owners, err, want)
		}
	}
}

// TestRefusalIsCommitted: a write that refuses has seen something. It says so when
// what it saw can no longer be lost with a primary, which is when its transaction,
// though there is nothing in it, was committed.
func TestRefusalIsCommitted(t *testing.T) {
	proxy := mongotest.Through(t, mongotest.Server(t))
	db := lone(t, proxy.URI(), mongotest.Database(t))
	trap := proxy.Arm(mongotest.Fault{Match: mongotest.Command("commitTransaction"), When: mongotest.Answered, Do: mongotest.Cut, Times: 1})
	refused := errors.New("no")
	err := db.Write(t.Context(), func(x store.Tx) error {
		if _, err := x.Read(t.Context(), consent.Everything(), "Observation", "o1"); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want its refusal", err)
	}
	select {
	case <-trap.Sprung():
	default:
		t.Error("it was told without a commit")
	}
}
