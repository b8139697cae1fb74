package conformance

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clientShape is how a client in the field writes its requests, as recorded from
// it.
type clientShape struct {
	name string
	// always go with every request, content with one that has a body.
	always, content map[string]string
	// root is the path it posts Bundles to, and condition how it writes
	// If-None-Exist; empty for a client that puts it into the address.
	root, condition string
}

func clientShapes(base string) []clientShape {
	fhirJSON := map[string]string{"Content-Type": "application/fhir+json"}
	return []clientShape{
		{
			"HAPI FHIR 7",
			map[string]string{
				"Accept":         "application/fhir+xml;q=1.0, application/fhir+json;q=1.0, application/xml+fhir;q=0.9, application/json+fhir;q=0.9",
				"Accept-Charset": "utf-8", "Accept-Encoding": "gzip",
			},
			map[string]string{"Content-Type": "application/fhir+json; charset=UTF-8"},
			base, base + "/Patient?identifier=urn:clients%7C",
		},
		{"fhirpy 2", map[string]string{"Accept": "application/fhir+json"}, map[string]string{"Content-Type": "application/json"}, base + "/", ""},
		{"fhirclient for Python 4", map[string]string{"Accept": "application/fhir+json", "Accept-Charset": "UTF-8"}, map[string]string{"Content-Type": "application/fhir+json"}, base, "identifier=urn:clients|"},
		{"fhir-kit-client 2", map[string]string{"Accept": "application/fhir+json", "Sec-Fetch-Mode": "cors"}, fhirJSON, base, "identifier=urn:clients|"},
		{"Medplum 5 in a browser", map[string]string{"Accept": "application/fhir+json, */*; q=0.1", "X-Medplum": "extended", "Cache-Control": "max-age=0", "Origin": "https://app.example"}, fhirJSON, base, "?identifier=urn:clients|"},
		{"fhirclient for JavaScript 2", map[string]string{"Accept": "application/json", "Origin": "https://app.example"}, map[string]string{"Content-Type": "application/json"}, base, "Patient?identifier=urn:clients%7C"},
	}
}

// TestClientsOfTheField walks through the interactions as each client asks.
func TestClientsOfTheField(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	for _, c := range clientShapes(s.base) {
		t.Run(c.name, func(t *testing.T) { c.walk(t, s) })
	}
}

// ask makes a request in the client's manner.
func (c clientShape) ask(t *testing.T, s *server, method, path string, body []byte) answer {
	t.Helper()
	header := maps.Clone(c.always)
	if body != nil {
		maps.Copy(header, c.content)
	}
	a := s.do(t, s.custodian(t), request{method: method, path: path, body: body, header: header})
	if _, page := header["Origin"]; page && a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s %s: a page may not read the answer", method, path)
	}
	return a
}

func (c clientShape) walk(t *testing.T, s *server) {
	patient := object{"resourceType": "Patient", "identifier": []any{object{"system": "urn:clients", "value": c.name}}}
	created := c.ask(t, s, http.MethodPost, "Patient", encode(t, patient)).want(t, http.StatusCreated)
	id := text(decode(t, created.body), "id")
	if id == "" || created.header.Get("Location") != s.base+"/Patient/"+id+"/_history/1" {
		t.Fatalf("created: %v\n%s", created.header, created.body)
	}
	again := c.createUnless(t, s, patient).want(t, http.StatusOK)
	if got := again.header.Get("Location"); got != created.header.Get("Location") {
		t.Errorf("what was there already is said to be at %q", got)
	}
	patient["id"], patient["active"] = id, true
	updated := c.ask(t, s, http.MethodPut, "Patient/"+id, encode(t, patient)).want(t, http.StatusOK)
	if got := text(decode(t, updated.body), "meta", "versionId"); got != "2" {
		t.Errorf("updated to version %q\n%s", got, updated.body)
	}
	if a := c.ask(t, s, http.MethodGet, "Patient/"+id, nil).want(t, http.StatusOK); !bytes.Equal(a.body, updated.body) || a.header.Get("Content-Type") != "application/fhir+json; charset=utf-8" {
		t.Errorf("read: %v\n%s", a.header, a.body)
	}
	found := c.ask(t, s, http.MethodGet, "Patient?_id="+id, nil).want(t, http.StatusOK)
	if got := at(decode(t, found.body), "total"); got != 1.0 {
		t.Errorf("found %v\n%s", got, found.body)
	}
	everything := c.ask(t, s, http.MethodPost, "Patient/"+id+"/$everything", encode(t, object{"resourceType": "Parameters"})).want(t, http.StatusOK)
	if got := everything.ids(t); len(got) != 1 {
		t.Errorf("everything is %v", got)
	}
	deleted := c.ask(t, s, http.MethodPost, c.root, encode(t, object{
		"resourceType": "Bundle", "type": "transaction",
		"entry": []any{object{"request": object{"method": "DELETE", "url": "Patient/" + id}}},
	})).want(t, http.StatusOK)
	if got := text(decode(t, deleted.body), "entry", 0, "response", "status"); got != "204 No Content" {
		t.Errorf("deleted: %s", deleted.body)
	}
	gone := c.ask(t, s, http.MethodGet, "Patient/"+id, nil).want(t, http.StatusGone)
	if got := text(decode(t, gone.body), "resourceType"); got != "OperationOutcome" {
		t.Errorf("gone: %s", gone.body)
	}
}

// createUnless is a conditional create in the client's manner.
func (c clientShape) createUnless(t *testing.T, s *server, patient object) answer {
	t.Helper()
	value := strings.ReplaceAll(c.name, " ", "%20")
	if c.condition == "" {
		return c.ask(t, s, http.MethodPost, "Patient?identifier=urn:clients%7C"+value, encode(t, patient))
	}
	c.always = maps.Clone(c.always)
	c.always["If-None-Exist"] = c.condition + value
	return c.ask(t, s, http.MethodPost, "Patient", encode(t, patient))
}

// TestBrowsersMayAsk is the question a browser asks for an app of another origin,
// before it sends a token.
func TestBrowsersMayAsk(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	for _, path := range []string{"", "metadata", "Patient", "Patient/p", "Patient/p/_history/1", "Patient/p/$break-glass", "AuditEvent", ".well-known/smart-configuration"} {
		a := s.do(t, "", request{method: http.MethodOptions, path: path, header: map[string]string{
			"Origin": "https://app.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,x-medplum",
		}}).want(t, http.StatusNoContent)
		if h := a.header; h.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(h.Get("Access-Control-Allow-Headers"), "Accept, Authorization,") ||
			!strings.HasSuffix(h.Get("Access-Control-Allow-Headers"), ", *") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%q: %v", path, h)
		}
	}
	refused := s.do(t, "", get("Patient/p").with("Origin", "https://app.example")).want(t, http.StatusUnauthorized)
	if refused.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page cannot learn that it needs a token")
	}
}

// TestOneRecordInEveryWrapping loads the same Patient from every kind of file.
func TestOneRecordInEveryWrapping(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()+"/data"
	names := []string{"a.json", "b.json.gz", "c.ndjson", "d.ndjson.gz", "e.JSON"}
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		content := encode(t, object{"resourceType": "Patient", "id": id, "birthDate": "1970-01-01"})
		if strings.HasSuffix(name, ".gz") {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(content)
			_ = z.Close()
			content = packed.Bytes()
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runProgram(t, "import", "--data", data, dir)
	s := start(t, data)
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		s.do(t, s.custodian(t), get("Patient/"+id)).want(t, http.StatusOK)
	}
	more := filepath.Join(dir, "more.ndjson")
	if err := os.WriteFile(more, encode(t, object{"resourceType": "Patient", "id": "more"}), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(settings, []byte("server: "+s.root+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VITRINE_TOKEN", s.custodian(t))
	runProgram(t, "import", "--config", settings, more)
	s.do(t, s.custodian(t), get("Patient/more")).want(t, http.StatusOK)
}
