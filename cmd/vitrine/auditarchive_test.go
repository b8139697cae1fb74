package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
	"vitrine/store/embedded"
)

// oldRecord is the nth of many records, of some years ago.
func oldRecord(n int, kind audit.Kind, yearsAgo int) []byte {
	e := audit.Event{
		Recorded: time.Now().AddDate(-yearsAgo, 0, 0).Add(time.Duration(n) * time.Millisecond).UTC(), Kind: kind,
		Interaction: "read", Action: audit.ActionRead, Site: "vitrine", Observer: "vitrine",
	}
	binary.BigEndian.PutUint64(e.ID[8:], uint64(n)+1) //nolint:gosec // a count
	return e.AppendBinary(nil)
}

// recordOld records two files of old records, some of today, and has them signed.
func recordOld(t *testing.T, s *served) {
	t.Helper()
	for group, years := range []int{8, 8, 0} {
		var records [][]byte
		for n := range []int{ledger.ChunkSize, ledger.ChunkSize, 20}[group] {
			kind := audit.KindRest
			if n%1000 == 7 {
				kind = audit.KindConsentChange
			}
			records = append(records, oldRecord(group*ledger.ChunkSize+n, kind, years))
		}
		if _, err := s.store.Record(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.gate.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestArchive: a server that runs moves what is old into a segment that can be
// checked by itself; what is not old enough stays, what was moved is found no more,
// the log goes on, and of the segment goes what is over.
func TestArchive(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "2018")
	s := serve(t, dir)
	waitFor(t, func() bool { _, err := os.Stat(filepath.Join(dir, socketFile)); return err == nil })
	before := date{time.Now().AddDate(-2, 0, 0)}
	c := auditArchiveCommand{place: place{dir}, database: database{Store: embeddedStore}, Before: before, Out: out}
	if err := c.Run(t.Context(), streams{out: io.Discard, err: io.Discard}); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("before anything was signed: %v", err)
	}
	recordOld(t, s)
	young := c
	if young.Before = (date{time.Now().AddDate(-9, 0, 0)}); young.Run(t.Context(), streams{out: io.Discard}) == nil {
		t.Error("what is younger was moved")
	}
	if young.Before = (date{time.Now().AddDate(0, -1, 0)}); young.Run(t.Context(), streams{out: io.Discard}) == nil {
		t.Error("the last year was moved")
	}
	if _, err := os.Stat(out); err == nil {
		t.Fatal("something was written though nothing was moved")
	}
	if err := c.Run(t.Context(), streams{out: io.Discard, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	st, ok := s.store.(*embedded.DB)
	if !ok {
		t.Fatal("another store")
	}
	if hot, err := st.Hot(t.Context()); hot != 2*ledger.ChunkSize || err != nil {
		t.Errorf("hot: %d, %v", hot, err)
	}
	keys, err := s.data.readAuditKeys()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(keys.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	got, err := (&ledger.Check{Keys: []note.Verifier{key}, Each: func(index int64, record []byte) error {
		if e, err := audit.Decode(record); err != nil || binary.BigEndian.Uint64(e.ID[8:]) != uint64(index)+1 { //nolint:gosec // a count
			return errors.New("another record")
		}
		n++
		return nil
	}}).Run(os.DirFS(out))
	if err != nil || n != 2*ledger.ChunkSize || got.Gone > 0 {
		t.Errorf("the segment: %+v, %d records, %v", got, n, err)
	}
	if _, err := s.store.Record(t.Context(), oldRecord(1<<20, audit.KindRest, 0)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.gate.Sign(t.Context()), c.Run(t.Context(), streams{out: io.Discard})); err == nil || !strings.Contains(err.Error(), "begins at record 0") {
		t.Errorf("the same segment once more, and after the log went on: %v", err)
	}
	expireAll(t, out)
}

// expireAll lets go of what is over in a segment, which holds after it.
func expireAll(t *testing.T, out string) {
	t.Helper()
	const changes = 2 * (ledger.ChunkSize/1000 + 1)
	var said bytes.Buffer
	if err := os.WriteFile(filepath.Join(out, newFile+"1"), nil, 0o600); err != nil { // of one that was killed
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is left to do
		c := auditExpireCommand{retention: retention{"access=7,rights=21"}, Segments: []string{out}}
		if err := c.Run(streams{out: &said}); err != nil {
			t.Fatal(err)
		}
	}
	if text := said.String(); !strings.Contains(text, ": 32734 records deleted, 34 kept") || !strings.Contains(text, ": 0 records deleted, 34 kept") || changes != 34 {
		t.Errorf("it says %s", text)
	}
	var b *ledger.Break
	if _, err := (&ledger.Check{}).Run(os.DirFS(out)); !errors.As(err, &b) || b.Leaf != 0 {
		t.Errorf("what is gone is not said: %v", err)
	}
	if err := (&auditExpireCommand{retention: retention{"access=5"}, Segments: []string{out}}).Run(streams{out: io.Discard}); !errors.Is(err, audit.ErrRetention) {
		t.Errorf("less than may be: %v", err)
	}
}

// TestArchiveInterrupted: a segment that was written and whose records were not
// dropped is taken as it is; one that does not hold, or is another's, drops nothing.
func TestArchiveInterrupted(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	recordOld(t, s)
	st, ok := s.store.(archivable)
	if !ok {
		t.Fatal("a store that puts nothing away")
	}
	signed, err := lastSigned(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	write := func() *segment {
		one := &segment{dir: filepath.Join(t.TempDir(), "s"), span: ledger.Span{To: ledger.ChunkSize}, signed: signed, log: st}
		if err := one.write(context.Background()); err != nil {
			t.Fatal(err)
		}
		return one
	}
	for what, spoil := range map[string]func(path string) error{
		"a record is another": func(dir string) error {
			path := filepath.Join(dir, filepath.FromSlash(ledger.ChunkPath(0)))
			b, err := os.ReadFile(path)
			if err == nil {
				b[5000] ^= 1
				err = os.WriteFile(path, b, 0o600)
			}
			return err
		},
		"it was not finished": func(dir string) error { return os.Remove(filepath.Join(dir, ledger.ManifestFile)) },
		"a file is missing":   func(dir string) error { return os.Remove(filepath.Join(dir, filepath.FromSlash(ledger.ChunkPath(0)))) },
	} {
		one := write()
		if err := spoil(one.dir); err != nil {
			t.Fatal(err)
		}
		if err := archive(t.Context(), st, time.Now().AddDate(-2, 0, 0), one.dir); err == nil {
			t.Errorf("%s: it was taken", what)
		}
		if hot, err := st.Hot(t.Context()); hot != 0 || err != nil {
			t.Fatalf("%s, and records were dropped to %d: %v", what, hot, err)
		}
	}
	for what, refused := range map[string]struct {
		before time.Time
		dir    string
	}{
		"an export":                {time.Now().AddDate(-2, 0, 0), exported(t, s)},
		"records that are younger": {time.Now().AddDate(-9, 0, 0), write().dir},
		"those of the last year":   {time.Now(), write().dir},
	} {
		if err := archive(t.Context(), st, refused.before, refused.dir); err == nil {
			t.Errorf("%s: it was taken", what)
		}
		if hot, err := st.Hot(t.Context()); hot != 0 || err != nil {
			t.Fatalf("%s, and records were dropped to %d: %v", what, hot, err)
		}
	}
	if err := archive(t.Context(), st, time.Now().AddDate(-2, 0, 0), write().dir); err != nil {
		t.Fatal(err)
	}
	if hot, err := st.Hot(t.Context()); hot != ledger.ChunkSize || err != nil {
		t.Errorf("hot: %d, %v", hot, err)
	}
}

// exported is an export of all records.
func exported(t *testing.T, s *served) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := (&auditExportCommand{reach: reach{place: place{s.data.path}}, Out: dir}).Run(t.Context(), streams{out: io.Discard, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestExportKeepsWhatItHad: an export that is brought up to date loses nothing that has
// left the store meanwhile.
func TestExportKeepsWhatItHad(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "log")
	s := serve(t, dir)
	const had = ledger.ChunkSize - 100
	record := func(from, to int) {
		t.Helper()
		var records [][]byte
		for n := from; n < to; n++ {
			records = append(records, oldRecord(n, audit.KindRest, 8))
		}
		if _, err := s.store.Record(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		if err := s.gate.Sign(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	export := func() {
		t.Helper()
		c := auditExportCommand{reach: reach{place: place{dir}, database: database{Store: embeddedStore}}, Out: out}
		if err := c.Run(t.Context(), streams{out: io.Discard, err: io.Discard}); err != nil {
			t.Fatal(err)
		}
	}
	record(0, had)
	export()
	record(had, ledger.ChunkSize+10)
	st, ok := s.store.(archivable)
	if !ok {
		t.Fatal("a store that puts nothing away")
	}
	if err := st.PutAway(t.Context(), ledger.ChunkSize); err != nil {
		t.Fatal(err)
	}
	export()
	kept := 0
	got, err := (&ledger.Check{MayBeGone: ledger.ChunkSize, Each: func(_ int64, record []byte) error {
		if record != nil {
			kept++
		}
		return nil
	}}).Run(os.DirFS(out))
	if err != nil || kept < had || got.Gone > 100 {
		t.Errorf("%d of %d are kept: %+v, %v", kept, had, got, err)
	}
}
