package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/fhir/smart"
)

// TestTheStory tells the demo's story to the end.
func TestTheStory(t *testing.T) {
	out, err := printed(t, "demo")
	if err != nil || strings.Contains(out, "✗") || !strings.Contains(out, "Every step held.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// served is a house that runs until the test ends.
type served struct {
	*House
	addr string
	end  func() error
}

func serve(t *testing.T, dir string) *served { return serveWith(t, dir, func(*settings) {}) }

// serveWith serves with settings of its own.
func serveWith(t *testing.T, dir string, change func(*settings)) *served {
	t.Helper()
	cfg, err := defaults(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DrainFor = 5 * time.Second
	change(&cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h, err := open(t.Context(), cfg, ln, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, ln) }()
	s := &served{House: h, addr: ln.Addr().String()}
	s.end = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, h.Close())
	})
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask makes a request as the custodian and returns status and body.
func (s *served) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	return s.askAs(t, tokenRequest{Kind: smart.KindCustodian}, method, path, body)
}

// askAs makes a request as whoever the token stands for.
func (s *served) askAs(t *testing.T, who tokenRequest, method, path, body string) (int, string) {
	t.Helper()
	token, err := s.mint(who)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.base+fhirPath+"/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const patient = `{"resourceType":"Patient","id":"p","gender":"female"}`

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	data, live, cold := dir+"/data", dir+"/live", dir+"/cold"
	s := serve(t, data)
	if status, text := s.ask(t, "PUT", "Patient/p", patient); status != http.StatusCreated {
		t.Fatal(status, text)
	}
	if _, err := printed(t, "backup", "--data", data, "--out", live); err != nil {
		t.Fatalf("while the server runs: %v", err)
	}
	if _, err := printed(t, "backup", "--data", data, "--out", live); err == nil {
		t.Error("a backup was overwritten")
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := printed(t, "backup", "--data", data, "--out", cold); err != nil {
		t.Fatalf("without a server: %v", err)
	}
	for _, backup := range []string{live, cold} {
		restored := backup + "-restored"
		if _, err := printed(t, "restore", "--data", restored, "--from", backup); err != nil {
			t.Fatal(err)
		}
		again := serve(t, restored)
		if status, text := again.ask(t, "GET", "Patient/p", ""); status != http.StatusOK || !strings.Contains(text, `"gender":"female"`) {
			t.Errorf("%s: got %d %s", backup, status, text)
		}
		if again.data.identity == s.data.identity {
			t.Errorf("%s: the backup carried the identity", backup)
		}
		if _, err := printed(t, "restore", "--data", restored, "--from", backup); err == nil {
			t.Errorf("%s: a store was overwritten", backup)
		}
	}
}

func TestAdminSocketIsPrivateAndGoesAway(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	socket := filepath.Join(dir, socketFile)
	waitFor(t, func() bool { _, err := os.Stat(socket); return err == nil })
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want mode 0600", info.Mode(), err)
	}
	for _, req := range []adminRequest{{}, {Command: "shutdown"}, {Command: commandBackup, Path: "relative"}} {
		if err := askServer(t.Context(), dir, req); err == nil || errors.Is(err, errNoServer) {
			t.Errorf("%+v: got %v, want a refusal", req, err)
		}
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket outlives the server")
	}
	if err := askServer(t.Context(), dir, adminRequest{Command: commandBackup}); !errors.Is(err, errNoServer) {
		t.Errorf("got %v, want %v", err, errNoServer)
	}
}

// waitFor asks until it holds, or the test's time is over.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it never held")
		}
	}
}

// TestDrain ends the server while a request is under way: it gets its answer.
func TestDrain(t *testing.T) {
	s := serve(t, t.TempDir())
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	token, err := s.mint(tokenRequest{Kind: smart.KindCustodian})
	if err != nil {
		t.Fatal(err)
	}
	head := "PUT /fhir/Patient/p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/fhir+json\r\nAuthorization: Bearer " + token + "\r\nExpect: 100-continue\r\n"
	if _, err := io.WriteString(conn, head+"Content-Length: "+lengthOf(patient)+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512) // the server asks for the body: the request is under way
	if _, err := conn.Read(buf); err != nil || !bytes.Contains(buf, []byte("100 Continue")) {
		t.Fatalf("%v %s", err, buf)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.end() }()
	waitFor(t, func() bool { c, err := net.Dial("tcp", s.addr); return err != nil || c.Close() != nil })
	if _, err := io.WriteString(conn, patient); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 201 ")) {
		t.Errorf("%v, %s", err, answer)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server did not end well: %v", err)
	}
}

// TestDrainEnds ends the server while a client stalls: it is cut off, and that is
// no failure.
func TestDrainEnds(t *testing.T) {
	s := serveWith(t, t.TempDir(), func(c *settings) { c.DrainFor = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	token, err := s.mint(tokenRequest{Kind: smart.KindCustodian})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "PUT /fhir/Patient/p HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nAuthorization: Bearer "+token+
		"\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 512)); err != nil { // the request is under way
		t.Fatal(err)
	}
	if err := s.end(); err != nil {
		t.Errorf("the server did not end well: %v", err)
	}
	if answer, err := io.ReadAll(conn); bytes.Contains(answer, []byte(" 201 ")) {
		t.Errorf("%v %s", err, answer)
	}
}

func lengthOf(s string) string {
	text, _ := json.Marshal(len(s))
	return string(text)
}

func TestHealthcheck(t *testing.T) {
	s := serve(t, t.TempDir())
	if _, err := printed(t, "healthcheck", "--listen", s.addr); err != nil {
		t.Errorf("running: %v", err)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := printed(t, "healthcheck", "--listen", s.addr); err == nil {
		t.Error("ended, and still healthy")
	}
}

func TestImportIntoDataDirectory(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, "p.json", patient)
	out, err := printed(t, "import", "--data", dir, file)
	if err != nil || !strings.Contains(out, "1 Patient\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	s := serve(t, dir)
	if status, text := s.ask(t, "GET", "Patient/p", ""); status != http.StatusOK {
		t.Errorf("got %d %s", status, text)
	}
	if _, err := printed(t, "import", "--data", dir, file); err == nil {
		t.Error("two processes opened one store")
	}
	token, err := s.mint(tokenRequest{Kind: smart.KindCustodian})
	if err != nil {
		t.Fatal(err)
	}
	second := writeFile(t, "q.json", `{"resourceType":"Patient","id":"q","nonsense":1}`)
	out, err = printed(t, "import", "--server", s.base+"/fhir/", "--token", token, second)
	if !errors.Is(err, errRefused) || !strings.Contains(out, "refused "+second+" Patient at Patient.nonsense") {
		t.Errorf("got %v\n%s", err, out)
	}
}
