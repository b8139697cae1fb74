package main

import (
	"context"
	"time"
)

// firstAccessRarest is how often at least the record of access is looked through for
// organisations that patients are to be told of.
const firstAccessRarest = time.Minute

// firstAccessEvery is how often it is: as often as the record is signed, for then it
// is a log anyway.
func (c *settings) firstAccessEvery() time.Duration {
	if c.CheckpointEvery == 0 {
		return firstAccessRarest
	}
	return min(max(c.CheckpointEvery, sweepOftenest), firstAccessRarest)
}

// tellFirstAccesses tells patients who looked at their record for the first time. The
// first round is at once: what is in a record that was never looked through by then
// is the past.
func (h *House) tellFirstAccesses(ctx context.Context) {
	round := func(now time.Time) {
		if err := h.gate.TellFirstAccesses(ctx, now); err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "patients were not told of first accesses; it is tried again", "error", err)
		}
	}
	round(time.Now())
	each(ctx, h.cfg.firstAccessEvery(), round)
}
