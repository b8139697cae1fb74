package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/storetest"
)

// crashDir names, in the environment of a child process, the store it is to
// write to until it is killed.
const crashDir = "VITRINE_TEST_CRASH_DIR"

func small(id, v string) store.Put {
	e := &search.Entries{}
	e.Add(7, []byte("cx"))
	return store.Put{
		Row: consent.Row{Type: "Observation", Home: consent.HomePatients, Patients: []string{"p1"}}, ID: id,
		Full: store.Version{Version: v, Updated: time.UnixMilli(1).UTC(), JSON: []byte(`{"id":"` + id + `"}`), Entries: e},
	}
}

func put(t testing.TB, db *DB, puts ...store.Put) {
	t.Helper()
	err := db.Write(context.Background(), func(tx store.Tx) error {
		for _, p := range puts {
			if err := tx.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
}

func search1(t testing.TB, db *DB, q *search.Query) []string {
	t.Helper()
	s, err := db.Snapshot(context.Background())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	defer s.Close()
	page, err := s.Search(context.Background(), consent.Everything(), q, store.PageRequest{Limit: 1 << 20})
	if err != nil {
		t.Fatalf("search: %v", err)
	}
	ids := []string{}
	for _, f := range page.Found {
		ids = append(ids, f.ID+"/"+f.Version)
	}
	return ids
}

func observations() *search.Query {
	return &search.Query{Type: "Observation", Clauses: []search.Clause{{Any: []search.Match{{Param: 7, Op: search.OpEqual, Key: []byte("cx")}}}}}
}

func TestReopen(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	e := audit.Event{ID: [16]byte{1}, Recorded: time.UnixMilli(5).UTC(), Kind: audit.KindRest, Patient: "p1"}
	for i := range 3 {
		db := openIn(t, dir, opt)
		put(t, db, small("o"+strconv.Itoa(i), "1"), small("o0", strconv.Itoa(i+1)))
		e.ID[1] = byte(i)
		if _, err := db.Record(t.Context(), e.AppendBinary(nil)); err != nil {
			t.Fatalf("record: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	db := openIn(t, dir, opt)
	if d := cmp.Diff([]string{"o0/3", "o1/1", "o2/1"}, search1(t, db, observations())); d != "" {
		t.Errorf("after opening again (-want +got):\n%s", d)
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	if got := search1(t, db, &search.Query{Type: "AuditEvent"}); len(got) != 3 {
		t.Errorf("audit events: got %v, want 3", got)
	}
}

// TestStatesAgain: states outlive the process.
func TestStatesAgain(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	db := openIn(t, dir, opt)
	storetest.HoldStates(t, db, func(t *testing.T) store.Store {
		t.Helper()
		_ = db.Close()
		return openIn(t, dir, opt)
	})
}

// TestForeignDirectory: neither another program's database nor a later layout
// is opened, and neither is changed.
func TestForeignDirectory(t *testing.T) {
	for name, key := range map[string]string{"later schema": metaSchema, "another program": "Zebra"} {
		dir := filepath.Join(t.TempDir(), "store")
		eng, err := pebble.Open(dir, Options{}.withDefaults().engine())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(eng.Set([]byte(key), []byte("vitrine embedded 99"), pebble.Sync), eng.Close()); err != nil {
			t.Fatal(err)
		}
		if db, err := Open(dir, Options{}); !errors.Is(err, errSchema) {
			t.Errorf("%s: got %v, %v, want %v", name, db, err, errSchema)
		}
	}
}

func TestRestore(t *testing.T) {
	root := t.TempDir()
	db := openIn(t, filepath.Join(root, "store"), Options{})
	put(t, db, small("o1", "1"))
	if err := db.eng.Flush(); err != nil { // so that there are tables
		t.Fatal(err)
	}
	backup, target := filepath.Join(root, "backup"), filepath.Join(root, "target")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatalf("backup: %v", err)
	}
	put(t, db, small("o2", "1"))
	if err := Restore(t.Context(), backup, target); err != nil {
		t.Fatalf("restore: %v", err)
	}
	if d := cmp.Diff([]string{"o1/1"}, search1(t, openIn(t, target, Options{}), observations())); d != "" {
		t.Errorf("restored (-want +got):\n%s", d)
	}
	if err := Restore(t.Context(), backup, target); !errors.Is(err, errNotEmpty) {
		t.Errorf("onto a store: got %v, want %v", err, errNotEmpty)
	}
	if err := Restore(t.Context(), filepath.Join(root, "absent"), filepath.Join(root, "t2")); err == nil {
		t.Error("what is absent was restored")
	}
	if err := Restore(t.Context(), damaged(t, backup), filepath.Join(root, "t3")); err == nil {
		t.Error("a damaged backup was restored")
	}
}

// damaged copies a backup and changes a byte in the middle of its largest file.
func damaged(t *testing.T, backup string) string {
	t.Helper()
	dir := t.TempDir()
	if err := copyFiles(t.Context(), backup, dir); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 0xFF
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestScanBudget(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{ScanBudget: 5})
	for i := range 6 {
		p := small("o"+strconv.Itoa(i), "1")
		if i > 3 {
			p.Patients, p.Labels = []string{"p2"}, []string{"another's"}
		}
		put(t, db, p)
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	count := store.PageRequest{Limit: 1, Count: true}
	if page, err := s.Search(t.Context(), consent.Everything(), observations(), count); err != nil || page.Total != 6 {
		t.Errorf("six rows by their postings: got %d, %v, want 6", page.Total, err)
	}
	// What no posting leads to.
	observations := func() *search.Query {
		return &search.Query{Type: "Observation", Clauses: []search.Clause{{All: [][]search.Clause{{}}}}}
	}
	if _, err := s.Search(t.Context(), consent.Everything(), observations(), count); !errors.Is(err, store.ErrTooCostly) {
		t.Errorf("six rows: got %v, want %v", err, store.ErrTooCostly)
	}
	p1 := consent.Everything().Where(func(r consent.Row) bool { return len(r.Labels) == 0 })
	if page, err := s.Search(t.Context(), p1, observations(), count); err != nil || page.Total != 4 {
		t.Errorf("four of six rows: got %d, %v, want 4", page.Total, err)
	}
	if page, err := s.Search(t.Context(), consent.Everything(), observations(), store.PageRequest{Limit: 5}); err != nil || len(page.Next) == 0 {
		t.Errorf("a page within the budget: next %x, %v", page.Next, err)
	}
}

// TestCrashChild is the process that TestCrash kills: it says what was
// acknowledged, after it was.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("runs as the child of TestCrash")
	}
	db, err := Open(dir, options(t))
	if err != nil {
		t.Fatal(err)
	}
	base := len(search1(t, db, observations()))
	var out sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("o%d-%d-%d", base, w, i)
				e := audit.Event{ID: [16]byte{byte(base >> 8), byte(base), byte(w), byte(i >> 8), byte(i)}, Recorded: time.UnixMilli(5).UTC(), Kind: audit.KindRest, Patient: "p1"}
				put(t, db, small(id, "1"))
				if _, err := db.Record(context.Background(), e.AppendBinary(nil)); err != nil {
					t.Error(err)
				}
				out.Lock()
				fmt.Println("ack", id, formatUUID(e.ID))
				out.Unlock()
			}
		}()
	}
	select {}
}

func TestCrash(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	acknowledged := map[string]bool{}
	for range 4 {
		crashOnce(t, dir, acknowledged)
		db := openIn(t, dir, opt)
		if err := db.Settle(t.Context()); err != nil {
			t.Fatalf("settle: %v", err)
		}
		there := map[string]bool{}
		for _, q := range []*search.Query{observations(), {Type: "AuditEvent"}} {
			for _, id := range search1(t, db, q) {
				there[strings.TrimSuffix(id, "/1")] = true
			}
		}
		for id := range acknowledged {
			if !there[id] {
				t.Errorf("%s was acknowledged and is lost", id)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d acknowledged: nothing was tried", len(acknowledged))
	}
}

// crashOnce runs the child until it has acknowledged some, and kills it.
func crashOnce(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$") //nolint:gosec // itself
	child.Env = append(os.Environ(), crashDir+"="+dir)
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for n := 0; lines.Scan(); n++ {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "ack" {
			acknowledged[f[1]], acknowledged[f[2]] = true, true
		}
		if n == 50 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}
