package fhirpath

// Kind says what an Expr is. The zero value is no expression.
type Kind uint8

// The kinds of expressions (FHIRPath 2.0 grammar).
const (
	KindEmpty    Kind = iota + 1 // {}
	KindString                   // Name is the decoded text
	KindNumber                   // Name is the literal
	KindBoolean                  // Name is "true" or "false"
	KindTime                     // Name is a date, dateTime or time literal without its @
	KindVariable                 // %Name
	KindSpecial                  // $this, $index, $total; Name without the $
	KindMember                   // Target.Name, or Name alone when Target is nil
	KindCall                     // Target.Name(Args), or Name(Args)
	KindIndex                    // Target[Args[0]]
	KindUnary                    // Name is + or -, of Args[0]
	KindBinary                   // Name is the operator, between Args[0] and Args[1]
	KindType                     // Args[0] is/as a type: Name is the operator, Type the type
	KindQuantity                 // Name is the number, Type the unit: a word, or UCUM's in quotes
)

// Expr is an expression as it was written. It does not change once parsed.
type Expr struct {
	Kind   Kind
	Target *Expr
	Name   string
	Type   string
	Args   []*Expr
	// Offset is where it stands in the source.
	Offset int
}

// SyntaxError says where an expression stops making sense.
type SyntaxError struct {
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string { return "fhirpath: " + e.Reason }
