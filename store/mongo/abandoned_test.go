package mongo

import (
	"testing"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"vitrine/store"
)

// TestWritesLeftOpenAreEnded: a process that died with the lock in its hand does
// not keep the others from writing, and nothing of what it did is there.
func TestWritesLeftOpenAreEnded(t *testing.T) {
	dead := openFresh(t, testOptions(t))
	living, err := Open(t.Context(), dead.opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = living.Close() })

	s, err := dead.client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.StartTransaction(); err != nil {
		t.Fatal(err)
	}
	in := driver.NewSessionContext(t.Context(), s)
	if _, err := dead.collection(collEpochs).UpdateOne(in, is("_id", lockKey), is("$inc", is("at", int64(1)))); err != nil {
		t.Fatal(err)
	}
	if _, err := dead.collection(collFull).InsertOne(in, &document{ID: "Observation/half", N: position(1, 1)}); err != nil {
		t.Fatal(err)
	}
	// Nobody speaks for it any more.
	err = living.Write(t.Context(), func(tx store.Tx) error { return tx.Put(plain("o1", "1")) })
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	if got := versionsOf(t, living, "o1") + "," + versionsOf(t, living, "half"); got != "1," {
		t.Errorf("versions of what was written and of what was left: got %q, want %q", got, "1,")
	}
	if err := s.CommitTransaction(in); err == nil {
		t.Error("what was ended was committed")
	}
}
