package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/store"
	"vitrine/store/embedded"
	"vitrine/store/mongo"
)

// openStore opens the store that --store names.
func (h *House) openStore(ctx context.Context, tools gate.Tools) error {
	if !h.cfg.Store.embedded() {
		return h.openMongo(ctx, tools, func(*mongo.Options) {})
	}
	db, err := embedded.Open(h.data.file(storeDirectory), embedded.Options{
		Indexer:     tools.Indexer,
		Definitions: tools.Definitions,
		CacheSize:   int64(h.cfg.blockCache()),
		ScanBudget:  h.cfg.ScanBudget,
		Logger:      h.log,
	})
	if errors.Is(err, store.ErrCopying) {
		return fmt.Errorf(`%w: give "vitrine migrate" once more`, err)
	}
	if err != nil {
		return fmt.Errorf("open store in %s (is another server running on it?): %w", h.data.path, err)
	}
	h.log.InfoContext(ctx, "store", "kind", embeddedStore)
	h.store = db
	h.closers = append(h.closers, db.Close)
	return nil
}

// openMongo waits for the database, says which it is and opens the store there,
// with whatever choose changes.
func (h *House) openMongo(ctx context.Context, tools gate.Tools, choose func(*mongo.Options)) error {
	opt, err := h.cfg.options(h.log)
	if err != nil {
		return err
	}
	opt.Indexer, opt.Definitions, opt.ScanBudget = tools.Indexer, tools.Definitions, h.cfg.ScanBudget
	choose(&opt)
	if h.cfg.exposed() {
		h.log.WarnContext(ctx, "records cross the network to MongoDB in the clear; use TLS (--store-ca)")
	}
	var report mongo.Report
	err = h.patience().wait(ctx, func(ctx context.Context) error {
		var err error
		report, err = mongo.Check(ctx, opt)
		return mongo.Explain(err)
	})
	if err != nil {
		return h.cfg.advice(err)
	}
	h.describe(ctx, report)
	db, err := mongo.Open(ctx, opt)
	if err != nil {
		return h.cfg.advice(mongo.Explain(err), report.Problems...)
	}
	h.store = db
	h.closers = append(h.closers, db.Close)
	return nil
}

// describe logs which database it is.
func (h *House) describe(ctx context.Context, r mongo.Report) {
	h.log.InfoContext(ctx, "store", "kind", "mongodb", "server", r.Server, "topology", r.Topology, "database", r.Database, "schema", r.Schema)
	if r.Topology == standalone {
		h.log.WarnContext(ctx, "this MongoDB is standalone and has no transactions: transaction Bundles are refused; run it as a replica set, of one member at least")
	}
}

// standalone is what a Report says of a server without transactions.
const standalone = "standalone"

// patience is how long to wait for a database.
type patience struct {
	log *slog.Logger
	// most bounds the whole, attempt one try, and pause lies between two.
	most, attempt, pause time.Duration
}

func (h *House) patience() patience {
	return patience{log: h.log, most: h.cfg.StoreWait, attempt: 5 * time.Second, pause: time.Second}
}

// wait tries until the database answers, whatever it says. It gives up when it
// has waited for most, and at once when waiting would not help.
func (p patience) wait(ctx context.Context, try func(context.Context) error) error {
	start := time.Now()
	for {
		one, cancel := context.WithTimeout(ctx, p.attempt)
		err := try(one)
		cancel()
		passed := time.Since(start)
		if !errors.Is(err, mongo.ErrUnreachable) || passed >= p.most {
			return err
		}
		p.log.WarnContext(ctx, "MongoDB does not answer yet", "waited", passed.Round(time.Second).String(), "most", p.most.String())
		timer := time.NewTimer(min(p.pause, p.most-passed))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// advice says in one sentence what to do about a database that cannot be used.
// It never repeats the words of the driver.
func (d *database) advice(err error, problems ...string) error {
	at := "MongoDB"
	if u, err := cutURI(string(d.Store)); err == nil {
		at += " at " + strings.Join(u.hosts, ", ")
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, store.ErrCopying):
		return fmt.Errorf(`%w: give "vitrine migrate" once more`, err)
	case errors.Is(err, mongo.ErrURI):
		return errStoreURI
	case errors.Is(err, mongo.ErrUnreachable):
		return fmt.Errorf("%s does not answer: see that it runs and has a primary, that its replicaSet is the one --store names, that this machine may reach it, and give --store-ca if it wants TLS", at)
	case errors.Is(err, mongo.ErrCertificate):
		return fmt.Errorf("TLS with %s fails: --store-ca must hold the authority that signed the servers' certificates, their names must be those that --store uses, and where they ask for a certificate --store-cert must be one they trust", at)
	case errors.Is(err, mongo.ErrCredentials):
		return fmt.Errorf("%s does not take the user or its password: see --store-username, --store-password-file (or %s), and authSource in --store", at, envStorePassword)
	case errors.Is(err, mongo.ErrRights):
		return fmt.Errorf("%s does not let this user do what a store needs: give --store-username if there was none, else grant the user the role readWrite on the database", at)
	case len(problems) > 0:
		return fmt.Errorf("this version does not serve the store in %s: %s", at, strings.Join(problems, "; "))
	default:
		return fmt.Errorf(`the store in %s cannot be used: "vitrine store check" with the same settings says more`, at)
	}
}

// quiet is the log of a verb that is no server: only what its user must know
// about a database.
func (c *settings) quiet(w io.Writer) *slog.Logger {
	if c.Store.embedded() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
