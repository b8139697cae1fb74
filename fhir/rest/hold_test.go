package rest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
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
