package mongotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// EnvServer names, in the environment, the server that tests use.
	EnvServer = "VITRINE_TEST_MONGODB"
	// EnvNotRun names a file that gets a line for every test that could not run.
	EnvNotRun = "VITRINE_TEST_NOT_RUN"
	// NotRun is how the report of a test that could not run begins.
	NotRun = "NOT RUN: no MongoDB"
)

// ground is what the tests of one process share: a server that the first who
// asks starts.
type ground struct {
	once sync.Once
	dir  string
	set  *nodes
	err  error
}

// shared is the state of this process, as its children are: a server for each
// test would cost more than the tests.
var shared ground //nolint:gochecknoglobals // written once, by the first test that asks for a server

// Main runs the tests of a package, ends the server they shared, and returns
// what the process is to exit with.
func Main(m interface{ Run() int }) int {
	defer shared.stop()
	return m.Run()
}

func (g *ground) start(program string) {
	if g.dir, g.err = os.MkdirTemp("", "vitrine-mongod-"); g.err == nil {
		g.set, g.err = assemble(context.Background(), program, g.dir, 1)
	}
}

func (g *ground) stop() {
	if g.set != nil {
		g.set.stop()
	}
	if g.dir != "" {
		_ = os.RemoveAll(g.dir) // of the temporary directory
	}
}

// Server is the URI of a genuine MongoDB that has transactions. The test is
// reported as not run where there is none.
func Server(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv(EnvServer); uri != "" {
		return uri
	}
	program := mongod(t)
	shared.once.Do(func() { shared.start(program) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.set.uri()
}

// Database is the name of a database of Server that is not there yet and is
// dropped when the test ends. Whatever uses it is to be closed by then.
func Database(t testing.TB) string {
	t.Helper()
	uri, name := Server(t), "test_"+strings.ToLower(rand.Text())
	t.Cleanup(func() {
		if err := drop(context.Background(), uri, name); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	return name
}

func drop(ctx context.Context, uri, name string) error {
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	return errors.Join(c.Database(name).Drop(ctx), c.Disconnect(ctx))
}

// Standalone is the URI of a server that is no member of a replica set, and so
// has no transactions. It ends with the test.
func Standalone(t testing.TB) string {
	t.Helper()
	p, addr, _, err := launchAnywhere(t.Context(), mongod(t), t.TempDir(), nil, func(line) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return "mongodb://" + addr + "/"
}

// mongod is the program found on PATH. Where there is none, the test is reported
// as not run, also in the file that EnvNotRun names, so that a run can repeat at
// its end what it left out.
func mongod(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("mongod")
	if err == nil {
		return program
	}
	if list := os.Getenv(EnvNotRun); list != "" {
		dir, err := os.Getwd() // the package's
		if err = errors.Join(err, appendLine(list, filepath.Base(dir)+": "+t.Name())); err != nil {
			t.Fatal(err)
		}
	}
	remedy := "set " + EnvServer + " or put a genuine mongod on PATH"
	if os.Getenv(EnvServer) != "" {
		remedy = "this test starts its own; put a genuine mongod on PATH"
	}
	t.Skip(NotRun + ": " + remedy + " (README, third command)")
	return ""
}

func appendLine(path, text string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}

// Version is the version of the server, as it says it.
func Version(t testing.TB, uri string) string {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Disconnect(context.WithoutCancel(t.Context())) }()
	var info struct {
		Version string `bson:"version"`
	}
	if err := c.Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		t.Fatal(err)
	}
	return info.Version
}
