package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"vitrine/fhir/r4"
)

// TestDeclaredIsWhatWorks takes the CapabilityStatement at its word: every search
// parameter, modifier, prefix and include that it declares is taken, and what it
// does not declare is refused.
func TestDeclaredIsWhatWorks(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	statement := decode(t, s.do(t, "", get("metadata")).want(t, http.StatusOK).body)
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := &declared{t: t, s: s, token: s.custodian(t), definitions: definitions, included: map[string]bool{}}
	for _, r := range list(statement, "rest", 0, "resource") {
		d.resource(r)
	}
	common, _ := at(statement, "rest", 0).(object)
	d.common(list(common, "searchParam"))
	d.flush()
	t.Logf("%d searches taken, %d refused", d.taken, d.refused)
	if d.taken < 8000 || d.refused < 10_000 {
		t.Errorf("%d searches taken, %d refused: is something not declared?", d.taken, d.refused)
	}
}

// declared asks many searches in batches.
type declared struct {
	t     *testing.T
	s     *server
	token string
	asked []asking
	// definitions tell of what composites consist.
	definitions *r4.Definitions
	// included are the includes that were asked for.
	included       map[string]bool
	taken, refused int
}

// asking is a search, in one or more forms of which one must be taken, or none.
type asking struct {
	queries []string
	taken   bool
}

func (d *declared) ask(taken bool, typ, name string, values ...string) {
	a := asking{taken: taken}
	for _, v := range values {
		a.queries = append(a.queries, typ+"?_id=none&"+url.QueryEscape(name)+"="+url.QueryEscape(v))
	}
	d.asked = append(d.asked, a)
}

const (
	askedTogether = 100
	askers        = 16
)

// flush sends what was asked, and holds the answers against what was declared.
func (d *declared) flush() {
	chunks := make(chan []asking)
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			for some := range chunks {
				d.batch(some)
			}
		})
	}
	for some := range slices.Chunk(d.asked, askedTogether) {
		chunks <- some
	}
	close(chunks)
	all.Wait()
	for _, a := range d.asked {
		if a.taken {
			d.taken++
		} else {
			d.refused++
		}
	}
}

// batch asks some searches together.
func (d *declared) batch(some []asking) {
	var entries []any
	for _, a := range some {
		for _, q := range a.queries {
			entries = append(entries, object{"request": object{"method": "GET", "url": q}})
		}
	}
	a, err := d.s.try(d.token, send(http.MethodPost, "", encode(d.t, object{"resourceType": "Bundle", "type": "batch", "entry": entries})))
	if err != nil || a.status != http.StatusOK {
		d.t.Errorf("%d %v\n%s", a.status, err, a.body)
		return
	}
	var bundle any
	if err := json.Unmarshal(a.body, &bundle); err != nil {
		d.t.Error(err)
		return
	}
	out := list(bundle, "entry")
	for _, a := range some {
		taken, said := false, ""
		for range a.queries {
			status := text(out[0], "response", "status")
			taken = taken || strings.HasPrefix(status, "200")
			if !strings.HasPrefix(status, "200") && !strings.HasPrefix(status, "400") {
				d.t.Errorf("%q: %s", a.queries, status)
			}
			said, out = text(out[0], "response", "outcome", "issue", 0, "details", "text"), out[1:]
		}
		if taken != a.taken {
			d.t.Errorf("%q: taken %v, declared %v: %s", a.queries, taken, a.taken, said)
		}
	}
}

// resource asks by everything that one type declares.
func (d *declared) resource(r any) {
	typ := text(r, "type")
	var names []string
	for _, p := range list(r, "searchParam") {
		names = append(names, text(p, "name"))
		d.parameter(typ, p)
	}
	for _, undeclared := range []string{"nickname", "_nonsense", "_id2", "example", "code-value-nonsense"} {
		if !slices.Contains(names, undeclared) {
			d.ask(false, typ, undeclared, "x")
		}
	}
	for _, name := range []string{"_include", "_revinclude"} {
		for _, in := range list(r, map[string]string{"_include": "searchInclude", "_revinclude": "searchRevInclude"}[name]) {
			if key := name + fmt.Sprint(in); !d.included[key] {
				d.included[key] = true
				d.ask(true, typ, name, fmt.Sprint(in))
			}
		}
	}
	d.ask(false, typ, "_include", typ+":nonsense")
	d.ask(false, typ, "_revinclude", "Observation:nonsense")
	d.ask(false, typ, "_revinclude:nonsense", "Observation:subject")
}

// parameter asks by one parameter: as it is, with every modifier, and with every
// prefix.
func (d *declared) parameter(typ string, p any) {
	name, kind := text(p, "name"), text(p, "type")
	modifiers, prefixes := words(text(p, "documentation"))
	plain := plainValue(name, kind)
	if kind == "composite" {
		plain = d.composite(typ, name)
	}
	d.ask(true, typ, name, plain)
	for _, m := range []string{"missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type", "identifier", "nonsense"} {
		d.ask(slices.Contains(modifiers, m), typ, name+":"+m, modifiedValue(name, kind, m)...)
	}
	for _, x := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
		switch kind {
		case "number", "date", "quantity":
			d.ask(slices.Contains(prefixes, x), typ, name, x+plainValue(name, kind))
		}
	}
}

// composite is a value of as many parts as a composite has.
func (d *declared) composite(typ, name string) string {
	var parts []string
	for _, c := range d.definitions.Resource(typ).Param(name).Components {
		parts = append(parts, plainValue(c.Param.Code, c.Param.Kind.String()))
	}
	return strings.Join(parts, "$")
}

// words reads what the documentation of a parameter says that it takes.
func words(documentation string) (modifiers, prefixes []string) {
	for part := range strings.SplitSeq(documentation, "; ") {
		if s, ok := strings.CutPrefix(part, "modifiers: "); ok {
			modifiers = strings.Split(s, ", ")
		}
		if s, ok := strings.CutPrefix(part, "prefixes: "); ok {
			prefixes = strings.Split(s, ", ")
		}
	}
	return modifiers, prefixes
}

// plainValue is a value that any parameter of the kind can have.
func plainValue(name, kind string) string {
	switch name {
	case "near":
		return "1.3|103.8|10|km"
	case "_filter":
		return `_id eq "x"`
	case "_list":
		return "42"
	}
	switch kind {
	case "number":
		return "1"
	case "date":
		return "2026-01-02"
	case "reference":
		return "http://elsewhere.example/fhir/Thing/1"
	case "quantity":
		return "5.4|http://unitsofmeasure.org|mg"
	case "uri":
		return "http://x.example/y"
	default:
		return "word"
	}
}

// modifiedValue is what a parameter of the kind can have with a modifier: of a
// reference that may be one of two things, each.
func modifiedValue(name, kind, modifier string) []string {
	switch {
	case modifier == "missing":
		return []string{"true"}
	case modifier == "in", modifier == "not-in":
		return []string{"http://hl7.org/fhir/ValueSet/administrative-gender"}
	case kind == "token" && (modifier == "above" || modifier == "below"):
		return []string{"http://hl7.org/fhir/administrative-gender|male"}
	case kind == "reference" && (modifier == "above" || modifier == "below"):
		return []string{"x", "http://x.example/y|1.0"}
	case modifier == "of-type":
		return []string{"http://terminology.hl7.org/CodeSystem/v2-0203|MR|1"}
	case modifier == "identifier":
		return []string{"http://s.example|1"}
	default:
		return []string{plainValue(name, kind)}
	}
}

// common asks by what every search takes.
func (d *declared) common(params []any) {
	values := map[string][]string{
		"_contained": {"true", "false", "both"}, "_containedType": {"container", "contained"}, "_content": {"word"}, "_count": {"0", "5"},
		"_elements": {"id"}, "_filter": {`_id eq "x"`}, "_has:Provenance:target:_id": {"x"}, "_include": {"*"}, "_list": {"42"}, "_revinclude": {"*"},
		"_sort": {"_lastUpdated", "-_id"}, "_summary": {"true", "text", "data", "count", "false"}, "_text": {"word"}, "_total": {"none", "estimate", "accurate"},
		"_type": {"Patient"},
	}
	kinds := map[string]string{"_id": "token", "_lastUpdated": "date", "_profile": "uri", "_security": "token", "_source": "uri", "_tag": "token"}
	for _, p := range params {
		name := text(p, "name")
		if kinds[name] != "" {
			if kind := text(p, "type"); kind != kinds[name] {
				d.t.Errorf("%s is declared as a %s", name, kind)
			}
			d.parameter("", p)
			delete(kinds, name)
			continue
		}
		if name == "_has" {
			name = "_has:Provenance:target:_id"
		}
		if len(values[name]) == 0 {
			d.t.Errorf("%s is declared; with what value?", name)
		}
		typ := "Patient"
		if name == "_type" {
			typ = ""
		}
		for _, v := range values[name] {
			d.ask(true, typ, name, v)
		}
		if name != "_content" && name != "_text" {
			d.ask(false, typ, name+":nonsense", "x")
		}
		delete(values, name)
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(values)), slices.Collect(maps.Keys(kinds))) {
		d.t.Errorf("%s is not declared", name)
	}
	for _, name := range []string{"_query", "_score", "_nonsense", "_explained"} {
		d.ask(false, "Patient", name, "x")
	}
}
