package fhirpath

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenQuoted // a delimited identifier: never a keyword
	tokenString
	tokenNumber
	tokenTime
	tokenVariable
	tokenSpecial
	tokenSymbol
)

type token struct {
	kind   tokenKind
	text   string
	offset int
}

type lexer struct {
	src string
	pos int
}

func (l *lexer) fail(at int, reason string) error { return &SyntaxError{at, reason} }

func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	start := l.pos
	if start == len(l.src) {
		return token{tokenEnd, "", start}, nil
	}
	switch c := l.src[start]; {
	case isLetter(c):
		return token{tokenName, l.while(isWord), start}, nil
	case isDigit(c):
		return l.number()
	case c == '\'':
		text, err := l.quoted('\'')
		return token{tokenString, text, start}, err
	case c == '`':
		text, err := l.quoted('`')
		return token{tokenQuoted, text, start}, err
	case c == '@':
		l.pos++
		return l.time()
	case c == '%':
		l.pos++
		return l.variable(start)
	case c == '$':
		l.pos++
		return token{tokenSpecial, l.while(isWord), start}, nil
	}
	return l.symbol()
}

func (l *lexer) variable(start int) (token, error) {
	if l.pos < len(l.src) && (l.src[l.pos] == '`' || l.src[l.pos] == '\'') {
		text, err := l.quoted(l.src[l.pos])
		return token{tokenVariable, text, start}, err
	}
	return token{tokenVariable, l.while(isWord), start}, nil
}

func (l *lexer) symbol() (token, error) {
	start := l.pos
	for _, s := range [...]string{"!=", "!~", "<=", ">="} {
		if strings.HasPrefix(l.src[start:], s) {
			l.pos += 2
			return token{tokenSymbol, s, start}, nil
		}
	}
	if strings.IndexByte(".,()[]{}|=~<>+-*/&", l.src[start]) < 0 {
		return token{}, l.fail(start, "unexpected character")
	}
	l.pos++
	return token{tokenSymbol, l.src[start:l.pos], start}, nil
}

func (l *lexer) number() (token, error) {
	start := l.pos
	l.while(isDigit)
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && isDigit(l.src[l.pos+1]) {
		l.pos++
		l.while(isDigit)
	}
	return token{tokenNumber, l.src[start:l.pos], start}, nil
}

// time reads a date, dateTime or time as far as it goes; whether it is one is not
// looked at here.
func (l *lexer) time() (token, error) {
	start := l.pos
	if l.digits(4) {
		for range 2 {
			l.group('-')
		}
	}
	if l.pos < len(l.src) && l.src[l.pos] == 'T' {
		l.pos++
		day := l.pos > start+1
		if l.digits(2) {
			for range 2 {
				l.group(':')
			}
			if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && isDigit(l.src[l.pos+1]) {
				l.pos++
				l.while(isDigit)
			}
			if day {
				l.zone()
			}
		}
	}
	if l.pos == start {
		return token{}, l.fail(start, "a date or time should be here")
	}
	return token{tokenTime, l.src[start:l.pos], start - 1}, nil
}

// digits passes over so many digits.
func (l *lexer) digits(n int) bool {
	if l.pos+n > len(l.src) {
		return false
	}
	for _, c := range []byte(l.src[l.pos : l.pos+n]) {
		if !isDigit(c) {
			return false
		}
	}
	l.pos += n
	return true
}

// group passes over two digits with a mark in front.
func (l *lexer) group(mark byte) bool {
	if l.pos >= len(l.src) || l.src[l.pos] != mark {
		return false
	}
	l.pos++
	if !l.digits(2) {
		l.pos--
		return false
	}
	return true
}

func (l *lexer) zone() {
	start := l.pos
	if start >= len(l.src) {
		return
	}
	switch l.src[start] {
	case 'Z':
		l.pos++
	case '+', '-':
		l.pos++
		if !l.digits(2) || !l.group(':') {
			l.pos = start
		}
	}
}

// skip passes over white space and comments.
func (l *lexer) skip() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "//"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				l.pos += end
			} else {
				l.pos = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail(l.pos, "a comment has no end")
			}
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) while(in func(byte) bool) string {
	start := l.pos
	for l.pos < len(l.src) && in(l.src[l.pos]) {
		l.pos++
	}
	return l.src[start:l.pos]
}

// quoted reads a string or delimited identifier with its escapes.
func (l *lexer) quoted(quote byte) (string, error) {
	start := l.pos
	var b strings.Builder
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; c {
		case quote:
			l.pos++
			return b.String(), nil
		case '\\':
			l.pos++
			r, ok := l.escape()
			if !ok {
				return "", l.fail(l.pos, "unknown escape")
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return "", l.fail(start, "a quotation has no end")
}

// escape reads what follows a backslash and stops on its last byte.
func (l *lexer) escape() (rune, bool) {
	if l.pos >= len(l.src) {
		return 0, false
	}
	switch c := l.src[l.pos]; c {
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'f':
		return '\f', true
	case '\'', '"', '`', '\\', '/':
		return rune(c), true
	case 'u':
		if l.pos+4 >= len(l.src) {
			return 0, false
		}
		v, err := strconv.ParseUint(l.src[l.pos+1:l.pos+5], 16, 32)
		l.pos += 4
		r := rune(v)
		return r, err == nil && utf8.ValidRune(r)
	}
	return 0, false
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
