package rest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vitrine/fhir/rest"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedBodies(t *testing.T) {
	h := build(t)
	h.furnish()
	encoded := []string{"Content-Encoding", "gzip", "Content-Type", "application/fhir+json"}
	w := h.want("clinic", "POST", "Condition", zipped(t, condition), 201, encoded...)
	if !strings.Contains(w.Body.String(), `"cough"`) {
		t.Errorf("%s", w.Body)
	}
	cut := zipped(t, condition)
	h.want("clinic", "POST", "Condition", cut[:len(cut)-9], 400, encoded...)
}

func TestASmallBodyMustNotBecomeALargeOne(t *testing.T) {
	s := doorless(t, rest.Config{MaxBody: 1000}).Handler()
	bomb := zipped(t, `{"resourceType":"Patient","id":"`+strings.Repeat("x", 100_000))
	if len(bomb) > 1000 {
		t.Fatalf("%d bytes: not small", len(bomb))
	}
	w := call(s, "POST", "/fhir/Patient", bomb, with("Content-Type", "application/json", "Content-Encoding", "gzip")...)
	if outcome(t, w); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d, want 413", w.Code)
	}
}

// A body that stalls is cut off at the deadline of its connection, which is then
// closed.
func TestStalledBody(t *testing.T) {
	server := httptest.NewUnstartedServer(doorless(t, rest.Config{}).Handler())
	server.Config.ReadHeaderTimeout = time.Minute // the head is there at once, however busy the machine
	server.Config.ReadTimeout = 100 * time.Millisecond
	server.Start()
	defer server.Close()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"resource"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), `"code":"timeout"`) {
		t.Errorf("%d %s, want 408", resp.StatusCode, body)
	}
	if _, err := in.ReadByte(); err == nil || !resp.Close {
		t.Errorf("the connection is still open (Close %t, %v)", resp.Close, err)
	}
}

// TestFormsAreBounded: a form is no longer than what it may ask fills, and the record
// of access, which has the query for every patient found, keeps its beginning.
func TestFormsAreBounded(t *testing.T) {
	h := build(t)
	h.furnish()
	header := []string{"Content-Type", "application/x-www-form-urlencoded", "Prefer", "handling=lenient"}
	h.want("doctor", "POST", "Condition/_search", "junk="+strings.Repeat("x", 200_000), http.StatusRequestEntityTooLarge, header...)
	h.want("doctor", "POST", "Condition/_search", "patient=p&junk="+strings.Repeat("x", 100_000), http.StatusOK, header...)
	w := h.want("regulator", "GET", "AuditEvent?subtype=search-type&agent=PractitionerRole/a1", "", http.StatusOK)
	if n := w.Body.Len(); n > 60_000 || !strings.Contains(w.Body.String(), `"query":"`) {
		t.Errorf("the event has %d bytes: %.3000s", n, w.Body)
	}
}
