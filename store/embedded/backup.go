package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

var (
	errExists   = errors.New("the backup's directory exists already")
	errNotEmpty = errors.New("the target is not empty")
	errNoBackup = errors.New("not a backup of a store in a data directory; one of a store in MongoDB is restored with --store")
)

// Backup writes a checkpoint of the engine: consistent, and made of links to
// files that do not change where the file system has links.
func (db *DB) Backup(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(errExists, err)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, ownersOnly); err != nil {
		return err
	}
	// The engine makes a directory that everyone may read; it is not seen until
	// it is its owner's alone.
	hidden, err := os.MkdirTemp(parent, ".backup-")
	if err != nil {
		return err
	}
	made := filepath.Join(hidden, filepath.Base(dir))
	err = db.eng.Checkpoint(made, pebble.WithFlushedWAL())
	if err == nil {
		err = private(made)
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	return errors.Join(err, os.RemoveAll(hidden), syncDirectory(parent))
}

// syncDirectory makes what was put into a directory stay there.
func syncDirectory(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // of the target the operator named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Restore copies a backup to a target directory that is empty or absent, after
// it has read the backup through and checked every block.
func Restore(ctx context.Context, dir, target string) error {
	entries, err := os.ReadDir(target)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return errNotEmpty
	}
	if err := verify(dir); err != nil {
		return fmt.Errorf("verify backup: %w", err)
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	if err := copyFiles(ctx, dir, target); err != nil {
		return err
	}
	return verify(target)
}

// verify opens a directory without changing it and reads every block.
func verify(dir string) error {
	o := Options{}.withDefaults().engine()
	o.ReadOnly, o.ErrorIfNotExists = true, true
	eng, err := pebble.Open(dir, o)
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return errNoBackup
	}
	if err != nil {
		return err
	}
	err = readThrough(eng)
	return errors.Join(err, eng.Close())
}

func readThrough(eng *pebble.DB) error {
	if err := checkSchema(eng, ""); err != nil {
		return err
	}
	it, err := eng.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

func copyFiles(ctx context.Context, dir, target string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(dir, e.Name()), filepath.Join(target, e.Name())); err != nil {
			return err
		}
	}
	d, err := os.Open(target) //nolint:gosec // the directory the operator named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from) //nolint:gosec // a file of the backup the operator named
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // of the target the operator named
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close(), in.Close())
}
