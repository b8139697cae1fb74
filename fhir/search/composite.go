package search

import (
	"errors"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// composite is how the components of one composite parameter are found from
// where its expression leads.
type composite struct {
	// within starts at that place, around at the resource; their actions number
	// the components from 0 instead of naming a parameter.
	within, around *trie
	parts          int
	pair           bool // a token with two numbers
}

// maxJoined bounds the entries one value of a composite makes.
const maxJoined = 256

func (t *table) addComposite(root place, path fhirpath.Path, pp *paramPlan) error {
	places, err := follow(root, path.Steps)
	if err != nil {
		return err
	}
	for _, at := range places {
		c := &composite{within: &trie{}, around: &trie{}, parts: len(pp.Components)}
		parts, err := t.addComponents(c, place{at: c.within, typ: at.typ}, root.typ, pp.Components)
		if err != nil {
			return err
		}
		pp.components = parts
		c.pair = isPair(parts)
		if c.parts != 2 && !c.pair {
			return errors.New("only two components, or a token and two numbers, can be joined")
		}
		at.at.actions = append(at.at.actions, action{param: pp.number, extract: extractComposite, composite: c})
	}
	pp.indexed = true
	return nil
}

// addComponents adds the components of a composite. R4 has the definitions of
// DocumentReference?relationship in the wrong order for its expressions, so one
// that does not fit its expression is tried with its neighbour's.
func (t *table) addComponents(c *composite, within place, resource *r4.Type, components []r4.Component) ([]*paramPlan, error) {
	parts := make([]*paramPlan, len(components))
	for i, component := range components {
		neighbour := components[len(components)-1-i].Param
		if component.Param == nil || neighbour == nil {
			return nil, errors.New("a component is not defined")
		}
		parts[i] = &paramPlan{SearchParam: component.Param, number: Param(i)}
		err := t.addComponent(c, within, resource, component.Expression, parts[i])
		if err != nil {
			parts[i].SearchParam = neighbour
			err = t.addComponent(c, within, resource, component.Expression, parts[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func isPair(parts []*paramPlan) bool {
	return len(parts) == 3 && parts[0].Kind == r4.ParamToken &&
		parts[1].Kind == r4.ParamNumber && parts[2].Kind == r4.ParamNumber
}

func (t *table) addComponent(c *composite, within place, resource *r4.Type, expression string, part *paramPlan) error {
	expr, err := fhirpath.Parse(expression)
	if err != nil {
		return err
	}
	paths, ok := expr.Paths()
	if !ok {
		return errors.New("a component must be a path")
	}
	for _, path := range paths {
		from := within
		if path.Root == fhirpath.RootResource {
			from = place{at: c.around, typ: resource}
		}
		if err := t.addPath(from, path, part); err != nil {
			return err
		}
	}
	return nil
}

// joined adds the entries of a composite found at n: every value of one
// component with every value of the next.
func (w *walker) joined(a *action, n fhir.Node, index int) {
	if w.parts != nil {
		return // composites do not nest
	}
	parts, out := &w.components, w.out
	parts.Reset()
	w.parts, w.out = parts, parts
	w.visit(a.composite.within, n, index)
	w.visit(a.composite.around, w.tape.Root(), 0)
	w.parts, w.out = nil, out
	if a.composite.pair {
		w.joinPair(a)
		return
	}
	added := 0
	for i := range parts.Len() {
		first, head := parts.At(i)
		if first != 0 {
			continue
		}
		for j := range parts.Len() {
			last, tail := parts.At(j)
			if last != 1 || added == maxJoined {
				continue
			}
			added++
			at := len(out.buf)
			out.buf = append(appendEscaped(out.buf, head), tail...)
			out.commit(a.param, at)
		}
	}
}

// joinPair adds a token with two numbers as the two ends of a range. Each of
// the numbers is there once.
func (w *walker) joinPair(a *action) {
	parts := &w.components
	var low, high []byte
	for i := range parts.Len() {
		part, value := parts.At(i)
		if len(value) != 17 || value[0] != tagNumber {
			continue
		}
		if part == 1 {
			low = value[1:9]
		}
		if part == 2 {
			high = value[9:]
		}
	}
	if low == nil || high == nil {
		return
	}
	for i := range parts.Len() {
		part, head := parts.At(i)
		if part != 0 {
			continue
		}
		at := len(w.out.buf)
		w.out.buf = append(appendEscaped(w.out.buf, head), tagPair)
		w.out.buf = append(append(w.out.buf, low...), high...)
		w.out.commit(a.param, at)
	}
}
