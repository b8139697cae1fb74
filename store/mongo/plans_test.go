package mongo

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	driverevent "go.mongodb.org/mongo-driver/v2/event"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// overheard are the commands that a store sends.
type overheard struct {
	mu  sync.Mutex
	all []bson.Raw
}

func (o *overheard) monitor() *driverevent.CommandMonitor {
	return &driverevent.CommandMonitor{Started: func(_ context.Context, e *driverevent.CommandStartedEvent) {
		switch e.CommandName {
		case "find", "aggregate", "count":
			o.mu.Lock()
			defer o.mu.Unlock()
			o.all = append(o.all, slices.Clone(e.Command))
		}
	}}
}

// since empties the list and returns what was in it.
func (o *overheard) since() []bson.Raw {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

// asked is a search whose plans are looked at.
type asked struct {
	name     string
	universe func() *consent.Universe
	typ      fhir.ResourceType
	query    string
	parsed   *search.Query // in place of query, for what no request can ask
	page     store.PageRequest
	// deep is the number of the page that is meant.
	deep int
	// perResult bounds the keys that are examined for each resource returned.
	perResult float64
	// sorts says that the servers may have to sort: the order is not theirs.
	sorts bool
}

// planned is what is kept of one command and its plan.
type planned struct {
	Command       string  `json:"command"`
	KeysExamined  int64   `json:"keysExamined"`
	DocsExamined  int64   `json:"docsExamined"`
	Returned      int64   `json:"nReturned"`
	KeysPerResult float64 `json:"keysPerResult"`
	Plan          *stage  `json:"plan"`
}

// golden is a file of testdata/plans.
type golden struct {
	Server   string    `json:"server"`
	Search   string    `json:"search"`
	Found    int       `json:"found"`
	Commands []planned `json:"commands"`
}

// TestPlans holds the plans of the searches that matter to what they were: no
// collection is scanned, what stands in the order of positions is not sorted, and
// few keys are looked at for each resource found.
func TestPlans(t *testing.T) {
	m := newMaker(t)
	var heard overheard
	db := salted(t, Options{Indexer: m.indexer, Definitions: m.defs, monitor: heard.monitor()})
	w := settle(t, m, db)
	server := mongotest.Version(t, mongotest.Server(t))
	for _, a := range slices.Concat(w.searches(), w.furtherSearches(), w.eventSearches()) {
		t.Run(a.name, func(t *testing.T) {
			g := golden{Server: "MongoDB " + server, Search: string(a.typ) + "?" + a.query}
			g.Found = w.run(t, &heard, &a)
			for _, command := range heard.since() {
				g.Commands = append(g.Commands, explained(t, db, command))
			}
			a.judge(t, &g)
			compareGolden(t, a.name, &g)
		})
	}
}

// run asks for the page twice, so that the commands overheard are those of a
// search whose plans the servers know.
func (w *world) run(t *testing.T, heard *overheard, a *asked) (found int) {
	t.Helper()
	s, err := w.db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	q := a.parsed
	if q == nil {
		q = w.m.parse(a.typ, a.query)
	}
	var page store.Page
	p := a.page
	for range max(a.deep, 1) {
		heard.since()
		p.After = page.Next
		if page, err = s.Search(t.Context(), a.universe(), q, p); err != nil {
			t.Fatal(err)
		}
	}
	return max(page.Total, len(page.Found))
}

// explained is the plan of a command, as the servers carry it out.
func explained(t *testing.T, db *DB, command bson.Raw) planned {
	t.Helper()
	kept := bson.D{}
	elements, err := command.Elements()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range elements {
		switch e.Key() {
		case "find", "aggregate", "filter", "pipeline", "sort", "limit", "projection", "hint", "cursor", "let":
			kept = append(kept, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	var x bson.Raw
	err = db.data.RunCommand(t.Context(), bson.D{{Key: "explain", Value: kept}, {Key: "verbosity", Value: "executionStats"}}).Decode(&x)
	if err != nil {
		t.Fatalf("explain: %v", err)
	}
	return reduced(t, kept[0].Key+" "+command.Index(0).Value().StringValue(), x)
}

// judge holds a plan to the rules that every search must keep.
func (a *asked) judge(t *testing.T, g *golden) {
	t.Helper()
	if g.Found == 0 || len(g.Commands) == 0 {
		t.Errorf("found %d with %d commands: the search says nothing about plans", g.Found, len(g.Commands))
	}
	for i, c := range g.Commands {
		text := encodeGolden(t, c.Plan)
		if strings.Contains(text, "COLLSCAN") {
			t.Errorf("command %d scans a collection:\n%s", i, text)
		}
		if strings.Contains(text, `"SORT"`) && !a.sorts {
			t.Errorf("command %d sorts in memory:\n%s", i, text)
		}
		if c.KeysPerResult > a.perResult {
			t.Errorf("command %d examines %.1f keys for a result, want %.1f at most:\n%s", i, c.KeysPerResult, a.perResult, text)
		}
	}
}

func compareGolden(t *testing.T, name string, g *golden) {
	t.Helper()
	path := filepath.Join("testdata", "plans", strings.ReplaceAll(name, " ", "-")+".json")
	text := encodeGolden(t, g)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if server := fmt.Sprintf("%q", g.Server); !strings.Contains(string(want), server) {
		t.Logf("the golden file is of another server than %s: plans are not compared", server)
		return
	}
	if d := cmp.Diff(string(want), text); d != "" {
		t.Errorf("plan (-want +got):\n%s", d)
	}
}

// world is a store with real records, each of them three times.
type world struct {
	m        *maker
	db       *DB
	patients []string
	visits   []string // of the first patient, fifty at most
}

const worldCopies = 3

func settle(t *testing.T, m *maker, db *DB) *world {
	t.Helper()
	w := &world{m: m, db: db}
	for copied := range worldCopies {
		for _, s := range m.sheets() {
			puts := m.puts(s, copied)
			w.patients = append(w.patients, s.patient[:len(s.patient)-3]+fmt.Sprintf("%03x", copied))
			put(t, db, puts)
			for _, p := range puts {
				if p.Type == "Encounter" && p.Patients[0] == w.patients[0] && len(w.visits) < 50 {
					w.visits = append(w.visits, "Encounter/"+p.ID)
				}
			}
		}
	}
	var lost []store.Put
	for n := range 12 {
		id := fmt.Sprintf("lost%d", n)
		p := store.Put{ID: id, Row: consent.Row{Type: "Observation", Contributor: "clinic-1"}}
		p.Full = m.version(id, "1", []byte(`{"resourceType":"Observation","status":"final","code":{"text":"x"}}`))
		search.AppendAwaits(p.Full.Entries, fhir.Identifier{System: "http://example.org/nhid", Value: fmt.Sprint(n)})
		p.Full.Entries.Sort()
		lost = append(lost, p)
	}
	put(t, db, lost)
	if _, err := db.Record(context.Background(), accesses(w.patients, 40)...); err != nil {
		t.Fatal(err)
	}
	return w
}
