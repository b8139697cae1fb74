package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vitrine/consent/basic"
	"vitrine/consent/gate"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/rest"
	"vitrine/fhir/search"
	"vitrine/fhir/smart/token"
	"vitrine/fhir/validate"
	"vitrine/store"
)

// House is the whole server as a value, listening nowhere yet.
type House struct {
	cfg     settings
	log     *slog.Logger
	base    string // base URL, without /fhir
	data    *dataDir
	store   store.Store
	gate    *gate.Gate
	handler http.Handler
	// webhook sends notices to patients; nil where they are not sent.
	webhook *webhook
	notices *notifyMeters
	signed  prometheus.Gauge
	// closers undo what was opened; the last is called first.
	closers []func() error
}

// build wires the house that answers at a base URL. What it has opened is
// closed again when a later step fails.
func build(ctx context.Context, cfg settings, base string, log *slog.Logger) (_ *House, err error) {
	h := &House{cfg: cfg, log: log, base: base, notices: newNotifyMeters(), signed: newSignedMeter()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.data, err = openData(cfg.Data); err != nil {
		return nil, err
	}
	tools, err := buildTools(base + fhirPath)
	if err != nil {
		return nil, err
	}
	if err := h.openStore(ctx, tools); err != nil {
		return nil, err
	}
	if cfg.NotifyURL != "" {
		secrets, err := readSecrets(cfg.NotifySecret)
		if err != nil {
			return nil, err
		}
		h.webhook = newWebhook(cfg.NotifyURL, secrets)
	}
	door, err := h.buildGate(tools)
	if err != nil {
		return nil, err
	}
	verifier, err := h.buildVerifier()
	if err != nil {
		return nil, err
	}
	inner := &inProcess{} // the porch, once it is there
	authorization, err := h.buildAuthorization(tools, door, verifier, inner)
	if err != nil {
		return nil, err
	}
	porch, err := rest.New(rest.Config{ //nolint:contextcheck // every request brings its own
		BaseURL:    base + fhirPath,
		Version:    version,
		MaxBody:    int64(cfg.MaxBody),
		MaxBundle:  int64(cfg.MaxBundle),
		MaxEntries: cfg.MaxEntries,
		InFlight:   cfg.InFlight,
		Rate:       cfg.Rate,
		Burst:      cfg.Burst,

		AbsenceGrid: cfg.absenceGrid(),
		Log:         log,
		Meters:      append(h.notices.collectors(), h.signed),

		Authorization: told(authorization),
	}, rest.Tools{Definitions: tools.Definitions, Parser: tools.Parser}, door, verifier)
	if err != nil {
		return nil, err
	}
	inner.handler = porch.Handler()
	h.gate, h.handler = door, behindProxies(h.cfg.Proxies, beside(authorization, porch.Handler()))
	return h, nil
}

// buildTools makes the parts that know FHIR, for one FHIR base.
func buildTools(fhirBase string) (gate.Tools, error) {
	definitions, err := r4.Load()
	if err != nil {
		return gate.Tools{}, fmt.Errorf("R4 definitions: %w", err)
	}
	indexer, err := search.NewIndexer(definitions, fhirBase)
	if err != nil {
		return gate.Tools{}, fmt.Errorf("search parameters: %w", err)
	}
	set, err := basic.New(basic.Default())
	if err != nil {
		return gate.Tools{}, fmt.Errorf("basic set: %w", err)
	}
	terms, err := r4.LoadTerms()
	if err != nil {
		return gate.Tools{}, fmt.Errorf("R4 terminology: %w", err)
	}
	return gate.Tools{
		Terms:        search.NewShipped(terms),
		Codes:        terms,
		Definitions:  definitions,
		Indexer:      indexer,
		Parser:       indexer.Parser(),
		Validator:    validate.New(definitions),
		Compartments: compartment.New(definitions),
		Basic:        set,
	}, nil
}

func (h *House) buildGate(tools gate.Tools) (*gate.Gate, error) {
	key, err := h.data.cursorKey()
	if err != nil {
		return nil, err
	}
	return gate.New(gate.Config{
		Policy:      h.cfg.policy(),
		BaseURL:     h.base + fhirPath,
		Grace:       h.cfg.Grace,
		GrantTTL:    h.cfg.GrantTTL,
		GrantMax:    h.cfg.GrantMax,
		PageDefault: h.cfg.PageDefault,
		PageMax:     h.cfg.PageMax,
		DeleteMost:  h.cfg.DeleteMost,
		MaxBody:     int(h.cfg.MaxBody),
		CursorKey:   key,
		Validation:  h.cfg.validation(),
		Site:        h.cfg.Site,
		Clusters:    h.cfg.clusters(),
		Reserved:    rest.Reserved(),
		Notifies:    h.cfg.NotifyURL != "",
		Alone:       h.cfg.Store.embedded(),
		Log:         h.log,
		Ledger:      h.ledger(),

		Exports:      h.cfg.Exports,
		ExportFile:   gate.FileSize{Resources: h.cfg.ExportFile},
		ExportSettle: h.cfg.ExportWait,

		RefuseDangling: h.cfg.References == "refuse",
		ManifestAfter:  h.cfg.ManifestAfter,
		Oversight:      h.cfg.wishes(),
	}, tools, h.store), nil
}

// buildVerifier trusts the data directory's own key and the issuers configured.
// A token may name the server by its FHIR base or by its lasting name.
func (h *House) buildVerifier() (*token.Verifier, error) {
	cfg := token.Config{
		Keys:       h.data.keys,
		OwnIssuer:  h.data.urn(),
		Audience:   []string{h.base + fhirPath, h.data.urn()},
		Base:       h.base + fhirPath,
		Algorithms: h.cfg.Algorithms,
	}
	if h.cfg.Authorization {
		cfg.Server = h.base + fhirPath
	}
	for _, i := range h.cfg.Issuers {
		cfg.Issuers = append(cfg.Issuers, token.Issuer{URL: i.URL, JWKS: i.JWKS, Kinds: i.Kinds, Mapping: i.mapping()})
	}
	return token.NewVerifier(cfg)
}

// The server's patience with clients. A body may take as long as bodyTimeout
// from the first byte of the request on; an answer as long as answerTimeout.
const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 2 * time.Minute
	answerTimeout  = 5 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Run serves on ln until ctx ends, then lets the requests under way end.
func (h *House) Run(ctx context.Context, ln net.Listener) error {
	// Requests outlive ctx: they are drained, not cut off.
	server := &http.Server{
		Handler:           h.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug), // connections that fail are the clients' affair
	}
	stopAdmin := h.startAdmin(ctx)
	defer stopAdmin()
	stopChores := h.startChores(ctx)
	defer stopChores()
	ended := make(chan error, 1)
	go func() { ended <- h.accept(server, ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	h.log.InfoContext(ctx, "draining", "for", h.cfg.DrainFor.String())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.cfg.DrainFor)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		// A client that stalls must not make a failure of every end.
		h.log.WarnContext(ctx, "what was still under way was cut off", "after", h.cfg.DrainFor.String())
		err = server.Close()
	}
	if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func (h *House) accept(server *http.Server, ln net.Listener) error {
	if h.cfg.TLSCert != "" {
		return server.ServeTLS(ln, h.cfg.TLSCert, h.cfg.TLSKey)
	}
	return server.Serve(ln)
}

// Close undoes what build did, in reverse.
func (h *House) Close() error {
	var err error
	for i := len(h.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, h.closers[i]())
	}
	h.closers = nil
	return err
}
