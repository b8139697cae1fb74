package fhirpath

import "fmt"

// check refuses what Eval does not implement.
func check(e *Expr) error {
	if e == nil {
		return nil
	}
	ok := true
	switch e.Kind {
	case KindEmpty, KindString, KindNumber, KindBoolean, KindMember, KindType, KindIndex:
	case KindTime, KindUnary:
		ok = false
	case KindVariable:
		ok = e.Name == "resource" || e.Name == "context" || e.Name == "rootResource"
	case KindSpecial:
		ok = e.Name == "this"
	case KindCall:
		arity, known := functionArity(e.Name)
		ok = known && arity == len(e.Args)
	case KindBinary:
		ok = isOperator(e.Name)
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("fhirpath: %w", &SyntaxError{e.Offset, "not supported: " + e.Name})
	}
	if err := check(e.Target); err != nil {
		return err
	}
	for _, a := range e.Args {
		if err := check(a); err != nil {
			return err
		}
	}
	return nil
}

func isOperator(s string) bool {
	switch s {
	case "|", "=", "!=", "and", "or":
		return true
	}
	return false
}

// functionArity is the number of arguments of a function that Eval implements.
func functionArity(name string) (int, bool) {
	switch name {
	case "exists", "empty", "not", "first", "resolve":
		return 0, true
	case "where", "as", "is", "ofType", "extension", "hasExtension":
		return 1, true
	}
	return 0, false
}
