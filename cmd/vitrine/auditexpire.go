package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
)

// retention is the setting that says how long records are kept. A server is told it as
// well, though it deletes nothing: who runs one learns from it at once what its
// settings come to, and "vitrine audit expire" with the same file goes by the same.
type retention struct {
	AuditRetention string `name:"audit-retention" help:"For how many years records of access are kept, by class: access, security, rights, break-glass. None can be below 6, 2, 7 and 7." default:"access=7,security=7,rights=21,break-glass=21" placeholder:"CLASS=YEARS,..."`
}

func (r *retention) years() (audit.Retention, error) {
	years, err := audit.ParseRetention(r.AuditRetention)
	if err != nil {
		return years, fmt.Errorf("--audit-%w", err)
	}
	return years, nil
}

// said is the setting in full, those of its classes that were not named too.
func (r *retention) said() string {
	years, err := r.years()
	if err != nil {
		return r.AuditRetention
	}
	return years.String()
}

// auditExpireCommand deletes from segments what need not be kept any longer.
type auditExpireCommand struct {
	retention
	Segments []string `arg:"" help:"Segments that \"vitrine audit archive\" made." placeholder:"DIR"`
}

// Help says what is left.
func (auditExpireCommand) Help() string {
	return `Deletes from segments the records whose time is over; nothing is ever deleted from a store, from which records are moved first,
and no server deletes by itself.
How long that is, is a setting of the server: give the same --config, or VITRINE_AUDIT_RETENTION, to both.
Classes: break-glass (overrides, their reviews, and every access under one), rights (Consents, directives, roles, onboarding), security
(signing in, tokens, use of the record, exports, notices), access (all else). What cannot be read is kept.

A segment is checked before and after. The hashes stay: nothing can be put in the place of what is gone, and auditcheck says where that
is (--may-be-gone). There is no way back, and copies of the segment are not touched.

  vitrine audit expire --config /etc/vitrine.yaml /archive/2019
  vitrine audit expire --audit-retention access=7,break-glass=21 /archive/2019`
}

// Run deletes.
func (c *auditExpireCommand) Run(s streams) error {
	years, err := c.years()
	if err != nil {
		return err
	}
	for _, dir := range c.Segments {
		gone, kept, err := expire(dir, years, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if _, err := fmt.Fprintf(s.out, "%s: %d records deleted, %d kept\n", dir, gone, kept); err != nil {
			return err
		}
	}
	return nil
}

// expire deletes what is over from a segment, file by file.
func expire(dir string, years audit.Retention, now time.Time) (gone, kept int64, err error) {
	if err := sweepNew(dir); err != nil {
		return 0, 0, err
	}
	before, err := expirable(dir)
	if err != nil {
		return 0, 0, err
	}
	for n := before.Span.From / ledger.ChunkSize; n < before.Span.To/ledger.ChunkSize; n++ {
		some, err := expireChunk(filepath.Join(dir, filepath.FromSlash(ledger.ChunkPath(n))), years, now)
		if err != nil {
			return gone, 0, err
		}
		gone += some
	}
	after, err := expirable(dir)
	if err == nil && after.Gone != before.Gone+gone {
		err = errors.New("other records are gone than were deleted")
	}
	return gone, after.Span.To - after.Span.From - after.Gone, err
}

var errNoSegment = errors.New("an export, and no segment")

// expirable checks a segment of which records may be gone.
func expirable(dir string) (ledger.Result, error) {
	return checkSegment(dir, &ledger.Check{MayBeGone: math.MaxInt64})
}

// checkSegment checks a segment, and nothing else that is in a directory.
func checkSegment(dir string, check *ledger.Check) (ledger.Result, error) {
	text, err := os.ReadFile(filepath.Join(dir, ledger.ManifestFile)) //nolint:gosec // the operator names the directory
	if err != nil {
		return ledger.Result{}, err
	}
	_, ok, err := ledger.ParseSegment(string(text))
	if !ok {
		err = errNoSegment
	}
	if err != nil {
		return ledger.Result{}, err
	}
	return check.Run(os.DirFS(dir))
}

// expireChunk writes a file of records anew without those whose time is over.
func expireChunk(path string, years audit.Retention, now time.Time) (gone int64, err error) {
	old, err := os.ReadFile(path) //nolint:gosec // the operator names the directory
	if err != nil {
		return 0, err
	}
	var left []byte
	for rest := old; len(rest) > 0; {
		var record []byte
		if record, rest, err = ledger.CutPiece(rest); err != nil {
			return 0, err
		}
		if record != nil && years.Over(record, now) {
			record = nil
			gone++
		}
		left = ledger.AppendPiece(left, record)
	}
	if gone == 0 {
		return 0, nil
	}
	return gone, replaceFile(path, left)
}

// sweepNew takes away files that were not complete when the command was killed.
func sweepNew(dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, newFile+"*"))
	for _, path := range all {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// replaceFile puts a file in the place of another in one step.
func replaceFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(filepath.Dir(path)), newFile+"*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}
