package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exportFlags make exports begin at once and have many files.
func exportFlags(more ...string) []string {
	return append([]string{"--export-wait", "0s", "--export-file", "25"}, more...)
}

// kickOff begins an export and returns its status address.
func (s *server) kickOff(t *testing.T, token string, r request) string {
	t.Helper()
	prefer := strings.TrimPrefix(r.header["Prefer"]+", respond-async", ", ")
	a := s.do(t, token, r.with("Prefer", prefer).with("Accept", "application/fhir+json")).want(t, http.StatusAccepted)
	at := a.header.Get("Content-Location")
	if !strings.HasPrefix(at, s.self()+"/fhir/") {
		t.Fatalf("Content-Location %q is not absolute\n%s", at, a.body)
	}
	return strings.Replace(at, s.self(), s.root, 1)
}

// finished asks for the status until the export is done, and holds what it is told
// against the specification.
func (s *server) finished(t *testing.T, token, status string) object {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a := s.do(t, token, get(status))
		switch {
		case a.status == http.StatusOK:
			return s.manifest(t, a)
		case a.status != http.StatusAccepted:
			t.Fatalf("status of the export: %d\n%s", a.status, a.body)
		case len(a.header.Get("X-Progress")) >= 100 || a.header.Get("X-Progress") == "" || a.header.Get("Retry-After") == "":
			t.Fatalf("in progress: %v", a.header)
		}
		select {
		case <-deadline:
			t.Fatalf("the export was not done in time: %s", a.header.Get("X-Progress"))
		case <-tick.C:
		}
	}
}

// manifest checks the form of a manifest.
func (s *server) manifest(t *testing.T, a answer) object {
	t.Helper()
	m := decode(t, a.body)
	expires, err := http.ParseTime(a.header.Get("Expires"))
	if err != nil || time.Until(expires) > 24*time.Hour || time.Until(expires) < 0 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("Expires %q (%v), Content-Type %q", a.header.Get("Expires"), err, a.header.Get("Content-Type"))
	}
	for _, name := range []string{"output", "error", "deleted"} {
		if _, ok := m[name].([]any); !ok {
			t.Errorf("%s is no list: %v", name, m[name])
		}
	}
	if m["requiresAccessToken"] != true || text(m, "request") == "" {
		t.Errorf("requiresAccessToken %v, request %v", m["requiresAccessToken"], m["request"])
	}
	if _, err := time.Parse(time.RFC3339, text(m, "transactionTime")); err != nil {
		t.Error(err)
	}
	return m
}

// file is the address of a file at this server.
func (s *server) file(f any) string { return strings.Replace(text(f, "url"), s.self(), s.root, 1) }

// download fetches all files and returns what is in them, by type, as "Type/id".
func (s *server) download(t *testing.T, token string, m object) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range list(m, "output") {
		a := s.do(t, token, get(s.file(f)).with("Accept", "application/fhir+ndjson")).want(t, http.StatusOK)
		if got := a.header.Get("Content-Type"); got != "application/fhir+ndjson" {
			t.Errorf("Content-Type %q", got)
		}
		kind, rows := text(f, "type"), ndjson(t, a.body)
		if count := fmt.Sprint(at(f, "count")); count != strconv.Itoa(len(rows)) || len(rows) == 0 {
			t.Errorf("%s has %d lines, count %s", text(f, "url"), len(rows), count)
		}
		for _, r := range rows {
			if text(r, "resourceType") != kind {
				t.Errorf("a %s in a file of %s", text(r, "resourceType"), kind)
			}
			out[kind] = append(out[kind], kind+"/"+text(r, "id"))
		}
	}
	for kind := range out {
		slices.Sort(out[kind])
	}
	return out
}

// ndjson are the lines of a file.
func ndjson(t *testing.T, body []byte) (rows []object) {
	t.Helper()
	if len(body) > 0 && body[len(body)-1] != '\n' {
		t.Error("the last line has no end")
	}
	for line := range bytes.Lines(body) {
		rows = append(rows, decode(t, bytes.TrimSuffix(line, []byte("\n"))))
	}
	return rows
}

// all are the ids of every page of a search, sorted.
func (s *server) all(t *testing.T, token, query string) (ids []string) {
	t.Helper()
	for next := query; next != ""; {
		a := s.do(t, token, get(next)).want(t, http.StatusOK)
		ids = append(ids, a.ids(t)...)
		next = strings.Replace(nextLink(a), s.self(), s.root, 1)
	}
	slices.Sort(ids)
	return ids
}

// busy makes some events.
func (c *cast) busy(t *testing.T) {
	t.Helper()
	for range 4 {
		c.do(t, c.a1, get("Condition?patient=q")).want(t, http.StatusOK)
		c.do(t, c.b1, get("Condition/c-p")).want(t, http.StatusNotFound)
		c.do(t, c.a1, get("Patient/q")).want(t, http.StatusOK)
	}
}

// TestExport goes through the protocol of Bulk Data Access, step by step, on one server.
func TestExport(t *testing.T) {
	t.Parallel()
	c := newCast(t, exportFlags()...)
	c.busy(t)
	t.Run("the record of access", c.exportOfEvents)
	t.Run("filters", c.exportFilters)
	t.Run("parameters", c.exportParameters)
	t.Run("one's own record", c.exportOfOnesOwn)
	t.Run("a download that was cut off", c.exportResumes)
	t.Run("scopes", c.exportInScope)
	t.Run("one moment", c.exportOfOneMoment)
	t.Run("a server that was killed", c.exportOutlivesTheServer)
	t.Run("to whom they belong", c.exportsAreTheirs)
}

// What a regulator exports is what a search finds up to the moment of the export,
// each event once, whatever is recorded in the meantime.
func (c *cast) exportOfEvents(t *testing.T) {
	status := c.kickOff(t, c.auditor, get("$export?_type=AuditEvent"))
	c.busy(t)
	m := c.finished(t, c.auditor, status)
	c.busy(t)
	got := c.download(t, c.auditor, m)
	moment := text(m, "transactionTime")
	want := c.all(t, c.auditor, "AuditEvent?_count=200&_lastUpdated=le"+moment)
	if !slices.Equal(got["AuditEvent"], want) || len(got) != 1 || len(list(m, "output")) < 3 {
		t.Errorf("exported %d of %d events in %d files", len(got["AuditEvent"]), len(want), len(list(m, "output")))
	}
	if text(m, "request") != c.base+"/$export?_type=AuditEvent" {
		t.Errorf("request %q", text(m, "request"))
	}
	more := c.finished(t, c.auditor, c.kickOff(t, c.auditor, get("$export?_since="+moment+"&_outputFormat=ndjson")))
	next := c.download(t, c.auditor, more)["AuditEvent"]
	after := c.all(t, c.auditor, "AuditEvent?_count=200&_lastUpdated=ge"+moment+"&_lastUpdated=le"+text(more, "transactionTime"))
	if !slices.Equal(next, after) || len(next) == 0 {
		t.Errorf("since %s: exported %d of %d events", moment, len(next), len(after))
	}
	events := c.do(t, c.auditor, get("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110106&_count=200")).want(t, http.StatusOK).matches(t)
	if files := len(list(m, "output")) + len(list(more, "output")); len(events) < files+2 {
		t.Errorf("%d events of exports, of two with %d files", len(events), files)
	}
}

// Filters and elements of an export are those of searches.
func (c *cast) exportFilters(t *testing.T) {
	for _, filters := range [][]string{
		{"patient=Patient/q"},
		{"agent=PractitionerRole/a1&subtype=search-type"},
		{"subtype=search-type,read&patient=Patient/q", "outcome=4"},
		{"date=ge2026-01-01T00:00:00%2B08:00&patient=Patient/q"},
		{"patient=Patient/none"},
	} {
		var parts []string
		var want []string
		for _, f := range filters {
			parts = append(parts, "AuditEvent?"+f)
		}
		m := c.finished(t, c.auditor, c.kickOff(t, c.auditor, get("$export?_typeFilter="+url.QueryEscape(strings.Join(parts, ",")))))
		for _, f := range filters {
			want = append(want, c.all(t, c.auditor, "AuditEvent?_count=200&_lastUpdated=le"+text(m, "transactionTime")+"&"+f)...)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := c.download(t, c.auditor, m)["AuditEvent"]; !slices.Equal(got, want) {
			t.Errorf("%v: exported %d, found %d", filters, len(got), len(want))
		}
	}
	body := object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "_type", "valueString": "AuditEvent"},
		object{"name": "_elements", "valueString": "type,AuditEvent.outcome"},
		object{"name": "_typeFilter", "valueString": "AuditEvent?patient=Patient/q"},
		object{"name": "_since", "valueInstant": "2020-01-01T00:00:00Z"},
	}}
	m := c.finished(t, c.auditor, c.kickOff(t, c.auditor, send(http.MethodPost, "$export", encode(t, body))))
	for _, f := range list(m, "output") {
		for _, r := range ndjson(t, c.do(t, c.auditor, get(c.file(f))).want(t, http.StatusOK).body) {
			if text(r, "meta", "tag", 0, "code") != "SUBSETTED" || r["purposeOfEvent"] != nil || r["type"] == nil || r["outcome"] == nil {
				t.Fatalf("of _elements: %v", r)
			}
		}
	}
	if text(m, "request") != c.base+"/$export" || len(list(m, "output")) == 0 {
		t.Errorf("by POST: %v", m)
	}
}

// What is not supported is refused by name, and overlooked where the client asks for
// lenience.
func (c *cast) exportParameters(t *testing.T) {
	for _, one := range []struct{ query, named string }{
		{"_outputFormat=application/fhir%2Bparquet", "_outputFormat"},
		{"_since=yesterday", "_since"},
		{"_type=Nonsense", "_type"},
		{"_typeFilter=AuditEvent%3F_sort=date", "_typeFilter"},
		{"_typeFilter=AuditEvent%3Fpatient.name=x", "_typeFilter"},
		{"_typeFilter=AuditEvent%3Fnickname=x", "nickname"},
		{"_typeFilter=Patient%3Fname=x", "_typeFilter"},
		{"_elements=nickname", "_elements"},
		{"patient=Patient/q", "patient"},
	} {
		a := c.do(t, c.auditor, get("$export?"+one.query)).want(t, http.StatusBadRequest)
		if !strings.Contains(string(a.body), one.named) {
			t.Errorf("%s: %s", one.query, a.body)
		}
	}
	for _, query := range []string{"includeAssociatedData=LatestProvenanceResources", "_until=2027-01-01T00:00:00Z", "organizeOutputBy=Patient"} {
		name, _, _ := strings.Cut(query, "=")
		if a := c.do(t, c.auditor, get("$export?"+query)).want(t, http.StatusBadRequest); !strings.Contains(string(a.body), name) {
			t.Errorf("%s: %s", query, a.body)
		}
		status := c.kickOff(t, c.auditor, get("$export?"+query+"&_typeFilter=AuditEvent%3Foutcome=12").with("Prefer", "handling=lenient"))
		c.do(t, c.auditor, request{method: http.MethodDelete, path: status}).want(t, http.StatusAccepted)
	}
	for _, types := range []string{"Patient", "AuditEvent,Observation"} {
		a := c.do(t, c.auditor, get("$export?_type="+types)).want(t, http.StatusForbidden)
		if !strings.Contains(string(a.body), "AuditEvent") {
			t.Errorf("%s: what is open is not named: %s", types, a.body)
		}
	}
}

// A download that was cut off goes on where it was, and the bytes are the same.
func (c *cast) exportResumes(t *testing.T) {
	for _, who := range []struct{ token, path string }{{c.auditor, "$export"}, {c.appP, "Patient/$export?_type=Condition"}} {
		m := c.finished(t, who.token, c.kickOff(t, who.token, get(who.path)))
		at := c.file(list(m, "output")[0])
		whole := c.do(t, who.token, get(at)).want(t, http.StatusOK)
		tag, size := whole.header.Get("Etag"), len(whole.body)
		head := c.do(t, who.token, request{method: http.MethodHead, path: at}).want(t, http.StatusOK)
		if head.header.Get("Etag") != tag || len(head.body) != 0 || tag == "" || strings.HasPrefix(tag, "W/") || whole.header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("HEAD: %v\nGET: %v", head.header, whole.header)
		}
		cutAt := size / 3
		cut := c.partly(t, who.token, at, cutAt)
		rest := c.do(t, who.token, get(at).with("Range", fmt.Sprintf("bytes=%d-", cutAt)).with("If-Range", tag)).want(t, http.StatusPartialContent)
		if got := append(cut, rest.body...); !bytes.Equal(got, whole.body) {
			t.Errorf("%d and %d bytes do not make the %d", len(cut), len(rest.body), size)
		}
		if got, want := rest.header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", cutAt, size-1, size); got != want {
			t.Errorf("Content-Range %q, want %q", got, want)
		}
		for asked, want := range map[string]string{
			"bytes=0-9": string(whole.body[:10]), "bytes=-7": string(whole.body[size-7:]),
			fmt.Sprintf("bytes=%d-%d", size-3, size+100): string(whole.body[size-3:]),
		} {
			if a := c.do(t, who.token, get(at).with("Range", asked)).want(t, http.StatusPartialContent); string(a.body) != want {
				t.Errorf("%s: %q, want %q", asked, a.body, want)
			}
		}
		changed := c.do(t, who.token, get(at).with("Range", "bytes=5-").with("If-Range", `"another"`)).want(t, http.StatusOK)
		if !bytes.Equal(changed.body, whole.body) {
			t.Error("with another tag: not the whole file")
		}
		a := c.do(t, who.token, get(at).with("Range", fmt.Sprintf("bytes=%d-", size))).want(t, http.StatusRequestedRangeNotSatisfiable)
		if a.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("Content-Range %q", a.header.Get("Content-Range"))
		}
	}
}

// partly reads so many bytes of a file and hangs up.
func (s *server) partly(t *testing.T, token, at string, most int) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	some := make([]byte, most)
	if _, err := io.ReadFull(resp.Body, some); err != nil {
		t.Fatal(err)
	}
	return some
}

// A patient exports all that there is of the own record, whatever is restricted, and
// the own history of access. Nobody else's.
func (c *cast) exportOfOnesOwn(t *testing.T) {
	m := c.finished(t, c.appP, c.kickOff(t, c.appP, get("Patient/$export")))
	got := c.download(t, c.appP, m)
	var want []string
	for _, ids := range [][]string{c.all(t, c.appP, "Patient/p/$everything?_count=200"), c.all(t, c.appP, "AuditEvent?_count=200&_lastUpdated=le"+text(m, "transactionTime"))} {
		want = append(want, ids...)
	}
	var all []string
	for _, ids := range got {
		all = append(all, ids...)
	}
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) || len(got["Consent"]) != 1 || len(got["AuditEvent"]) == 0 || len(got["Condition"]) != 1 {
		t.Errorf("exported\n%v, want\n%v", all, want)
	}
	again := c.finished(t, c.appP, c.kickOff(t, c.appP, get("Patient/p/$export?_type=Patient,Condition")))
	if got := c.download(t, c.appP, again); len(got) != 2 || !slices.Equal(got["Patient"], []string{"Patient/p"}) {
		t.Errorf("of two types: %v", got)
	}
	named := object{"resourceType": "Parameters", "parameter": []any{object{"name": "patient", "valueReference": ref("Patient/p")}}}
	c.kickOff(t, c.appP, send(http.MethodPost, "Patient/$export", encode(t, named)))
	none := c.do(t, c.appP, get("Patient/none")).want(t, http.StatusNotFound)
	same(t, "another's record", none, c.do(t, c.appP, get("Patient/q/$export")))
	same(t, "nobody's record", none, c.do(t, c.appP, get("Patient/none/$export")))
	named["parameter"] = []any{object{"name": "patient", "valueReference": ref("Patient/q")}}
	same(t, "another patient by name", none, c.do(t, c.appP, send(http.MethodPost, "Patient/$export", encode(t, named))))
	c.do(t, c.appP, get("$export")).want(t, http.StatusForbidden)
}

// A file has what was current when the export began: what was changed since is as it
// was, what is new is not there, and what was deleted is gone.
func (c *cast) exportOfOneMoment(t *testing.T) {
	m := c.finished(t, c.appQ, c.kickOff(t, c.appQ, get("Patient/$export?_type=Condition,Observation")))
	changed := condition("q", "c-q")
	changed["recordedDate"] = "2026-11-11"
	c.put(t, changed)
	c.put(t, condition("q", "new"))
	files := list(m, "output")
	a := c.do(t, c.appQ, get(c.file(files[0]))).want(t, http.StatusOK)
	if rows := ndjson(t, a.body); len(rows) != 1 || text(rows[0], "recordedDate") != "2026-02-03" || text(rows[0], "meta", "versionId") != "1" {
		t.Errorf("changed since: %s", a.body)
	}
	whole := c.do(t, c.appQ, get(c.file(files[1]))).want(t, http.StatusOK)
	c.do(t, c.root, request{method: http.MethodDelete, path: "Observation/o-q"}).want(t, http.StatusNoContent)
	less := c.do(t, c.appQ, get(c.file(files[1])).with("Range", "bytes=10-").with("If-Range", whole.header.Get("Etag"))).want(t, http.StatusOK)
	if len(less.body) != 0 || less.header.Get("Etag") == whole.header.Get("Etag") {
		t.Errorf("deleted since: %s %s", less.header, less.body)
	}
}

// Two together and no more are under way; one that was ended is as if it had never
// been; and none is another's.
func (c *cast) exportsAreTheirs(t *testing.T) {
	c.kill()
	c.serve(t, "--export-wait", "1h", "--exports", "2")
	other := c.token(t, "--kind", "regulator", "--client", "another")
	first := c.kickOff(t, c.auditor, get("$export"))
	c.kickOff(t, c.auditor, get("$export"))
	a := c.do(t, c.auditor, get("$export")).want(t, http.StatusTooManyRequests)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	c.kickOff(t, other, get("$export")) // has its own two
	none := c.do(t, c.auditor, get("$export-status/none")).want(t, http.StatusNotFound)
	for who, token := range map[string]string{"another client": other, "a doctor": c.a1, "the custodian": c.root, "a patient": c.appP, "a system": c.systemA} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			same(t, method+" by "+who, none, c.do(t, token, request{method: method, path: first}))
		}
	}
	file := strings.Replace(first, "$export-status", "$export-file", 1) + "/1"
	same(t, "a file that is not made", none, c.do(t, c.auditor, get(file)))
	c.do(t, c.auditor, request{method: http.MethodDelete, path: first}).want(t, http.StatusAccepted)
	same(t, "ended", none, c.do(t, c.auditor, get(first)))
	same(t, "ended twice", none, c.do(t, c.auditor, request{method: http.MethodDelete, path: first}))
	c.kickOff(t, c.auditor, get("$export")) // there is room again
}

// An export goes on after the server was killed, and its files are what they were.
func (c *cast) exportOutlivesTheServer(t *testing.T) {
	c.kill()
	c.serve(t, exportFlags("--export-wait", "500ms")...)
	status := c.kickOff(t, c.auditor, get("$export"))
	c.kill()
	c.serve(t, exportFlags()...)
	m := c.finished(t, c.auditor, status)
	f := c.file(list(m, "output")[1])
	before := c.do(t, c.auditor, get(f)).want(t, http.StatusOK)
	c.kill()
	c.serve(t, exportFlags()...)
	after := c.do(t, c.auditor, get(f)).want(t, http.StatusOK)
	same(t, "the file", before, after)
	if got, want := c.download(t, c.auditor, m)["AuditEvent"], c.all(t, c.auditor, "AuditEvent?_count=200&_lastUpdated=le"+text(m, "transactionTime")); !slices.Equal(got, want) {
		t.Errorf("exported %d of %d", len(got), len(want))
	}
}

// What goes for a part of a record goes for no other part of it: scopes cover all types
// of an export, at every request.
func (c *cast) exportInScope(t *testing.T) {
	wide := c.token(t, "--kind", "patient", "--patient", "Patient/q", "--scope", "patient/*.rs")
	narrow := c.token(t, "--kind", "patient", "--patient", "Patient/q", "--scope", "patient/Condition.rs patient/Patient.rs")
	m := c.finished(t, wide, c.kickOff(t, wide, get("Patient/$export?_type=Condition,Observation")))
	none := c.do(t, narrow, get("$export-status/none")).want(t, http.StatusNotFound)
	for _, f := range list(m, "output") {
		c.do(t, wide, get(c.file(f))).want(t, http.StatusOK)
		same(t, "with narrow scopes", none, c.do(t, narrow, get(c.file(f))))
	}
	few := c.finished(t, narrow, c.kickOff(t, narrow, get("Patient/$export")))
	if got := c.download(t, narrow, few); len(got) != 2 || len(got["Condition"]) != 1 || len(got["Patient"]) != 1 {
		t.Errorf("what scopes leave: %v", got)
	}
	c.do(t, narrow, get("Patient/$export?_type=Observation")).want(t, http.StatusForbidden)
}
