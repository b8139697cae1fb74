package store

import "sync"

// Life counts what is under way in a store, so that its Close can wait for it.
// Once ended it refuses at once, so that whoever holds a snapshot meets an error,
// not a lock. The zero value is ready to use, by any number of goroutines.
type Life struct {
	mu    sync.Mutex
	busy  int
	ended bool
	idle  chan struct{}
}

// Enter begins something that End will wait for; ErrClosed once that was called.
func (l *Life) Enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return ErrClosed
	}
	l.busy++
	return nil
}

// Leave ends it.
func (l *Life) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	if l.ended && l.busy == 0 {
		close(l.idle)
	}
}

// Quiet reports whether nothing is under way.
func (l *Life) Quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy == 0
}

// End waits until nothing is under way; false when it was ended before.
func (l *Life) End() bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.ended, l.idle = true, make(chan struct{})
	if l.busy == 0 {
		close(l.idle)
	}
	l.mu.Unlock()
	<-l.idle
	return true
}
