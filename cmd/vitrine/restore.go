package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"vitrine/store/embedded"
	"vitrine/store/mongo"
)

// restoreCommand makes a store of a backup.
type restoreCommand struct {
	place
	database
	From string `help:"Directory of the backup." required:"" type:"existingdir" placeholder:"DIR"`
}

// Help says what it takes care of.
func (restoreCommand) Help() string {
	return `The data directory, or with --store the database, must have no store yet: a restore overwrites nothing. A backup is
restored into the kind of store that it was made of.

  vitrine restore --from /backups/2026-11-22 --data ./restored
  vitrine serve --data ./restored
  vitrine restore --from /backups/2026-11-22 --store mongodb://127.0.0.1/ --store-database restored`
}

// Run restores.
func (c *restoreCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	if !c.Store.embedded() {
		return c.restoreDatabase(ctx, s)
	}
	target := filepath.Join(c.Data, storeDirectory)
	if _, err := os.Stat(target); err == nil {
		return fmt.Errorf("restore: %s has a store already", c.Data)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := embedded.Restore(ctx, c.From, target); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err := fmt.Fprintf(s.out, "%s restored to %s\n", c.From, c.Data)
	return err
}

// restoreDatabase restores into MongoDB.
func (c *restoreCommand) restoreDatabase(ctx context.Context, s streams) error {
	opt, err := c.options(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := mongo.Restore(ctx, c.From, opt); err != nil {
		return fmt.Errorf("restore: %w", c.advice(mongo.Explain(err)))
	}
	_, err = fmt.Fprintf(s.out, "%s restored to the database %s of %s\n", c.From, c.name(), c.Store)
	return err
}
