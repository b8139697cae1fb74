package validate

import (
	"errors"
	"sync"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// invariant is an invariant, ready to be held against values of one type.
type invariant struct {
	*r4.Invariant
	typ      *r4.Type
	presence presence
	// native decides without evaluating; nil for most.
	native func(w *walker, n fhir.Node) standing
	// program is compiled when it is first needed: of most servers' resources
	// most rules are told by presence alone.
	program func() (*fhirpath.Program, error)
}

// rulesOf are the invariants of every type, by its number, and those that some
// elements have besides. Those that the walk itself checks are left out.
func rulesOf(d *r4.Definitions) (types [][]invariant, elements map[*r4.Element][]invariant) {
	c := invariants{defs: d, texts: make(map[string]*expression)}
	elements = make(map[*r4.Element][]invariant)
	for _, t := range d.Types() {
		types = append(types, c.of(t, t.Invariants))
		for i := range t.Elements {
			if e := &t.Elements[i]; len(e.Invariants) > 0 {
				elements[e] = c.of(e.Type, e.Invariants)
			}
		}
	}
	return types, elements
}

// invariants reads every expression once.
type invariants struct {
	defs  *r4.Definitions
	texts map[string]*expression
}

// expression is one text, read.
type expression struct {
	tree    *fhirpath.Expr // nil when it cannot be read, which program says
	program func() (*fhirpath.Program, error)
}

func (c *invariants) text(src string) *expression {
	e := c.texts[src]
	if e == nil {
		e = &expression{program: sync.OnceValues(func() (*fhirpath.Program, error) { return fhirpath.Compile(src, c.defs) })}
		e.tree, _ = fhirpath.Parse(src)
		c.texts[src] = e
	}
	return e
}

// of are those of a type.
func (c *invariants) of(t *r4.Type, all []r4.Invariant) (out []invariant) {
	for i := range all {
		inv := &all[i]
		if walked(inv.Key) || inv.Key == advice {
			continue
		}
		e := c.text(inv.Expression)
		r := invariant{Invariant: inv, typ: t, native: natively(inv.Key), program: e.program}
		if e.tree != nil {
			r.presence = presenceOf(e.tree, t)
		}
		out = append(out, r)
	}
	return out
}

// walked are the invariants that the walk checks as it goes, each where its key
// stands in the report.
func walked(key string) bool {
	switch key {
	case "ele-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2":
		return true
	}
	return false
}

// natively are the frequent invariants that are cheaper told in code.
func natively(key string) func(*walker, fhir.Node) standing {
	if key == "per-1" {
		return (*walker).inOrder
	}
	return nil
}

// holds checks the rules of a value whose elements fill these slots.
func (w *walker) holds(n fhir.Node, rules []invariant, slots uint64) {
	for i := range rules {
		r := &rules[i]
		if w.errorsOnly && r.Severity != fhir.SeverityError || w.full() {
			continue
		}
		t := r.presence.of(slots)
		if t == open && r.native != nil {
			t = r.native(w, n)
		}
		if t == open {
			t = w.evaluate(r, n)
		}
		if t == broken {
			w.breach(r, n)
		}
	}
}

// special checks the rules that an element has beyond those of its type.
func (w *walker) special(n fhir.Node, e *r4.Element) {
	all := w.v.special[e]
	for i := range all {
		if r := &all[i]; !w.full() && (!w.errorsOnly || r.Severity == fhir.SeverityError) && w.evaluate(r, n) == broken {
			w.breach(r, n)
		}
	}
}

func (w *walker) breach(r *invariant, n fhir.Node) {
	w.add(r.Severity, n, "", fhir.CodeInvariant, r.Key+" does not hold: "+r.Expression)
}

// evaluate is what a rule says of a value. Nothing at all is no breach
// (Program.Holds): it says that the rule cannot be told, such as the order of two
// dates of which one is less precise. An error is, since what was not checked was
// not approved; but it is not told of a resource whose structure is wrong anyway.
func (w *walker) evaluate(r *invariant, n fhir.Node) standing {
	program, err := r.program()
	if err == nil {
		s := &w.scope // it keeps its memory
		s.Tape, s.Focus = w.t, fhirpath.Value{Node: n, Type: r.typ}
		s.Resource, s.Container, s.Now, s.Steps = w.resource, w.outer, w.how.Now, w.steps(n)
		var holds bool
		if holds, err = program.Holds(&w.scope); holds {
			return kept
		}
	}
	switch {
	case err == nil:
		return broken
	case errors.Is(err, fhirpath.ErrTooCostly):
		w.fail(n, fhir.CodeTooCostly, r.Key+" is too costly to check: "+r.Expression)
	case w.errors == 0:
		w.fail(n, fhir.CodeException, r.Key+" cannot be checked: "+r.Expression)
	}
	return open
}

// steps bounds the evaluation of one rule by the size of what it is about, so
// that a resource made to be costly costs no more than its size in all.
func (w *walker) steps(n fhir.Node) int {
	const least, perByte = 1 << 14, 16
	start, end := w.t.Span(n)
	return least + perByte*(end-start)
}
