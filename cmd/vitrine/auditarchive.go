package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
	"vitrine/store"
	"vitrine/store/embedded"
	"vitrine/store/mongo"
)

// auditArchiveCommand moves old records out of the store.
type auditArchiveCommand struct {
	place
	database
	Before date   `help:"Move the records from before this day (UTC); one year ago at the latest." required:"" placeholder:"YYYY-MM-DD"`
	Out    string `help:"Directory to make, for one segment." required:"" placeholder:"DIR"`
}

// Help says in what order it goes about it.
func (auditArchiveCommand) Help() string {
	return fmt.Sprintf(`Moves the oldest records of the record of access into a segment: a directory with the records, the tiles of the tree that lead
from them to the signed checkpoint, and the key. auditcheck checks a segment by itself, and takes from it what an export has no more.

Only when the segment was read back from the disk and holds are the records dropped from the store, and what was indexed of them;
their hashes stay, so that every checkpoint and proof, before and after, is what it was. What is moved is found by no search any more,
a patient's history included: therefore the last year stays. Files of %d records are moved as a whole, up to the first with one of the
day or after. A segment that is complete, because the command was interrupted after that, is taken as it is.

  vitrine audit archive --data ./vitrine-data --before 2020-01-01 --out /archive/2019
  auditcheck --key record.pub /archive/2019
  auditcheck --key record.pub --segment /archive/2019 ./log
  auditcheck --quiet --ndjson /archive/2019 > 2019.ndjson

While a server runs on the data directory, that server does it. Keep two copies: a store that was archived cannot be copied by
"vitrine migrate", and a backup of it has no more than it has. See "vitrine audit expire" for what may be deleted, and when.`, ledger.ChunkSize)
}

// date is a day.
type date struct{ time.Time }

// UnmarshalText reads the form of a flag.
func (d *date) UnmarshalText(text []byte) (err error) {
	if d.Time, err = time.Parse(time.DateOnly, string(text)); err != nil {
		return errors.New("want a day such as 2020-01-31")
	}
	return nil
}

// leastHot is how long records stay in the store: for so long patients are told who
// looked.
const leastHot = 365 * 24 * time.Hour

// Run archives.
func (c *auditArchiveCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	out, err := filepath.Abs(c.Out)
	if err != nil {
		return err
	}
	if err := c.archive(ctx, out, s); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "moved to %s; check it with auditcheck, and keep two copies\n", out)
	return err
}

func (c *auditArchiveCommand) archive(ctx context.Context, out string, s streams) error {
	if !c.Store.embedded() {
		db, err := openElsewhere(ctx, c.database, s.err, func(*mongo.Options) {})
		if err != nil {
			return err
		}
		return closing(db, archive(ctx, db, c.Before.Time, out))
	}
	if _, err := os.Stat(filepath.Join(c.Data, storeDirectory)); err != nil {
		return fmt.Errorf("no store in %s", c.Data)
	}
	err := askServer(ctx, c.Data, adminRequest{Command: commandArchive, Path: out, Before: c.Before.Time})
	if !errors.Is(err, errNoServer) {
		return err
	}
	dir, err := openData(c.Data)
	if err != nil {
		return err
	}
	tools, err := buildTools(dir.identity.BaseURL + fhirPath)
	if err != nil {
		return err
	}
	db, err := embedded.Open(dir.file(storeDirectory), embedded.Options{
		Indexer: tools.Indexer, Definitions: tools.Definitions, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("the store cannot be opened (a server that uses it has no socket to be asked by?): %w", err)
	}
	return closing(db, archive(ctx, db, c.Before.Time, out))
}

// archivable is a store whose old records can be moved.
type archivable interface {
	store.Store
	store.Archive
}

// archive moves what is older than a day into a segment. The records go when the
// segment was read back and holds, and not before.
func archive(ctx context.Context, st archivable, before time.Time, out string) error {
	if before.After(time.Now().Add(-leastHot)) {
		return errors.New("--before: the records of the last year stay in the store")
	}
	signed, err := lastSigned(ctx, st)
	if err != nil {
		return err
	}
	from, err := st.Hot(ctx)
	if err != nil {
		return err
	}
	switch _, err := os.Stat(out); {
	case err == nil: // perhaps complete
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		span, err := oldRecords(ctx, st, from, signed.Size, before)
		if err != nil {
			return err
		}
		if err := (&segment{dir: out, span: span, signed: signed, log: st}).write(ctx); err != nil {
			return err
		}
	}
	got, err := checkSegment(out, &ledger.Check{Keys: signed.Verifiers, Each: func(_ int64, record []byte) error {
		if isYoung(record, before) {
			return errYoungRecord
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("nothing was dropped from the store: %s does not hold (%w); if it was not finished, delete it and give the command again", out, err)
	}
	if got.Span.From != from || got.Span.To > signed.Size {
		return fmt.Errorf("nothing was dropped from the store: the segment begins at record %d, and the store at %d", got.Span.From, from)
	}
	return st.PutAway(ctx, got.Span.To)
}

func lastSigned(ctx context.Context, st store.Store) (gate.Signed, error) {
	snap, err := st.Snapshot(ctx)
	if err != nil {
		return gate.Signed{}, err
	}
	signed, err := gate.LastSigned(ctx, snap)
	if errors.Is(err, gate.ErrUnsigned) {
		err = errors.New("the record of access was not signed yet: a server does so at intervals, and when it is asked for AuditEvent/$checkpoint")
	}
	return signed, errors.Join(err, snap.Close())
}
