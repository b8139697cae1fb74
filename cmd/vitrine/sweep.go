package main

import (
	"context"
	"time"
)

// How often the expired grants are looked for: a tenth of their life, within
// these bounds.
const (
	sweepOftenest = time.Second
	sweepRarest   = 30 * time.Second
)

// startSweep records the end of break-glass grants that nobody stopped, until
// the returned function is called, which waits for the round under way. The
// grants end by themselves; without this the record would not say so (DOSSIER
// §2.3).
func (h *House) startSweep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // as long as requests are drained
	done := make(chan struct{})
	go func() {
		defer close(done)
		sweep(ctx, min(max(h.cfg.GrantTTL/10, sweepOftenest), sweepRarest), func(now time.Time) {
			if err := h.gate.Sweep(ctx, now); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "the end of grants was not recorded; it is tried again", "error", err)
			}
		})
	}()
	return func() {
		cancel()
		<-done
	}
}

// sweep does a round at every tick until ctx ends, one at a time.
func sweep(ctx context.Context, every time.Duration, round func(now time.Time)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			round(now)
		}
	}
}
