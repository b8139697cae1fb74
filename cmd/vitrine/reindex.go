package main

import (
	"context"
	"time"
)

// startIndexing makes the indexes of search parameters that the custodian adds,
// until the returned function is called, which waits until what is under way is
// handed back.
func (h *House) startIndexing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // as long as requests are drained
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.gate.KeepIndexed(ctx, time.Now)
	}()
	return func() {
		cancel()
		<-done
	}
}
