package rest

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/consent/gate"
)

// TestHold: answers of absence that took longer or shorter to find out leave at
// the same time, and the next step is for those that missed it.
func TestHold(t *testing.T) {
	s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond}}
	for took, want := range map[time.Duration]time.Duration{
		0: 10 * time.Millisecond, 3 * time.Millisecond: 10 * time.Millisecond, 9 * time.Millisecond: 10 * time.Millisecond, 11 * time.Millisecond: 20 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			s.hold(t.Context(), now.Add(-took))
			if left := time.Since(now) + took; left != want {
				t.Errorf("after %v: left at %v, want %v", took, left, want)
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if s.hold(gone, now); time.Since(now)+took != want {
				t.Error("who has gone is waited for")
			}
		})
	}
}

// TestHoldOnce: what the gate held is not held again, however long it took to record.
func TestHoldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond}}
		x, began := new(exchange), time.Now()
		hold := s.holding(x)
		time.Sleep(3 * time.Millisecond)
		x.request.Hold(t.Context())
		time.Sleep(4 * time.Millisecond)
		if hold(t.Context()); time.Since(began) != 14*time.Millisecond {
			t.Errorf("left after %v", time.Since(began))
		}
	})
}

// TestHoldInBatch: each entry that is not there leaves on the grid, so that many
// of them add up to nothing.
func TestHoldInBatch(t *testing.T) {
	for _, takes := range [][]time.Duration{{0, 0, 0}, {3 * time.Millisecond, 9 * time.Millisecond, 4 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			s := &Server{cfg: Config{AbsenceGrid: 10 * time.Millisecond, Now: time.Now}, clients: newClients(0, 0, 0)}
			n := 0
			s.table = []interaction{{name: "read", method: "GET", pattern: "/x", handle: func(*Server, context.Context, *exchange) (answer, error) {
				time.Sleep(takes[n])
				n++
				return answer{}, gate.ErrNotFound
			}}}
			began := time.Now()
			for i := range takes {
				out := s.batchEntry(t.Context(), nil, &exchange{row: &s.table[0]}, &asked{index: i, method: "GET", path: "x"})
				if !strings.Contains(string(out), `"status":"404 Not Found"`) {
					t.Fatalf("entry %d: %s", i, out)
				}
			}
			if took := time.Since(began); took != 30*time.Millisecond {
				t.Errorf("entries that took %v left after %v", takes, took)
			}
		})
	}
}
