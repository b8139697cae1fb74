package main

import (
	"context"
	"sync"
	"time"
)

// chore is something the house does beside answering. run returns when ctx ends, with
// what is under way brought to an end.
type chore struct {
	name string
	run  func(ctx context.Context)
}

// chores are all of them.
func (h *House) chores() []chore {
	return []chore{
		{"the end of grants", h.sweepGrants},
		{"indexes", func(ctx context.Context) { h.gate.KeepIndexed(ctx, time.Now) }},
		{"manifests of what was disclosed", h.keepManifests},
		{"exports", func(ctx context.Context) { h.gate.KeepExporting(ctx, time.Now) }},
		{"checkpoints of the record of access", h.keepSigned},
		{"notices to patients", h.deliverNotices},
		{"alerts", h.keepWatch},
		{"first accesses of organisations", h.tellFirstAccesses},
	}
}

// startChores runs the chores until the returned function is called, which waits for
// them. They go on as long as requests are drained.
func (h *House) startChores(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, j := range h.chores() {
		running.Go(func() {
			j.run(ctx)
			if ctx.Err() == nil {
				h.log.ErrorContext(ctx, "a chore of the house ended by itself", "chore", j.name)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// each does a round at every tick until ctx ends, one at a time.
func each(ctx context.Context, every time.Duration, round func(now time.Time)) {
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
