package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"vitrine/store/embedded"
	"vitrine/store/mongo"
)

// backupCommand copies the store of a data directory.
type backupCommand struct {
	place
	database
	Out string `help:"Directory to make; it must not exist yet." required:"" placeholder:"DIR"`
}

// Help says what a backup holds.
func (backupCommand) Help() string {
	return `Copies the store: all resources, all versions, the record of accesses, at one moment. While a server runs on the data
directory, that server makes the copy (through the socket admin.sock in the data directory) and goes on serving.

The signing key and the server's identity are not in a backup: a server restored from one makes its own, and tokens
made before count for nothing there. A backup holds the whole record: guard it like the data directory.

With --store the copy is made of the database, by this program and while servers run; it is restored into a database.
A large store is better backed up with MongoDB's own means: snapshots of the members' disks, or mongodump --oplog.

  vitrine backup --data ./vitrine-data --out /backups/2026-11-22
  vitrine restore --from /backups/2026-11-22 --data ./restored`
}

// Run makes the backup.
func (c *backupCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	out, err := filepath.Abs(c.Out)
	if err != nil {
		return err
	}
	if !c.Store.embedded() {
		return c.backupDatabase(ctx, out, s)
	}
	if _, err := os.Stat(filepath.Join(c.Data, storeDirectory)); err != nil {
		return fmt.Errorf("no store in %s", c.Data)
	}
	err = askServer(ctx, c.Data, adminRequest{Command: commandBackup, Path: out})
	if errors.Is(err, errNoServer) {
		err = backupStopped(ctx, c.Data, out)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "backup of %s in %s\n", c.Data, out)
	return err
}

// backupDatabase copies a store in MongoDB, whoever uses it.
func (c *backupCommand) backupDatabase(ctx context.Context, out string, s streams) error {
	db, err := openElsewhere(ctx, c.database, s.err, func(*mongo.Options) {})
	if err != nil {
		return err
	}
	err = closing(db, db.Backup(ctx, out))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--out: %s is there already", c.Out)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "backup of the database %s of %s in %s\n", c.name(), c.Store, out)
	return err
}

// backupStopped copies the store of a data directory that no server uses.
func backupStopped(ctx context.Context, data, out string) error {
	dir, err := openData(data)
	if err != nil {
		return err
	}
	tools, err := buildTools(dir.identity.BaseURL + fhirPath) // nothing is indexed for a copy
	if err != nil {
		return err
	}
	db, err := embedded.Open(dir.file(storeDirectory), embedded.Options{
		Indexer: tools.Indexer, Definitions: tools.Definitions, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("the store cannot be opened (a server that uses it has no socket to be asked by?): %w", err)
	}
	return closing(db, db.Backup(ctx, out))
}
