package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// crashRounds is how often the server is killed; VITRINE_CRASH_ROUNDS asks for
// more or fewer. Its tokens live an hour, and so may it: -count asks for more.
func crashRounds(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("VITRINE_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 15
}

// ledger is what clients were told.
type ledger struct {
	mu sync.Mutex
	// written are the addresses of what was acknowledged, exports those of exports,
	// overrides how often the glass was broken.
	written   []string
	overrides int
	exports   []string
	// shown are the answers that were released, by their request ids.
	shown map[string]release
}

// release is what a client was shown: the patients in it, and the grant.
type release struct {
	path, grant string
	patients    []string
}

// TestKill9 kills the server under concurrent requests of every kind, again and
// again: what was acknowledged must be there afterwards, and so must the events of
// every answer that was released, for each patient in it.
func TestKill9(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.cast
	rounds, acks, looks, overrides := crashRounds(t), 0, 0, 0
	for round := range rounds {
		l := &ledger{shown: map[string]release{}}
		s.hammer(t, l, round)
		c.serve(t)
		c.post(t, c.systemA, without(observation("q", ""), "id")).want(t, http.StatusCreated) // whatever the dead server was doing
		for _, location := range l.written {
			if a := c.do(t, c.root, get(location)); a.status != http.StatusOK {
				t.Fatalf("round %d: %s was acknowledged and is gone: %d", round, location, a.status)
			}
		}
		for _, at := range l.exports {
			if a := c.do(t, c.auditor, get(at)); a.status != http.StatusOK && a.status != http.StatusAccepted {
				t.Fatalf("round %d: an export was begun and is gone: %d", round, a.status)
			}
			c.do(t, c.auditor, request{method: http.MethodDelete, path: at})
		}
		recorded := c.recorded(t, "r"+strconv.Itoa(round)+"-")
		for id, r := range l.shown {
			for _, what := range append(r.patients, r.grant, id) {
				if what != "" && !strings.Contains(recorded[id], what) {
					t.Fatalf("round %d: %s was shown, and %s is not in the record of access as %s", round, r.path, what, id)
				}
			}
		}
		acks, looks, overrides = acks+len(l.written), looks+len(l.shown), overrides+l.overrides
		if (round+1)%50 == 0 {
			t.Logf("%d rounds so far: %d acknowledged writes and %d released answers", round+1, acks, looks)
		}
	}
	if acks < 5*rounds || looks < 5*rounds {
		t.Errorf("%d acknowledged writes and %d released answers in %d rounds are no load", acks, looks, rounds)
	}
	if kept := number64(decode(t, c.do(t, c.root, get("Task?code=break-glass-review&_summary=count")).body)["total"]); kept < overrides {
		t.Errorf("%d overrides were acknowledged, and %d are kept", overrides, kept)
	}
	t.Logf("%d rounds: %d acknowledged writes, %d overrides and %d released answers, all there", rounds, acks, overrides, looks)
}

// number64 is a number of a JSON document.
func number64(v any) int {
	n, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(v)))
	if err != nil {
		return -1
	}
	return n
}

// hammer asks from eight connections, each for its own kind, until a number of
// answers has come, then kills the server in the midst of it.
func (s *stage) hammer(t *testing.T, l *ledger, round int) {
	t.Helper()
	menu := s.menu(t, round)
	var answered atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	var work sync.WaitGroup
	for w := range menu {
		work.Go(func() {
			for i := 0; ; i++ {
				id := "r" + strconv.Itoa(round) + "-" + strconv.Itoa(w) + "-" + strconv.Itoa(i) + "."
				token, r := menu[w](i)
				a, err := s.try(token, r.with("X-Request-Id", id))
				if err != nil {
					return
				}
				l.note(s.server, a, r, id)
				if answered.Add(1) == int64(40+17*(round%10)) {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	<-enough
	s.kill()
	work.Wait()
}

// menu are the kinds of requests, each for as many as are asked.
func (s *stage) menu(t *testing.T, round int) []func(i int) (token string, r request) {
	t.Helper()
	body := encode(t, without(observation("q", ""), "id"))
	batch := encode(t, object{"resourceType": "Bundle", "type": "batch", "entry": []any{asked(http.MethodGet, "Condition/c-q", nil), asked(http.MethodGet, "Observation/o-r", nil)}})
	client := object{"client_name": "Late", "organization": "Organization/a", "jwks": s.connector.jwks(), "capabilities": []any{"read"}, "scope": "user/*.rs"}
	directive, mei := encode(t, directiveOf("Organization/c")), s.person(t, "mei")
	looks := func(token string, paths ...string) func(int) (string, request) {
		return func(i int) (string, request) { return token, get(paths[i%len(paths)]) }
	}
	breaks, stops := s.emergency(t, "p"), send(http.MethodPost, "Patient/p/$break-glass-stop", nil)
	return []func(int) (string, request){
		func(int) (string, request) { return s.systemA, send(http.MethodPost, "Observation", body) },
		looks(s.a1, "Condition/c-q", "Condition/c-q/_history", "Condition/c-r/_history/1"),
		looks(s.b1, "Patient?name=Lowe", "Observation?patient=q&_include=Observation:subject", "Patient?_id=q&_revinclude=Condition:subject"),
		func(int) (string, request) { return s.a1, send(http.MethodPost, "", batch) },
		looks(s.appQ, "Patient/q/$everything", "AuditEvent?patient=q&_count=3", "Condition?patient=q"),
		func(i int) (string, request) { return s.b1, []request{breaks, stops}[i%2] },
		func(i int) (string, request) {
			if i%3 == 2 {
				return s.auditor, get("$export").with("Prefer", "respond-async").with("Accept", "application/fhir+json")
			}
			return looks(s.auditor, "AuditEvent?_count=2", "AuditEvent?patient=p&_count=1")(i)
		},
		func(i int) (string, request) {
			if i%4 == 3 {
				return mei, send(http.MethodPost, "Basic", directive)
			}
			one := with(client, "client_id", "late-"+strconv.Itoa(round)+"-"+strconv.Itoa(i))
			return s.root, request{method: http.MethodPost, path: s.server.root + "/admin/clients", body: encode(t, one), header: map[string]string{"Content-Type": "application/json"}}
		},
	}
}

// note keeps what a client was told. A write has its address in the answer, but a
// client that was onboarded in the request.
func (l *ledger) note(s *server, a answer, r request, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := release{path: r.path}
	var doc object
	_ = json.Unmarshal(a.body, &doc)
	switch {
	case a.status == http.StatusCreated && strings.HasSuffix(r.path, "$break-glass"):
		l.overrides++
		seen.grant, seen.patients = "an override without a grant", []string{"Patient/p"}
		for _, p := range list(doc, "parameter") {
			if text(p, "name") == "grantId" {
				seen.grant = text(p, "valueUri") + text(p, "valueString") + text(p, "valueId")
			}
		}
	case a.status == http.StatusCreated && strings.Contains(r.path, "/admin/"):
		var asked object
		_ = json.Unmarshal(r.body, &asked)
		l.written = append(l.written, r.path+"/"+text(asked, "client_id"))
	case a.status == http.StatusAccepted:
		l.exports = append(l.exports, strings.Replace(a.header.Get("Content-Location"), s.self(), s.root, 1))
	case a.status == http.StatusCreated:
		l.written = append(l.written, a.header.Get("Location"))
	case a.status == http.StatusOK:
		seen.patients = patientsIn(a.body)
	case a.status != http.StatusNoContent:
		return
	}
	if text(doc, "type") == "searchset" && strings.HasPrefix(r.path, "AuditEvent") {
		seen.patients = nil // of events, those are recorded whom the search names
	}
	l.shown[id] = seen
}

// patientsIn are the patients whose resources an answer has.
func patientsIn(body []byte) (out []string) {
	for _, p := range []string{"p", "q", "r", "b", "m"} {
		if bytes.Contains(body, []byte(`"Patient/`+p+`"`)) || bytes.Contains(body, []byte(`"resourceType":"Patient","id":"`+p+`"`)) {
			out = append(out, "Patient/"+p)
		}
	}
	return out
}

// recorded are the events whose request ids begin with the prefix, by these.
func (c *cast) recorded(t *testing.T, prefix string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for next := "AuditEvent?_sort=-_lastUpdated&_count=200"; next != ""; {
		a := c.do(t, c.auditor, get(next)).want(t, http.StatusOK)
		before := len(out)
		for _, e := range a.matches(t) {
			for _, entity := range list(e, "entity") {
				if id := text(entity, "what", "identifier", "value"); strings.HasPrefix(id, prefix) {
					out[id] += string(encode(t, e))
				}
			}
		}
		if len(out) == before && before > 0 { // newest first: earlier rounds follow
			return out
		}
		next = nextLink(a)
	}
	return out
}
