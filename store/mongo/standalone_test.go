package mongo

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// lone opens a store on a standalone server.
func lone(t *testing.T, uri, database string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Options{URI: uri, Database: database})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func plain(id, version string) store.Put {
	e := &search.Entries{}
	e.Add(7, []byte("c"+version))
	return store.Put{
		Row: consent.Row{Type: "Observation", Home: consent.HomePatients, Patients: []string{"p1"}, Contributor: "A"}, ID: id,
		Full: store.Version{
			Version: version, Updated: time.UnixMilli(1).UTC(), Entries: e,
			JSON: fmt.Appendf(nil, `{"resourceType":"Observation","id":%q,"meta":{"versionId":%q}}`, id, version),
		},
	}
}

// versions are those of an Observation, newest first.
func versionsOf(t *testing.T, db *DB, id string) string {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	defer s.Close()
	found, _, _, err := s.History(t.Context(), consent.Everything(), fhir.ResourceType("Observation"), id, 9, nil)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("history: %v", err)
	}
	all := ""
	for _, f := range found {
		all += f.Version
	}
	return all
}

// TestStandalone: a server without transactions says so, and a write that does
// not come to its end leaves nothing, whether it fails or the process dies.
func TestStandalone(t *testing.T) {
	uri, name := mongotest.Standalone(t), mongotest.Database(t)
	db := lone(t, uri, name)
	if db.Transactions() {
		t.Fatal("a standalone server claims to have transactions")
	}
	put := func(do func(store.Tx) error) error { return db.Write(t.Context(), do) }
	if err := put(func(x store.Tx) error { x.Touch("Patient/p1"); return x.Put(plain("o1", "1")) }); err != nil {
		t.Fatalf("write: %v", err)
	}
	failed := errors.New("no")
	err := put(func(x store.Tx) error {
		if err := errors.Join(x.Put(plain("o1", "2")), x.Put(plain("o2", "1"))); err != nil {
			return err
		}
		if _, err := x.Read(t.Context(), consent.Everything(), "Observation", "o2"); err != nil {
			t.Errorf("a write does not read itself: %v", err)
		}
		return failed
	})
	if !errors.Is(err, failed) || versionsOf(t, db, "o1") != "1" || versionsOf(t, db, "o2") != "" {
		t.Errorf("a write that failed (%v) left o1 %s, o2 %s", err, versionsOf(t, db, "o1"), versionsOf(t, db, "o2"))
	}

	// The process dies in the middle: what was flushed is there, nothing ends it.
	s, err := db.client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	b, err := db.begin(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	x := &tx{batch: b}
	if err := errors.Join(x.Put(plain("o1", "2")), x.Put(plain("o3", "1")), b.flush(b.in), x.Put(plain("o1", "3")), b.flush(b.in)); err != nil {
		t.Fatalf("half a write: %v", err)
	}
	s.EndSession(context.Background())
	if n, err := db.collection(collUndo).CountDocuments(t.Context(), bson.D{}); n != 2 || err != nil {
		t.Fatalf("%d steps noted, %v", n, err)
	}
	again := lone(t, uri, name)
	if versionsOf(t, again, "o1") != "1" || versionsOf(t, again, "o3") != "" {
		t.Errorf("half a write left o1 %s, o3 %s", versionsOf(t, again, "o1"), versionsOf(t, again, "o3"))
	}
	if err := again.Write(t.Context(), func(x store.Tx) error { return x.Put(plain("o1", "2")) }); err != nil || versionsOf(t, again, "o1") != "21" {
		t.Errorf("it does not go on: %v, o1 %s", err, versionsOf(t, again, "o1"))
	}
}
