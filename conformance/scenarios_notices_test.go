package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// messaging is a ministry's messaging service that does as it is told.
type messaging struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []sent
	news   chan struct{}
}

// sent is one delivery.
type sent struct {
	id, signature, at string
	body              []byte
	status            int
}

func newMessaging(t *testing.T) *messaging {
	t.Helper()
	m := &messaging{status: http.StatusNoContent, news: make(chan struct{}, 100)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		status := m.status
		m.got = append(m.got, sent{r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Signature"), r.Header.Get("Webhook-Timestamp"), body, status})
		m.mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", m.URL+"/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "private words of the receiver")
		m.news <- struct{}{}
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *messaging) answers(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
}

// next waits for a delivery.
func (m *messaging) next(t *testing.T) sent {
	t.Helper()
	select {
	case <-m.news:
	case <-time.After(60 * time.Second):
		t.Fatal("nothing was sent")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[len(m.got)-1]
}

// TestNoticesReachTheReceiver: signed, with nothing in them that is not meant for
// it, under one id however often they are sent, and lost neither when the receiver
// is down nor when the server is killed.
func TestNoticesReachTheReceiver(t *testing.T) {
	t.Parallel()
	m := newMessaging(t)
	key := []byte("0123456789abcdef0123456789abcdef")
	file := t.TempDir() + "/secret"
	if err := os.WriteFile(file, []byte("whsec_"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--notify-url", m.URL + "/notices", "--notify-secret-file", file}
	c := newCast(t, flags...)
	m.answers(http.StatusInternalServerError)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	first := m.next(t)
	c.kill()
	m.answers(http.StatusFound) // which is not followed
	c.serve(t, flags...)
	second := m.next(t)
	m.answers(http.StatusNoContent)
	third := m.next(t)
	if first.id == "" || second.id != first.id || third.id != first.id || string(first.body) != string(third.body) {
		t.Errorf("ids %q, %q, %q", first.id, second.id, third.id)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(third.id + "." + third.at + "." + string(third.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); third.signature != want {
		t.Errorf("signature %s, want %s", third.signature, want)
	}
	var told struct {
		Type string            `json:"type"`
		Data map[string]string `json:"data"`
	}
	if err := json.Unmarshal(third.body, &told); err != nil || told.Type != "emergency-access" || told.Data["patient"] != "Patient/p" || told.Data["organization"] != "Organization/a" || told.Data["sequence"] != "1" {
		t.Errorf("told %s, %v", third.body, err)
	}
	for _, s := range []string{secret, emergency, "dr-a", "OVRER", "Lowe", "S1234567D"} {
		if strings.Contains(string(third.body), s) {
			t.Errorf("%q is in %s", s, third.body)
		}
	}
	c.do(t, c.appP, get(told.Data["communication"])).want(t, http.StatusOK)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	if again := m.next(t); again.id == first.id || !strings.Contains(string(again.body), `"sequence":"2"`) {
		t.Errorf("the next: %q %s", again.id, again.body)
	}
	if strings.Contains(c.log.String(), "private words") {
		t.Error("the receiver's answer is in the log")
	}
}
