package main

import (
	"context"
	"time"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
)

// witnessKey is the verifier key of a witness.
type witnessKey struct {
	key  note.Verifier
	text string
}

// UnmarshalText reads the form of a flag.
func (w *witnessKey) UnmarshalText(text []byte) error {
	v, err := ledger.ParseKey(string(text))
	*w = witnessKey{v, string(text)}
	return err
}

// MarshalText writes it as it is given.
func (w witnessKey) MarshalText() ([]byte, error) { return []byte(w.text), nil }

// ledger is who signs the record of access. The keys are read each time: another
// process may rotate them.
func (h *House) ledger() gate.LedgerConfig {
	cfg := gate.LedgerConfig{Signers: func() (gate.Signers, error) {
		keys, err := h.data.auditKeys(h.cfg.Site, time.Now())
		if err != nil {
			return gate.Signers{}, err
		}
		return keys.signers()
	}}
	for _, w := range h.cfg.WitnessKeys {
		cfg.Witnesses = append(cfg.Witnesses, w.key)
	}
	return cfg
}

// keepSigned signs the record of access at intervals, when it has grown.
func (h *House) keepSigned(ctx context.Context) {
	if h.cfg.CheckpointEvery == 0 {
		<-ctx.Done()
		return
	}
	each(ctx, h.cfg.CheckpointEvery, func(time.Time) {
		if err := h.gate.Sign(ctx); err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "the record of access is not signed", "alert", "log-unsigned", "error", err)
		}
	})
}
