package mongo_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo"
)

// settings are the options of a store that finds its AuditEvents.
func settings(t testing.TB) mongo.Options {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatalf("definitions: %v", err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatalf("indexer: %v", err)
	}
	return mongo.Options{Indexer: x, Definitions: d}
}

// open opens the store in a database, as one more process would.
func open(t testing.TB, opt mongo.Options, uri, database string) *mongo.DB {
	t.Helper()
	opt.URI, opt.Database = uri, database
	db, err := mongo.Open(t.Context(), opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// deed is what a token stands for: a write of several things, or a record of
// access alone. The token is the id of its AuditEvent.
type deed struct {
	writer string
	alone  bool
	acked  bool
}

// sight is what a store process last saw of a writer's chain.
type sight struct {
	epoch   uint64
	version int
}

// ledger keeps what the store promised to those who wrote to it, and holds it to
// that: while they write (look) and in the end (settle).
type ledger struct {
	t testing.TB

	mu      sync.Mutex
	serial  uint64
	deeds   map[string]*deed
	least   map[string]int // the last version acknowledged, by writer
	seen    map[*mongo.DB]map[string]sight
	acked   int
	looks   int
	changed chan struct{} // closed and made anew with every acknowledgement
	grown   growths
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	return &ledger{
		t: t, deeds: map[string]*deed{}, least: map[string]int{}, seen: map[*mongo.DB]map[string]sight{}, changed: make(chan struct{}),
	}
}

// issue makes a new token.
func (l *ledger) issue(d deed) uuid.UUID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], l.serial)
	l.deeds[id.String()] = &d
	return id
}

// acknowledge notes that the store promised to keep a deed.
func (l *ledger) acknowledge(token uuid.UUID, version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.deeds[token.String()]
	d.acked = true
	if !d.alone {
		l.least[d.writer] = version
		l.acked++
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// await returns when n more writes than before were acknowledged.
func (l *ledger) await(ctx context.Context, before, n int) {
	l.t.Helper()
	for {
		l.mu.Lock()
		acked, changed := l.acked, l.changed
		l.mu.Unlock()
		if acked >= before+n {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			l.t.Fatalf("%d writes acknowledged of the %d awaited: %v", acked-before, n, ctx.Err())
		}
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func access(id uuid.UUID, patient string) []byte {
	e := audit.Event{ID: id, Recorded: time.UnixMilli(1e12).UTC(), Kind: audit.KindRest, Interaction: "update", Action: audit.ActionUpdate, Patient: patient}
	return e.AppendBinary(nil)
}

// write is one write under the token of a new deed: the next version of a
// counter that all share, the next version of the writer's own chain, a resource
// that a search finds, a record of access and a touch. It is kept as a whole or
// not at all.
func (l *ledger) write(ctx context.Context, db *mongo.DB, writer string) error {
	token, version := l.issue(deed{writer: writer}), 0
	owned := consent.Row{Type: "Observation", Home: consent.HomePatients, Patients: []string{writer}}
	one := consent.Row{Type: "Condition", Home: consent.HomePatients, Patients: []string{writer}}
	err := db.Write(ctx, func(tx store.Tx) error {
		if _, err := next(ctx, tx, consent.Row{Type: "Basic", Home: consent.HomeShared}, "counter", token); err != nil {
			return err
		}
		var err error
		if version, err = next(ctx, tx, owned, writer, token); err != nil {
			return err
		}
		tx.Record(access(token, writer))
		tx.Touch("Patient/" + writer)
		return tx.Put(store.Put{Row: one, ID: token.String(), Full: content(token, 1)})
	})
	if err == nil {
		l.acknowledge(token, version)
	}
	return err
}

// record appends a record of access by itself.
func (l *ledger) record(ctx context.Context, db *mongo.DB, writer string) error {
	token := l.issue(deed{writer: writer, alone: true})
	receipt, err := db.Record(ctx, access(token, writer))
	if err != nil {
		return err
	}
	if !receipt.Valid() {
		l.t.Errorf("a receipt that proves nothing")
	}
	l.acknowledge(token, 0)
	return nil
}

// note is the resource of a deed.
type note struct {
	Token string `json:"token"`
}

func content(token uuid.UUID, version int) store.Version {
	e := &search.Entries{}
	e.Add(7, []byte("cx"))
	return store.Version{
		Version: strconv.Itoa(version), Updated: time.UnixMilli(1e12).UTC(), Entries: e,
		JSON: fmt.Appendf(nil, `{"token":%q}`, token),
	}
}

// next puts the version after the one that the write reads.
func next(ctx context.Context, tx store.Tx, row consent.Row, id string, token uuid.UUID) (int, error) {
	n, err := version(ctx, tx, row.Type, id)
	if err != nil {
		return 0, err
	}
	return n + 1, tx.Put(store.Put{Row: row, ID: id, Full: content(token, n+1)})
}

// version is the number of the current version; 0 when there is none.
func version(ctx context.Context, r store.Reader, t fhir.ResourceType, id string) (int, error) {
	got, err := r.Read(ctx, consent.Everything(), t, id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(got.Version)
}

// look opens a snapshot, which must show what was acknowledged before to
// whomever and by whichever process, and whose epoch must not be that of another
// state.
func (l *ledger) look(ctx context.Context, db *mongo.DB, writer string) error {
	l.mu.Lock()
	least := l.least[writer]
	l.mu.Unlock()
	s, err := db.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	epoch, known := s.Epoch("Patient/" + writer)
	got, err := version(ctx, s, "Observation", writer)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	if got < least {
		l.t.Errorf("version %d of %s was acknowledged, and a snapshot opened afterwards shows %d", least, writer, got)
	}
	if !known {
		return nil
	}
	if l.seen[db] == nil {
		l.seen[db] = map[string]sight{}
	}
	if was, ok := l.seen[db][writer]; ok && was.epoch == epoch && was.version != got {
		l.t.Errorf("versions %d and %d of %s under one epoch", was.version, got, writer)
	}
	l.seen[db][writer] = sight{epoch, got}
	return nil
}

// rounds is how often a test does what it does, by the environment or by
// default.
func rounds(t testing.TB, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
