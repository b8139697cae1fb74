package mongo

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/store/mongo/mongotest"
)

// TestShardKeysHaveIndexes: a collection can be sharded by a key only if an
// index begins with it, and what must stay together has no key.
func TestShardKeysHaveIndexes(t *testing.T) {
	var colls []string
	for _, s := range shardKeys() {
		colls = append(colls, s.coll)
		if !slices.ContainsFunc(indexes()[s.coll], func(index bson.D) bool {
			return len(index) >= len(s.key) && cmp.Equal(index[:len(s.key)], s.key)
		}) {
			t.Errorf("%s: no index begins with %v", s.coll, s.key)
		}
	}
	if d := cmp.Diff([]string{collFull, collBasic, collVersions, collEvents}, colls); d != "" {
		t.Errorf("collections that are spread (-want +got):\n%s", d)
	}
}

// TestServersThatAreNoCluster refuse to shard, and say of no collection that it
// is.
func TestServersThatAreNoCluster(t *testing.T) {
	db := openFresh(t, testOptions(t))
	if err := db.shard(t.Context()); err == nil {
		t.Error("a replica set was sharded")
	}
	problems, err := db.checkShards(t.Context())
	if err != nil || len(problems) != len(shardKeys()) {
		t.Errorf("problems: got %q, %v, want one for each key", problems, err)
	}
}

// TestInitMakesWhatIsMissing: an index that was dropped is reported, keeps the
// store shut, and is made by the next Init.
func TestInitMakesWhatIsMissing(t *testing.T) {
	opt := testOptions(t)
	opt.URI, opt.Database = mongotest.Server(t), mongotest.Database(t)
	if err := Init(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	db, err := connect(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.disconnect(context.Background()) })
	if err := db.collection(collEvents).Indexes().DropWithKey(t.Context(), bySpread()); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	var opened []bool
	for range 2 {
		r, err := Check(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Problems)
		db, err := Open(t.Context(), opt)
		if opened = append(opened, err == nil); err == nil {
			_ = db.Close()
		}
		if err := Init(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
	}
	want := [][]string{{"the collection events lacks the index {s: 1, n: 1}; run: vitrine store init"}, nil}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]bool{false, true}, opened); d != "" {
		t.Errorf("opened (-want +got):\n%s", d)
	}
}
