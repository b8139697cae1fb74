package conformance

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// TestMigrateKilled kills a copy under way again and again, a little later each
// time, and wants it to come to its end with everything and nothing twice.
func TestMigrateKilled(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	if onMongoDB() {
		t.Skip("it names its stores itself")
	}
	for range 2 { // what takes longer than a moment
		runProgram(t, "import", "--data", data, "../testdata/synthea")
	}
	whole := runProgram(t, "migrate", "--from", data, "--to", t.TempDir()+"/whole")
	t.Run("to a data directory", func(t *testing.T) { killedCopies(t, whole, data, "--to", t.TempDir()+"/copy") })
	t.Run("to MongoDB", func(t *testing.T) {
		killedCopies(t, whole, data, "--to", mongotest.Server(t), "--store-database", mongotest.Database(t))
	})
}

// killedCopies wants a copy that was killed often to say what one says that was
// not.
func killedCopies(t *testing.T, whole, data string, to ...string) {
	t.Helper()
	args := append([]string{"migrate", "--from", data}, to...)
	kills := 0
	for wait := 100 * time.Millisecond; ; wait += wait / 2 {
		var out bytes.Buffer
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end := time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if end.Stop() { // it ended by itself
			if err != nil {
				t.Fatalf("after %d kills: %v\n%s", kills, err, out.String())
			}
			same := regexp.MustCompile(`\d+ resources .* copied|the hash [0-9a-f]{64}`)
			if got, want := same.FindAllString(out.String(), -1), same.FindAllString(whole, -1); len(want) != 2 || !slices.Equal(got, want) {
				t.Errorf("after %d kills: %s\nwithout: %s", kills, out.String(), whole)
			}
			t.Logf("after %d kills: %s", kills, strings.TrimSpace(out.String()))
			return
		}
		kills++
	}
}
