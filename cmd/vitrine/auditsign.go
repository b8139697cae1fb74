package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
)

// witnesses are those who may cosign.
func witnesses(keys []string) ([]note.Verifier, error) {
	var all []note.Verifier
	for _, key := range keys {
		v, err := ledger.ParseKey(key)
		if err != nil {
			return nil, fmt.Errorf("--witness-key: %w", err)
		}
		all = append(all, v)
	}
	return all, nil
}

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
	cfg.Witnesses, _ = witnesses(h.cfg.WitnessKeys) // they were checked
	return cfg
}

// newSignedMeter tells when the record of access was last found, or made, signed.
func newSignedMeter() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "vitrine_log_signed_timestamp_seconds", Help: "When all of the record of access was last signed by this server, at intervals of --checkpoint-every.",
	})
}

// keepSigned signs the record of access at intervals, when it has grown.
func (h *House) keepSigned(ctx context.Context) {
	if h.cfg.CheckpointEvery == 0 {
		<-ctx.Done()
		return
	}
	each(ctx, h.cfg.CheckpointEvery, func(time.Time) {
		switch err := h.gate.Sign(ctx); {
		case err == nil:
			h.signed.SetToCurrentTime()
		case ctx.Err() == nil:
			h.log.ErrorContext(ctx, "the record of access is not signed", "alert", "log-unsigned", "error", err)
		}
	})
}
