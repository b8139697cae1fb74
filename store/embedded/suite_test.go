package embedded

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(t testing.TB) Options {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatalf("definitions: %v", err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatalf("indexer: %v", err)
	}
	return Options{Indexer: x, Definitions: d, CacheSize: 32 << 20, Site: "vitrine"}
}

func openIn(t testing.TB, dir string, opt Options) *DB {
	t.Helper()
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestStore(t *testing.T) {
	opt := options(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	})
}

func TestBudget(t *testing.T) {
	opt := options(t)
	opt.ScanBudget = storetest.Budget
	storetest.RunBudget(t, func(t *testing.T) store.Store {
		return openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	})
}
