package conformance

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// envStore, set to "mongodb", makes the servers of this package keep their
// records in MongoDB, each data directory's in a database of its own.
const envStore = "VITRINE_TEST_STORE"

func onMongoDB() bool { return os.Getenv(envStore) == "mongodb" }

// databases are the names of the databases by data directory.
var databases sync.Map //nolint:gochecknoglobals // what the servers of all tests keep their records in

// backing is the environment of a program that works on a data directory: it
// says where the records are. Nil is this process's own.
func backing(t *testing.T, data string) []string {
	t.Helper()
	if !onMongoDB() || data == "" {
		return nil
	}
	uri := mongotest.Server(t)
	name, ok := databases.Load(data)
	if !ok {
		name = mongotest.Database(t)
		databases.Store(data, name)
	}
	text, _ := name.(string)
	return append(os.Environ(), "VITRINE_STORE="+uri, "VITRINE_STORE_DATABASE="+text)
}

// dataOf is the data directory named on a command line.
func dataOf(args []string) string {
	if i := slices.Index(args, "--data"); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// duplicate copies a data directory that no server uses, with its records.
func duplicate(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if !onMongoDB() {
		return
	}
	dump := t.TempDir() + "/dump"
	runProgram(t, "backup", "--data", from, "--out", dump)
	runProgram(t, "restore", "--data", to, "--from", dump)
}

// TestOnMongoDB runs the scenarios of breaking the glass and writing, launches of
// apps, the transcripts, two worlds and the crash rounds once more with every record in
// MongoDB, of the last two fewer unless they are asked for. With
// VITRINE_TEST_STORE=mongodb the whole package runs so.
func TestOnMongoDB(t *testing.T) {
	t.Parallel()
	if onMongoDB() {
		t.Skip("every test of this run is")
	}
	uri := mongotest.Server(t)
	const most = 20 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.timeout="+most.String(), "-test.run=^Test(Scenario(4|7|87).*|Export|InfernoStandaloneLaunch|NothingOutlivesItsEnd|Transcripts|TwoWorlds|Kill9)$")
	cmd.Env = append(os.Environ(), envStore+"=mongodb", mongotest.EnvServer+"="+uri)
	for name, fewer := range map[string]string{"VITRINE_WORLDS": "2", envOneIn: "8", "VITRINE_CRASH_ROUNDS": "3"} {
		if os.Getenv(name) == "" {
			cmd.Env = append(cmd.Env, name+"="+fewer)
		}
	}
	out, err := cmd.CombinedOutput()
	passed := len(regexp.MustCompile(`(?m)^--- PASS`).FindAll(out, -1))
	if err != nil || passed < 20 {
		t.Fatalf("%d tests passed; %v\n%s", passed, err, failures(out))
	}
	t.Logf("%d tests passed on MongoDB %s", passed, mongotest.Version(t, uri))
	for _, line := range regexp.MustCompile(`(?m)^.*(request pairs|acknowledged writes and).*$`).FindAll(out, -1) {
		t.Logf("%s", line)
	}
}

// failures are the parts of a test's output that tell of failures, and its end.
func failures(out []byte) string {
	var told []string
	for _, part := range strings.Split(string(out), "=== RUN") {
		if strings.Contains(part, "--- FAIL") || strings.Contains(part, "panic:") {
			told = append(told, part[:min(len(part), 4000)])
		}
	}
	return strings.Join(append(told, string(out[max(0, len(out)-1000):])), "\n")
}
