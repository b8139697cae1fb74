package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/rest"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

const base = "https://nehr.example/fhir"

// now is the moment of every test.
func now() time.Time { return time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC) }

// words verifies tokens by their words: "good" is a custodian's.
type words map[string]smart.Token

// Verify implements rest.Verifier.
func (w words) Verify(_ context.Context, bearer string, _ time.Time) (smart.Token, error) {
	t, ok := w[bearer]
	if !ok {
		return smart.Token{}, errors.New("no such word")
	}
	return t, nil
}

func tokens() words {
	custodian := smart.Token{
		Kind: smart.KindCustodian, Client: "jobs", Scopes: smart.ParseScopes("system/*.cruds"),
		Purposes: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: "HSYSADMIN"}},
	}
	return words{"good": custodian, "doctor": custodian}
}

// doorless is a porch before a gate without a store: for what is answered
// before the gate is asked.
func doorless(tb testing.TB, cfg rest.Config) *rest.Server {
	tb.Helper()
	definitions, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	indexer, err := search.NewIndexer(definitions, base)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.BaseURL, cfg.Now = base, now
	s, err := rest.New(cfg, rest.Tools{Definitions: definitions, Parser: indexer.Parser()},
		gate.New(gate.Config{BaseURL: base}, gate.Tools{Definitions: definitions, Indexer: indexer, Parser: indexer.Parser()}, nil), tokens())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// call sends one request; header is name, value, name, value, and so on.
func call(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// outcome reads an OperationOutcome, and fails on anything else.
func outcome(tb testing.TB, w *httptest.ResponseRecorder) (code, text string) {
	tb.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Code    string
			Details struct{ Text string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		tb.Fatalf("status %d, want an OperationOutcome, got %q", w.Code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
		tb.Errorf("Content-Type %q", got)
	}
	return o.Issue[0].Code, o.Issue[0].Details.Text
}

var good = []string{"Authorization", "Bearer good"}

func with(header ...string) []string { return append(slices.Clone(good), header...) }

func TestNothingIsServedOutsideTheTable(t *testing.T) {
	got := doorless(t, rest.Config{}).Routes()
	slices.Sort(got)
	want := []string{
		"DELETE /fhir/:type", "DELETE /fhir/:type/:id",
		"GET /fhir/:type", "GET /fhir/:type/:id", "GET /fhir/:type/:id/$access", "GET /fhir/:type/:id/$everything",
		"GET /fhir/:type/:id/:of", "GET /fhir/:type/:id/_history", "GET /fhir/:type/:id/_history/:vid",
		"GET /fhir", "GET /fhir/", "GET /fhir/_search", "POST /fhir/_search", "HEAD /fhir", "HEAD /fhir/", "HEAD /fhir/_search",
		"GET /fhir/metadata", "GET /fhir/.well-known/smart-configuration", "HEAD /fhir/.well-known/smart-configuration", "GET /fhir/.well-known/openid-configuration", "HEAD /fhir/.well-known/openid-configuration", "GET /healthz", "GET /metrics", "GET /readyz",
		"HEAD /fhir/:type", "HEAD /fhir/:type/:id", "HEAD /fhir/:type/:id/$access", "HEAD /fhir/:type/:id/$everything",
		"HEAD /fhir/:type/:id/:of", "HEAD /fhir/:type/:id/_history", "HEAD /fhir/:type/:id/_history/:vid",
		"HEAD /fhir/metadata", "HEAD /healthz", "HEAD /metrics", "HEAD /readyz",
		"GET /fhir/:type/_search", "HEAD /fhir/:type/_search", "POST /fhir", "POST /fhir/", "POST /fhir/:type", "POST /fhir/:type/:id/$break-glass", "POST /fhir/:type/:id/$break-glass-stop", "POST /fhir/:type/:id/$everything",
		"POST /fhir/:type/:id/:of/_search", "POST /fhir/:type/_search",
		"PUT /fhir/:type", "PUT /fhir/:type/:id", "PATCH /fhir/:type", "PATCH /fhir/:type/:id",
		"GET /fhir/$meta", "GET /fhir/:type/$meta", "GET /fhir/:type/:id/$meta", "GET /fhir/:type/:id/_history/:vid/$meta", "POST /fhir/:type/:id/$meta-add", "POST /fhir/:type/:id/$meta-delete",
		"POST /fhir/$meta", "POST /fhir/:type/$meta", "POST /fhir/:type/:id/$meta", "POST /fhir/:type/:id/_history/:vid/$meta",
		"GET /fhir/:type/$checkpoint", "POST /fhir/:type/$checkpoint", "GET /fhir/:type/$inclusion-proof", "GET /fhir/:type/:id/$inclusion-proof",
		"GET /fhir/:type/$consistency-proof", "GET /fhir/:type/$log-records", "GET /fhir/:type/$log-tiles",
		"HEAD /fhir/:type/$checkpoint", "HEAD /fhir/:type/$inclusion-proof", "HEAD /fhir/:type/:id/$inclusion-proof",
		"HEAD /fhir/:type/$consistency-proof", "HEAD /fhir/:type/$log-records", "HEAD /fhir/:type/$log-tiles",
		"HEAD /fhir/$meta", "HEAD /fhir/:type/$meta", "HEAD /fhir/:type/:id/$meta", "HEAD /fhir/:type/:id/_history/:vid/$meta",
		"GET /fhir/_history", "GET /fhir/:type/_history", "HEAD /fhir/_history", "HEAD /fhir/:type/_history",
		"POST /fhir/:type/$validate", "GET /fhir/:type/:id/$validate", "HEAD /fhir/:type/:id/$validate", "POST /fhir/:type/:id/$validate",
		"GET /admin/clients", "GET /admin/clients/:client", "GET /admin/organizations/:client", "HEAD /admin/clients", "HEAD /admin/clients/:client", "HEAD /admin/organizations/:client",
		"POST /admin/clients", "POST /admin/clients/:client/activate", "POST /admin/clients/:client/suspend", "POST /admin/clients/:client/end", "POST /admin/clients/:client/rotate",
		"PUT /admin/clients/:client", "PUT /admin/organizations/:client",
		"POST /fhir/:type/:id/$agree", "POST /fhir/:type/:id/$lift", "POST /fhir/:type/:id/$withdraw", "POST /fhir/:type/:id/$accept", "POST /fhir/:type/:id/$certify", "GET /fhir/:type/$directions", "HEAD /fhir/:type/$directions",
		"GET /fhir/$export", "POST /fhir/$export", "GET /fhir/:type/$export", "POST /fhir/:type/$export", "GET /fhir/:type/:id/$export", "POST /fhir/:type/:id/$export",
		"GET /fhir/$export-status/:job", "HEAD /fhir/$export-status/:job", "DELETE /fhir/$export-status/:job", "GET /fhir/$export-file/:job/:file", "HEAD /fhir/$export-file/:job/:file",
		"GET /fhir/:type/:id/$access-history", "HEAD /fhir/:type/:id/$access-history", "POST /fhir/:type/:id/$access-history",
		"POST /fhir/:type/$simulate", "GET /fhir/:type/:id/$explain", "HEAD /fhir/:type/:id/$explain",
		"POST /fhir/:type/:id/$review", "GET /fhir/:type/$break-glass-report", "HEAD /fhir/:type/$break-glass-report", "POST /fhir/:type/$break-glass-report",
	}
	for _, id := range strings.Fields(`AuditEvent-break-glass-report AuditEvent-checkpoint AuditEvent-consistency-proof AuditEvent-explain AuditEvent-inclusion-proof
		AuditEvent-log-records AuditEvent-log-tiles Basic-agree Basic-lift Basic-withdraw Consent-simulate Patient-access Patient-access-history Patient-break-glass
		Patient-break-glass-stop Task-accept Task-certify Task-directions Task-review`) {
		want = append(want, "GET /fhir/OperationDefinition/"+id, "HEAD /fhir/OperationDefinition/"+id)
	}
	for _, at := range strings.Fields(`SearchParameter/auditevent-purpose CodeSystem/label CodeSystem/outcome CodeSystem/search-index CodeSystem/nehr-alert
		CodeSystem/nehr-because CodeSystem/nehr-deed CodeSystem/nehr-direction CodeSystem/nehr-directive CodeSystem/nehr-event CodeSystem/nehr-grant CodeSystem/nehr-notice
		CodeSystem/nehr-purpose CodeSystem/nehr-review CodeSystem/nehr-role CodeSystem/nehr-task CodeSystem/nehr-unsaid CodeSystem/nehr-view CodeSystem/nehr-visit CodeSystem/nehr-who CodeSystem/within`) {
		want = append(want, "GET /fhir/"+at, "HEAD /fhir/"+at)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("routes (-want +got):\n%s", d)
	}
}

func TestTheSameRouteNeedsATokenOnEveryMethod(t *testing.T) {
	s := doorless(t, rest.Config{})
	for _, route := range s.Routes() {
		method, path, _ := strings.Cut(route, " ")
		w := call(s.Handler(), method, strings.NewReplacer(":type", "Patient", ":id", "p", ":vid", "1", ":of", "Observation").Replace(path), "")
		open := strings.HasSuffix(path, "/metadata") || slices.Contains(rest.Reserved(), strings.TrimPrefix(path, "/fhir/")) || strings.Contains(path, "/.well-known/") || !strings.HasPrefix(path, "/fhir") && !strings.HasPrefix(path, "/admin/")
		switch {
		case open && w.Code == http.StatusUnauthorized:
			t.Errorf("%s: 401, and should be open", route)
		case !open && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == ""):
			t.Errorf("%s: %d %q, want 401 and a challenge", route, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestTokensAreTakenFromTheHeaderAlone(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, header := range [][]string{
		nil,
		{"Authorization", "good"},
		{"Authorization", "Basic good"},
		{"Authorization", "Bearer "},
		{"Authorization", "Bearer bad"},
		{"Authorization", "Bearer good", "Authorization", "Bearer good"},
		{"Cookie", "access_token=good"},
	} {
		w := call(s, "GET", "/fhir/Patient/p/$nonsense?access_token=good", "", header...)
		if code, _ := outcome(t, w); w.Code != http.StatusUnauthorized || code != "login" {
			t.Errorf("%q: %d %s, want 401 login", header, w.Code, code)
		}
	}
	if w := call(s, "GET", "/fhir/Patient/p/$nonsense", "", "Authorization", "bearer good"); w.Code != http.StatusNotFound {
		t.Errorf("a good token: %d, want to get past 401", w.Code)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, row := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"POST", "/healthz", 405, "GET, HEAD"},
		{"GET", "/fhirx", 404, ""},
		{"PUT", "/fhir", 405, "GET, POST, HEAD"},
		{"GET", "/fhir//Patient", 404, ""},
		{"GET", "/fhir/Patient//", 404, ""},
		{"GET", "/fhir/Nonsense/", 404, ""},
		{"BREW", "/fhir/Patient/p/", 405, "GET, PUT, PATCH, DELETE, HEAD"},
		{"GET", "/fhir/Nonsense", 404, ""},
		{"GET", "/fhir/patient", 404, ""},
		{"GET", "/fhir/Resource/x", 404, ""},
		{"PATCH", "/fhir/Nonsense/x", 404, ""},
		{"GET", "/fhir/Patient/a%2Fb", 404, ""},
		{"GET", "/fhir/Patient/a%2F_history", 404, ""},
		{"GET", "/fhir/Patient/a/b/c/d/e", 404, ""},
		{"GET", "/fhir/Patient/$nonsense", 404, ""},
		{"GET", "/fhir/Patient/p/$nonsense", 404, ""},
		{"GET", "/fhir/Patient/$validate", 405, "POST"},
		{"POST", "/fhir/Patient/_nonsense", 404, ""},
		{"GET", "/fhir/Patient/p/%24nonsense", 404, ""},
		{"GET", "/fhir/Observation/o/$everything", 404, ""},
		{"GET", "/fhir/Patient/p/$break-glass", 405, "POST"},
		{"PUT", "/fhir/Patient/p/_history/1", 405, "GET, HEAD"},
		{"BREW", "/fhir/Patient/p", 405, "GET, PUT, PATCH, DELETE, HEAD"},
		{"TRACE", "/fhir/Patient", 405, "POST, PUT, PATCH, DELETE, GET, HEAD"},
		{"BREW", "/fhir/Patient", 405, "POST, PUT, PATCH, DELETE, GET, HEAD"},
		{"PUT", "/fhir/Patient/_search", 405, "GET, POST, HEAD"},
		{"PUT", "/fhir/_search", 405, "GET, POST, HEAD"},
		{"POST", "/fhir/$validate", 404, ""},
		{"POST", "/fhir/Patient/_history", 405, "GET, HEAD"},
		{"POST", "/fhir/_history", 405, "GET, HEAD"},
		{"POST", "/fhir/metadata", 405, "GET, HEAD"},
		{"POST", "/fhir/AuditEvent", 405, "GET, HEAD"},
		{"PUT", "/fhir/AuditEvent/a", 405, "GET, HEAD"},
		{"DELETE", "/fhir/AuditEvent/a", 405, "GET, HEAD"},
	} {
		w := call(s, row.method, row.path, `{}`, with("Content-Type", "application/fhir+json")...)
		if w.Code != row.status || w.Header().Get("Allow") != row.allow {
			t.Errorf("%s %s: %d Allow %q, want %d %q\n%s", row.method, row.path, w.Code, w.Header().Get("Allow"), row.status, row.allow, w.Body)
		}
		if row.status == 405 {
			if _, present := w.Header()["Allow"]; !present {
				t.Errorf("%s %s: no Allow", row.method, row.path)
			}
		}
		outcome(t, w)
	}
}

func TestNegotiation(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, row := range []struct {
		accept, query string
		status        int
	}{
		{"", "", 200},
		{"*/*", "", 200},
		{"application/fhir+json", "", 200},
		{"application/json", "", 200},
		{"application/fhir+json; fhirVersion=4.0", "", 200},
		{"application/fhir+json; fhirVersion=3.0", "", 406},
		{"text/html, application/xhtml+xml, */*;q=0.8", "", 200},
		{"application/fhir+xml, application/fhir+json;q=0.5", "", 200},
		{"application/fhir+xml", "", 406},
		{"application/fhir+json;q=0", "", 406},
		{"image/png", "", 406},
		{"nonsense", "", 406},
		{"image/png", "?_format=json", 200},
		{"", "?_format=application/fhir%2Bjson", 200},
		{"", "?_format=application/fhir+json", 200},
		{"", "?_format=application/json;fhirVersion=4.0", 200},
		{"", "?_format=xml", 406},
		{"application/json", "?_format=application/fhir%2Bxml", 406},
		{"", "?_format=ttl", 406},
		{"", "?%5Fformat=xml", 406},
		{"", "?_format=%zz", 400},
	} {
		var header []string
		if row.accept != "" {
			header = []string{"Accept", row.accept}
		}
		w := call(s, "GET", "/fhir/metadata"+row.query, "", header...)
		if w.Code != row.status {
			t.Errorf("Accept %q, %q: %d, want %d", row.accept, row.query, w.Code, row.status)
		}
		if row.status != 200 {
			outcome(t, w)
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	s := doorless(t, rest.Config{MaxBody: 1000}).Handler()
	patient := `{"resourceType":"Patient"}`
	for _, row := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		says                     string
	}{
		{"no media type", "POST", "Patient", patient, nil, 415, ""},
		{"other media type", "POST", "Patient", patient, []string{"Content-Type", "text/plain"}, 415, ""},
		{"xml", "POST", "Patient", "<Patient/>", []string{"Content-Type", "application/fhir+xml"}, 415, ""},
		{"latin", "POST", "Patient", patient, []string{"Content-Type", "application/fhir+json; charset=iso-8859-1"}, 415, ""},
		{"encoded otherwise", "POST", "Patient", patient, []string{"Content-Type", "application/fhir+json", "Content-Encoding", "br"}, 415, "gzip"},
		{"not the gzip it says", "POST", "Patient", patient, []string{"Content-Type", "application/fhir+json", "Content-Encoding", "gzip"}, 400, ""},
		{"other version", "POST", "Patient", patient, []string{"Content-Type", "application/fhir+json; fhirVersion=5.0"}, 415, ""},
		{"form that is none", "POST", "Patient/_search", patient, []string{"Content-Type", "application/json"}, 415, ""},
		{"too large", "POST", "Patient", `{"resourceType":"Patient","id":"` + strings.Repeat("x", 1000), []string{"Content-Type", "application/json"}, 413, ""},
		{"a byte order mark alone", "POST", "Patient", "\ufeff", []string{"Content-Type", "application/json"}, 400, ""},
		{"two under one fullUrl", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:x","resource":{},"request":{"method":"POST","url":"Patient"}},{"fullUrl":"urn:x","resource":{},"request":{"method":"POST","url":"Patient"}}]}`, []string{"Content-Type", "application/json"}, 400, "entry[1].fullUrl"},
		{"empty", "POST", "Patient", "", []string{"Content-Type", "application/json"}, 400, ""},
		{"cut off", "POST", "Patient", "{\n \"resourceType\":", []string{"Content-Type", "application/json"}, 400, "line 2"},
		{"a list", "POST", "Patient", `[]`, []string{"Content-Type", "application/json; charset=UTF-8"}, 400, "line 1"},
		{"no type", "POST", "Patient", `{}`, []string{"Content-Type", "application/json"}, 400, "Patient"},
		{"other type", "POST", "Patient", `{"resourceType":"Observation"}`, []string{"Content-Type", "application/json"}, 400, "Patient"},
		{"no id", "PUT", "Patient/p", patient, []string{"Content-Type", "application/json"}, 400, "id"},
		{"other id", "PUT", "Patient/p", `{"resourceType":"Patient","id":"q"}`, []string{"Content-Type", "application/json"}, 400, "id"},
		{"bad If-Match", "PUT", "Patient/p", `{"resourceType":"Patient","id":"p"}`, []string{"Content-Type", "application/json", "If-Match", "1"}, 400, "W/"},
		{"no criterion", "PUT", "Patient", patient, []string{"Content-Type", "application/json"}, 400, "identifier"},
		{"no criterion to delete by", "DELETE", "Patient?_pretty=true", "", nil, 400, "identifier"},
		{"no Bundle", "POST", "", patient, []string{"Content-Type", "application/json"}, 400, "Bundle"},
		{"no transaction", "POST", "", `{"resourceType":"Bundle","type":"collection"}`, []string{"Content-Type", "application/json"}, 400, "batch"},
		{"no request", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{}]}`, []string{"Content-Type", "application/json"}, 400, "entry[0]"},
		{"second entry", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/p"}},{"request":{"method":"BREW","url":"Patient/p"}}]}`, []string{"Content-Type", "application/json"}, 405, "entry[1]"},
		{"no Parameters", "POST", "Patient/p/$break-glass", patient, []string{"Content-Type", "application/json"}, 400, "Parameters"},
		{"unknown parameter", "POST", "Patient/p/$break-glass", `{"resourceType":"Parameters","parameter":[{"name":"x"}]}`, []string{"Content-Type", "application/json"}, 400, "justification"},
		{"parameter of another kind", "POST", "Patient/p/$break-glass", `{"resourceType":"Parameters","parameter":[{"name":"threat","valueString":"life"}]}`, []string{"Content-Type", "application/json"}, 400, "valueCode"},
		{"unknown parameter of a history", "GET", "Patient/p/_history?_at=1", "", nil, 400, "_at"},
	} {
		w := call(s, row.method, "/fhir/"+row.path, row.body, with(row.header...)...)
		if w.Code != row.status {
			t.Errorf("%s: %d, want %d\n%s", row.name, w.Code, row.status, w.Body)
			continue
		}
		outcome(t, w)
		if !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%s: %s\ndoes not say %q", row.name, w.Body, row.says)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, given := range []string{"abc-123.D", strings.Repeat("x", 64)} {
		if got := call(s, "GET", "/healthz", "", "X-Request-Id", given).Header().Get("X-Request-Id"); got != given {
			t.Errorf("%q came back as %q", given, got)
		}
	}
	for _, given := range []string{"", "a b", "a\r\nb", "é", strings.Repeat("x", 65), `"`} {
		got := call(s, "GET", "/healthz", "", "X-Request-Id", given).Header().Get("X-Request-Id")
		if got == given || len(got) != 36 {
			t.Errorf("%q came back as %q, want a fresh one", given, got)
		}
	}
}

func TestLongAddress(t *testing.T) {
	s := doorless(t, rest.Config{MaxURL: 200}).Handler()
	w := call(s, "GET", "/fhir/Patient?name="+strings.Repeat("x", 200), "", good...)
	if outcome(t, w); w.Code != http.StatusRequestURITooLong {
		t.Errorf("%d, want 414", w.Code)
	}
}

func TestClientsAreThrottledByWhatTheySend(t *testing.T) {
	s := doorless(t, rest.Config{Rate: 1, Burst: 3}).Handler()
	var got []int
	for range 5 {
		w := call(s, "GET", "/fhir/Nonsense/x", "", good...)
		got = append(got, w.Code)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if d := cmp.Diff([]int{404, 404, 404, 429, 429}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if w := call(s, "GET", "/fhir/Nonsense/x", "", "Authorization", "Bearer other"); w.Code != http.StatusUnauthorized {
		t.Errorf("another client: %d", w.Code)
	}
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, path := range []string{"/fhir/metadata", "/fhir/Nonsense/x", "/healthz", "/fhir/Patient/p/$nonsense"} {
		get := call(s, "GET", path, "", with("X-Request-Id", "same")...)
		head := call(s, "HEAD", path, "", with("X-Request-Id", "same")...)
		if d := cmp.Diff(get.Header(), head.Header()); d != "" || get.Code != head.Code || head.Body.Len() != 0 {
			t.Errorf("%s: %d %d, body %q, headers (-get +head):\n%s", path, get.Code, head.Code, head.Body, d)
		}
		if get.Header().Get("Content-Length") == "" {
			t.Errorf("%s: no Content-Length", path)
		}
	}
}

func TestNoAnswerWithATokenIsCached(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	h := call(s, "GET", "/fhir/Nonsense", "", good...).Header()
	if h.Get("Cache-Control") != "no-store, private" || h.Get("Vary") != "Authorization" {
		t.Errorf("%v", h)
	}
}

func TestMetadata(t *testing.T) {
	s := doorless(t, rest.Config{Version: "1.2.3"}).Handler()
	w := call(s, "GET", "/fhir/metadata", "", "Origin", "https://app.example")
	if w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a browser may not read the metadata")
	}
	var tape fhir.Tape
	if err := tape.Parse(w.Body.Bytes(), fhir.Limits{}); err != nil {
		t.Fatal(err)
	}
	var c struct {
		FHIRVersion string
		Rest        []struct {
			Resource []struct {
				Type        string
				Interaction []struct{ Code string }
				SearchParam []struct{ Name, Type, Definition string }
				Operation   []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.FHIRVersion != "4.0.1" || len(c.Rest[0].Resource) != len(definitions.Resources()) {
		t.Fatalf("version %s, %d types", c.FHIRVersion, len(c.Rest[0].Resource))
	}
	interactions := map[string][]string{}
	operations := map[string][]string{}
	for _, r := range c.Rest[0].Resource {
		for _, i := range r.Interaction {
			interactions[r.Type] = append(interactions[r.Type], i.Code)
		}
		for _, o := range r.Operation {
			operations[r.Type] = append(operations[r.Type], o.Name)
		}
		for _, p := range r.SearchParam {
			if strings.HasPrefix(p.Name, "_contributor") || strings.HasPrefix(p.Name, "_awaits") {
				t.Errorf("%s declares the internal %s", r.Type, p.Name)
			}
		}
		if len(r.SearchParam) == 0 {
			t.Errorf("%s has no search parameters", r.Type)
		}
	}
	all := []string{"read", "vread", "history-instance", "create", "update", "patch", "delete", "search-type", "history-type"}
	if d := cmp.Diff(all, interactions["Patient"]); d != "" {
		t.Errorf("Patient (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"read", "vread", "history-instance", "search-type", "history-type"}, interactions["AuditEvent"]); d != "" {
		t.Errorf("AuditEvent (-want +got):\n%s", d)
	}
	for name, want := range map[string][]string{
		"Patient":     {"everything", "break-glass", "break-glass-stop", "access", "validate", "meta", "meta-add", "meta-delete", "access-history", "export"},
		"Consent":     {"validate", "meta", "meta-add", "meta-delete", "simulate"},
		"Observation": {"validate", "meta", "meta-add", "meta-delete"},
		"AuditEvent":  {"validate", "meta", "checkpoint", "inclusion-proof", "consistency-proof", "log-records", "log-tiles", "explain", "break-glass-report"},
		"Task":        {"validate", "meta", "meta-add", "meta-delete", "accept", "certify", "directions", "review"},
	} {
		if d := cmp.Diff(want, operations[name]); d != "" {
			t.Errorf("operations of %s (-want +got):\n%s", name, d)
		}
	}
}

func TestPrettyChangesBlanksAlone(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	plain, pretty := call(s, "GET", "/fhir/metadata", ""), call(s, "GET", "/fhir/metadata?_pretty=true", "")
	var compact bytes.Buffer
	if err := json.Compact(&compact, pretty.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	if pretty.Body.Len() <= plain.Body.Len() || compact.String() != plain.Body.String() {
		t.Error("_pretty changed more than blanks, or nothing")
	}
}

func TestMetricsNameNobody(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	call(s, "GET", "/fhir/Nonsense/secret-id?name=secret-name", "", good...)
	if far := call(s, "GET", "/metrics", "", "Accept", "text/plain"); far.Code != 404 {
		t.Errorf("from another machine: %d", far.Code)
	}
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `vitrine_requests_total{class="4xx",interaction="read"} 1`) {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "secret") {
		t.Error("a label holds what a client sent")
	}
}
