package validate_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/validate"
)

// mutant is an example that was broken in one way at one place.
type mutant struct {
	kind  string
	edits []fhir.Edit
	at    string
}

// breaker finds the ways to break one example.
type breaker struct {
	t    *fhir.Tape
	defs *r4.Definitions
	path []string
	take func(mutant)
}

func (b *breaker) replace(kind string, n fhir.Node, text string) {
	start, end := b.t.Span(n)
	b.take(mutant{kind, []fhir.Edit{{Start: start, End: end, Text: []byte(text)}}, strings.Join(b.path, ".")})
}

// remove takes a member out of its object, with its comma.
func (b *breaker) remove(kind string, object, m fhir.Node) {
	start, _ := b.t.KeySpan(m)
	_, end := b.t.Span(m)
	if next := b.t.Next(m); next != fhir.None {
		end, _ = b.t.KeySpan(next)
	} else {
		for c := b.t.First(object); c != m; c = b.t.Next(c) {
			_, start = b.t.Span(c)
		}
	}
	b.take(mutant{kind, []fhir.Edit{{Start: start, End: end}}, strings.Join(b.path, ".")})
}

func (b *breaker) insert(kind string, object fhir.Node, text string) {
	start, _ := b.t.Span(object)
	b.take(mutant{kind, []fhir.Edit{{Start: start + 1, End: start + 1, Text: []byte(text)}}, strings.Join(b.path, ".")})
}

func (b *breaker) resource(n fhir.Node) {
	typ := b.defs.Resource(b.t.Text(b.t.Field(n, "resourceType")))
	b.path = append(b.path, typ.Name)
	b.object(n, typ)
	b.path = b.path[:len(b.path)-1]
}

func (b *breaker) object(n fhir.Node, typ *r4.Type) {
	b.insert("extra element", n, `"unheardOf":"x",`)
	for m := b.t.First(n); m != fhir.None; m = b.t.Next(m) {
		key := string(b.t.Key(m))
		e := typ.Element([]byte(key))
		if e == nil {
			continue // resourceType, and what stands beside a primitive
		}
		b.path = append(b.path, key)
		b.member(n, m, e)
		b.path = b.path[:len(b.path)-1]
	}
}

func (b *breaker) member(object, m fhir.Node, e *r4.Element) {
	if e.Required() && b.t.Field(object, "_"+e.Name) == fhir.None {
		b.remove("missing element", object, m)
	}
	b.replace("empty array", m, "[]")
	b.replace("empty object", m, "{}")
	if b.t.Kind(m) != fhir.Array {
		b.replace("wrong cardinality", m, "["+string(b.t.Raw(m))+"]")
		b.value(m, e)
		return
	}
	first := b.t.First(m)
	b.replace("wrong cardinality", m, string(b.t.Raw(first)))
	for item := first; item != fhir.None; item = b.t.Next(item) {
		if b.t.Kind(item) != fhir.Null {
			b.value(item, e)
		}
	}
}

func (b *breaker) value(n fhir.Node, e *r4.Element) {
	switch {
	case e.Type.Kind == r4.KindResource:
		b.resource(n)
		return
	case e.Type.Kind != r4.KindPrimitive:
		b.replace("wrong type", n, `"x"`)
		b.object(n, e.Type)
		if e.Type.Name == "Reference" && e.Targets != nil {
			if ref := b.t.Field(n, "reference"); ref != fhir.None && !strings.HasPrefix(b.t.Text(ref), "#") {
				b.replace("wrong target", ref, `"`+b.stranger(e.Targets)+`/1"`)
			}
		}
		if e.Binding != nil && e.Binding.Listed() {
			b.replace("bad code", n, `{"coding":[{"system":"http://x.example","code":"x"}]}`)
			b.replace("bad code", n, `{"text":"x"}`)
		}
		return
	}
	b.primitive(n, e)
}

func (b *breaker) primitive(n fhir.Node, e *r4.Element) {
	switch b.t.Kind(n) {
	case fhir.String:
		b.replace("wrong type", n, "1")
		b.replace("wrong type", n, `""`)
	default:
		b.replace("wrong type", n, `"`+string(b.t.Raw(n))+`"`)
	}
	bad := map[r4.Primitive][]string{
		r4.PrimitiveDate:         {`"2019-02-29"`, `"2019-13"`, `"19"`, `"2019-01-01T00:00:00Z"`},
		r4.PrimitiveDateTime:     {`"2019-02-29"`, `"2019-02-28T25:00:00Z"`, `"2019-02-28T10:00:00"`},
		r4.PrimitiveInstant:      {`"2019-02-28"`, `"2019-02-29T10:00:00Z"`},
		r4.PrimitiveTime:         {`"24:01:00"`, `"10:00"`},
		r4.PrimitivePositiveInt:  {"0", "-1", "1.5"},
		r4.PrimitiveUnsignedInt:  {"-1", "2147483648"},
		r4.PrimitiveInteger:      {"1.5", "2147483648"},
		r4.PrimitiveID:           {`"a_b"`, `"` + strings.Repeat("a", 65) + `"`},
		r4.PrimitiveURI:          {`"a b"`},
		r4.PrimitiveURL:          {`"a b"`},
		r4.PrimitiveCanonical:    {`"a b"`},
		r4.PrimitiveOID:          {`"1.2.3"`},
		r4.PrimitiveUUID:         {`"x"`},
		r4.PrimitiveCode:         {`" a"`, `"a  b"`},
		r4.PrimitiveBase64Binary: {`"#"`, `"abcde"`},
		r4.PrimitiveXHTML: {
			`"x"`, `"<div>x</div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml'>x"`, `"<div xmlns='http://www.w3.org/1999/xhtml'></div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml'><script>x</script></div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml' onclick='x'>x</div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div>"`,
			`"<div xmlns='http://www.w3.org/1999/xhtml'><a href='javascript:x'>x</a></div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml'><p>x</div></p>"`, `"<div xmlns='http://www.w3.org/1999/xhtml'>x</div><div>y</div>"`, `"<div xmlns='http://www.w3.org/1999/xhtml' style='background:url(javascript:x)'>x</div>"`,
		},
	}
	kind := "bad value"
	switch e.Type.Primitive { //nolint:exhaustive // the others are bad values
	case r4.PrimitiveDate, r4.PrimitiveDateTime, r4.PrimitiveInstant, r4.PrimitiveTime:
		kind = "bad date"
	case r4.PrimitiveXHTML:
		kind = "bad narrative"
	}
	for _, text := range bad[e.Type.Primitive] {
		b.replace(kind, n, text)
	}
	if e.Binding != nil {
		b.replace("bad code", n, `"no-such-code"`)
	}
}

// stranger is a type that is not among those.
func (b *breaker) stranger(targets []fhir.ResourceType) string {
	for _, t := range b.defs.Resources() {
		if !slices.Contains(targets, t.Resource()) {
			return t.Name
		}
	}
	return "Basic"
}

// shuffle changes the example at random without breaking its structure: it takes
// elements that need not be there away, or puts others in the place of texts.
func (b *breaker) shuffle(n fhir.Node, typ *r4.Type) {
	for m := b.t.First(n); m != fhir.None; m = b.t.Next(m) {
		e := typ.Element(b.t.Key(m))
		if e == nil {
			continue
		}
		b.path = append(b.path, e.Name)
		if !e.Required() && b.t.First(n) != m {
			b.remove("broken rule", n, m)
		}
		switch e.Type.Primitive { //nolint:exhaustive // the others are of no interest
		case r4.PrimitiveDateTime, r4.PrimitiveDate:
			if b.t.Kind(m) == fhir.String {
				b.replace("broken rule", m, `"1850"`)
				b.replace("broken rule", m, `"2150"`)
			}
		case r4.PrimitiveCode:
			if e.Binding != nil && e.Binding.Listed() && b.t.Kind(m) == fhir.String {
				for _, code := range e.Binding.Includes[0].Codes {
					b.replace("broken rule", m, `"`+code+`"`)
				}
			}
		}
		items := []fhir.Node{m}
		if b.t.Kind(m) == fhir.Array {
			items = items[:0]
			for item := b.t.First(m); item != fhir.None; item = b.t.Next(item) {
				items = append(items, item)
			}
		}
		for _, item := range items {
			switch {
			case b.t.Kind(item) != fhir.Object:
			case e.Type.Kind == r4.KindResource:
				if inner := b.defs.Resource(b.t.Text(b.t.Field(item, "resourceType"))); inner != nil {
					b.shuffle(item, inner)
				}
			case e.Type.Name == "Reference":
				b.replace("broken rule", item, `{"reference":"#nobody"}`)
				fallthrough
			default:
				b.shuffle(item, e.Type)
			}
		}
		b.path = b.path[:len(b.path)-1]
	}
}

// mutantsAll asks for every mutant, or for one of each so many, as in
// VITRINE_MUTANTS=20; otherwise one of each sampleOf is tried.
const (
	mutantsAll = "VITRINE_MUTANTS"
	sampleOf   = 300
)

func mutantSample() int {
	if os.Getenv(mutantsAll) == "all" {
		return 1
	}
	if n, err := strconv.Atoi(os.Getenv(mutantsAll)); err == nil && n > 0 {
		return n
	}
	return sampleOf
}

// TestBrokenExamplesAreRefused breaks every official example in every way that
// follows from the definitions, and wants each broken one refused.
func TestBrokenExamplesAreRefused(t *testing.T) {
	v, defs := newValidator(t), loaded(t)
	oneOf := mutantSample()
	rnd := rand.New(rand.NewPCG(1, 2))
	made, caught := map[string]int{}, map[string]int{}
	var survivors []string
	var tape fhir.Tape
	for _, e := range examples(t) {
		if faults[e.name].how != "" {
			continue
		}
		try := func(m mutant) {
			if rnd.IntN(oneOf) != 0 {
				return
			}
			src := fhir.Splice(nil, e.tape.Source(), m.edits)
			if err := tape.Parse(src, fhir.Limits{}); err != nil {
				t.Fatalf("%s, %s at %s: %v\n%s", e.name, m.kind, m.at, err, src)
			}
			issues := v.Check(&tape, validate.How{ErrorsOnly: true})
			if m.kind == "broken rule" && len(rulesOf(validate.Broken(defs, &tape))) == 0 {
				return // nothing is broken
			}
			made[m.kind]++
			if len(issues) > 0 {
				caught[m.kind]++
			} else {
				survivors = append(survivors, fmt.Sprintf("%s: %s at %s", e.name, m.kind, m.at))
			}
		}
		b := &breaker{t: e.tape, defs: defs, take: try}
		b.resource(e.tape.Root())
		if len(e.tape.Source()) < 20000 { // the rules of larger ones take long to evaluate one by one
			b.shuffle(e.tape.Root(), defs.Resource(e.tape.Text(e.tape.Field(e.tape.Root(), "resourceType"))))
		}
	}
	all, found := 0, 0
	for kind, n := range made {
		t.Logf("%-18s %7d of %7d", kind, caught[kind], n)
		all, found = all+n, found+caught[kind]
	}
	t.Logf("%d of %d are refused", found, all)
	for i, s := range survivors {
		if i < 200 {
			t.Log(s)
		}
	}
	if all < 1000 || found*100 < all*99 {
		t.Errorf("%d of %d are refused, want 99%%", found, all)
	}
}

// rulesOf are the rules that forbid to store a resource.
func rulesOf(broken map[string]int) map[string]int {
	for key := range broken {
		if key == "dom-6" || strings.HasSuffix(key, "-0") || key == "con-3" || key == "nor-1" || strings.HasPrefix(key, "eld-2") || key == "inv-1" {
			delete(broken, key)
		}
	}
	return broken
}

// TestShortcutsAgree holds what is told of invariants without evaluating them
// against their text, on examples that were changed at random.
func TestShortcutsAgree(t *testing.T) {
	v, defs := newValidator(t), loaded(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	compared, told := 0, 0
	var tape fhir.Tape
	for _, e := range examples(t) {
		if len(e.tape.Source()) > 20000 {
			continue
		}
		b := &breaker{t: e.tape, defs: defs, take: func(m mutant) {
			if rnd.IntN(100) != 0 && os.Getenv(mutantsAll) != "all" {
				return
			}
			if err := tape.Parse(fhir.Splice(nil, e.tape.Source(), m.edits), fhir.Limits{}); err != nil {
				t.Fatal(err)
			}
			wrong, n := validate.Disagreements(v, &tape)
			compared += n
			for _, w := range wrong {
				if told++; told < 20 {
					t.Errorf("%s, %s: %s", e.name, m.at, w)
				}
			}
			byText, byHand := validate.Broken(defs, &tape), map[string]int{}
			for _, i := range v.Check(&tape, validate.How{ErrorsOnly: true}) {
				for _, key := range []string{"ele-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "ext-1", "per-1"} {
					if strings.Contains(i.Text, "("+key+")") || strings.HasPrefix(i.Text, key+" ") {
						byHand[key]++
					}
				}
			}
			for _, key := range []string{"ele-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "ext-1", "per-1"} {
				if byText[key] > 0 != (byHand[key] > 0) {
					if told++; told < 20 {
						t.Errorf("%s, %s: %s is broken %d times by its text, %d by hand", e.name, m.at, key, byText[key], byHand[key])
					}
				}
			}
		}}
		b.shuffle(e.tape.Root(), defs.Resource(e.tape.Text(e.tape.Field(e.tape.Root(), "resourceType"))))
	}
	t.Logf("%d answers compared", compared)
	if compared < 5000 {
		t.Error("too few")
	}
}

func loaded(tb testing.TB) *r4.Definitions {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
