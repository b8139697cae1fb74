package conformance

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadmeQuickstart runs the quick start of README as it stands, in a copy
// of what it names, on a free port.
func TestReadmeQuickstart(t *testing.T) {
	readme, err := readFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- quickstart -->\n```sh\n(.*?)```").FindStringSubmatch(readme)
	if m == nil {
		t.Fatal("README has no quick start")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "testdata"), filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	script := strings.ReplaceAll(m[1], "go build -o vitrine ./cmd/vitrine", "cp '"+program+"' vitrine")
	script = "set -eu\ntrap 'kill $(jobs -p)' EXIT\n" + strings.ReplaceAll(script, "127.0.0.1:8080", addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VITRINE_LISTEN="+addr)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), `"total":1`) {
		t.Errorf("the quick start finds no patient:\n%s", out)
	}
}

// TestMetadataIsServed holds that the server declares itself without a token.
func TestMetadataIsServed(t *testing.T) {
	s := start(t, t.TempDir()+"/data")
	o := decode(t, s.do(t, "", get("metadata")).want(t, http.StatusOK).body)
	if text(o, "resourceType") != "CapabilityStatement" || text(o, "fhirVersion") != "4.0.1" || len(list(o, "rest", 0, "resource")) < 140 {
		t.Errorf("not the statement of an R4 server: %.400v", o)
	}
}
