package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"vitrine/store/mongo"
)

// storeCommand looks after a store in MongoDB.
type storeCommand struct {
	Init  storeInitCommand  `cmd:"" help:"Make the collections and indexes of a store in MongoDB."`
	Check storeCheckCommand `cmd:"" help:"Say whether this version can serve the store in MongoDB; change nothing."`
}

// Help says in what order they are used.
func (storeCommand) Help() string {
	return `For stores in MongoDB. Before the first server runs, and with every new version:

  vitrine store init  --store 'mongodb://db1,db2,db3/?replicaSet=rs0' --store-username vitrine --store-password-file FILE
  vitrine store check --store 'mongodb://db1,db2,db3/?replicaSet=rs0' --store-username vitrine --store-password-file FILE
  vitrine serve       --store 'mongodb://db1,db2,db3/?replicaSet=rs0' --store-username vitrine --store-password-file FILE

A server makes the store too where the database is empty, and does not start where an index is missing. The store in a
data directory needs neither.`
}

// storeInitCommand makes the collections and indexes.
type storeInitCommand struct {
	database
	site
}

// Help says what it does to what is there.
func (storeInitCommand) Help() string {
	return `What is there already is left as it is, so it may be run again; a store of another version is refused.

  vitrine store init --store mongodb://127.0.0.1/ --store-database vitrine`
}

// Run makes them.
func (c *storeInitCommand) Run(ctx context.Context, s streams) error {
	opt, err := c.opened()
	if err != nil {
		return err
	}
	opt.Site = c.Site
	if err := mongo.Init(ctx, opt); err != nil {
		return c.advice(mongo.Explain(err))
	}
	return c.print(ctx, opt, s.out)
}

// storeCheckCommand compares.
type storeCheckCommand struct{ database }

// Help says what the exit status means.
func (storeCheckCommand) Help() string {
	return `Prints server, topology, database and schema, and a line for every problem. The exit status is 0 only without problems.

  vitrine store check --store mongodb://127.0.0.1/`
}

// Run prints what was found.
func (c *storeCheckCommand) Run(ctx context.Context, s streams) error {
	opt, err := c.opened()
	if err != nil {
		return err
	}
	return c.print(ctx, opt, s.out)
}

// opened are the options of a store in MongoDB; there is no other that needs
// either verb.
func (d *database) opened() (mongo.Options, error) {
	if err := d.check(); err != nil {
		return mongo.Options{}, err
	}
	if d.Store.embedded() {
		return mongo.Options{}, errors.New("--store: want mongodb://... or mongodb+srv://...; the store in a data directory is made and checked when it is opened")
	}
	return d.options(slog.New(slog.DiscardHandler))
}

// errProblems makes the exit status of a check that found something.
var errProblems = errors.New("the store is not ready for servers: see to each problem")

// print checks and writes the report.
func (d *database) print(ctx context.Context, opt mongo.Options, out io.Writer) error {
	r, err := mongo.Check(ctx, opt)
	if err != nil {
		return d.advice(mongo.Explain(err))
	}
	if r.Schema == "" {
		r.Schema = "none yet"
	}
	_, err = fmt.Fprintf(out, "server    MongoDB %s\ntopology  %s\ndatabase  %s\nschema    %s\n", r.Server, r.Topology, r.Database, r.Schema)
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		_, _ = fmt.Fprintln(out, "problem   "+p)
	}
	if len(r.Problems) > 0 {
		return errProblems
	}
	return nil
}
