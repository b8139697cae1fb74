package validate

import (
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// Most rules ask whether elements are there, or say something of elements that
// mostly are not. Which elements an object has is known when it has been walked,
// as a set of slots, so that such a rule is answered without evaluating it.

// standing is what an expression says of the elements that are there.
type standing uint8

const (
	open standing = iota // it must be evaluated
	broken
	kept
	void // the empty collection
)

// presence is a rule as far as it speaks of the presence of elements. The zero
// value says nothing.
type presence struct {
	op    presenceOp
	slots uint64 // of opThere
	kids  []presence
	// then is what an opAbsent says when its element is not there.
	then standing
}

type presenceOp uint8

const (
	opUnknown presenceOp = iota
	opConst
	opThere  // some of the slots are filled
	opAbsent // then, if none of the slots is filled
	opNot
	opAnd
	opOr
	opXor
	opImplies
	opSame
	opDiffer
)

// of says what is known of the rule when these slots are filled.
func (p *presence) of(slots uint64) standing {
	switch p.op {
	case opUnknown:
		return open
	case opConst:
		return p.then
	case opThere:
		if slots&p.slots != 0 {
			return kept
		}
		return broken
	case opAbsent:
		if slots&p.slots != 0 {
			return open
		}
		return p.then
	case opNot:
		return opposite(p.kids[0].of(slots))
	case opAnd, opOr, opXor, opImplies, opSame, opDiffer:
		return combine(p.op, p.kids[0].of(slots), &p.kids[1], slots)
	default:
		return open
	}
}

func opposite(t standing) standing {
	switch t {
	case kept:
		return broken
	case broken:
		return kept
	case open, void:
	}
	return t
}

// combine is FHIRPath's logic of three values (FHIRPath 2.0 §6.5), with a fourth
// for what is not known here.
func combine(op presenceOp, l standing, right *presence, slots uint64) standing {
	decisive, result := broken, broken
	switch op { //nolint:exhaustive // the others are not decided by one side
	case opOr:
		decisive, result = kept, kept
	case opImplies:
		decisive, result = broken, kept
	case opAnd:
	default:
		decisive = open
	}
	if decisive != open && l == decisive {
		return result
	}
	r := right.of(slots)
	switch op { //nolint:exhaustive // see above
	case opAnd:
		return both(l, r, broken)
	case opOr:
		return both(l, r, kept)
	case opImplies:
		return both(opposite(l), r, kept)
	}
	switch {
	case l == void || r == void:
		return void // of = and xor alike
	case l == open || r == open:
		return open
	case (l == r) == (op == opSame):
		return kept
	}
	return broken
}

// both joins two sides of which one may decide alone.
func both(l, r, decisive standing) standing {
	switch {
	case l == decisive || r == decisive:
		return decisive
	case l == open || r == open:
		return open
	case l == void || r == void:
		return void
	}
	return opposite(decisive)
}

// presenceOf reads a rule about values of the type.
func presenceOf(e *fhirpath.Expr, typ *r4.Type) presence {
	switch e.Kind { //nolint:exhaustive // of the others nothing is known
	case fhirpath.KindBoolean:
		if e.Name == "true" {
			return presence{op: opConst, then: kept}
		}
		return presence{op: opConst, then: broken}
	case fhirpath.KindBinary:
		return presenceOfTwo(e, typ)
	case fhirpath.KindCall:
		return presenceOfCall(e, typ)
	case fhirpath.KindMember, fhirpath.KindIndex:
		return absent(e, typ, void)
	}
	return presence{}
}

func presenceOfTwo(e *fhirpath.Expr, typ *r4.Type) presence {
	var op presenceOp
	switch e.Name {
	case "and":
		op = opAnd
	case "or":
		op = opOr
	case "xor":
		op = opXor
	case "implies":
		op = opImplies
	case "=":
		op = opSame
	case "!=":
		op = opDiffer
	case "<", "<=", ">", ">=":
		for _, side := range e.Args {
			if p := absent(side, typ, void); p.op == opAbsent {
				return p
			}
		}
		return presence{}
	case "in":
		return absent(e.Args[0], typ, void)
	default:
		return presence{}
	}
	return presence{op: op, kids: []presence{presenceOf(e.Args[0], typ), presenceOf(e.Args[1], typ)}}
}

func presenceOfCall(e *fhirpath.Expr, typ *r4.Type) presence {
	switch e.Name {
	case "not":
		if e.Target != nil {
			return presence{op: opNot, kids: []presence{presenceOf(e.Target, typ)}}
		}
	case "exists", "empty":
		if e.Target == nil || len(e.Args) > 0 {
			break
		}
		p := absent(e.Target, typ, broken)
		if p.op == opAbsent && e.Target.Kind == fhirpath.KindMember && e.Target.Target == nil {
			p.op = opThere
		}
		if e.Name == "empty" {
			return presence{op: opNot, kids: []presence{p}}
		}
		return p
	case "hasValue":
		return absent(e.Target, typ, broken)
	case "all", "isDistinct":
		return absent(e.Target, typ, kept)
	}
	return absent(e, typ, void)
}

// absent says that an expression is then, where the element of the type that it
// starts at is not there.
func absent(e *fhirpath.Expr, typ *r4.Type, then standing) presence {
	for e != nil {
		switch e.Kind { //nolint:exhaustive // the others start at no element
		case fhirpath.KindMember:
			if e.Target == nil {
				return startsAt(e.Name, typ, then)
			}
		case fhirpath.KindCall:
			if !keepsEmpty(e.Name) {
				return presence{}
			}
		case fhirpath.KindIndex:
		default:
			return presence{}
		}
		e = e.Target
	}
	return presence{}
}

func startsAt(name string, typ *r4.Type, then standing) presence {
	slots := uint64(0)
	for i := range typ.Elements {
		if e := &typ.Elements[i]; e.Choice == name || e.Choice == "" && e.Name == name {
			slots |= 1 << e.Slot
		}
	}
	if slots == 0 {
		return presence{}
	}
	return presence{op: opAbsent, slots: slots, then: then}
}

// keepsEmpty says that a function makes nothing of nothing.
func keepsEmpty(function string) bool {
	switch function {
	case "where", "select", "first", "last", "tail", "as", "ofType", "is", "resolve", "children", "descendants", "extension",
		"startsWith", "endsWith", "contains", "matches", "substring", "toInteger", "toString", "trace", "intersect":
		return true
	}
	return false
}
