package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"
)

// apps is where the apps of the browser are, with what they stand on in
// node_modules (npm ci).
const apps = "apps"

// browserTools are node and a Chromium. The test is reported as not run where
// they, or the apps' modules, are missing.
func browserTools(t *testing.T) (node, chromium string) {
	t.Helper()
	var missing []string
	find := func(name string) string {
		program, err := exec.LookPath(name)
		if err != nil {
			missing = append(missing, name)
		}
		return program
	}
	node, chromium = find("node"), find("chromium")
	if _, err := os.Stat(filepath.Join(apps, "node_modules")); err != nil {
		missing = append(missing, "npm ci in conformance/apps")
	}
	if len(missing) == 0 {
		return node, chromium
	}
	if list := os.Getenv("VITRINE_TEST_NOT_RUN"); list != "" {
		f, err := os.OpenFile(list, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, "conformance: "+t.Name()); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip("NOT RUN: no browser: missing " + strings.Join(missing, ", "))
	return "", ""
}

// appPage is what the app shows of a patient.
type appPage struct {
	Patient      string   `json:"patient"`
	Basic        bool     `json:"basic"`
	Observations []string `json:"observations"`
	User         string   `json:"user"`
	Scope        string   `json:"scope"`
	Failed       string   `json:"failed"`
}

// browsed is what came of driving the browser.
type browsed struct {
	FromEMR, PickedByDoctor, WithoutObservations, OwnRecord, Kit appPage
	Refused                                                      string
	Order, Pages, Faults                                         []string
}

// TestAppsLaunchInABrowser has a doctor and a patient use an app that stands on
// fhirclient, and one on fhir-kit-client, in a real browser against a running
// server.
func TestAppsLaunchInABrowser(t *testing.T) {
	node, chromium := browserTools(t)
	t.Parallel()
	c := newCast(t)
	p := newPeople(t, c)
	plan, err := json.Marshal(map[string]any{
		"chromium": chromium, "profile": t.TempDir(), "app": p.app, "root": c.server.root, "base": c.base, "accounts": p.passwords,
		"launch": p.launch("growth", "p"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := drive(t, node, plan)

	scope := "launch openid fhirUser patient/Patient.rs patient/Observation.rs"
	alone := "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs"
	want := browsed{
		// The doctor sees of p, who restricts the record, the basic set and nothing else.
		FromEMR:             appPage{Patient: "p", Basic: true, Observations: []string{}, User: "PractitionerRole/a1", Scope: scope},
		PickedByDoctor:      appPage{Patient: "q", Observations: []string{"o-q"}, User: "PractitionerRole/a1", Scope: alone},
		WithoutObservations: appPage{Failed: got.WithoutObservations.Failed},
		OwnRecord:           appPage{Patient: "p", Observations: []string{"o-p"}, User: "Patient/p", Scope: alone},
		Kit:                 appPage{Patient: "p", Observations: []string{"o-p"}},
		Refused:             "access_denied",
		Order:               []string{"name", "password", "code", "Sign in"},
		Pages: []string{
			"How do you want to use this app?", "Let this app use the health record?", "Sign in", "Sign in, with errors", "Sign out",
			"This sign-in is over", "Whose record?", "Whose record?, with errors",
		},
		Faults: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	if !strings.Contains(got.WithoutObservations.Failed, "403") && !strings.Contains(got.WithoutObservations.Failed, "scope") {
		t.Errorf("an app that was not given observations: %q, want that it is refused them", got.WithoutObservations.Failed)
	}
}

// drive runs the script that plays the people.
func drive(t *testing.T, node string, plan []byte) (out browsed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "drive.js")
	var text, errs bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = apps, bytes.NewReader(plan), &text, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the browsers end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("the browser: %v\n%s", err, errs.String())
	}
	if err := json.Unmarshal(text.Bytes(), &out); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	return out
}

// people are those who sign in, and the apps that they use.
type people struct {
	*cast
	t *testing.T
	// app is where the apps are served.
	app string
	// passwords and secrets (of the second factors) are by account.
	passwords, secrets map[string]string
}

// newPeople registers the apps and makes the accounts on a stage.
func newPeople(t *testing.T, c *cast) *people {
	t.Helper()
	p := &people{cast: c, t: t, passwords: map[string]string{}, secrets: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /code", p.code)
	mux.Handle("GET /", http.FileServer(http.Dir(apps)))
	mux.HandleFunc("GET /fhir-client.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(apps, "node_modules/fhirclient/build/fhir-client.pure.min.js"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.app = server.URL

	c.put(t, role("a9", "dr-a", "a", "doctor"))
	p.account("dr-a", "PractitionerRole/a1", "on")
	p.account("dr-two", "Practitioner/dr-a", "on")
	p.account("koh", "Patient/p", "off")
	launch := p.app + "/launch.html?" + url.Values{"client": {"growth"}, "scope": {"launch openid fhirUser patient/Patient.rs patient/Observation.rs"}}.Encode()
	p.client("growth", "launch launch/patient openid fhirUser patient/*.rs user/*.rs", "--org", "Organization/a", "--launch", launch)
	p.client("diary", "launch/patient openid fhirUser offline_access patient/*.rs")
	return p
}

// client onboards an app.
func (p *people) client(id, scope string, more ...string) {
	p.t.Helper()
	args := []string{
		"client", "add", "--data", p.data, "--id", id, "--name", "App " + id, "--scope", scope, "--capability", "read",
		"--redirect", p.app + "/index.html", "--redirect", p.app + "/kit.html",
	}
	runProgram(p.t, append(args, more...)...)
	runProgram(p.t, "client", "activate", id, "--data", p.data)
}

// account makes an account; what is printed once is kept.
func (p *people) account(name, user, totp string) {
	p.t.Helper()
	for line := range strings.Lines(runProgram(p.t, "account", "add", name, "--user", user, "--totp", totp, "--data", p.data)) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch what {
		case "password":
			p.passwords[name] = value
		case "second factor":
			address, err := url.Parse(value)
			if err != nil {
				p.t.Fatal(err)
			}
			p.secrets[name] = address.Query().Get("secret")
		}
	}
}

// code is the authenticator of the people: it shows the code of an account.
func (p *people) code(w http.ResponseWriter, r *http.Request) {
	secret := p.secrets[r.URL.Query().Get("account")]
	if secret == "" {
		return
	}
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, code)
}

// launch is where the EMR of doctor a1 opens an app for a patient.
func (p *people) launch(app, patient string) string {
	p.t.Helper()
	a := p.do(p.t, p.a1, request{
		method: http.MethodPost, path: p.server.root + "/auth/launch", body: []byte(url.Values{"client_id": {app}, "patient": {patient}}.Encode()),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	}).want(p.t, http.StatusCreated)
	return text(decode(p.t, a.body), "launch_url")
}
