package fhirpath

import (
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// machine evaluates over one tape. It favours being plainly right over speed:
// search compiles what it can to a walk, and is tested against this.
type machine struct {
	tape     *fhir.Tape
	defs     *r4.Definitions
	resource fhir.Node
}

// eval evaluates e with the collection focus; start says that names may be the
// type of the focus, as at the beginning of an expression.
func (m *machine) eval(e *Expr, focus []Value, start bool) []Value {
	switch e.Kind {
	case KindEmpty, KindTime, KindUnary:
		return nil
	case KindString, KindNumber:
		return []Value{String(e.Name)}
	case KindBoolean:
		return truth(e.Name == "true")
	case KindVariable:
		if e.Name == "context" {
			return focus
		}
		root := m.resource
		if e.Name == "rootResource" {
			root = m.tape.Root()
		}
		return []Value{{Node: root, Type: typeOfResource(m.defs, m.tape, root)}}
	case KindSpecial:
		return focus
	case KindMember:
		if e.Target == nil && start && isTypeName(e.Name) {
			return m.ofType(focus, e.Name, true)
		}
		return m.members(m.target(e, focus, start), e.Name)
	case KindIndex:
		all := m.eval(e.Target, focus, start)
		if i, err := strconv.Atoi(e.Args[0].Name); err == nil && i < len(all) {
			return all[i : i+1]
		}
		return nil
	case KindType:
		return m.typed(e, m.eval(e.Args[0], focus, start))
	case KindBinary:
		return m.binary(e, m.eval(e.Args[0], focus, start), m.eval(e.Args[1], focus, start))
	case KindCall:
		return m.call(e, m.target(e, focus, start))
	default:
		return nil
	}
}

func (m *machine) target(e *Expr, focus []Value, start bool) []Value {
	if e.Target == nil {
		return focus
	}
	return m.eval(e.Target, focus, start)
}

func truth(b bool) []Value {
	return []Value{Boolean(b)}
}

// members are the elements of that name, all alternatives of a choice included.
func (m *machine) members(in []Value, name string) (out []Value) {
	for _, v := range in {
		if v.Type == nil {
			continue
		}
		for i := range v.Type.Elements {
			el := &v.Type.Elements[i]
			if el.Name == name || el.Choice == name {
				out = m.appendElement(out, m.tape.Field(v.Node, el.Name), el.Type)
			}
		}
	}
	return out
}

func (m *machine) appendElement(out []Value, n fhir.Node, typ *r4.Type) []Value {
	switch m.tape.Kind(n) {
	case fhir.Invalid, fhir.Null:
		return out
	case fhir.Array:
		for c := m.tape.First(n); c != fhir.None; c = m.tape.Next(c) {
			out = m.appendElement(out, c, typ)
		}
		return out
	case fhir.Object, fhir.String, fhir.Number, fhir.True, fhir.False:
		if typ != nil && typ.Name == "Resource" {
			typ = typeOfResource(m.defs, m.tape, n)
		}
	}
	return append(out, Value{Node: n, Type: typ})
}

func (m *machine) typed(e *Expr, in []Value) []Value {
	name := plainType(e.Type)
	if e.Name == "as" {
		return m.ofType(in, name, false)
	}
	return m.isType(in, name)
}

func (m *machine) isType(in []Value, name string) []Value {
	if len(in) != 1 {
		return nil
	}
	return truth(len(m.ofType(in, name, false)) == 1)
}

// ofType keeps the values of a type. abstract lets Resource and DomainResource
// stand for any resource.
func (m *machine) ofType(in []Value, name string, abstract bool) (out []Value) {
	for _, v := range in {
		switch {
		case v.Type == nil:
		case SameType(v.Type.Name, name),
			abstract && v.Type.Kind == r4.KindResource && (name == "Resource" || name == "DomainResource"):
			out = append(out, v)
		}
	}
	return out
}

// SameType compares a type with the name an expression gives it. R4 itself
// writes DateTime for dateTime, so the first letter counts for nothing where
// the names are otherwise equal.
func SameType(name, written string) bool {
	return name == written || len(name) == len(written) && name != "" && name[1:] == written[1:] &&
		strings.EqualFold(name[:1], written[:1])
}

func (m *machine) call(e *Expr, in []Value) []Value {
	switch e.Name {
	case "exists":
		return truth(len(in) > 0)
	case "empty":
		return truth(len(in) == 0)
	case "not":
		if b, ok := m.single(in); ok {
			return truth(!b)
		}
		return nil
	case "first":
		return in[:min(1, len(in))]
	case "resolve":
		return m.resolve(in)
	case "where":
		var out []Value
		for _, v := range in {
			if b, ok := m.single(m.eval(e.Args[0], []Value{v}, false)); ok && b {
				out = append(out, v)
			}
		}
		return out
	case "as", "ofType":
		name, _ := e.Args[0].typeName()
		return m.ofType(in, name, false)
	case "is":
		name, _ := e.Args[0].typeName()
		return m.isType(in, name)
	case "extension":
		return m.extensions(in, e.Args[0].Name)
	case "hasExtension":
		return truth(len(m.extensions(in, e.Args[0].Name)) > 0)
	}
	return nil
}

func (m *machine) extensions(in []Value, url string) (out []Value) {
	for _, v := range m.members(in, "extension") {
		if m.tape.Text(m.tape.Field(v.Node, "url")) == url {
			out = append(out, v)
		}
	}
	return out
}

// resolve stands for the targets of references as far as their types can be
// told without reading anything: that is all the search parameters ask.
func (m *machine) resolve(in []Value) (out []Value) {
	for _, v := range in {
		if typ := m.defs.Resource(TargetType(m.tape, v.Node)); typ != nil {
			out = append(out, Value{Node: fhir.None, Type: typ})
		}
	}
	return out
}

// single is the truth of a collection of one; a single value that is no boolean
// is true (FHIRPath 2.0 §4.5).
func (m *machine) single(in []Value) (value, ok bool) {
	if len(in) != 1 {
		return false, false
	}
	v := in[0]
	if b, ok := v.Bool(); ok {
		return b, true
	}
	return m.tape.Kind(v.Node) != fhir.False, true
}

func (m *machine) binary(e *Expr, l, r []Value) []Value {
	switch e.Name {
	case "|":
		for _, v := range r {
			if !m.contains(l, v) {
				l = append(l[:len(l):len(l)], v)
			}
		}
		return l
	case "=", "!=":
		if len(l) == 0 || len(r) == 0 {
			return nil
		}
		same := len(l) == len(r)
		for i := 0; same && i < len(l); i++ {
			same = m.text(l[i]) == m.text(r[i])
		}
		return truth(same == (e.Name == "="))
	case "and", "or":
		return logic(e.Name == "or", m, l, r)
	}
	return nil
}

func (m *machine) contains(all []Value, v Value) bool {
	for _, other := range all {
		if m.text(other) == m.text(v) {
			return true
		}
	}
	return false
}

// logic is and/or with three values (FHIRPath 2.0 §6.5): decisive is the value
// of one side that decides alone.
func logic(decisive bool, m *machine, l, r []Value) []Value {
	lv, lok := m.single(l)
	rv, rok := m.single(r)
	switch {
	case lok && lv == decisive, rok && rv == decisive:
		return truth(decisive)
	case lok && rok:
		return truth(!decisive)
	}
	return nil
}

// text is what equality compares: the text of primitives, the bytes of others.
func (m *machine) text(v Value) string {
	switch m.tape.Kind(v.Node) {
	case fhir.Invalid:
		return v.Text()
	case fhir.String:
		return m.tape.Text(v.Node)
	case fhir.Object, fhir.Array, fhir.Number, fhir.True, fhir.False, fhir.Null:
	}
	return string(m.tape.Raw(v.Node))
}
