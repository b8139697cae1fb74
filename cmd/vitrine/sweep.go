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

// sweepGrants records the end of break-glass grants that nobody stopped. The
// grants end by themselves; without this the record would not say so (DOSSIER
// §2.3).
func (h *House) sweepGrants(ctx context.Context) {
	each(ctx, min(max(h.cfg.GrantTTL/10, sweepOftenest), sweepRarest), func(now time.Time) {
		if err := h.gate.Sweep(ctx, now); err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "the end of grants was not recorded; it is tried again", "error", err)
		}
	})
}

// keepManifests makes the manifests of directions to destroy, when it is time.
func (h *House) keepManifests(ctx context.Context) {
	each(ctx, min(max(h.cfg.ManifestAfter/10, sweepOftenest), sweepRarest), func(now time.Time) {
		if err := h.gate.KeepManifests(ctx, now); err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "a manifest was not made; it is tried again", "error", err)
		}
	})
}
