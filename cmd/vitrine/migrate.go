package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vitrine/store"
	"vitrine/store/embedded"
	"vitrine/store/mongo"
)

// migrateCommand copies a store into another one.
type migrateCommand struct {
	From storePlace `help:"The store to copy: a data directory or a MongoDB URI." required:"" placeholder:"DIR|URI"`
	To   storePlace `help:"The store to make: a data directory or a MongoDB URI, without records yet." required:"" placeholder:"DIR|URI"`
	connection
	site
}

// Help says what can be relied upon.
func (migrateCommand) Help() string {
	return `Copies every version of every resource and the whole record of accesses; ids, versions and times stay what they are.
No server may run on either store. The copy goes on where it was interrupted when the same command is given again, and
no server opens it before it is complete. At the end both stores are read through and compared, by count and by a hash
of everything; the exit status is 0 only if they are equal. A copy that was complete already is compared once more.
Then delete or keep the source as you see fit.

  vitrine migrate --from ./vitrine-data --to 'mongodb://db1,db2,db3/?replicaSet=rs0' --store-username vitrine --store-password-file FILE
  vitrine migrate --from 'mongodb://db1,db2,db3/?replicaSet=rs0' --to ./elsewhere

The keys in the data directory are no part of a store: go on serving with --data and the directory that has them. The
--store-... settings are for MongoDB on either side.`
}

// Run copies, compares and opens the copy for use.
func (c *migrateCommand) Run(ctx context.Context, s streams) error {
	if c.From == c.To {
		return errors.New("--from and --to are the same")
	}
	from, err := c.From.open(ctx, c, "--from", s.err)
	if err != nil {
		return err
	}
	to, err := c.To.open(ctx, c, "--to", s.err)
	if err != nil {
		return closing(from, err)
	}
	err = migrate(ctx, from, to, s)
	return closing(from, closing(to, err))
}

// copyable is a store on either side of a copy.
type copyable interface {
	store.Store
	store.Target
}

func migrate(ctx context.Context, from, to copyable, s streams) error {
	if mark, err := from.Mark(ctx); err == nil && mark != nil {
		return errors.New("--from: the copy into this store is not finished itself")
	}
	m := newMeter(s.err)
	stop := m.watch()
	one, err := copied(ctx, from, to, m.tell)
	stop()
	m.clear()
	switch {
	case errors.Is(err, store.ErrNotEmpty):
		return errors.New("--to: the store has records already; a copy begins in an empty one")
	case errors.Is(err, store.ErrMark):
		return errors.New("--to: there is a copy of another store, not finished; empty it first")
	case errors.Is(err, store.ErrDiffers):
		return errors.New("the copy differs from what was copied, and stays shut: see that nobody writes to either store, empty the target and begin again")
	case err != nil:
		return fmt.Errorf("not finished; the same command goes on from here: %w", err)
	}
	if err := to.Settle(ctx); err != nil {
		return fmt.Errorf("index the record of accesses: %w", err)
	}
	if err := to.Finish(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%d resources in %d versions and %d records of accesses copied, in %s\nboth stores have the hash %s\n",
		one.Chronicles, one.Versions, one.Records, m.passed().Round(time.Millisecond), one)
	return err
}

// copied makes the copy and compares. What was copied whole before is compared
// alone: whoever was interrupted after the last step cannot know that it was.
func copied(ctx context.Context, from, to copyable, tell func(store.Progress)) (store.Digest, error) {
	err := store.Copy(ctx, from, to, tell)
	before := errors.Is(err, store.ErrNotEmpty)
	if before {
		if a, e := from.Extent(ctx); e == nil {
			if b, e := to.Extent(ctx); e == nil && a == b {
				err = nil
			}
		}
	}
	if err != nil {
		return store.Digest{}, err
	}
	one, _, err := store.Compare(ctx, from, to, tell)
	if before && errors.Is(err, store.ErrDiffers) {
		err = store.ErrNotEmpty
	}
	return one, err
}

// storePlace is a data directory or a URI. It is printed without secrets.
type storePlace string

func (p storePlace) remote() bool { return strings.Contains(string(p), "://") }

// open opens one side of a copy. What is copied from must be there.
func (p storePlace) open(ctx context.Context, c *migrateCommand, flag string, logs io.Writer) (copyable, error) {
	if p.remote() {
		db, err := openElsewhere(ctx, database{Store: storeName(p), connection: c.connection}, logs, func(o *mongo.Options) { o.Copying, o.Site = true, c.Site })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		return db, nil
	}
	dir := filepath.Join(string(p), storeDirectory)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && flag == "--from" {
		return nil, fmt.Errorf("--from: no store in %s", string(p))
	}
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	tools, err := buildTools("")
	if err != nil {
		return nil, err
	}
	db, err := embedded.Open(dir, embedded.Options{
		Indexer: tools.Indexer, Definitions: tools.Definitions, Site: c.Site, Copying: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: open store in %s (is a server running on it?): %w", flag, string(p), err)
	}
	return db, nil
}
