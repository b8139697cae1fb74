package fhirpath

import "strings"

// The limits of an expression, so that none can exhaust the stack.
const (
	maxLength = 64 << 10
	maxDepth  = 100
)

// Parse reads one expression.
func Parse(src string) (*Expr, error) {
	if len(src) > maxLength {
		return nil, &SyntaxError{maxLength, "the expression is too long"}
	}
	p := &parser{lex: lexer{src: src}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.expression(1)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpected()
	}
	return e, nil
}

type parser struct {
	lex   lexer
	tok   token
	depth int
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) unexpected() error {
	if p.tok.kind == tokenEnd {
		return &SyntaxError{p.tok.offset, "the expression ends too early"}
	}
	return &SyntaxError{p.tok.offset, "unexpected " + p.tok.text}
}

func (p *parser) is(symbol string) bool {
	return p.tok.kind == tokenSymbol && p.tok.text == symbol
}

func (p *parser) expect(symbol string) error {
	if !p.is(symbol) {
		return p.unexpected()
	}
	return p.advance()
}

// precedence is how tightly an operator binds; 0 is no operator (FHIRPath 2.0
// §6.8, turned round).
func precedence(t token) int {
	if t.kind != tokenSymbol && t.kind != tokenName {
		return 0
	}
	switch t.text {
	case "implies":
		return 1
	case "or", "xor":
		return 2
	case "and":
		return 3
	case "in", "contains":
		return 4
	case "=", "~", "!=", "!~":
		return 5
	case "<=", "<", ">", ">=":
		return 6
	case "|":
		return 7
	case "is", "as":
		return 8
	case "+", "-", "&":
		return 9
	case "*", "/", "div", "mod":
		return 10
	}
	return 0
}

const precedenceUnary = 11

func (p *parser) expression(least int) (*Expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, &SyntaxError{p.tok.offset, "the expression is nested too deeply"}
	}
	defer func() { p.depth-- }()
	left, err := p.unary()
	for err == nil {
		op := p.tok
		prec := precedence(op)
		if prec < least || prec == 0 {
			return left, nil
		}
		if err = p.advance(); err != nil {
			break
		}
		if op.text == "is" || op.text == "as" {
			left, err = p.typed(left, op)
			continue
		}
		var right *Expr
		if right, err = p.expression(prec + 1); err == nil {
			left = &Expr{Kind: KindBinary, Name: op.text, Args: []*Expr{left, right}, Offset: op.offset}
		}
	}
	return nil, err
}

func (p *parser) typed(left *Expr, op token) (*Expr, error) {
	var parts []string
	for {
		if p.tok.kind != tokenName && p.tok.kind != tokenQuoted {
			return nil, p.unexpected()
		}
		parts = append(parts, p.tok.text)
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.is(".") {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return &Expr{Kind: KindType, Name: op.text, Type: strings.Join(parts, "."), Args: []*Expr{left}, Offset: op.offset}, nil
}

func (p *parser) unary() (*Expr, error) {
	if !p.is("+") && !p.is("-") {
		return p.postfix()
	}
	op := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.expression(precedenceUnary)
	if err != nil {
		return nil, err
	}
	return &Expr{Kind: KindUnary, Name: op.text, Args: []*Expr{e}, Offset: op.offset}, nil
}

func (p *parser) postfix() (*Expr, error) {
	e, err := p.term()
	for err == nil {
		switch {
		case p.is("."):
			if err = p.advance(); err == nil {
				e, err = p.invocation(e)
			}
		case p.is("["):
			at := p.tok.offset
			if err = p.advance(); err != nil {
				break
			}
			var index *Expr
			if index, err = p.expression(1); err == nil {
				e = &Expr{Kind: KindIndex, Target: e, Args: []*Expr{index}, Offset: at}
				err = p.expect("]")
			}
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *parser) term() (*Expr, error) {
	t := p.tok
	switch t.kind {
	case tokenString:
		return p.literal(KindString)
	case tokenNumber:
		return p.number()
	case tokenTime:
		return p.literal(KindTime)
	case tokenVariable:
		return p.literal(KindVariable)
	case tokenName:
		if t.text == "true" || t.text == "false" {
			return p.literal(KindBoolean)
		}
		return p.invocation(nil)
	case tokenQuoted, tokenSpecial:
		return p.invocation(nil)
	case tokenSymbol:
		return p.bracketed()
	case tokenEnd:
	}
	return nil, p.unexpected()
}

func (p *parser) literal(k Kind) (*Expr, error) {
	e := &Expr{Kind: k, Name: p.tok.text, Offset: p.tok.offset}
	return e, p.advance()
}

// number reads a number and, where there is one, its unit.
func (p *parser) number() (*Expr, error) {
	e, err := p.literal(KindNumber)
	if err != nil {
		return nil, err
	}
	switch {
	case p.tok.kind == tokenString:
		e.Kind, e.Type = KindQuantity, "'"+p.tok.text+"'"
	case p.tok.kind == tokenName && calendarUnit(p.tok.text) != "":
		e.Kind, e.Type = KindQuantity, p.tok.text
	default:
		return e, nil
	}
	return e, p.advance()
}

func (p *parser) bracketed() (*Expr, error) {
	at := p.tok.offset
	switch {
	case p.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		e, err := p.expression(1)
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case p.is("{"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &Expr{Kind: KindEmpty, Offset: at}, p.expect("}")
	}
	return nil, p.unexpected()
}

// invocation reads a member, a function or $this after a dot or at the start.
func (p *parser) invocation(target *Expr) (*Expr, error) {
	t := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch {
	case t.kind == tokenSpecial:
		return &Expr{Kind: KindSpecial, Target: target, Name: t.text, Offset: t.offset}, nil
	case t.kind == tokenName && isKeyword(t.text), t.kind != tokenName && t.kind != tokenQuoted:
		return nil, &SyntaxError{t.offset, "unexpected " + t.text}
	case !p.is("("):
		return &Expr{Kind: KindMember, Target: target, Name: t.text, Offset: t.offset}, nil
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	return &Expr{Kind: KindCall, Target: target, Name: t.text, Args: args, Offset: t.offset}, nil
}

func (p *parser) arguments() (args []*Expr, err error) {
	if err = p.advance(); err != nil {
		return nil, err
	}
	if p.is(")") {
		return nil, p.advance()
	}
	for {
		arg, err := p.expression(1)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		if !p.is(",") {
			return args, p.expect(")")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// isKeyword says that a word is no identifier; as, is, in and contains may be one.
func isKeyword(s string) bool {
	switch s {
	case "and", "or", "xor", "implies", "div", "mod", "true", "false":
		return true
	}
	return false
}
