package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSyntheaImports loads the 34 Bundles by `vitrine import` and counts what
// is there.
func TestSyntheaImports(t *testing.T) {
	t.Parallel()
	want := map[string]int{}
	for _, bundle := range synthea(t) {
		for _, e := range list(decode(t, bundle), "entry") {
			want[text(e, "resource", "resourceType")]++
		}
	}
	data := t.TempDir() + "/data"
	runProgram(t, "import", "--data", data, "../testdata/synthea")
	s := start(t, data)
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		a := s.do(t, s.custodian(t), get(kind+"?_summary=count")).want(t, http.StatusOK)
		if got := at(decode(t, a.body), "total"); got != float64(want[kind]) {
			t.Errorf("%s: %v, want %d", kind, got, want[kind])
		}
	}
}

// TestExamplesSurvive stores the 713 official example instances and reads them
// back: byte for byte but for id and meta.
func TestExamplesSurvive(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	all := examples(t)
	if len(all) != 713 {
		t.Fatalf("%d examples, want 713", len(all))
	}
	refused := map[string]string{}
	for _, e := range all {
		if reason := s.survives(t, e); reason != "" {
			refused[e.name] = reason
		}
	}
	faulty := faultyExamples()
	for name, why := range notStored() {
		if refused[name] == "" {
			t.Errorf("%s is listed as an exception (%s) and was stored", name, why)
		}
		delete(refused, name)
	}
	lax := start(t, t.TempDir()+"/lax", "--validation", "off")
	for _, e := range all {
		if _, ok := faulty[e.name]; !ok {
			continue
		}
		if reason := lax.survives(t, e); reason != "" {
			t.Errorf("%s, unchecked: %s", e.name, reason)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		t.Errorf("%s: %s", name, refused[name])
	}
}

// notStored lists the examples that no client can write, and why.
func notStored() map[string]string {
	out := map[string]string{}
	for _, name := range []string{
		"example", "example-disclosure", "example-error", "example-login", "example-logout", "example-media",
		"example-pixQuery", "example-rest", "example-search",
	} {
		out["AuditEvent-"+name+".json"] = "the record of access is written by the server alone"
	}
	maps.Copy(out, faultyExamples())
	return out
}

// faultyExamples lists the examples that break the rules of R4 themselves, and
// how. A server that does not check them keeps them like the others.
func faultyExamples() map[string]string {
	return map[string]string{
		"ActivityDefinition-blood-tubes-supply.json":        "its narrative is empty (txt-2)",
		"ActivityDefinition-heart-valve-replacement.json":   "its narrative is empty (txt-2)",
		"EventDefinition-example.json":                      "its narrative is empty (txt-2)",
		"Questionnaire-zika-virus-exposure-assessment.json": "its narrative is empty (txt-2)",
		"Questionnaire-qs1.json":                            "most of its items have no linkId",
		"DeviceMetric-example.json":                         "parent refers to a DeviceDefinition, not a Device",
		"DeviceUseStatement-example.json":                   "reasonReference refers to a Procedure",
		"MedicationRequest-medrx0301.json":                  "dispenseRequest.performer refers to a Practitioner, not an Organization",
		"Observation-clinical-gender.json":                  "performer refers to an Encounter",
	}
}

func (s *server) survives(t *testing.T, e example) string {
	t.Helper()
	o := decode(t, e.body)
	kind, id := text(o, "resourceType"), text(o, "id")
	method, path := http.MethodPut, kind+"/"+id
	if id == "" {
		method, path = http.MethodPost, kind
	}
	a := s.do(t, s.custodian(t), send(method, path, e.body))
	if a.status != http.StatusCreated && a.status != http.StatusOK {
		return fmt.Sprintf("%s %s: %d %.600s", method, path, a.status, a.body)
	}
	if id == "" {
		path = a.header.Get("Location")
		path = path[:strings.Index(path, "/_history")]
	}
	back := s.do(t, s.custodian(t), get(path)).want(t, http.StatusOK)
	if x, y := stripped(t, e.body), stripped(t, back.body); !bytes.Equal(x, y) {
		return fmt.Sprintf("came back changed:\n%.2000s\n---\n%.2000s", x, y)
	}
	return ""
}

var spaces = regexp.MustCompile(`^[\s,]*`)

// stripped cuts the members id and meta out of a resource and leaves every
// other byte, but for the commas and blanks between members at the top.
func stripped(t *testing.T, body []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		if key != "id" && key != "meta" {
			fmt.Fprintf(&out, "%s:%s\n", key, spaces.ReplaceAll(raw, nil))
		}
	}
	return out.Bytes()
}

// TestBadInput sends what must be refused: with an OperationOutcome, and
// without a trace.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	deep := strings.Repeat(`{"extension":[`, 5000)
	patient := func(members string) []byte { return []byte(`{"resourceType":"Patient"` + members + `}`) }
	for _, row := range []struct {
		name   string
		r      request
		status []int
		says   string
	}{
		{"malformed", send("POST", "Patient", []byte(`{"resourceType":"Patient",`)), []int{400}, "line"},
		{"not an object", send("POST", "Patient", []byte(`[]`)), []int{400}, ""},
		{"empty", send("POST", "Patient", nil), []int{400}, ""},
		{"duplicate key", send("POST", "Patient", patient(`,"active":true,"active":false`)), []int{400}, "line"},
		{"bad UTF-8", send("POST", "Patient", patient(",\"language\":\"\xff\"")), []int{400}, ""},
		{"lone surrogate", send("POST", "Patient", patient(`,"language":"\ud800"`)), []int{400}, ""},
		{"deep", send("POST", "Patient", []byte(deep)), []int{400}, ""},
		{"wrong type", send("POST", "Patient", patient(`,"active":"yes"`)), []int{400, 422}, "Patient.active"},
		{"unknown element", send("POST", "Patient", patient(`,"nickname":"x"`)), []int{400, 422}, "nickname"},
		{"bad date", send("POST", "Patient", patient(`,"birthDate":"1980-02-31"`)), []int{400, 422}, "Patient.birthDate"},
		{"array expected", send("POST", "Patient", patient(`,"name":{"family":"x"}`)), []int{400, 422}, "Patient.name"},
		{"other type than the path", send("POST", "Observation", patient("")), []int{400}, ""},
		{"unknown type", send("POST", "Nonsense", []byte(`{"resourceType":"Nonsense"}`)), []int{404}, ""},
		{"other id than the path", send("PUT", "Patient/one", patient(`,"id":"two"`)), []int{400}, ""},
		{"hostile id", send("PUT", "Patient/"+strings.Repeat("x", 65), patient("")), []int{400, 404}, ""},
		{"wrong content type", request{method: "POST", path: "Patient", body: patient(""), header: map[string]string{"Content-Type": "text/plain"}}, []int{415}, ""},
		{"unacceptable", get("Patient").with("Accept", "image/png"), []int{406}, ""},
		{"unknown parameter", get("Patient?nickname=x"), []int{400}, "nickname"},
		{"bad date parameter", get("Patient?birthdate=yesterday"), []int{400}, "birthdate"},
		{"bad count", get("Patient?_count=many"), []int{400}, "_count"},
		{"bad cursor", get("Patient?_cursor=AAAA"), []int{400}, ""},
		{"unknown sort", get("Patient?_sort=nickname"), []int{400}, "nickname"},
		{"unsupported method", request{method: "TRACE", path: "Patient"}, []int{405}, ""},
		{"unknown operation", get("Patient/$nonsense"), []int{400, 404, 405}, ""},
		{"bundle of nothing", send("POST", "", []byte(`{"resourceType":"Bundle","type":"nonsense"}`)), []int{400, 422}, ""},
		{"reference that runs away", send("POST", "", []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=nobody"}},"request":{"method":"POST","url":"Observation"}}]}`)), []int{400, 404, 412, 422}, "entry[0]"},
	} {
		a := s.do(t, s.custodian(t), row.r)
		if !slices.Contains(row.status, a.status) {
			t.Errorf("%s: status %d, want %v\n%.400s", row.name, a.status, row.status, a.body)
			continue
		}
		if o := decode(t, a.body); text(o, "resourceType") != "OperationOutcome" || text(o, "issue", 0, "severity") == "" {
			t.Errorf("%s: want an OperationOutcome: %.400s", row.name, a.body)
		}
		if !strings.Contains(string(a.body), row.says) {
			t.Errorf("%s: the outcome does not say %q: %.400s", row.name, row.says, a.body)
		}
	}
	for _, kind := range []string{"Patient", "Observation"} {
		if got := at(decode(t, s.do(t, s.custodian(t), get(kind+"?_summary=count")).body), "total"); got != 0.0 {
			t.Errorf("%v %ss are left over", got, kind)
		}
	}
}
