package fhirpath

import (
	"slices"

	"vitrine/fhir/r4"
)

// compileFor is Compile without leniency, for an expression that is evaluated at
// values of the type alone; it refuses what can never have a value there.
func compileFor(src string, d *r4.Definitions, typ *r4.Type) (*Program, error) {
	p, err := compile(src, d, true)
	if err != nil {
		return nil, err
	}
	if err := checkTypes(p, typ); err != nil {
		return nil, err
	}
	return p, nil
}

// shape is what is known beforehand of the values of a node.
type shape struct {
	// any says that there may be values of any type.
	any   bool
	types []*r4.Type
	// systems has a bit for each type of the language's own.
	systems uint16
	// unordered says that which comes first means nothing.
	unordered bool
}

func ofSystem(sys System) shape {
	if sys == SystemNone {
		return shape{any: true}
	}
	return shape{systems: 1 << sys}
}

func ofTypes(types ...*r4.Type) shape {
	var s shape
	for _, t := range types {
		s.add(t)
	}
	return s
}

// add counts any resource as anything.
func (s *shape) add(t *r4.Type) {
	if t == nil || t.Abstract && t.Kind == r4.KindResource {
		s.any = true
		return
	}
	if !slices.Contains(s.types, t) {
		s.types = append(s.types, t)
	}
}

func (s shape) and(o shape) shape {
	out := shape{any: s.any || o.any, systems: s.systems | o.systems, unordered: s.unordered || o.unordered}
	out.types = slices.Clone(s.types)
	for _, t := range o.types {
		out.add(t)
	}
	return out
}

func (s shape) empty() bool { return !s.any && len(s.types) == 0 && s.systems == 0 }

// checker works out the shapes of an expression, and refuses what can have no
// value whatever the resource is.
type checker struct {
	prog *Program
	this shape
	root shape
}

// checkTypes refuses a program that makes no sense at values of the type.
func checkTypes(p *Program, typ *r4.Type) error {
	at := ofTypes(typ)
	c := &checker{prog: p, this: at, root: at}
	_, err := c.shape(p.root)
	return err
}

func (c *checker) refuse(n *node, reason string) error {
	return refuse(&Expr{Offset: n.offset}, reason)
}

func (c *checker) shape(n *node) (shape, error) {
	switch n.op {
	case opEmpty:
		return shape{}, nil
	case opLiteral:
		return ofSystem(n.value.sys), nil
	case opThis:
		return c.this, nil
	case opIndex:
		return ofSystem(SystemInteger), nil
	case opTotal:
		return shape{any: true}, nil
	case opVariable:
		if n.name == "context" {
			return c.root, nil
		}
		return shape{any: true}, nil
	case opMember:
		return c.member(n)
	case opTypeName:
		return c.typeName(n)
	case opIndexer:
		in, err := c.ordered(n)
		if err != nil {
			return in, err
		}
		_, err = c.shape(n.right)
		return in, err
	case opAs, opIs:
		in, err := c.shape(n.left)
		if n.op == opIs || err != nil {
			return ofSystem(SystemBoolean), err
		}
		return c.kept(in, n), nil
	case opNegate:
		return c.shape(n.left)
	case opUnion:
		return c.both(n)
	case opArithmetic:
		_, err := c.both(n)
		return shape{any: true}, err
	case opCall:
		return c.call(n)
	case opAnd, opOr, opXor, opImplies, opEqual, opEquivalent, opCompare, opIn, opContains:
	}
	_, err := c.both(n)
	return ofSystem(SystemBoolean), err
}

func (c *checker) both(n *node) (shape, error) {
	l, err := c.shape(n.left)
	if err != nil {
		return l, err
	}
	r, err := c.shape(n.right)
	return l.and(r), err
}

// member is the types that the elements of a name have.
func (c *checker) member(n *node) (out shape, err error) {
	in := c.this
	if n.left != nil {
		if in, err = c.shape(n.left); err != nil {
			return in, err
		}
	}
	if in.any || in.systems != 0 {
		return shape{any: true, unordered: in.unordered}, nil
	}
	out.unordered = in.unordered
	for _, t := range in.types {
		if el := t.Element([]byte(n.name)); el != nil && el.Choice == "" {
			out.add(el.Type)
		}
		for _, el := range t.Alternatives([]byte(n.name)) {
			out.add(el.Type)
		}
	}
	if out.empty() && !in.empty() {
		return out, c.refuse(n, "there is no element "+n.name)
	}
	return out, nil
}

func (c *checker) typeName(n *node) (shape, error) {
	if c.this.any {
		return ofTypes(n.typ.typ), nil
	}
	for _, t := range c.this.types {
		if n.typ.holds(&Value{Type: t}) {
			return ofTypes(t), nil
		}
	}
	return shape{}, c.refuse(n, "it is evaluated at another type than "+n.name)
}

// kept is what as leaves of a shape.
func (c *checker) kept(in shape, n *node) (out shape) {
	out.unordered = in.unordered
	if in.any {
		if out.add(n.typ.typ); n.typ.typ == nil {
			out.any = true
		}
		return out
	}
	out.systems = in.systems & (1 << n.typ.sys)
	for _, t := range in.types {
		below := typeRef{typ: t}
		switch {
		case n.typ.keeps(&Value{Type: t}):
			out.add(t)
		case n.typ.typ != nil && n.typ.typ.Kind != r4.KindPrimitive && below.holds(&Value{Type: n.typ.typ}):
			out.add(n.typ.typ)
		}
	}
	return out
}

// ordered is the shape of what a function takes that asks which comes first.
func (c *checker) ordered(n *node) (shape, error) {
	in, err := c.shape(n.left)
	if err == nil && in.unordered {
		err = c.refuse(n, "which comes first is not defined here")
	}
	return in, err
}

// within is the shape of an argument that is evaluated for each value.
func (c *checker) within(in shape, n *node) (shape, error) {
	saved := c.this
	c.this = in
	out, err := c.shape(n)
	c.this = saved
	return out, err
}

func (c *checker) call(n *node) (shape, error) {
	in, err := c.shape(n.left)
	if err != nil {
		return in, err
	}
	if n.fn.takes != SystemNone && onlyComplex(c.prog, in) {
		return in, c.refuse(n, n.name+"() is not for values of this type")
	}
	var args []shape
	for _, a := range n.args {
		at := c.this
		if n.fn.lambda {
			at = in
		}
		s, err := c.within(at, a)
		if err != nil {
			return s, err
		}
		args = append(args, s)
	}
	return c.result(n, in, args)
}

// onlyComplex reports whether nothing there can stand for a value of the
// language's own types.
func onlyComplex(p *Program, s shape) bool {
	if s.any || s.systems != 0 || s.empty() {
		return false
	}
	return !slices.ContainsFunc(s.types, func(t *r4.Type) bool {
		return t.Kind == r4.KindPrimitive || t == p.known.quantity || t.Base == p.known.quantity
	})
}

// result is the shape of what a function answers.
func (c *checker) result(n *node, in shape, args []shape) (shape, error) {
	switch n.name {
	case "where", "sort", "trace", "distinct", "intersect", "exclude", "single", "checkModifiers":
		return in, nil
	case "first", "last", "tail", "skip", "take":
		return c.ordered(n)
	case "select":
		args[0].unordered = args[0].unordered || in.unordered
		return args[0], nil
	case "repeat":
		if more, err := c.within(args[0], n.args[0]); err == nil {
			return args[0].and(more), nil
		}
		return args[0], nil
	case "union", "combine":
		return in.and(args[0]), nil
	case "iif":
		out := args[1]
		if len(args) > 2 {
			out = out.and(args[2])
		}
		return out, nil
	case "extension":
		return ofTypes(c.prog.defs.Type("Extension")), nil
	case "children", "descendants":
		return shape{any: true, unordered: true}, nil
	}
	if n.fn.truth != nil {
		return ofSystem(SystemBoolean), nil
	}
	return ofSystem(n.fn.result), nil
}
