package fhirpath

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"vitrine/fhir/r4"
	"vitrine/fhir/units"
)

// known are types that the language treats in a way of their own.
type known struct {
	resource, quantity *r4.Type
}

// Compile reads an expression and refuses with a *SyntaxError what is none, and
// what is not known of the language, so that nothing is silently empty. It is
// lenient where R4's own expressions are at odds with the language: Boolean, Date
// and so on stand for R4's primitives too, and as() keeps what it can of many.
func Compile(src string, d *r4.Definitions) (*Program, error) {
	return compile(src, d, false)
}

func compile(src string, d *r4.Definitions, strict bool) (*Program, error) {
	e, err := Parse(src)
	if err != nil {
		return nil, err
	}
	c := &compiler{defs: d, strict: strict}
	root, err := c.node(e)
	if err != nil {
		return nil, err
	}
	p := &Program{root: root, defs: d, strict: strict}
	if d != nil {
		p.known = known{d.Type("Resource"), d.Type("Quantity")}
	}
	return p, nil
}

type compiler struct {
	defs   *r4.Definitions
	strict bool
}

func refuse(e *Expr, reason string) error { return &SyntaxError{e.Offset, reason} }

func (c *compiler) node(e *Expr) (n *node, err error) {
	n = &node{offset: e.Offset, name: e.Name}
	switch e.Kind {
	case KindEmpty:
		n.op = opEmpty
	case KindString, KindNumber, KindBoolean, KindTime, KindQuantity:
		n.op = opLiteral
		n.value, err = literal(e)
	case KindVariable:
		c.variable(n)
	case KindSpecial:
		err = c.special(n, e)
	case KindMember:
		err = c.member(n, e)
	case KindIndex:
		n.op = opIndexer
		if n.left, err = c.node(e.Target); err == nil {
			n.right, err = c.node(e.Args[0])
		}
	case KindUnary:
		n.op, n.form = opNegate, e.Name
		n.left, err = c.node(e.Args[0])
	case KindBinary:
		err = c.binary(n, e)
	case KindType:
		n.op, n.logical = opAs, false
		if e.Name == "is" {
			n.op, n.logical = opIs, true
		}
		if n.typ, err = c.typeRef(e, e.Type); err == nil {
			n.left, err = c.node(e.Args[0])
		}
	case KindCall:
		err = c.call(n, e)
	default:
		err = refuse(e, "not an expression")
	}
	return n, err
}

// literal is the value of what is written.
func literal(e *Expr) (v Value, err error) {
	ok := true
	switch e.Kind { //nolint:exhaustive // the others are no literals
	case KindString:
		v = String(e.Name)
	case KindBoolean:
		v = Boolean(e.Name == "true")
	case KindNumber:
		v, ok = numberOf(e.Name)
	case KindTime:
		v, ok = timeOf(e.Name)
	case KindQuantity:
		v, ok = numberOf(e.Name)
		v = quantityOf(v.asDecimal(), []byte(strings.Trim(e.Type, "'")), e.Type[0] != '\'')
	}
	if !ok {
		return v, refuse(e, "not a number or time")
	}
	return v, nil
}

func numberOf(s string) (Value, bool) {
	if i, ok := integer([]byte(s)); ok {
		return integerOf(i), true
	}
	d, ok := parseDecimal([]byte(s))
	return decimalOf(d), ok
}

func timeOf(s string) (Value, bool) {
	switch {
	case s[0] == 'T':
		return temporal([]byte(s[1:]), SystemTime)
	case strings.Contains(s, "T"):
		return temporal([]byte(s), SystemDateTime)
	}
	return temporal([]byte(s), SystemDate)
}

// variable is one of %context and so on; those that are always the same are
// literals (R4 fhirpath.html#vars).
func (c *compiler) variable(n *node) {
	n.op = opLiteral
	switch {
	case n.name == "ucum":
		n.value = String(units.System)
	case n.name == "sct":
		n.value = String("http://snomed.info/sct")
	case n.name == "loinc":
		n.value = String("http://loinc.org")
	case strings.HasPrefix(n.name, "vs-"):
		n.value = String("http://hl7.org/fhir/ValueSet/" + n.name[3:])
	case strings.HasPrefix(n.name, "ext-"):
		n.value = String("http://hl7.org/fhir/StructureDefinition/" + n.name[4:])
	default:
		n.op = opVariable
	}
}

func (c *compiler) special(n *node, e *Expr) (err error) {
	switch e.Name {
	case "this":
		n.op = opThis
	case "index":
		n.op = opIndex
	case "total":
		n.op = opTotal
	default:
		return refuse(e, "there is no $"+e.Name)
	}
	if e.Target != nil {
		return refuse(e, "$"+e.Name+" stands at the start of a path")
	}
	return nil
}

func (c *compiler) member(n *node, e *Expr) (err error) {
	n.op = opMember
	if e.Target != nil {
		n.left, err = c.node(e.Target)
		return err
	}
	if c.defs != nil && isTypeName(e.Name) {
		if t := c.defs.Type(e.Name); t != nil {
			n.op, n.typ = opTypeName, typeRef{typ: t}
		}
	}
	return nil
}

func (c *compiler) binary(n *node, e *Expr) (err error) {
	n.form, n.logical = e.Name, true
	switch e.Name {
	case "and":
		n.op = opAnd
	case "or":
		n.op = opOr
	case "xor":
		n.op = opXor
	case "implies":
		n.op = opImplies
	case "=", "!=":
		n.op, n.not = opEqual, e.Name == "!="
	case "~", "!~":
		n.op, n.not = opEquivalent, e.Name == "!~"
	case "<", "<=", ">", ">=":
		n.op = opCompare
	case "in":
		n.op = opIn
	case "contains":
		n.op = opContains
	case "|":
		n.op, n.logical = opUnion, false
	default:
		n.op, n.logical = opArithmetic, false
	}
	if n.left, err = c.node(e.Args[0]); err == nil {
		n.right, err = c.node(e.Args[1])
	}
	return err
}

// typeRef finds the type that a name means.
func (c *compiler) typeRef(e *Expr, name string) (r typeRef, err error) {
	space, plain := "", name
	if i := strings.IndexByte(name, '.'); i >= 0 && (name[:i] == "System" || name[:i] == "FHIR") {
		space, plain = name[:i], name[i+1:]
	}
	if space != "FHIR" {
		r.sys = systemNamed(plain)
	}
	if space != "System" && c.defs != nil {
		r.typ = c.defs.Type(plain)
		if r.typ == nil && !c.strict {
			r.typ = c.defs.Type(strings.ToLower(plain[:min(1, len(plain))]) + plain[min(1, len(plain)):])
		}
	}
	if r.typ == nil && r.sys == SystemNone {
		if space == "System" {
			return r, nil // it has none of R4's types
		}
		return r, refuse(e, "there is no type "+name)
	}
	return r, nil
}

func systemNamed(name string) System {
	for s := SystemBoolean; s <= SystemQuantity; s++ {
		if s.String() == name {
			return s
		}
	}
	return SystemNone
}

func (c *compiler) call(n *node, e *Expr) (err error) {
	n.op = opCall
	if e.Target != nil {
		if n.left, err = c.node(e.Target); err != nil {
			return err
		}
	} else {
		n.left = &node{op: opThis, offset: e.Offset}
	}
	switch e.Name {
	case "is", "as", "ofType":
		return c.typeCall(n, e)
	}
	f := language[e.Name]
	if f == nil {
		return refuse(e, "there is no function "+e.Name)
	}
	if len(e.Args) < f.least || len(e.Args) > f.most {
		return refuse(e, e.Name+"() takes another number of arguments")
	}
	n.fn, n.logical = f, f.truth != nil
	for _, a := range e.Args {
		arg, err := c.argument(e, a)
		if err != nil {
			return err
		}
		n.args = append(n.args, arg)
	}
	return c.pattern(n, e)
}

// argument compiles one argument; the sign before a key of sort() turns its
// order round, whatever it is.
func (c *compiler) argument(call, a *Expr) (*node, error) {
	if call.Name == "sort" && a.Kind == KindUnary {
		key, err := c.node(a.Args[0])
		if err == nil {
			key.descending = a.Name == "-"
		}
		return key, err
	}
	return c.node(a)
}

// typeCall is is(), as() or ofType(), whose argument names a type.
func (c *compiler) typeCall(n *node, e *Expr) (err error) {
	if len(e.Args) != 1 {
		return refuse(e, e.Name+"() takes one type")
	}
	name, ok := e.Args[0].typeName()
	if !ok {
		return refuse(e, e.Name+"() takes a type")
	}
	n.op, n.name = opAs, e.Name
	if e.Name == "is" {
		n.op, n.logical = opIs, true
	}
	n.typ, err = c.typeRef(e.Args[0], e.Args[0].typeSpace()+name)
	return err
}

// maxPattern bounds a regular expression.
const maxPattern = 2000

// pattern compiles the regular expression of matches() and others beforehand.
func (c *compiler) pattern(n *node, e *Expr) (err error) {
	switch e.Name {
	case "matches", "matchesFull", "replaceMatches":
		if n.args[0].op != opLiteral || n.args[0].value.sys != SystemString {
			return nil
		}
		if n.re, err = patternOf(n.args[0].value.text, e.Name == "matchesFull"); err != nil {
			return refuse(e.Args[0], "not a regular expression that can be used here")
		}
	}
	return nil
}

// pattern is a regular expression, and what it costs in steps for each
// character, which is more the more states it has.
type pattern struct {
	*regexp.Regexp
	cost int
}

// patternOf compiles a regular expression; a dot means any character (FHIRPath
// 2.0 §5.6.9).
func patternOf(s []byte, full bool) (*pattern, error) {
	if len(s) > maxPattern {
		return nil, ErrTooCostly
	}
	src := "(?s)" + string(s)
	if full {
		src = "(?s)^(?:" + string(s) + ")$"
	}
	parsed, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil, err
	}
	states, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(src)
	return &pattern{re, 1 + len(states.Inst)/8}, err
}
