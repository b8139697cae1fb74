package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorder is a server that takes everything but what says "bad".
type recorder struct {
	mu       sync.Mutex
	requests []string
	busy     int
}

// RoundTrip answers a request.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy > 0 {
		r.busy--
		return respond(http.StatusServiceUnavailable, `{}`), nil
	}
	r.requests = append(r.requests, req.Method+" "+req.URL.Path+" "+string(body))
	if bytes.Contains(body, []byte("conflict")) {
		return respond(http.StatusPreconditionFailed, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"conflict","expression":["Bundle.entry[0]"]}]}`), nil
	}
	if bytes.Contains(body, []byte("bad")) {
		return respond(http.StatusUnprocessableEntity, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"structure","details":{"text":"wrong"},"expression":["Bundle.entry[1].resource.name[0]"]}]}`), nil
	}
	if bytes.Contains(body, []byte(`"batch"`)) {
		return respond(http.StatusOK, `{"entry":[{"response":{"status":"201 Created"}},{"response":{"status":"422","outcome":{"issue":[{"severity":"error","code":"invalid","diagnostics":"no"}]}}}]}`), nil
	}
	return respond(http.StatusOK, `{}`), nil
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// imported is what became of files.
func imported(t *testing.T, files map[string]string) (requests, lines []string, summary string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		var stored bytes.Buffer
		if strings.HasSuffix(name, ".gz") {
			w := gzip.NewWriter(&stored)
			_, _ = w.Write([]byte(text))
			_ = w.Close()
		} else {
			stored.WriteString(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), stored.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := findFiles([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	server := &recorder{}
	var out, sum bytes.Buffer
	r := newReport(&out, total(found), time.Now)
	if err := load(t.Context(), newTarget("http://x/fhir", "t", server), 1, found, r); err != nil {
		t.Fatal(err)
	}
	r.summary(&sum)
	log := strings.ReplaceAll(out.String(), dir+"/", "")
	return server.requests, strings.FieldsFunc(log, func(c rune) bool { return c == '\n' }), sum.String()
}

func TestImportSortsDocuments(t *testing.T) {
	requests, lines, summary := imported(t, map[string]string{
		"a.json":      `{"resourceType":"Patient","id":"p"}`,
		"b.ndjson":    "{\"resourceType\":\"Group\"}\n\n{\"resourceType\":\"Patient\",\"id\":\"q\"}\n",
		"c.json.gz":   `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Device"},"request":{"method":"POST","url":"Device"}}]}`,
		"d.json":      `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Flag"}},{"resource":{"resourceType":"List","id":"l"}}]}`,
		"e.json":      `{"resourceType":"Bundle","id":"doc","type":"document"}`,
		"f.json":      `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Task"}},{"resource":{"resourceType":"Slot"}}]}`,
		"ignored.txt": "x",
	})
	patients := `{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}},` +
		`{"resource":{"resourceType":"Group"},"request":{"method":"POST","url":"Group"}},` +
		`{"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"PUT","url":"Patient/q"}}`
	want := []string{
		`POST /fhir {"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Device"},"request":{"method":"POST","url":"Device"}}]}`,
		`POST /fhir {"resourceType":"Bundle","type":"transaction","entry":[` + patients +
			`,{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Flag"},"request":{"method":"POST","url":"Flag"}},` +
			`{"resource":{"resourceType":"List","id":"l"},"request":{"method":"PUT","url":"List/l"}}]}`,
		`POST /fhir {"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Task"}},{"resource":{"resourceType":"Slot"}}]}`,
		`POST /fhir {"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Bundle","id":"doc","type":"document"},"request":{"method":"PUT","url":"Bundle/doc"}}]}`,
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"refused f.json entry 2 Slot: no (422)"}, lines); diff != "" {
		t.Errorf("report, -want +got:\n%s", diff)
	}
	if !strings.Contains(summary, "8 imported in ") || !strings.HasSuffix(summary, ", 1 refused\n") {
		t.Errorf("summary:\n%s", summary)
	}
}

func TestImportSaysWhatWasRefused(t *testing.T) {
	requests, lines, summary := imported(t, map[string]string{
		"a.ndjson": "{\"resourceType\":\"Patient\",\"id\":\"good\"}\n{\"resourceType\":\"Patient\",\"id\":\"bad\"}\n{\"resourceType\":\"Patient\",\n{\"id\":\"x\"}\n",
		"b.json":   `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Device"}},{"resource":{"resourceType":"Device","id":"bad"}}]}`,
	})
	if len(requests) != 3 || !slices.ContainsFunc(requests, func(r string) bool {
		return strings.HasPrefix(r, "POST /fhir ") && strings.Contains(r, "good") && !strings.Contains(r, "bad")
	}) {
		t.Errorf("got %d requests, want the transaction, again without the bad one, and the Bundle:\n%s", len(requests), strings.Join(requests, "\n"))
	}
	slices.Sort(lines)
	want := []string{
		"refused a.ndjson entry 2 Patient at Patient.name[0]: wrong (422)",
		"refused a.ndjson entry 4: not a resource with a resourceType and a valid id",
		"refused b.json entry 2 Device at Bundle.entry[1].resource.name[0]: wrong (422)",
	}
	broken := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "refused a.ndjson entry 3: line 1, ") })
	if broken < 0 {
		t.Fatalf("the broken line is not in the report: %q", lines)
	}
	if diff := cmp.Diff(want, slices.Delete(lines, broken, broken+1)); diff != "" {
		t.Errorf("report, -want +got:\n%s", diff)
	}
	if !strings.Contains(summary, "       1 imported") || strings.HasSuffix(summary, ", 0 refused\n") {
		t.Errorf("summary:\n%s", summary)
	}
}

// TestImportSendsOneByOne: where what is refused may not lie in the entry named.
func TestImportSendsOneByOne(t *testing.T) {
	requests, lines, _ := imported(t, map[string]string{
		"a.ndjson": "{\"resourceType\":\"Flag\",\"id\":\"conflict\"}\n{\"resourceType\":\"Flag\",\"id\":\"good\"}\n",
	})
	if len(requests) != 3 || !strings.HasPrefix(requests[2], "PUT /fhir/Flag/good ") {
		t.Errorf("got %q", requests)
	}
	if diff := cmp.Diff([]string{"refused a.ndjson entry 1 Flag at Bundle.entry[0]: conflict (412)"}, lines); diff != "" {
		t.Errorf("report, -want +got:\n%s", diff)
	}
}

func TestImportGoesOnPastAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(`{"resourceType":"Patient","id":"cut"}`))
	_ = w.Close()
	for name, text := range map[string]string{
		"a.json.gz": "not gzip", "b.json.gz": zipped.String()[:zipped.Len()-6], "c.ndjson.gz": "x", "d.json": "\ufeff{\"resourceType\":\"Patient\",\"id\":\"d\"}",
		"e.ndjson": "\ufeff{\"resourceType\":\"Patient\",\"id\":\"e\"}\r\n\r\n{\"resourceType\":\"Patient\",\"id\":\"f\"}\r\n",
		"g.json": `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","id":"g"},"search":{"mode":"match"}},` +
			`{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := findFiles([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	server := &recorder{}
	var out bytes.Buffer
	r := newReport(&out, total(found), time.Now)
	if err := load(t.Context(), newTarget("http://x/fhir", "t", server), 1, found, r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"Patient": 4}, r.accepted); diff != "" || r.refused() != 3 {
		t.Errorf("%d refused, -want +got:\n%s\n%s", r.refused(), diff, out.String())
	}
	for _, name := range []string{"a.json.gz", "b.json.gz", "c.ndjson.gz"} {
		if !strings.Contains(out.String(), "refused "+filepath.Join(dir, name)+": cannot be read") {
			t.Errorf("nothing is said of %s:\n%s", name, out.String())
		}
	}
}

func TestImportSendsManyInTransactions(t *testing.T) {
	var lines strings.Builder
	for n := range 250 {
		fmt.Fprintf(&lines, "{\"resourceType\":\"Patient\",\"id\":\"p%d\"}\n", n)
	}
	requests, _, _ := imported(t, map[string]string{"a.ndjson.gz": lines.String()})
	var sizes []int
	for _, r := range requests {
		var b struct{ Entry []any }
		if err := json.Unmarshal([]byte(r[strings.Index(r, "{"):]), &b); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(b.Entry))
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestImportTriesAgainWhenTheServerIsBusy(t *testing.T) {
	server := &recorder{busy: 2}
	a, err := newTarget("http://x/fhir", "t", server).call(t.Context(), http.MethodPost, "", []byte("{}"))
	if err != nil || !a.ok() || len(server.requests) != 1 {
		t.Errorf("got %+v, %v after %d", a, err, len(server.requests))
	}
}

func TestImportNamesWhatItCannotRead(t *testing.T) {
	for _, paths := range [][]string{{"/nowhere"}, {writeFile(t, "x.txt", "x")}, {t.TempDir()}} {
		if files, err := findFiles(paths); err == nil {
			t.Errorf("%v: got %v", paths, files)
		}
	}
}
