package mongo

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
	"vitrine/store/storetest"
)

// checks is how many draws a property is held to here, where each costs many round
// trips; -rapid.checks asks for more.
const checks = "40"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", checks); err != nil { // before the command line has its say
		panic(err)
	}
	code := mongotest.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func testOptions(t testing.TB) Options {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatalf("definitions: %v", err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatalf("indexer: %v", err)
	}
	return Options{Indexer: x, Definitions: d, Site: "vitrine"}
}

func openFresh(t testing.TB, opt Options) *DB {
	t.Helper()
	opt.URI, opt.Database = mongotest.Server(t), mongotest.Database(t)
	db, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestStore(t *testing.T) {
	opt := testOptions(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openFresh(t, opt) })
}

func TestBudget(t *testing.T) {
	opt := testOptions(t)
	opt.ScanBudget = storetest.Budget
	storetest.RunBudget(t, func(t *testing.T) store.Store { return openFresh(t, opt) })
}
