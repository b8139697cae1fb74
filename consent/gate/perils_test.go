package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/embedded"
	"vitrine/store/mongo"
	"vitrine/store/mongo/mongotest"
)

func TestMain(m *testing.M) { os.Exit(mongotest.Main(m)) }

// peril is where a store fails, or where the process ends.
type peril int32

const (
	safe peril = iota
	beforeRecord
	afterRecord   // it is durable, and the answer is lost
	withoutRecord // the store says neither yes nor no
	slowRecord    // until the client has gone
	beforeWrite
	withinWrite // all is ready to be committed
	afterWrite  // it is committed, and the answer is lost
	slowWrite
	perils
)

// perilous is a store that fails at one place.
type perilous struct {
	store.Store
	at atomic.Int32
	// deadly ends the process there, the so-manieth time it comes by.
	deadly atomic.Int32
	// struck is how often it has failed; slow is told when it does nothing for long.
	struck atomic.Int32
	slow   func()
}

// meets reports whether the peril is here. A deadly one does not return.
func (p *perilous) meets(here peril) bool {
	if peril(p.at.Load()) != here {
		return false
	}
	if p.deadly.Load() > 0 {
		if p.deadly.Add(-1) > 0 {
			return false
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	p.struck.Add(1)
	return true
}

// stalls takes until the client has gone, and fails: of what goes on record whether or
// not anybody waits, too.
func (p *perilous) stalls() error {
	p.slow()
	return context.Canceled
}

func (p *perilous) Record(ctx context.Context, records ...[]byte) (store.Receipt, error) {
	switch {
	case p.meets(beforeRecord):
		return store.Receipt{}, errDown
	case p.meets(withoutRecord):
		return store.Receipt{}, nil
	case p.meets(slowRecord):
		return store.Receipt{}, p.stalls()
	}
	receipt, err := p.Store.Record(ctx, records...)
	if p.meets(afterRecord) {
		return store.Receipt{}, errDown
	}
	return receipt, err
}

func (p *perilous) Write(ctx context.Context, do func(store.Tx) error) error {
	switch {
	case p.meets(beforeWrite):
		return errDown
	case p.meets(slowWrite):
		return p.stalls()
	}
	err := p.Store.Write(ctx, func(tx store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		if p.meets(withinWrite) {
			return errDown
		}
		return nil
	})
	if err == nil && p.meets(afterWrite) {
		return errDown
	}
	return err
}

// deed is a request of one kind, and whom its answer is about.
type deed struct {
	name     string
	patients []string
	do       func(context.Context, *world, string) (gate.Released, error)
}

// deeds are requests of every kind: reading, searching, writing, breaking the
// glass and mending it, and what is refused.
func deeds() []deed {
	asking := func(w *world, id string, c consent.Caller, code string, t string) *gate.Request {
		req := w.request(c, code, "")
		req.ID, req.Type = id, fhir.ResourceType(t)
		return req
	}
	return []deed{
		{"read", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Read(ctx, asking(w, id, doctor("A"), "read", "Observation"), "Observation", "o-q")
		}},
		{"vread", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Version(ctx, asking(w, id, doctor("A"), "vread", "Observation"), "Observation", "o-q", "1")
		}},
		{"history", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.History(ctx, asking(w, id, doctor("A"), "history-instance", "Observation"), "Observation", "o-q", gate.HistoryPage{Count: -1})
		}},
		{"search", []string{"q", "r"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Search(ctx, asking(w, id, doctor("A"), "search-type", "Observation"), w.query("Observation", "_id=o-q,o-r&_include=Observation:subject"), "")
		}},
		{"everything", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Everything(ctx, asking(w, id, person("q"), "$everything", "Patient"), "q", gate.EverythingPage{Count: -1})
		}},
		{"access", []string{"p"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Access(ctx, asking(w, id, doctor("B"), "$access", "Patient"), "p")
		}},
		{"the record of access", nil, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Search(ctx, asking(w, id, regulator(), "search-type", "AuditEvent"), w.query("AuditEvent", "_count=1"), "")
		}},
		{"refused", nil, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Read(ctx, asking(w, id, doctor("C"), "read", "Observation"), "Observation", "o-q")
		}},
		{"create", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.Create(ctx, asking(w, id, system("A"), "create", "Observation"), w.content(resource("Observation", "", observation("Patient/q"))), nil)
		}},
		{"update", []string{"r"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			note := `"note":[{"text":"` + id + `"}],`
			return w.gate.Update(ctx, asking(w, id, custodian(), "update", "Observation"), "Observation", "o-r", w.content(resource("Observation", "o-r", note+observation("Patient/r"))), "")
		}},
		{"transaction", []string{"q"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			req := asking(w, id, custodian(), "transaction", "")
			req.Interaction.Write = true
			return w.gate.Transaction(ctx, req, []gate.Entry{w.entry("create", "Observation", "", "", observation("Patient/q")), w.entry("read", "Condition", "c-q", "", "")})
		}},
		{"$break-glass", []string{"p"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.BreakGlass(ctx, asking(w, id, doctor("A"), "$break-glass", "Patient"), "p", emergency())
		}},
		{"$break-glass-stop", []string{"p"}, func(ctx context.Context, w *world, id string) (gate.Released, error) {
			return w.gate.StopBreakGlass(ctx, asking(w, id, doctor("A"), "$break-glass-stop", "Patient"), "p")
		}},
	}
}

// told is an answer that was released, or a refusal that was given.
type told struct {
	ID       string
	Patients []string
}

// onRecord fails unless each answer has its events, one for each patient.
func onRecord(t *testing.T, db store.Store, answers []told) {
	t.Helper()
	events := byRequest(t, db)
	for _, a := range answers {
		if events[a.ID] == nil {
			t.Fatalf("%s was answered and is not on record", a.ID)
		}
		for _, p := range a.Patients {
			if !slices.Contains(events[a.ID], "Patient/"+p) {
				t.Fatalf("%s was answered, and is on record for %v, not for %s", a.ID, events[a.ID], p)
			}
		}
	}
}

// byRequest are what the events name, by their request ids.
func byRequest(t *testing.T, db store.Store) map[string][]string {
	t.Helper()
	ctx := t.Context()
	if err := db.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	out := map[string][]string{}
	for after := []byte(nil); ; {
		page, err := snap.Search(ctx, consent.Everything(), &search.Query{Type: "AuditEvent", Count: -1}, store.PageRequest{Limit: 500, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Found {
			var e struct {
				Entity []struct {
					What struct {
						Reference  string
						Identifier struct{ Value string }
					}
				}
			}
			if err := json.Unmarshal(page.Found[i].JSON, &e); err != nil {
				t.Fatal(err)
			}
			id := e.Entity[len(e.Entity)-1].What.Identifier.Value
			for _, x := range e.Entity {
				out[id] = append(out[id], x.What.Reference)
			}
		}
		if after = page.Next; len(after) == 0 {
			return out
		}
	}
}

// TestPerils does everything while the store fails in every way: what fails is
// neither released nor, where it was not committed, on record; what is answered
// is on record.
func TestPerils(t *testing.T) {
	p := &perilous{}
	w := newClinics(t, func(s store.Store) store.Store {
		p.Store = s
		return p
	})
	var answers []told
	struck, failed := 0, map[string]peril{}
	for at := safe; at < perils; at++ {
		for _, d := range deeds() {
			id := fmt.Sprintf("%d-%s", at, d.name)
			ctx, cancel := context.WithCancel(t.Context())
			p.slow = cancel
			before := p.struck.Load()
			p.at.Store(int32(at))
			r, err := d.do(ctx, w, id)
			p.at.Store(int32(safe))
			cancel()
			switch hit := p.struck.Load() > before; {
			case hit:
				struck++
				if err == nil || r.Valid() || len(r.Items()) > 0 || r.Grant() != (gate.Grant{}) || errors.Is(err, gate.ErrNotFound) {
					t.Errorf("%s, struck at %d: released %v, %v", d.name, at, r.Valid(), err)
				}
				failed[id] = at
			case d.name == "refused" && errors.Is(err, gate.ErrNotFound), err == nil && r.Valid():
				answers = append(answers, told{id, d.patients})
			case d.name == "$break-glass-stop" && errors.Is(err, gate.ErrNotFound): // there was no grant
				answers = append(answers, told{ID: id})
			default:
				t.Errorf("%s, not struck at %d: %v", d.name, at, err)
			}
		}
	}
	onRecord(t, p.Store, answers)
	for id := range byRequest(t, p.Store) {
		// A transaction that comes to nothing is on record for what it has read.
		if at := failed[id]; at != safe && at != afterRecord && at != afterWrite && !strings.HasSuffix(id, "-transaction") {
			t.Errorf("%s was struck at %d and is on record as done", id, at)
		}
	}
	if struck < 40 || len(answers) < 40 {
		t.Errorf("%d failed and %d were answered: no test", struck, len(answers))
	}
}

// The environment of a process that is to die.
const (
	envPeril     = "VITRINE_TEST_PERIL"
	envDirectory = "VITRINE_TEST_PERIL_DATA"
	envDatabase  = "VITRINE_TEST_PERIL_DATABASE"
)

// opener opens the store that the environment names.
func opener(t *testing.T, data, database string) func(*search.Indexer, *r4.Definitions) (store.Store, error) {
	t.Helper()
	return func(x *search.Indexer, d *r4.Definitions) (store.Store, error) {
		if database != "" {
			return mongo.Open(t.Context(), mongo.Options{URI: mongotest.Server(t), Database: database, Indexer: x, Definitions: d})
		}
		return embedded.Open(data, embedded.Options{Indexer: x, Definitions: d, CacheSize: 16 << 20})
	}
}

// TestPerilChild is the process that TestPerilsOfDeath starts: it does one thing
// after another, says what it has answered, and dies where it is told to.
func TestPerilChild(t *testing.T) {
	fields := strings.Fields(os.Getenv(envPeril))
	if len(fields) != 3 {
		t.Skip("it is for TestPerilsOfDeath to start")
	}
	at, _ := strconv.Atoi(fields[0])
	nth, _ := strconv.Atoi(fields[1])
	p := &perilous{}
	w := newWorldOn(t, opener(t, os.Getenv(envDirectory), os.Getenv(envDatabase)), func(s store.Store) store.Store {
		p.Store = s
		return p
	})
	p.deadly.Store(int32(nth))
	p.at.Store(int32(at))
	all := deeds()
	for i := 0; ; i++ {
		d := all[rand.IntN(len(all))]
		id := fields[2] + "-" + strconv.Itoa(i)
		r, err := d.do(t.Context(), w, id)
		answer := told{ID: id}
		if r.Valid() {
			answer.Patients = d.patients
		}
		if err == nil || errors.Is(err, gate.ErrNotFound) {
			line, _ := json.Marshal(answer)
			fmt.Printf("told %s\n", line)
		}
	}
}

// deaths is how often a process is killed; VITRINE_DEATHS asks for more, and for
// as many on MongoDB.
func deaths(t *testing.T) int {
	t.Helper()
	s := os.Getenv("VITRINE_DEATHS")
	if s == "" {
		return 3
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPerilsOfDeath kills a process at every point between decision and release:
// before and after its record is durable, before, within and after its commits.
// What it has answered is on record.
func TestPerilsOfDeath(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"embedded": func(*testing.T) string { return "" },
		"MongoDB":  func(t *testing.T) string { t.Helper(); return mongotest.Database(t) },
	} {
		if name == "MongoDB" && os.Getenv("VITRINE_DEATHS") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, database := t.TempDir(), database(t)
			open := opener(t, data, database)
			t.Run("stage", func(t *testing.T) { newWorldOn(t, open, nil).settle() })
			answered := 0
			for n := range deaths(t) {
				t.Run(strconv.Itoa(n), func(t *testing.T) {
					answers := die(t, data, database, n)
					onRecord(t, newWorldOn(t, open, nil).store, answers)
					answered += len(answers)
				})
			}
			t.Logf("%d deaths: %d answers, all on record", deaths(t), answered)
		})
	}
}

// die starts the process that is to die and returns what it answered before.
func die(t *testing.T, data, database string, n int) (answers []told) {
	t.Helper()
	points := []peril{afterRecord, withinWrite, beforeRecord, beforeWrite, afterWrite}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPerilChild$")
	cmd.Env = append(os.Environ(), envDirectory+"="+data, envDatabase+"="+database, fmt.Sprintf("%s=%d %d k%d", envPeril, points[n%len(points)], 1+n*7%11, n))
	if database != "" {
		cmd.Env = append(cmd.Env, mongotest.EnvServer+"="+mongotest.Server(t))
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("it was not killed: %v\n%s", err, out)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line, ok := strings.CutPrefix(lines.Text(), "told ")
		var a told
		if ok && json.Unmarshal([]byte(line), &a) == nil {
			answers = append(answers, a)
		}
	}
	return answers
}
