package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// program is the server under test, built once from this tree.
var program string //nolint:gochecknoglobals // set by TestMain before any test runs

// envGrid is at what steps it is told that there is nothing.
const envGrid = "VITRINE_ABSENCE_GRID"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vitrine-conformance")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if os.Getenv(envGrid) == "" { // the step of a deployment would be much of the time that the tests take
		if err := os.Setenv(envGrid, "1ms"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	program = filepath.Join(dir, "vitrine")
	build := exec.Command("go", "build", "-o", program, "../cmd/vitrine")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the server:", err)
		return 1
	}
	return mongotest.Main(m)
}

// server is a running vitrine.
type server struct {
	base string // FHIR base URL
	root string // scheme and host
	// public is what it calls itself, where that is another name; empty for root.
	public string
	data   string
	addr   string
	cmd    *exec.Cmd
	log    *bytes.Buffer
	exit   chan error

	tokens *minted

	mu sync.Mutex
	// definitions are what was asked for of what the server defines, by its address.
	definitions map[string]object
}

// minted are the tokens that were made with one key, by their flags.
type minted struct {
	mu      sync.Mutex
	byFlags map[string]string
}

// start runs `vitrine serve` on a free port over the data directory.
func start(t *testing.T, data string, flags ...string) *server {
	t.Helper()
	s := &server{data: data, addr: freeAddr(t), tokens: &minted{byFlags: map[string]string{}}}
	backing(t, data) // it is to be dropped after the server has ended
	t.Cleanup(func() { s.kill() })
	s.serve(t, flags...)
	return s
}

// self is what the server calls itself.
func (s *server) self() string {
	if s.public != "" {
		return s.public
	}
	return s.root
}

// addresses are those that freeAddr has told.
var addresses sync.Map //nolint:gochecknoglobals // tests side by side are to get different ones

// freeAddr is an address that is free, and that no other test of this run gets.
func freeAddr(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, taken := addresses.LoadOrStore(l.Addr().String(), true); !taken {
			return l.Addr().String()
		}
	}
}

func (s *server) serve(t *testing.T, flags ...string) {
	t.Helper()
	s.begin(t, flags...)
	s.ready(t)
}

// begin starts the program.
func (s *server) begin(t *testing.T, flags ...string) {
	t.Helper()
	s.root, s.base = "http://"+s.addr, "http://"+s.addr+"/fhir"
	s.log = &bytes.Buffer{}
	s.cmd = exec.Command(program, append([]string{"serve", "--listen", s.addr, "--data", s.data}, flags...)...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = s.log, s.log, backing(t, s.data)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.exit = make(chan error, 1)
	go func(c *exec.Cmd, done chan<- error) { done <- c.Wait() }(s.cmd, s.exit)
}

// ready waits until /readyz says so.
func (s *server) ready(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		resp, err := http.Get(s.root + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-s.exit:
			t.Fatalf("the server ended before it was ready: %v\n%s", err, s.log)
		case <-deadline:
			s.kill()
			t.Fatalf("the server was not ready in time\n%s", s.log)
		case <-tick.C:
		}
	}
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		<-s.exit
		s.cmd = nil
	}
}

// stop is SIGTERM: the server drains.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-s.exit; err != nil {
		t.Fatalf("the server did not end well: %v\n%s", err, s.log)
	}
	s.cmd = nil
}

// token mints a token with the data directory's key, once per set of flags: where
// servers have copies of one directory, for all of them.
func (s *server) token(t *testing.T, flags ...string) string {
	t.Helper()
	key := strings.Join(flags, " ")
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if tok, ok := s.tokens.byFlags[key]; ok {
		return tok
	}
	tok := runProgram(t, append([]string{"token", "--data", s.data}, flags...)...)
	s.tokens.byFlags[key] = strings.TrimSpace(tok)
	return s.tokens.byFlags[key]
}

// runProgram runs a verb of the program and returns what it printed.
func runProgram(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, backing(t, dataOf(args))
	if err := cmd.Run(); err != nil {
		t.Fatalf("vitrine %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// The callers of the tests.
func (s *server) custodian(t *testing.T) string {
	return s.token(t, "--kind", "custodian")
}

func (s *server) doctor(t *testing.T, role, org string, more ...string) string {
	return s.token(t, append([]string{"--kind", "practitioner", "--user", "PractitionerRole/" + role, "--org", "Organization/" + org}, more...)...)
}

func (s *server) system(t *testing.T, org string) string {
	return s.token(t, "--kind", "system", "--org", "Organization/"+org)
}

func (s *server) patient(t *testing.T, id string) string {
	return s.token(t, "--kind", "patient", "--patient", "Patient/"+id)
}

func (s *server) regulator(t *testing.T) string {
	return s.token(t, "--kind", "regulator")
}

// person is somebody of the regulator's, who is told from others.
func (s *server) person(t *testing.T, name string) string {
	return s.token(t, "--kind", "regulator", "--user", "Practitioner/"+name)
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is a call as data, so that it can be made in two worlds.
type request struct {
	method, path string // path is below the FHIR base, or absolute
	body         []byte
	header       map[string]string
	feature      string // the part of search it uses; empty for the rest
}

func get(path string) request { return request{method: http.MethodGet, path: path} }

func send(method, path string, body []byte) request {
	return request{method: method, path: path, body: body, header: map[string]string{"Content-Type": "application/fhir+json"}}
}

func (r request) with(name, value string) request {
	h := map[string]string{name: value}
	for k, v := range r.header {
		if k != name {
			h[k] = v
		}
	}
	r.header = h
	return r
}

// do makes the call; it fails the test when no answer comes.
func (s *server) do(t *testing.T, token string, r request) answer {
	t.Helper()
	a, err := s.try(token, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	s.asDefined(t, r, a)
	s.asCoded(t, r, a)
	return a
}

var errNoAnswer = errors.New("no answer")

func (s *server) try(token string, r request) (answer, error) {
	return s.within(context.Background(), token, r)
}

// within makes the call, which ends with ctx.
func (s *server) within(ctx context.Context, token string, r request) (answer, error) {
	url := r.path
	if !strings.HasPrefix(url, "http") {
		url = s.base + "/" + strings.TrimPrefix(r.path, "/")
	}
	req, err := http.NewRequestWithContext(ctx, r.method, url, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// client follows no redirects: the server must send none.
var client = &http.Client{ //nolint:gochecknoglobals // one connection pool for all tests
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	Timeout:       time.Minute,
}

// want fails unless the status is as wished.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%s", a.status, status, a.body)
	}
	return a
}

// matches are the resources a searchset returned as matches.
func (a answer) matches(t *testing.T) []object {
	t.Helper()
	var out []object
	for _, e := range list(decode(t, a.body), "entry") {
		if text(e, "search", "mode") == "match" {
			r, _ := at(e, "resource").(object)
			out = append(out, r)
		}
	}
	return out
}

// ids are "Type/id" of the matches, in order.
func (a answer) ids(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for _, r := range a.matches(t) {
		out = append(out, text(r, "resourceType")+"/"+text(r, "id"))
	}
	return out
}

// hinted reports whether the searchset carries the hint that a restriction
// applies.
func (a answer) hinted(t *testing.T) bool {
	t.Helper()
	for _, e := range list(decode(t, a.body), "entry") {
		if text(e, "search", "mode") == "outcome" && text(e, "resource", "issue", 0, "code") == "suppressed" {
			return true
		}
	}
	return false
}

// hides fails when any of the secrets stands anywhere in the answer, headers
// included.
func (a answer) hides(t *testing.T, secrets ...string) answer {
	t.Helper()
	var whole bytes.Buffer
	_ = a.header.Write(&whole)
	whole.Write(a.body)
	for _, s := range secrets {
		if strings.Contains(whole.String(), s) {
			t.Fatalf("%q leaked in:\n%s", s, whole.String())
		}
	}
	return a
}

// same fails unless the answers are byte-equal but for what is fresh by nature.
func same(t *testing.T, what string, a, b answer) {
	t.Helper()
	x, y := a.normal(), b.normal()
	if x != y {
		t.Errorf("%s: the answers differ\n--- one\n%s\n--- other\n%s", what, x, y)
	}
}

// normal is the answer without Date and the request's id.
func (a answer) normal() string {
	h := a.header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	var whole bytes.Buffer
	fmt.Fprintf(&whole, "%d\n", a.status)
	_ = h.Write(&whole)
	whole.Write(a.body)
	return whole.String()
}
