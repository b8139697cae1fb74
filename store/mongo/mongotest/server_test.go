package mongotest

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// connect is a client of the URI that gives up early enough for a test.
func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetWriteConcern(writeconcern.Majority()).SetServerSelectionTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

// transfer inserts a document in a transaction. One that is left open would keep
// its locks for a minute.
func transfer(ctx context.Context, c *mongo.Client, coll *mongo.Collection, id string, sessions ...*bson.Raw) error {
	return c.UseSession(ctx, func(ctx context.Context) error {
		s := mongo.SessionFromContext(ctx)
		for _, id := range sessions {
			*id = s.ID()
		}
		if err := s.StartTransaction(); err != nil {
			return err
		}
		if _, err := coll.InsertOne(ctx, bson.D{{Key: "_id", Value: id}}); err != nil {
			return errors.Join(err, s.AbortTransaction(context.WithoutCancel(ctx)))
		}
		return s.CommitTransaction(ctx)
	})
}

func count(t *testing.T, coll *mongo.Collection) int {
	t.Helper()
	n, err := coll.CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// TestServer: the server is a genuine one that keeps transactions, and has
// forgotten the database of a test that ended.
func TestServer(t *testing.T) {
	uri := Server(t)
	t.Logf("MongoDB %s", Version(t, uri))
	c := connect(t, uri)
	var name string
	t.Run("a test", func(t *testing.T) {
		name = Database(t)
		coll := c.Database(name).Collection("c")
		if err := transfer(t.Context(), c, coll, "a"); err != nil {
			t.Fatal(err)
		}
		if n := count(t, coll); n != 1 {
			t.Errorf("%d documents, want 1", n)
		}
	})
	names, err := c.ListDatabaseNames(t.Context(), bson.D{{Key: "name", Value: name}})
	if err != nil || len(names) > 0 {
		t.Errorf("after the test: %v, %v", names, err)
	}
}

func TestStandalone(t *testing.T) {
	c := connect(t, Standalone(t))
	coll := c.Database("d").Collection("c")
	if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}); err != nil {
		t.Fatalf("a write: %v", err)
	}
	if err := transfer(t.Context(), c, coll, "b"); err == nil {
		t.Error("it keeps transactions")
	}
}

// TestNotRun: without a server a test is skipped in so many words, and listed.
func TestNotRun(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	t.Setenv(EnvServer, "")
	t.Setenv(EnvNotRun, list)
	t.Setenv("PATH", t.TempDir())
	t.Run("asks for a server", func(t *testing.T) {
		Server(t)
		t.Error("a server was found")
	})
	text, err := os.ReadFile(list)
	if err != nil || string(text) != "mongotest: TestNotRun/asks_for_a_server\n" {
		t.Errorf("listed: %q, %v", text, err)
	}
}

// TestFaults strikes a commit and an insert at every moment. What had not
// reached the server is not there, what was answered is, and the driver, which
// asks again, makes neither twice.
func TestFaults(t *testing.T) {
	uri := Server(t)
	name := Database(t)
	p := Through(t, uri)
	c, plain := connect(t, p.URI()), connect(t, uri)
	moments := map[string]When{"before": Before, "midway": Midway, "forwarded": Forwarded, "answered": Answered}
	breaks := map[string]Break{"cut": Cut, "cut all": CutAll, "reset": Reset}
	for moment, when := range moments {
		for how, do := range breaks {
			t.Run(moment+" "+how, func(t *testing.T) {
				coll := plain.Database(name).Collection(strings.ReplaceAll(moment+how, " ", ""))
				if err := plain.Database(name).CreateCollection(t.Context(), coll.Name()); err != nil {
					t.Fatal(err)
				}
				through := c.Database(name).Collection(coll.Name())
				once := p.Arm(Fault{Match: In(coll.Name(), "insert"), When: when, Do: do})
				if _, err := through.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}); err != nil {
					t.Errorf("an insert that is tried again: %v", err)
				}
				<-once.Sprung()
				commit := p.Arm(Fault{Match: Command("commitTransaction"), When: when, Do: do})
				if err := transfer(t.Context(), c, through, "b"); err != nil {
					t.Errorf("a commit that is tried again: %v", err)
				}
				<-commit.Sprung()
				if n := count(t, coll); n != 2 {
					t.Errorf("%d documents, want 2", n)
				}
				always := p.Arm(Fault{Match: Command("commitTransaction"), When: when, Do: do, Times: math.MaxInt})
				var session bson.Raw
				if err := transfer(context.WithoutCancel(t.Context()), c, through, "c", &session); err == nil { // with a deadline the driver tries until then
					t.Error("a commit that nobody confirmed was acknowledged")
				}
				always.Disarm()
				if err := command(t.Context(), uri, bson.D{{Key: "killSessions", Value: bson.A{session}}}); err != nil {
					t.Fatal(err)
				}
				if n := count(t, coll); when == Answered && n != 3 || when < Forwarded && n != 2 {
					t.Errorf("%d documents after a commit struck at moment %d", n, when)
				}
			})
		}
	}
}

// TestHold: what is held has not happened, and happens when it is let go.
func TestHold(t *testing.T) {
	uri := Server(t)
	name := Database(t)
	p := Through(t, uri)
	coll, plain := connect(t, p.URI()).Database(name).Collection("c"), connect(t, uri).Database(name).Collection("c")
	trap := p.Arm(Fault{Match: In("c", "insert"), When: Before, Do: Hold})
	written := make(chan error, 1)
	go func() {
		_, err := coll.InsertOne(context.Background(), bson.D{{Key: "_id", Value: "a"}})
		written <- err
	}()
	<-trap.Sprung()
	if n := count(t, plain); n != 0 {
		t.Errorf("%d documents while it is held", n)
	}
	trap.Release()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if n, struck := count(t, plain), trap.Struck(); n != 1 || struck != 1 {
		t.Errorf("%d documents, struck %d times, want 1 and 1", n, struck)
	}
}

// TestReplicas: every way to lose a primary makes another the primary, and the
// set is whole again afterwards with every acknowledged write.
func TestReplicas(t *testing.T) {
	r := ReplicaSet(t, 3)
	coll := connect(t, r.URI()).Database("d").Collection("c")
	for name, fault := range map[string]func(int) (repair func(int)){
		"kill":      func(i int) func(int) { r.Kill(i); return r.Start },
		"freeze":    func(i int) func(int) { r.Freeze(i); return r.Thaw },
		"cut off":   func(i int) func(int) { r.CutOff(i); return r.Rejoin },
		"step down": func(int) func(int) { r.StepDown(); return func(int) {} },
	} {
		before := r.AwaitPrimary(t.Context())
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: name}}); err != nil {
			t.Fatalf("before %s: %v", name, err)
		}
		repair := fault(before)
		if after := r.AwaitPrimary(t.Context()); after == before {
			t.Errorf("%s: node %d is primary as before", name, after)
		}
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: name + " after"}}); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		repair(before)
		r.AwaitWhole(t.Context())
	}
	if n := count(t, coll); n != 8 {
		t.Errorf("%d documents, want 8", n)
	}
}

// TestTakenPort: a port that somebody took meanwhile is not waited for.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := launch(t.Context(), mongod(t), t.TempDir(), l.Addr().String(), nil, func(line) {}); err == nil || !strings.Contains(err.Error(), "mongod ended") {
		t.Errorf("got %v, want that it ended", err)
	}
}
