package fhirpath

import (
	"bytes"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// fhirFunctions are those that R4 adds (R4 fhirpath.html#functions), and type().
func fhirFunctions() map[string]*function {
	return map[string]*function{
		"extension":    {least: 1, most: 1, eval: (*machine).extension},
		"hasExtension": {least: 1, most: 1, truth: (*machine).hasExtension},
		"hasValue":     {truth: (*machine).hasValue},
		"getValue":     pureFunction(0, 0, SystemNone, SystemNone, func(_ *machine, in Value, _ []Value) (Value, bool, error) { return in, true, nil }),
		"resolve":      {eval: (*machine).resolve},
		"memberOf":     {least: 1, most: 1, truth: (*machine).memberOf},
		"subsumes":     {least: 1, most: 1, truth: (*machine).subsumes},
		"subsumedBy":   {least: 1, most: 1, truth: (*machine).subsumes},
		"htmlChecks":   {truth: (*machine).htmlChecks},
		"conformsTo":   {least: 1, most: 1, truth: (*machine).conformsTo},
		"type":         {eval: (*machine).typeInfo},

		"checkModifiers": {least: 1, most: 16, eval: (*machine).checkModifiers},
	}
}

func (m *machine) extension(n *node) error {
	url, ok, err := m.text(n.args[0])
	if err != nil || !ok {
		return err
	}
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	end := len(m.vals)
	for i := base; i < end; i++ {
		if err := m.extensions(m.vals[i], url); err != nil {
			return err
		}
	}
	m.drop(base, end)
	return nil
}

func (m *machine) hasExtension(n *node) (tri, error) {
	base := len(m.vals)
	err := m.extension(n)
	found := len(m.vals) > base
	m.vals = m.vals[:base]
	return triOf(found), err
}

// hasValue is true for one primitive that has a value, not extensions alone.
func (m *machine) hasValue(n *node) (tri, error) {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return unknown, err
	}
	in := m.vals[base:]
	m.vals = m.vals[:base]
	if len(in) != 1 {
		return no, nil
	}
	v := &in[0]
	return triOf(v.sys != SystemNone && v.sys != SystemQuantity || v.sys == SystemNone && v.Node != fhir.None && v.Type != nil && v.Type.Primitive != 0), nil
}

// typeInfo tells the type of each value.
func (m *machine) typeInfo(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	kept := base
	for i := base; i < len(m.vals); i++ {
		v := &m.vals[i]
		info := Value{Node: fhir.None, sys: systemInfo}
		switch {
		case v.sys != SystemNone:
			info.num, info.text = 1, []byte(v.sys.String())
		case v.Type == nil:
			continue
		case v.Type.Kind == r4.KindBackbone && v.Type.Base != nil:
			info.text = []byte(v.Type.Base.Name)
		default:
			info.text = []byte(v.Type.Name)
		}
		m.vals[kept] = info
		kept++
	}
	m.vals = m.vals[:kept]
	return nil
}

// resolve finds what references point to within the tape. Of what stands
// elsewhere it tells the type alone, as far as the reference does.
func (m *machine) resolve(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	kept := base
	for i := base; i < len(m.vals); i++ {
		v, ok, err := m.target(m.vals[i])
		if err != nil {
			return err
		}
		if ok {
			m.vals[kept] = v
			kept++
		}
	}
	m.vals = m.vals[:kept]
	return nil
}

func (m *machine) target(v Value) (out Value, ok bool, err error) {
	t := m.tape
	var literal string
	switch {
	case v.sys == SystemString:
		literal = string(v.text)
	case t.Kind(v.Node) == fhir.String:
		literal = t.Text(v.Node)
	case v.sys == SystemNone:
		literal = t.Text(t.Field(v.Node, "reference"))
	}
	if fragment, is := strings.CutPrefix(literal, "#"); is {
		return m.contained(fragment)
	}
	if entry, err := m.entry(literal); err != nil || entry != fhir.None {
		return m.resource(entry), err == nil, err
	}
	typ := m.prog.defs.Resource(literalType(literal))
	if typ == nil && v.sys == SystemNone && t.Kind(v.Node) == fhir.Object {
		typ = m.prog.defs.Resource(TargetType(t, v.Node))
	}
	return Value{Node: fhir.None, Type: typ}, typ != nil, nil
}

func (m *machine) resource(n fhir.Node) Value {
	return Value{Node: n, Type: typeOfResource(m.prog.defs, m.tape, n)}
}

func (m *machine) contained(id string) (v Value, ok bool, err error) {
	t := m.tape
	if id == "" {
		return m.resource(m.scope.Container), true, nil
	}
	list := t.Field(m.scope.Container, "contained")
	for c := t.First(list); c != fhir.None; c = t.Next(c) {
		if err := m.spend(4); err != nil {
			return v, false, err
		}
		if t.Text(t.Field(c, "id")) == id {
			return m.resource(c), true, nil
		}
	}
	return v, false, nil
}

// entry is the resource of the Bundle's entry that a reference means (R4
// bundle.html#references).
func (m *machine) entry(literal string) (fhir.Node, error) {
	t := m.tape
	if literal == "" || t.Text(t.Field(t.Root(), "resourceType")) != "Bundle" {
		return fhir.None, nil
	}
	list := t.Field(t.Root(), "entry")
	for c := t.First(list); c != fhir.None; c = t.Next(c) {
		if err := m.spend(8); err != nil {
			return fhir.None, err
		}
		url := t.Text(t.Field(c, "fullUrl"))
		if url == "" {
			continue
		}
		if url == literal || !strings.Contains(literal, ":") && strings.HasSuffix(url, "/"+literal) {
			return t.Field(c, "resource"), nil
		}
	}
	return fhir.None, nil
}

// memberOf is unknown: whether a code is in a value set is a question for a
// terminology server.
func (m *machine) memberOf(n *node) (tri, error) {
	_, ok, err := m.single(n.left)
	if err == nil && ok {
		_, _, err = m.text(n.args[0])
	}
	return unknown, err
}

// codes are those of a code, Coding or CodeableConcept.
func (m *machine) codes(v Value) (out []fhir.Coding) {
	t := m.tape
	if v.sys == SystemString {
		return []fhir.Coding{{Code: string(v.text)}}
	}
	if t.Kind(v.Node) == fhir.String {
		return []fhir.Coding{{Code: t.Text(v.Node)}}
	}
	of := func(n fhir.Node) fhir.Coding {
		return fhir.Coding{System: t.Text(t.Field(n, "system")), Code: t.Text(t.Field(n, "code"))}
	}
	list := t.Field(v.Node, "coding")
	if list == fhir.None {
		return []fhir.Coding{of(v.Node)}
	}
	for c := t.First(list); c != fhir.None; c = t.Next(c) {
		out = append(out, of(c))
	}
	return out
}

// subsumes is true where two share a code. Whether one is above another is a
// question for a terminology server, and unknown here.
func (m *machine) subsumes(n *node) (tri, error) {
	a, ok, err := m.single(n.left)
	if err != nil || !ok {
		return unknown, err
	}
	b, ok, err := m.single(n.args[0])
	if err != nil || !ok {
		return unknown, err
	}
	for _, x := range m.codes(a) {
		for _, y := range m.codes(b) {
			if x == y && x.Code != "" {
				return yes, nil
			}
		}
	}
	return unknown, nil
}

func (m *machine) htmlChecks(n *node) (tri, error) {
	v, ok, err := m.scalar(n.left)
	if err != nil || !ok || m.scope.HTML == nil {
		return triOf(ok), err
	}
	return triOf(m.scope.HTML(v.text)), nil
}

// checkModifiers fails where an element has a modifier extension that is not
// among those named.
func (m *machine) checkModifiers(n *node) error {
	var allowed [][]byte
	for _, a := range n.args {
		url, ok, err := m.text(a)
		if err != nil {
			return err
		}
		if ok {
			allowed = append(allowed, url)
		}
	}
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	end := len(m.vals)
	for i := base; i < end; i++ {
		if err := m.membersOf(m.vals[i], "modifierExtension"); err != nil {
			return err
		}
	}
	for _, v := range m.vals[end:] {
		url := m.tape.Bytes(m.tape.Field(v.Node, "url"), nil)
		if !slices.ContainsFunc(allowed, func(a []byte) bool { return bytes.Equal(a, url) }) {
			return fail("there is a modifier extension that is not expected")
		}
	}
	m.vals = m.vals[:end]
	return nil
}

const structures = "http://hl7.org/fhir/StructureDefinition/"

// conformsTo asks for the type that a structure of R4's own defines. Other
// structures are validate's to ask.
func (m *machine) conformsTo(n *node) (tri, error) {
	v, ok, err := m.single(n.left)
	if err != nil || !ok {
		return unknown, err
	}
	url, ok, err := m.text(n.args[0])
	if err != nil || !ok {
		return unknown, err
	}
	name, own := strings.CutPrefix(string(url), structures)
	typ := m.prog.defs.Type(name)
	if !own || typ == nil {
		return unknown, fail("the structure is not known")
	}
	r := typeRef{typ: typ}
	return triOf(r.holds(&v)), nil
}
