package mongo

import (
	"slices"
	"strings"
	"testing"

	"vitrine/store"
	"vitrine/store/storetest"
)

// TestStatesOfAll: processes on one database see each other's states.
func TestStatesOfAll(t *testing.T) {
	db := openFresh(t, testOptions(t))
	storetest.HoldStates(t, db, func(t *testing.T) store.Store { return again(t, db) })
}

func again(t *testing.T, db *DB) *DB {
	t.Helper()
	other, err := Open(t.Context(), db.opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// TestStoreBeforeStates: a store that is older than states gets their collection
// when it is opened, and is told of it when it is checked.
func TestStoreBeforeStates(t *testing.T) {
	db := openFresh(t, testOptions(t))
	lacks := func() bool {
		r, err := Check(t.Context(), db.opt)
		if err != nil {
			t.Fatalf("check: %v", err)
		}
		return slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, collStates) })
	}
	if lacks() {
		t.Error("a new store lacks its states")
	}
	if err := db.collection(collStates).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !lacks() {
		t.Error("the check does not tell that the collection is not there")
	}
	storetest.HoldStates(t, again(t, db), func(t *testing.T) store.Store { return again(t, db) })
	if lacks() {
		t.Error("opened, and still without")
	}
}
