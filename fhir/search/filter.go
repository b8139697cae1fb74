package search

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"vitrine/fhir"
)

// The limits of one _filter.
const (
	MaxFilterDepth = 32
	MaxFilterTerms = 1000
	maxFilter      = 1 << 16
)

// filter is one expression of _filter (R4 search_filter.html): a test, or others
// joined.
type filter struct {
	join filterJoin
	of   []filter
	// deep is how many expressions lie within one another.
	deep int
	// test: the path, how its values compare with value, and where it stands.
	path    []filterStep
	compare string
	value   string
	at      int
}

type filterJoin uint8

const (
	filterTest filterJoin = iota
	filterAnd
	filterOr
	filterNot
)

// filterStep is one name of a path: a parameter, whose targets must satisfy what
// stands in brackets; or a reference of another type, which leads against it.
type filterStep struct {
	name   string
	from   fhir.ResourceType
	within *filter
}

// filterParser reads the text of a _filter from left to right, once.
type filterParser struct {
	text  string
	at    int
	terms int
	depth int
}

// parseFilter understands the syntax of a _filter.
func parseFilter(text string) (filter, *fault) {
	p := &filterParser{text: text}
	if len(text) > maxFilter {
		return filter{}, costly(fmt.Sprintf("is too long: at most %d characters", maxFilter))
	}
	e, f := p.expression()
	if f == nil && p.space() < len(text) {
		f = p.wrong(`"and", "or" or the end must follow`)
	}
	return e, f
}

func (p *filterParser) wrong(text string) *fault { return bad(atCharacter(p.at) + text) }

func atCharacter(at int) string { return fmt.Sprintf("at character %d: ", at+1) }

// space goes on to the next character that is none, and says where that is.
func (p *filterParser) space() int {
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			break
		}
		p.at += size
	}
	return p.at
}

// byte takes one character if it is next.
func (p *filterParser) byte(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// word takes a word if it is next, in any case.
func (p *filterParser) word(w string) bool {
	end := p.space() + len(w)
	if end > len(p.text) || !strings.EqualFold(p.text[p.at:end], w) || end < len(p.text) && isNameByte(p.text[end]) {
		return false
	}
	p.at = end
	return true
}

func isNameByte(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '-'
}

// expression reads tests joined by and and or, which are evaluated from left to
// right; neither binds closer.
func (p *filterParser) expression() (filter, *fault) {
	e, f := p.operand()
	for f == nil {
		join := filterAnd
		if !p.word("and") {
			if !p.word("or") {
				break
			}
			join = filterOr
		}
		var next filter
		if next, f = p.operand(); f != nil {
			break
		}
		e = e.joined(join, next)
		if e.deep > MaxFilterDepth {
			return e, costly(atCharacter(p.at) + fmt.Sprintf("and and or change places too often: at most %d times", MaxFilterDepth))
		}
	}
	return e, f
}

// joined is e with next at its right.
func (e filter) joined(join filterJoin, next filter) filter {
	deep := max(e.deep, next.deep+1)
	if e.join == join {
		e.of, e.deep = append(e.of, next), deep
		return e
	}
	return filter{join: join, of: []filter{e, next}, deep: max(deep, e.deep+1)}
}

func (p *filterParser) operand() (filter, *fault) {
	if p.depth++; p.depth > MaxFilterDepth {
		return filter{}, costly(atCharacter(p.at) + fmt.Sprintf("too deep: at most %d parentheses, brackets and nots within one another", MaxFilterDepth))
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		e, f := p.operand()
		return filter{join: filterNot, of: []filter{e}, deep: e.deep + 1}, f
	}
	p.space()
	if !p.byte('(') {
		return p.test()
	}
	e, f := p.expression()
	if f != nil {
		return e, f
	}
	if p.space(); !p.byte(')') {
		return e, p.wrong("a parenthesis is not closed")
	}
	// what stands in parentheses is one operand, whatever follows
	return filter{join: filterAnd, of: []filter{e}, deep: e.deep + 1}, nil
}

// test reads a path, an operator and a value.
func (p *filterParser) test() (filter, *fault) {
	t := filter{at: p.at}
	if p.terms++; p.terms > MaxFilterTerms {
		return t, costly(fmt.Sprintf("too many tests: at most %d", MaxFilterTerms))
	}
	var f *fault
	if t.path, f = p.path(); f != nil {
		return t, f
	}
	t.at = p.space()
	start := p.at
	for p.at < len(p.text) && isNameByte(p.text[p.at]) {
		p.at++
	}
	t.compare = strings.ToLower(p.text[start:p.at])
	if !strings.Contains(filterOperators, " "+t.compare+" ") || t.compare == "" {
		p.at = start
		return t, p.wrong("must be one of the operators" + strings.TrimRight(filterOperators, " "))
	}
	if p.space() == start+2 {
		return t, p.wrong("a space and a value must follow the operator")
	}
	t.value, f = p.operandValue()
	return t, f
}

// filterOperators are those of R4 search_filter.html#ops, with spaces between.
const filterOperators = " eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re "

// path reads names with points between.
func (p *filterParser) path() ([]filterStep, *fault) {
	var steps []filterStep
	for {
		if len(steps) > MaxChain {
			return nil, costly(atCharacter(p.at) + fmt.Sprintf("a path has at most %d steps", MaxChain))
		}
		step, leads, f := p.step()
		if f != nil {
			return nil, f
		}
		steps = append(steps, step)
		if step.from == "" && !p.byte('.') {
			if leads {
				return nil, p.wrong("a point and a parameter must follow what stands in brackets")
			}
			return steps, nil
		}
	}
}

// step reads one name, with what stands in brackets behind it. leads says that
// another must follow.
func (p *filterParser) step() (step filterStep, leads bool, f *fault) {
	if step.name = p.name(); step.name == "" {
		return step, false, p.wrong("the name of a search parameter must stand here")
	}
	if step.name == "_has" && p.byte(':') {
		from := p.name()
		if from == "" || !p.byte(':') {
			return step, false, p.wrong("_has must go on as _has:Type:reference:parameter")
		}
		step.from, step.name = fhir.ResourceType(from), p.name()
		if step.name == "" || !p.byte(':') {
			return step, false, p.wrong("_has must go on as _has:Type:reference:parameter")
		}
		return step, true, nil
	}
	if !p.byte('[') {
		return step, false, nil
	}
	within, f := p.expression()
	if f != nil {
		return step, false, f
	}
	if p.space(); !p.byte(']') {
		return step, false, p.wrong("a bracket is not closed")
	}
	step.within = &within
	return step, true, nil
}

func (p *filterParser) name() string {
	start := p.at
	for p.at < len(p.text) && isNameByte(p.text[p.at]) {
		if p.at == start && (isDigit(p.text[start]) || p.text[start] == '-') {
			break
		}
		p.at++
	}
	return p.text[start:p.at]
}

// operandValue reads a JSON string, or all up to a space, a parenthesis or a
// bracket that closes.
func (p *filterParser) operandValue() (string, *fault) {
	start := p.at
	if !p.byte('"') {
		for p.at < len(p.text) {
			r, size := utf8.DecodeRuneInString(p.text[p.at:])
			if unicode.IsSpace(r) || r == ')' || r == ']' {
				break
			}
			p.at += size
		}
		if p.at == start {
			return "", p.wrong("a value must stand here")
		}
		return p.text[start:p.at], nil
	}
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case '"':
			p.at++
			var s string
			if json.Unmarshal([]byte(p.text[start:p.at]), &s) != nil {
				p.at = start
				return "", p.wrong("is no JSON string")
			}
			return s, nil
		}
		p.at++
	}
	p.at = start
	return "", p.wrong("a quotation mark is not closed")
}
