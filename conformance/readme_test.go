package conformance

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"vitrine/store/mongo/mongotest"
)

// TestReadmeQuickstart runs the quick start of README as it stands, in a copy
// of what it names, on a free port.
func TestReadmeQuickstart(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	script := strings.ReplaceAll(readmeBlock(t, "quickstart"), "go build -o vitrine ./cmd/vitrine", ":")
	script = strings.ReplaceAll(script, "127.0.0.1:8080", addr)
	out := runScript(t, script, "VITRINE_LISTEN="+addr)
	if !strings.Contains(out, `"total":1`) {
		t.Errorf("the quick start finds no patient:\n%s", out)
	}
}

// TestReadmeOnboarding runs the steps by which a connector and an app are onboarded
// as they stand, after the quick start.
func TestReadmeOnboarding(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	script := strings.ReplaceAll(readmeBlock(t, "quickstart"), "go build -o vitrine ./cmd/vitrine", ":")
	script = strings.ReplaceAll(script+readmeBlock(t, "connector")+readmeBlock(t, "app"), "127.0.0.1:8080", addr)
	out := runScript(t, script, "VITRINE_LISTEN="+addr)
	for _, want := range []string{"emr-a is active", `"birthDate":"1980-02-03"`, "growth is active", "otpauth://", `"launch_url":"https://growth.example/launch.html?iss=`} {
		if !strings.Contains(out, want) {
			t.Errorf("README's steps do not print %q:\n%s", want, out)
		}
	}
}

// TestReadmeRecordOfAccess runs the hours of a patient, a regulator and a doubter, and
// the export of a regulator's system, as they stand, after the connector's steps.
func TestReadmeRecordOfAccess(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	checker := filepath.Join(t.TempDir(), "auditcheck")
	if out, err := exec.Command("go", "build", "-o", checker, "../cmd/auditcheck").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	script := readmeBlock(t, "quickstart") + readmeBlock(t, "connector") + readmeBlock(t, "patient") + readmeBlock(t, "regulator") + readmeBlock(t, "verify") + readmeBlock(t, "export") + "head -n 1 events-*.ndjson\n"
	for _, r := range [][2]string{{"go build -o vitrine ./cmd/vitrine", ":"}, {"go build -o auditcheck ./cmd/auditcheck", "ln -s " + checker + " auditcheck"}, {"127.0.0.1:8080", addr}} {
		script = strings.ReplaceAll(script, r[0], r[1])
	}
	out := runScript(t, script, "VITRINE_LISTEN="+addr)
	for _, want := range []string{
		"A doctor of Clinic A looked at ",
		"Clinic A can see the basic set of your record, and nothing else.",
		"the restriction in force leaves it the basic set",
		`"code":"110127"`, "without-encounter", `"code":"accepted"`, "the doctor is kept out", `"birthDate":"1980-02-03"`,
		"./log HOLDS: all ", `{"resourceType":"AuditEvent"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("README's hours do not print %q:\n%s", want, out)
		}
	}
}

// TestReadmeOnMongoDB runs README's commands for MongoDB as they stand, on free
// ports, against a genuine server.
func TestReadmeOnMongoDB(t *testing.T) {
	t.Parallel()
	uri, name := mongotest.Server(t), mongotest.Database(t)
	script := readmeBlock(t, "mongodb")
	for _, port := range []string{"8080", "8081"} {
		_, free, err := net.SplitHostPort(freeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		script = strings.ReplaceAll(script, port, free)
	}
	out := runScript(t, script, "VITRINE_STORE="+uri, "VITRINE_STORE_DATABASE="+name)
	for _, want := range []string{`"total":1`, "schema    vitrine mongo", "imported in", "backup of the database"} {
		if !strings.Contains(out, want) {
			t.Errorf("README's commands do not print %q:\n%s", want, out)
		}
	}
}

// readmeBlock are the commands that stand in README after a mark. They may be
// indented, as part of a list.
func readmeBlock(t *testing.T, mark string) string {
	t.Helper()
	readme, err := readFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- " + mark + " -->\n *```sh\n(.*?)```").FindStringSubmatch(readme)
	if m == nil {
		t.Fatalf("README has no commands after %s", mark)
	}
	return m[1]
}

// runScript runs commands where README's are run, with the program that is under
// test, and ends what they leave running.
func runScript(t *testing.T, script string, env ...string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, to := range map[string]string{"testdata": filepath.Join(root, "testdata"), "vitrine": program} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -eu\ntrap 'kill $(jobs -p); wait' EXIT\n"+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestComposeNamesSettings holds that what compose.yaml sets are settings, and
// together ones that a server takes.
func TestComposeNamesSettings(t *testing.T) {
	text, err := readFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Command     any
			Environment map[string]string
			Secrets     []string
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db1", "db2", "db3", "setup", "init", "server1", "server2"} {
		if _, ok := file.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	printed := runProgram(t, "config")
	for name, service := range file.Services {
		for _, secret := range service.Secrets {
			if _, ok := file.Secrets[secret]; !ok {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
		cmd := exec.CommandContext(t.Context(), program, "config")
		cmd.Env = os.Environ()
		for variable, value := range service.Environment {
			setting := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "VITRINE_")), "_", "-")
			if !strings.HasPrefix(variable, "VITRINE_") || !strings.Contains(printed, "\n"+setting+": ") {
				t.Errorf("%s: %s is no setting", name, variable)
			}
			value = regexp.MustCompile(`\$\{\w+:-(.*?)\}`).ReplaceAllString(value, "$1")
			cmd.Env = append(cmd.Env, variable+"="+value)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestMetadataIsServed holds that the server declares itself without a token.
func TestMetadataIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	o := decode(t, s.do(t, "", get("metadata")).want(t, http.StatusOK).body)
	if text(o, "resourceType") != "CapabilityStatement" || text(o, "fhirVersion") != "4.0.1" || len(list(o, "rest", 0, "resource")) < 140 {
		t.Errorf("not the statement of an R4 server: %.400v", o)
	}
}
