package fhirpath

import "strconv"

// StepKind says what a Step does. The zero value is no step.
type StepKind uint8

// The steps of a Path.
const (
	StepMember       StepKind = iota + 1 // to the element Name, or all choices of Name
	StepAs                               // keep values of type Name
	StepIndex                            // keep element Index of an array
	StepWhere                            // keep objects whose element Name is the text Value
	StepExtension                        // to the extensions with URL Value
	StepHasExtension                     // keep objects with an extension of URL Value
	StepResolves                         // keep references to the resource type Name
)

// Step is one step of a Path.
type Step struct {
	Kind  StepKind
	Name  string
	Value string
	Index int
}

// Path is a way from a resource down to values, without computing.
type Path struct {
	// Root is the type the path starts at; empty when it starts at the focus,
	// "%resource" when at the resource around it.
	Root  string
	Steps []Step
}

// RootResource is the Root of a path that starts at the resource around the
// focus.
const RootResource = "%resource"

// Paths are the ways whose union the expression is. ok is false for an
// expression that computes; Compile takes those.
func (e *Expr) Paths() (paths []Path, ok bool) {
	if e.Kind == KindBinary && e.Name == "|" {
		left, ok := e.Args[0].Paths()
		if !ok {
			return nil, false
		}
		right, ok := e.Args[1].Paths()
		return append(left, right...), ok
	}
	p, ok := e.path()
	if !ok {
		return nil, false
	}
	return []Path{p}, true
}

func (e *Expr) path() (p Path, ok bool) {
	switch e.Kind { //nolint:exhaustive // every other kind computes
	case KindVariable:
		return Path{Root: RootResource}, e.Name == "resource"
	case KindSpecial:
		return Path{}, e.Name == "this" && e.Target == nil
	case KindMember:
		if e.Target == nil && isTypeName(e.Name) {
			return Path{Root: e.Name}, true
		}
		return e.Target.then(Step{Kind: StepMember, Name: e.Name})
	case KindIndex:
		index, err := strconv.Atoi(e.Args[0].Name)
		if e.Args[0].Kind != KindNumber || err != nil {
			return Path{}, false
		}
		return e.Target.then(Step{Kind: StepIndex, Index: index})
	case KindType:
		if e.Name != "as" {
			return Path{}, false
		}
		return e.Args[0].then(Step{Kind: StepAs, Name: plainType(e.Type)})
	case KindCall:
		return e.call()
	default:
		return Path{}, false
	}
}

// then is the path of e, or of the focus when e is nil, with one more step.
func (e *Expr) then(s Step) (Path, bool) {
	if e == nil {
		return Path{Steps: []Step{s}}, true
	}
	p, ok := e.path()
	p.Steps = append(p.Steps, s)
	return p, ok
}

func (e *Expr) call() (Path, bool) {
	if len(e.Args) != 1 {
		return Path{}, false
	}
	arg := e.Args[0]
	switch e.Name {
	case "as", "ofType":
		name, ok := arg.typeName()
		if !ok {
			return Path{}, false
		}
		return e.Target.then(Step{Kind: StepAs, Name: name})
	case "extension":
		if arg.Kind != KindString {
			return Path{}, false
		}
		return e.Target.then(Step{Kind: StepExtension, Value: arg.Name})
	case "where":
		s, ok := arg.condition()
		if !ok {
			return Path{}, false
		}
		return e.Target.then(s)
	}
	return Path{}, false
}

// condition is the step a criterion of where() makes.
func (e *Expr) condition() (Step, bool) {
	switch e.Kind { //nolint:exhaustive // every other kind computes
	case KindBinary:
		l, r := e.Args[0], e.Args[1]
		if e.Name == "=" && l.Kind == KindMember && l.Target == nil && r.Kind == KindString {
			return Step{Kind: StepWhere, Name: l.Name, Value: r.Name}, true
		}
	case KindType:
		l := e.Args[0]
		if e.Name == "is" && l.Kind == KindCall && l.Target == nil && l.Name == "resolve" && len(l.Args) == 0 {
			return Step{Kind: StepResolves, Name: plainType(e.Type)}, true
		}
	case KindCall:
		if e.Target == nil && e.Name == "hasExtension" && len(e.Args) == 1 && e.Args[0].Kind == KindString {
			return Step{Kind: StepHasExtension, Value: e.Args[0].Name}, true
		}
	}
	return Step{}, false
}

// typeName reads an argument that names a type: Quantity or FHIR.Quantity.
func (e *Expr) typeName() (string, bool) {
	if e.Kind != KindMember {
		return "", false
	}
	if e.Target != nil && (e.Target.Kind != KindMember || e.Target.Target != nil) {
		return "", false
	}
	return e.Name, true
}

// typeSpace is the namespace before it, with its dot.
func (e *Expr) typeSpace() string {
	if e.Target == nil {
		return ""
	}
	return e.Target.Name + "."
}

// plainType is a type specifier without its namespace.
func plainType(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '.' {
			return s[i+1:]
		}
	}
	return s
}

func isTypeName(s string) bool { return s != "" && s[0] >= 'A' && s[0] <= 'Z' }

// Concerns reports whether the path can start at a resource of the type.
func (p Path) Concerns(resource string) bool {
	switch p.Root {
	case "", RootResource, resource, "Resource", "DomainResource":
		return true
	}
	return false
}
