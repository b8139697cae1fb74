package rest_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/rest"
	"vitrine/fhir/validate"
)

// ours are the ids of the definitions that the CapabilityStatement names as our own,
// with the type and name of each operation.
func (h *house) ours() map[string][2]string {
	h.t.Helper()
	var statement struct {
		Rest []struct {
			Resource []struct {
				Type      string
				Operation []struct{ Name, Definition string }
			}
		}
	}
	if err := json.Unmarshal(h.want("", "GET", "metadata", "", 200).Body.Bytes(), &statement); err != nil {
		h.t.Fatal(err)
	}
	out := map[string][2]string{}
	for _, r := range statement.Rest[0].Resource {
		for _, o := range r.Operation {
			if id, ok := strings.CutPrefix(o.Definition, consent.Canon+"/OperationDefinition/"); ok {
				out[id] = [2]string{r.Type, o.Name}
			}
		}
	}
	return out
}

// definedOperation is as much of an OperationDefinition as the tests look at.
type definedOperation struct {
	ResourceType, ID, URL, Version, Status, Kind, Code string
	Resource                                           []string
	AffectsState                                       *bool
	Parameter                                          []struct{ Name, Use string }
}

// TestOperationsOfOurOwnAreDefined: what the CapabilityStatement names by a canonical
// URL of ours is there at its last part, valid in every respect, and the same for
// everybody.
func TestOperationsOfOurOwnAreDefined(t *testing.T) {
	h := build(t)
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	check := validate.New(definitions)
	all := h.ours()
	if len(all) != 19 {
		t.Errorf("%d operations of our own, want 19: is one gone, or not told of here?", len(all))
	}
	for id, of := range all {
		w := h.want("", "GET", "OperationDefinition/"+id, "", 200)
		var tape fhir.Tape
		if err := tape.Parse(w.Body.Bytes(), fhir.Limits{}); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if issues := check.Check(&tape, validate.How{Level: validate.LevelFull}); len(issues) > 0 {
			t.Errorf("%s: %+v\n%s", id, issues, w.Body)
		}
		var got definedOperation
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		got.AffectsState, got.Parameter = nil, nil
		want := definedOperation{
			ResourceType: "OperationDefinition", ID: id, URL: consent.Canon + "/OperationDefinition/" + id, Version: "1.0.0", Status: "active", Kind: "operation",
			Code: of[1], Resource: []string{of[0]},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", id, d)
		}
		for _, token := range []string{"good", "doctor", "self", "regulator", "nobody"} {
			again := h.want(token, "GET", "OperationDefinition/"+id, "", 200)
			if again.Body.String() != w.Body.String() || cmp.Diff(w.Header()["Cache-Control"], again.Header()["Cache-Control"]) != "" {
				t.Errorf("%s is another for %s", id, token)
			}
		}
		if w := h.want("", "HEAD", "OperationDefinition/"+id, "", 200); w.Body.Len() != 0 {
			t.Errorf("HEAD of %s has a body", id)
		}
	}
}

// TestWhatIsOurOwnIsDefined: each canonical URL of ours that the CapabilityStatement
// names, and each of the code systems that stand in the source, is there at its last
// part, valid in every respect, and open to everybody; no search finds it.
func TestWhatIsOurOwnIsDefined(t *testing.T) {
	h := build(t)
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	check := validate.New(definitions)
	named := regexp.MustCompile(`"` + regexp.QuoteMeta(consent.Canon) + `/([A-Za-z]+/[A-Za-z0-9.-]+)"`)
	var all []string
	for _, m := range named.FindAllStringSubmatch(h.want("", "GET", "metadata", "", 200).Body.String(), -1) {
		all = append(all, m[1])
	}
	if !slices.Contains(all, "SearchParameter/auditevent-purpose") {
		t.Errorf("the CapabilityStatement names %v", all)
	}
	systems := systemsOfTheSource(t)
	if len(systems) < 20 {
		t.Errorf("%d code systems stand in the source: %v", len(systems), systems)
	}
	all = append(all, systems...)
	slices.Sort(all)
	all = slices.Compact(all)
	for _, at := range all {
		w := h.want("", "GET", at, "", 200)
		var tape fhir.Tape
		if err := tape.Parse(w.Body.Bytes(), fhir.Limits{}); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if issues := check.Check(&tape, validate.How{Level: validate.LevelFull}); len(issues) > 0 {
			t.Errorf("%s: %+v\n%s", at, issues, w.Body)
		}
		var got struct{ ResourceType, ID, URL string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.ResourceType+"/"+got.ID != at || got.URL != consent.Canon+"/"+at {
			t.Errorf("%s: %+v, %v", at, got, err)
		}
		if again := h.want("self", "GET", at, "", 200); again.Body.String() != w.Body.String() {
			t.Errorf("%s is another for a patient", at)
		}
		if w := h.want("good", "PUT", at, w.Body.String(), 405); w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", at, w.Header().Get("Allow"))
		}
		typ, id, _ := strings.Cut(at, "/")
		if found := h.want("good", "GET", typ+"?_id="+id, "", 200); strings.Contains(found.Body.String(), `"fullUrl"`) {
			t.Errorf("%s is found: %s", at, found.Body)
		}
		h.want("good", "PUT", typ+"?url="+consent.Canon+"/"+at, w.Body.String(), 422)
	}
	if shown := len(rest.Reserved()); shown != len(all) {
		t.Errorf("%d are shown, and %d are named", shown, len(all))
	}
}

// systemsOfTheSource are the addresses of the code systems below our canonical base
// that stand in the source.
func systemsOfTheSource(t *testing.T) (out []string) {
	t.Helper()
	system := regexp.MustCompile(`^(?:` + regexp.QuoteMeta(consent.Canon) + `)?/(CodeSystem/[a-z-]+)\|?$`)
	err := filepath.WalkDir("../..", func(path string, f os.DirEntry, err error) error {
		if err != nil || f.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(source, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil && system.MatchString(s) {
					out = append(out, system.FindStringSubmatch(s)[1])
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNothingIsKeptInThePlaceOfADefinition: an id of our own is taken by nobody, in
// whatever way; all others are as ever.
func TestNothingIsKeptInThePlaceOfADefinition(t *testing.T) {
	h := build(t)
	const ours, theirs = "OperationDefinition/Consent-simulate", "OperationDefinition/Consent-stimulate"
	resource := func(at string) string {
		return `{"resourceType":"OperationDefinition","id":"` + strings.TrimPrefix(at, "OperationDefinition/") + `","url":"https://vitrine.example/` + at +
			`","name":"X","status":"active","kind":"operation","code":"x","system":false,"type":true,"instance":false}`
	}
	for _, token := range []string{"good", "clinic"} {
		for method, body := range map[string]string{"PUT": resource(ours), "PATCH": `[]`, "DELETE": ""} {
			media := "application/fhir+json"
			if method == "PATCH" {
				media = "application/json-patch+json"
			}
			if w := h.want(token, method, ours, body, 405, "Content-Type", media); w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s by %s: Allow %q", method, token, w.Header().Get("Allow"))
			}
		}
	}
	entry := func(method, at, body string) string {
		if body != "" {
			body = `,"resource":` + body
		}
		return `{"request":{"method":"` + method + `","url":"` + at + `"}` + body + `}`
	}
	h.want("good", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+entry("PUT", ours, resource(ours))+`]}`, 405)
	w := h.want("good", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[`+entry("GET", ours, "")+`,`+entry("GET", theirs, "")+`]}`, 200)
	if all := w.Body.String(); !strings.Contains(all, h.want("", "GET", ours, "", 200).Body.String()) || !strings.Contains(all, `"status":"404`) {
		t.Errorf("within a batch: %s", w.Body)
	}

	h.want("good", "PUT", theirs, resource(theirs), 201)
	h.want("good", "GET", theirs, "", 200)
	h.want("", "GET", theirs, "", 401)
	h.want("good", "GET", theirs+"/_history/1", "", 200)
	h.want("good", "GET", ours+"/_history/1", "", 404)
	if found := h.want("good", "GET", "OperationDefinition?url:below=https://vitrine.example&_elements=url", "", 200); strings.Count(found.Body.String(), `"fullUrl"`) != 1 {
		t.Errorf("found: %s", found.Body)
	}
}

// TestNothingIsKeptUnderAnIdOfOurOwnByAsking: to write by a condition, or several
// things at once, is no way round; the reason names the place. A new resource has an
// id that the server gives, whatever it says of itself.
func TestNothingIsKeptUnderAnIdOfOurOwnByAsking(t *testing.T) {
	h := build(t)
	h.furnish()
	const id = "Consent-simulate"
	resource := func(id string) string {
		return `{"resourceType":"OperationDefinition","id":"` + id + `","url":"https://elsewhere.example/` + id +
			`","name":"X","status":"active","kind":"operation","code":"x","system":false,"type":true,"instance":false}`
	}
	none := "url=https://elsewhere.example/" + id
	entry := func(method, at, body string) string {
		return `{"request":{"method":"` + method + `","url":"` + at + `"},"resource":` + body + `}`
	}
	bundle := func(kind, entries string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + entries + `]}`
	}
	refused := func(place, body string) {
		t.Helper()
		if !strings.Contains(body, `["`+place+`"]`) || !strings.Contains(body, "the server's own") {
			t.Errorf("%s: %s", place, body)
		}
	}
	refused("OperationDefinition.id", h.want("good", "PUT", "OperationDefinition?"+none, resource(id), 422).Body.String())
	refused("Bundle.entry[1].resource.id", h.want("good", "POST", "", bundle("transaction", entry("POST", "OperationDefinition", resource("x"))+","+entry("PUT", "OperationDefinition?"+none, resource(id))), 422).Body.String())
	refused("Bundle.entry[0].resource.id", h.want("good", "POST", "", bundle("batch", entry("PUT", "OperationDefinition?"+none, resource(id))), 200).Body.String())
	h.want("clinic", "PUT", "OperationDefinition?"+none, resource(id), 400)
	if found := h.want("good", "GET", "OperationDefinition", "", 200); strings.Contains(found.Body.String(), `"fullUrl"`) {
		t.Errorf("something was kept: %s", found.Body)
	}

	made := h.want("good", "POST", "OperationDefinition", resource(id), 201)
	if at := made.Header().Get("Location"); strings.Contains(at, id) {
		t.Errorf("made at %s", at)
	}
	h.want("good", "PUT", "OperationDefinition?url=https://elsewhere.example/Consent-stimulate", resource("Consent-stimulate"), 201)
	h.want("good", "PUT", "Basic?identifier=x|"+id, `{"resourceType":"Basic","id":"`+id+`","code":{"text":"of another type"}}`, 201)
}

// TestWhatAnOlderStoreHasUnderAnIdOfOurOwn can be deleted and not be changed.
func TestWhatAnOlderStoreHasUnderAnIdOfOurOwn(t *testing.T) {
	const none = `{"resourceType":"OperationDefinition","id":"Consent-simulate","url":"https://elsewhere.example/o","name":"X","status":"active","kind":"operation","code":"x","system":false,"type":true,"instance":false}`
	h, older := buildAfter(t)
	older.want("good", "PUT", "OperationDefinition?url=https://elsewhere.example/o", none, 201)
	found := func() int {
		return strings.Count(h.want("good", "GET", "OperationDefinition?url=https://elsewhere.example/o", "", 200).Body.String(), `"fullUrl"`)
	}
	if found() != 1 {
		t.Fatal("it is not there")
	}
	changed := strings.Replace(none, `"name":"X"`, `"name":"Y"`, 1)
	h.want("good", "PUT", "OperationDefinition?url=https://elsewhere.example/o", changed, 422)
	h.want("good", "PUT", "OperationDefinition?url=https://elsewhere.example/o", strings.Replace(changed, `"id":"Consent-simulate",`, "", 1), 422)
	h.want("good", "PATCH", "OperationDefinition?url=https://elsewhere.example/o", `[{"op":"replace","path":"/name","value":"Y"}]`, 422, "Content-Type", "application/json-patch+json")
	if got := h.want("", "GET", "OperationDefinition/Consent-simulate", "", 200).Body.String(); strings.Contains(got, "elsewhere") {
		t.Errorf("read as %s", got)
	}
	h.want("good", "DELETE", "OperationDefinition?url=https://elsewhere.example/o", "", 204)
	if found() != 0 {
		t.Error("it is there still")
	}
}

// readings are how the parameters of each operation are read: by whom it is asked,
// at which address, and whether they are in the address or in the body. Those that are
// missing overlook all parameters.
var readings = map[string]struct { //nolint:gochecknoglobals // never changed
	token, at string
	query     bool
}{
	"Patient-break-glass":           {token: "doctor", at: "Patient/p/$break-glass"},
	"Patient-break-glass-stop":      {token: "doctor", at: "Patient/p/$break-glass-stop"},
	"Patient-access-history":        {token: "self", at: "Patient/p/$access-history", query: true},
	"Consent-simulate":              {token: "self", at: "Consent/$simulate"},
	"AuditEvent-explain":            {token: "self", at: "AuditEvent/x/$explain", query: true},
	"AuditEvent-checkpoint":         {token: "regulator", at: "AuditEvent/$checkpoint"},
	"AuditEvent-inclusion-proof":    {token: "regulator", at: "AuditEvent/$inclusion-proof", query: true},
	"AuditEvent-consistency-proof":  {token: "regulator", at: "AuditEvent/$consistency-proof", query: true},
	"AuditEvent-log-records":        {token: "regulator", at: "AuditEvent/$log-records", query: true},
	"AuditEvent-log-tiles":          {token: "regulator", at: "AuditEvent/$log-tiles", query: true},
	"AuditEvent-break-glass-report": {token: "regulator", at: "AuditEvent/$break-glass-report", query: true},
	"Task-review":                   {token: "regulator", at: "Task/x/$review"},
	"Basic-agree":                   {token: "regulator", at: "Basic/x/$agree"},
	"Basic-lift":                    {token: "regulator", at: "Basic/x/$lift"},
	"Basic-withdraw":                {token: "regulator", at: "Basic/x/$withdraw"},
	"Task-accept":                   {token: "regulator", at: "Task/x/$accept"},
}

// TestOperationsTakeTheParametersTheyAreDefinedWith asks by every word that stands in
// the source of the porch: one that is taken is defined, and one that is defined is
// taken.
func TestOperationsTakeTheParametersTheyAreDefinedWith(t *testing.T) {
	h := build(t)
	h.furnish()
	all := wordsOfThePorch(t)
	if len(all) < 200 || !slices.Contains(all, "justification") || !slices.Contains(all, "width") {
		t.Fatalf("%d words", len(all))
	}
	for id := range h.ours() {
		r, ok := readings[id]
		var defined, taken []string
		for _, p := range h.parametersOf(id) {
			if p.Use == "in" {
				defined = append(defined, p.Name)
			}
		}
		if !ok {
			if id != "Task-certify" && len(defined) > 0 {
				t.Errorf("%s overlooks parameters, and is defined with %v", id, defined)
			}
			continue
		}
		answer := func(name string) string {
			path, body, method := r.at, "", "GET"
			if r.query {
				path += "?" + name + "=x"
			} else {
				method, body = "POST", `{"resourceType":"Parameters","parameter":[{"name":"`+name+`","valueString":"x"}]}`
			}
			if id == "Consent-simulate" && name == "_language" {
				path, body = path+"?_language=x", `{"resourceType":"Consent"}`
			}
			if id == "Consent-simulate" && name == "resource" {
				body = `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Consent"}}]}`
			}
			w := h.as(r.token, method, path, body)
			return strconv.Itoa(w.Code) + w.Body.String()
		}
		none := answer("nonsense")
		if !strings.HasPrefix(none, "400") {
			t.Errorf("%s by %s: %s, want 400", r.at, r.token, none)
		}
		for _, name := range all {
			if answer(name) != strings.ReplaceAll(none, "nonsense", name) {
				taken = append(taken, name)
			}
		}
		slices.Sort(defined)
		if d := cmp.Diff(defined, taken); d != "" {
			t.Errorf("%s (-defined +taken):\n%s", id, d)
		}
	}
}

// parametersOf are the parameters of a definition.
func (h *house) parametersOf(id string) []struct{ Name, Use string } {
	h.t.Helper()
	var got definedOperation
	if err := json.Unmarshal(h.want("", "GET", "OperationDefinition/"+id, "", 200).Body.Bytes(), &got); err != nil {
		h.t.Fatal(err)
	}
	return got.Parameter
}

// wordsOfThePorch are the words that stand in quotes in the package, without those
// that are about the form of any answer, or of the server's own links.
func wordsOfThePorch(t *testing.T) (out []string) {
	t.Helper()
	word := regexp.MustCompile(`^_?[a-zA-Z][a-zA-Z-]{0,30}$`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil && word.MatchString(s) {
					out = append(out, s)
				}
			}
			return true
		})
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return s == "_format" || s == "_pretty" || s == "_cursor" || s == "nonsense" })
}

// TestOperationsSayForWhomTheyAre: who is told that there is no such operation for
// them is referred to the CapabilityStatement, which must therefore say it.
func TestOperationsSayForWhomTheyAre(t *testing.T) {
	var statement struct {
		Rest []struct {
			Resource []struct {
				Type      string
				Operation []struct{ Name, Documentation string }
			}
		}
	}
	if err := json.Unmarshal(build(t).want("", "GET", "metadata", "", 200).Body.Bytes(), &statement); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, r := range statement.Rest[0].Resource {
		for _, o := range r.Operation {
			got[r.Type+"/$"+o.Name] = o.Documentation
		}
	}
	const regulator, providers = "For the regulator.", "For practitioners and organisations' systems."
	for operation, want := range map[string]string{
		"AuditEvent/$break-glass-report": regulator, "Task/$review": regulator, "Task/$accept": regulator,
		"Basic/$agree": regulator, "Basic/$lift": regulator, "Basic/$withdraw": regulator,
		"Task/$certify": providers, "Task/$directions": providers,
		"Patient/$access-history": "For the patient and who acts for the patient.",
		"Patient/$export":         "For the patient and who acts for the patient.",
		"Consent/$simulate":       "For the patient, who acts for the patient and the custodian.",
		"AuditEvent/$explain":     "For the patient, who acts for the patient and the custodian.",
		"AuditEvent/$checkpoint":  "For the regulator and the custodian.",
		"AuditEvent/$log-tiles":   "For the regulator and the custodian.",
		"Patient/$everything":     "", "Observation/$validate": "", "AuditEvent/$meta": "",
	} {
		if got[operation] != want {
			t.Errorf("%s is said to be\ngot  %q\nwant %q", operation, got[operation], want)
		}
	}
}
