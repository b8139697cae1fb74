package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// TestEverySearchParameter holds every search parameter of R4, on every type it
// searches and at every element it is made of, to a resource that it finds and one
// that it does not, with every prefix and modifier that its kind takes. The table
// is made of the definitions: what it has no row for must stand among the
// exceptions, with the reason, and an exception that has rows fails too.
func TestEverySearchParameter(t *testing.T) {
	t.Parallel()
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	table := newParameterTable(t, defs)
	table.complete()
	s := start(t, t.TempDir()+"/data", "--validation", "off") // a sample has what a parameter searches, and no more
	table.write(s)
	table.ask(s)
}

// parametersOfR4 is how many search parameters R4 defines.
const parametersOfR4 = 1400

// parameterTable is every case, and what the definitions have no case for.
type parameterTable struct {
	*testing.T
	samples
	cases  []parameterCase
	none   map[string][]string // parameters without a case, by URL: the types
	some   map[string]bool     // those with one
	least  map[string]object   // the least resource of each type
	events int                 // parameters of AuditEvent alone
}

// parameterCase is one parameter at one element: two resources, and what is asked.
type parameterCase struct {
	typ, code, at string
	a, b          object
	rows          []probeRow
	lacks         bool // the least resource of the type has no value
}

func newParameterTable(t *testing.T, defs *r4.Definitions) *parameterTable {
	p := &parameterTable{T: t, samples: samples{defs}, none: map[string][]string{}, some: map[string]bool{}, least: map[string]object{}}
	for _, typ := range defs.Resources() {
		if unwritten(typ.Name) {
			continue
		}
		p.least[typ.Name] = p.resource(typ, "n")
		for _, sp := range typ.Params() {
			before := len(p.cases)
			p.parameter(typ, sp)
			p.shorten(sp, before)
			if len(p.cases) == before {
				p.none[sp.URL] = append(p.none[sp.URL], typ.Name)
			} else {
				p.some[sp.URL] = true
			}
		}
	}
	for _, sp := range defs.SearchParams() {
		elsewhere := len(sp.Bases) > 0 && !slices.ContainsFunc(sp.Bases, func(t fhir.ResourceType) bool { return !unwritten(string(t)) })
		if elsewhere && !sp.Internal && strings.HasPrefix(sp.URL, "http://hl7.org/fhir/") {
			p.events++
		}
		if !elsewhere && !p.some[sp.URL] && p.none[sp.URL] == nil && strings.HasPrefix(sp.URL, "http://hl7.org/fhir/") {
			p.none[sp.URL] = []string{} // on no type that is asked
		}
	}
	return p
}

// shorten leaves a few queries of a parameter that every type has, on all types
// but the first: it is compiled for each, and compared by the same code.
func (p *parameterTable) shorten(sp *r4.SearchParam, from int) {
	if !p.some[sp.URL] || sp.Bases[0] != "Resource" && sp.Bases[0] != "DomainResource" {
		return
	}
	for i := from; i < len(p.cases); i++ {
		p.cases[i].rows = p.cases[i].rows[:3]
	}
}

// unwritten are the types that nobody may write: the server does. They are
// TestEverySearchParameterOfEvents's.
func unwritten(resource string) bool { return resource == "AuditEvent" }

// parameter adds the cases of one parameter of a type.
func (p *parameterTable) parameter(typ *r4.Type, sp *r4.SearchParam) {
	if special := p.special(typ, sp); special != nil {
		p.cases = append(p.cases, *special)
		return
	}
	all, err := paths(typ, sp.Expression)
	if err != nil {
		p.Errorf("%s: %v", sp.URL, err)
	}
	lacks := true
	for _, path := range all {
		for _, l := range leaves(typ, path) {
			lacks = lacks && !has(p.least[typ.Name], l.steps)
		}
	}
	for _, path := range all {
		if sp.Kind == r4.ParamComposite {
			p.composite(typ, sp, path)
			continue
		}
		for _, l := range leaves(typ, path) {
			if probe := p.probeOf(sp.Kind, l); probe != nil {
				c := p.newCase(typ, sp.Code, l)
				c.lacks = lacks
				p.set(c.a, typ, l.steps, probe.a)
				p.set(c.b, typ, l.steps, probe.b)
				c.rows = append(probe.rows, probeRow{":missing", "true", "n"}, probeRow{":missing", "false", "ab"})
				p.cases = append(p.cases, c)
			}
		}
	}
}

func (p *parameterTable) newCase(typ *r4.Type, code string, l leaf) parameterCase {
	n := len(p.cases)
	c := parameterCase{
		typ: typ.Name, code: code, a: p.resource(typ, fmt.Sprintf("a%d", n)), b: p.resource(typ, fmt.Sprintf("b%d", n)),
		lacks: !has(p.least[typ.Name], l.steps),
	}
	for _, s := range l.steps {
		c.at += "." + s.name
	}
	return c
}

// has reports whether a resource has anything where the steps lead.
func has(v any, steps []step) bool {
	if many, ok := v.([]any); ok {
		return len(many) > 0 && has(many[0], steps)
	}
	o, ok := v.(object)
	if !ok || len(steps) == 0 {
		return len(steps) == 0 && v != nil
	}
	for name, value := range o {
		if name == steps[0].name || strings.HasPrefix(name, steps[0].name) && strings.ToLower(name[len(steps[0].name):]) != name[len(steps[0].name):] {
			return has(value, steps[1:])
		}
	}
	return false
}

// composite adds the cases of a composite: one value of each component in the one
// resource and the other in the other.
func (p *parameterTable) composite(typ *r4.Type, sp *r4.SearchParam, path []step) {
	var firsts [][]componentProbe
	for i := range sp.Components {
		firsts = append(firsts, p.componentProbes(typ, path, sp, i))
	}
	for _, last := range firsts[len(firsts)-1] {
		c := p.newCase(typ, sp.Code, last.leaf)
		var askA, askB []string
		chosen := []componentProbe{last}
		for _, others := range firsts[:len(firsts)-1] {
			if len(others) == 0 {
				return
			}
			chosen = append(chosen, others[0])
		}
		chosen = append(chosen[1:], chosen[0])
		for _, part := range chosen {
			p.set(c.a, typ, part.steps, part.a)
			p.set(c.b, typ, part.steps, part.b)
			askA, askB = append(askA, part.askA), append(askB, part.askB)
		}
		mixed := slices.Concat(askA[:1], askB[1:])
		c.rows = []probeRow{
			{"", strings.Join(askA, "$"), "a"},
			{"", strings.Join(askB, "$"), "b"},
			{"", strings.Join(mixed, "$"), ""},
			{"", strings.Join(askA, "$") + "," + strings.Join(askB, "$"), "ab"},
			{":missing", "true", "n"},
			{":missing", "false", "ab"},
		}
		p.cases = append(p.cases, c)
	}
}

type componentProbe struct {
	leaf
	*probe
}

// componentProbes are the values of one component, at each element it may be.
func (p *parameterTable) componentProbes(typ *r4.Type, path []step, sp *r4.SearchParam, i int) (out []componentProbe) {
	component := sp.Components[i]
	kind := component.Param.Kind
	if sp.Code == "relationship" { // R4 has the two definitions in the wrong order
		kind = sp.Components[1-i].Param.Kind
	}
	for alternative := range strings.SplitSeq(component.Expression, "|") {
		from := path
		expression, whole := strings.CutPrefix(strings.TrimSpace(alternative), "%resource.")
		if whole {
			from = nil
		}
		steps, err := takeApart(expression)
		if err != nil {
			p.Errorf("%s: %v", sp.URL, err)
			continue
		}
		for _, l := range leaves(typ, slices.Concat(from, steps)) {
			if probe := p.probeOf(kind, l); probe != nil {
				out = append(out, componentProbe{l, probe})
			}
		}
	}
	return out
}

// complete fails for every parameter that has neither a case nor a reason, or both.
func (p *parameterTable) complete() {
	p.Helper()
	got := map[string]string{}
	for url, types := range p.none {
		if !p.some[url] {
			got[strings.TrimPrefix(url, "http://hl7.org/fhir/SearchParameter/")] = ""
			continue
		}
		for _, typ := range types {
			got[strings.TrimPrefix(url, "http://hl7.org/fhir/SearchParameter/")+" of "+typ] = ""
		}
	}
	want := parameterExceptions()
	for name := range want {
		want[name] = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.Errorf("parameters without a case (-exceptions +found):\n%s", diff)
	}
	total, parameters := 0, map[string]bool{}
	for _, c := range p.cases {
		total += len(c.rows)
		parameters[c.typ+"?"+c.code] = true
	}
	if all := len(p.some) + len(got) + p.events; all != parametersOfR4 {
		p.Errorf("%d parameters, want the %d of R4", all, parametersOfR4)
	}
	p.Logf("%d parameters of R4 in %d pairs of parameter and type, %d cases, %d queries, %d exceptions, %d of events",
		len(p.some), len(parameters), len(p.cases), total, len(got), p.events)
}

// write puts every resource, in batches.
func (p *parameterTable) write(s *server) {
	p.Helper()
	root := s.custodian(p.T)
	var all []object
	for _, name := range slices.Sorted(maps.Keys(p.least)) {
		all = append(all, p.least[name])
	}
	for i := range p.cases {
		all = append(all, p.cases[i].a, p.cases[i].b)
	}
	var failed atomic.Int32
	parallel(len(all), func(i int) {
		o := all[i]
		a, err := s.try(root, send(http.MethodPut, text(o, "resourceType")+"/"+text(o, "id"), encode(p.T, o)))
		if err != nil || a.status != http.StatusCreated {
			if failed.Add(1) <= 20 {
				p.Errorf("%v %d\n%s\n%s", err, a.status, encode(p.T, o), a.body)
			}
		}
	})
	if p.Failed() {
		p.Fatalf("%d resources were not taken", failed.Load())
	}
}

// parallel runs n pieces of work on a few workers.
func parallel(n int, work func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	wg.Wait()
}

// ask makes every query of the table.
func (p *parameterTable) ask(s *server) {
	p.Helper()
	type question struct {
		c   *parameterCase
		row probeRow
	}
	var all []question
	for i := range p.cases {
		for _, row := range p.cases[i].rows {
			all = append(all, question{&p.cases[i], row})
		}
	}
	root := s.custodian(p.T)
	var wrong atomic.Int32
	parallel(len(all), func(i int) {
		q := all[i]
		a, b := text(q.c.a, "id"), text(q.c.b, "id")
		value := strings.ReplaceAll(q.row.value, "{base}", s.base)
		value = strings.NewReplacer("{a}", a, "{b}", b).Replace(value)
		path := fmt.Sprintf("%s?%s%s=%s&_id=%s,%s,n", q.c.typ, q.c.code, q.row.modifier, url.QueryEscape(value), a, b)
		answer, err := s.try(root, get(path))
		if err != nil {
			p.Error(err)
			return
		}
		got := "refused"
		if answer.status == http.StatusOK {
			got = ""
			for _, id := range answer.ids(p.T) {
				got += string(id[strings.IndexByte(id, '/')+1])
			}
			got = sortedLetters(got)
		}
		want := q.row.want
		if !q.c.lacks {
			want, got = strings.ReplaceAll(want, "n", ""), strings.ReplaceAll(got, "n", "")
		}
		if got != want && wrong.Add(1) <= mostShown {
			p.Errorf("%s at %s: %s\nfound %q, want %q of\na %s\nb %s\n%s", q.c.code, q.c.at, path, got, want, encode(p.T, q.c.a), encode(p.T, q.c.b), head(answer.body))
		}
	})
	if n := wrong.Load(); n > mostShown {
		p.Errorf("%d answers were wrong", n)
	}
}

// mostShown is how many wrong answers are told.
const mostShown = 20

func head(b []byte) string { return string(b[:min(len(b), 500)]) }

func sortedLetters(s string) string {
	letters := []byte(s)
	slices.Sort(letters)
	return string(slices.Compact(letters))
}

// special are the cases of parameters that R4 gives no expression, or one that
// says little.
func (p *parameterTable) special(typ *r4.Type, sp *r4.SearchParam) *parameterCase {
	c := p.newCase(typ, sp.Code, leaf{steps: []step{{name: sp.Code}}})
	c.lacks = true
	switch sp.Code {
	case "_id":
		c.rows = []probeRow{{"", "{a}", "a"}, {"", "{b},{a}", "ab"}, {"", "none", ""}, {":not", "{a}", "bn"}, {":missing", "false", "abn"}, {":missing", "true", ""}}
	case "_lastUpdated":
		c.rows = []probeRow{
			{"", "gt2001-01-01", "abn"},
			{"", "lt2001-01-01", ""},
			{"", "ge2001", "abn"},
			{"", "le2001", ""},
			{"", "sa2001", "abn"},
			{"", "eb2001", ""},
			{"", "ne2001", "abn"},
			{"", "eq2001", ""},
			{"", "2001", ""},
			{"", "ap2001", ""},
			{":missing", "false", "abn"},
			{":missing", "true", ""},
		}
	case "_filter":
		c.rows = []probeRow{{"", "_id eq {a}", "a"}, {"", "_id eq {a} or _id eq {b}", "ab"}, {"", "not (_id eq {a})", "bn"}, {"", "_id eq none", ""}}
	case "_content":
		c.a["language"], c.b["language"] = "en-quokka", "en-wombat"
		c.rows = []probeRow{{"", "quokka", "a"}, {"", "wombat", "b"}, {"", "numbat", ""}}
	case "_text":
		c.a["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">a quokka</div>`}
		c.b["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">a wombat</div>`}
		c.rows = []probeRow{{"", "quokka", "a"}, {"", "wombat", "b"}, {"", "numbat", ""}}
	default:
		return p.specialOf(typ, sp, c)
	}
	return &c
}

// specialOf are those of one type.
func (p *parameterTable) specialOf(typ *r4.Type, sp *r4.SearchParam, c parameterCase) *parameterCase {
	switch typ.Name + "?" + sp.Code {
	case "Patient?deceased":
		c.a["deceasedDateTime"], c.b["deceasedBoolean"] = "2020-01-01", false
		c.rows = []probeRow{{"", "true", "a"}, {"", "false", "bn"}, {":not", "true", "bn"}}
	case "Bundle?composition", "Bundle?message":
		inner := map[string]string{"composition": "Composition", "message": "MessageHeader"}[sp.Code]
		for name, o := range map[string]object{"va": c.a, "vb": c.b} {
			entry := p.resource(p.defs.Resource(inner), name)
			o["type"] = map[string]string{"composition": "document", "message": "message"}[sp.Code]
			o["identifier"] = object{"system": "http://id.test", "value": name}
			o["timestamp"] = "2020-01-01T00:00:00Z"
			o["entry"] = []any{object{"fullUrl": "http://x.test/" + inner + "/" + name, "resource": entry}}
		}
		c.rows = []probeRow{{"", "va", "a"}, {"", inner + "/vb", "b"}, {"", inner + "/vc", ""}, {":missing", "true", "n"}, {":missing", "false", "ab"}}
	default:
		return nil
	}
	return &c
}

// parameterExceptions are the parameters without a case, each with the reason.
func parameterExceptions() map[string]string {
	const (
		noType  = "its definition has neither a type nor an expression"
		repeats = "an example of the specification, which repeats or contradicts a real one"
		none    = "its definition has no expression, and so does not say what it searches"
	)
	return map[string]string{
		"example": repeats, "example-extension": repeats, "example-reference": repeats,
		"Resource-query": "it names a query of the server's own, of which there is none", "patient-extensions-Patient-age": none,
		"patient-extensions-Patient-birthOrderBoolean": none,
		"codesystem-extensions-CodeSystem-author":      noType, "codesystem-extensions-CodeSystem-effective": noType,
		"codesystem-extensions-CodeSystem-end": noType, "codesystem-extensions-CodeSystem-keyword": noType,
		"codesystem-extensions-CodeSystem-workflow": noType, "valueset-extensions-ValueSet-author": noType,
		"valueset-extensions-ValueSet-effective": noType, "valueset-extensions-ValueSet-end": noType,
		"valueset-extensions-ValueSet-keyword": noType, "valueset-extensions-ValueSet-workflow": noType,
	}
}
