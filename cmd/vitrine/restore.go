package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vitrine/store/embedded"
)

// restoreCommand makes a data directory of a backup.
type restoreCommand struct {
	place
	From string `help:"Directory of the backup." required:"" type:"existingdir" placeholder:"DIR"`
}

// Help says what it takes care of.
func (restoreCommand) Help() string {
	return `The data directory must have no store yet: a restore overwrites nothing.

  vitrine restore --from /backups/2026-11-22 --data ./restored
  vitrine serve --data ./restored`
}

// Run restores.
func (c *restoreCommand) Run(ctx context.Context, s streams) error {
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
