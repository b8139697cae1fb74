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
		return h.openMongo(ctx, tools)
	}
	db, err := embedded.Open(h.data.file(storeDirectory), embedded.Options{
		Indexer:     tools.Indexer,
		Definitions: tools.Definitions,
		Site:        h.cfg.Site,
		CacheSize:   int64(h.cfg.blockCache()),
		ScanBudget:  h.cfg.ScanBudget,
		Reserve:     int64(h.cfg.DiskReserve),
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

// openMongo opens the store in the database.
func (h *House) openMongo(ctx context.Context, tools gate.Tools) error {
	db, err := h.cfg.open(ctx, tools, h.log, func(o *mongo.Options) { o.ScanBudget, o.Site = h.cfg.ScanBudget, h.cfg.Site })
	if err != nil {
		return err
	}
	h.store = db
	h.closers = append(h.closers, db.Close)
	return nil
}

// openElsewhere opens a store in MongoDB for a verb that is no server.
func openElsewhere(ctx context.Context, d database, logs io.Writer, choose func(*mongo.Options)) (*mongo.DB, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	tools, err := buildTools("") // nothing is asked of it
	if err != nil {
		return nil, err
	}
	return d.open(ctx, tools, d.quiet(logs), choose)
}

// open waits for the database, says which it is and opens the store there, with
// whatever choose changes.
func (d *database) open(ctx context.Context, tools gate.Tools, log *slog.Logger, choose func(*mongo.Options)) (*mongo.DB, error) {
	opt, err := d.options(log)
	if err != nil {
		return nil, err
	}
	opt.Indexer, opt.Definitions = tools.Indexer, tools.Definitions
	choose(&opt)
	if d.exposed() {
		log.WarnContext(ctx, "records cross the network to MongoDB in the clear; use TLS (--store-ca)")
	}
	var report mongo.Report
	err = d.patience(log).wait(ctx, func(ctx context.Context) error {
		var err error
		report, err = mongo.Check(ctx, opt)
		return mongo.Explain(err)
	})
	if err != nil {
		return nil, d.advice(err)
	}
	describe(ctx, log, report)
	db, err := mongo.Open(ctx, opt)
	if err != nil {
		return nil, d.advice(mongo.Explain(err))
	}
	if err := db.Ping(ctx); err != nil { // who may only read finds that out now
		return nil, closing(db, d.advice(mongo.Explain(err)))
	}
	return db, nil
}

// describe logs which database it is.
func describe(ctx context.Context, log *slog.Logger, r mongo.Report) {
	log.InfoContext(ctx, "store", "kind", "mongodb", "server", r.Server, "topology", r.Topology, "database", r.Database, "schema", r.Schema)
}

// patience is how long to wait for a database.
type patience struct {
	log *slog.Logger
	// most bounds the whole, attempt one try, and pause lies between two.
	most, attempt, pause time.Duration
}

func (d *database) patience(log *slog.Logger) patience {
	return patience{log: log, most: d.StoreWait, attempt: 5 * time.Second, pause: time.Second}
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
func (d *database) advice(err error) error {
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
		return fmt.Errorf("%s does not let this user do what a store needs: give --store-username if there was none, else grant the user the role readWrite on the database %s", at, d.name())
	case errors.Is(err, mongo.ErrUnknown):
		return fmt.Errorf(`the store in %s cannot be used: see the log of MongoDB, and "vitrine store check" with the same settings`, at)
	default:
		return fmt.Errorf("the store in %s cannot be used: %w", at, err)
	}
}

// quiet is the log of a verb that is no server: only what its user must know
// about a database.
func (d *database) quiet(w io.Writer) *slog.Logger {
	if d.Store.embedded() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
