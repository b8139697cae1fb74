package search

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The limits of one expression of words.
const (
	maxWords     = 64
	maxWordDepth = 16
	maxWording   = 8192
)

// appendWords appends a text as words are looked for in it: NUL, then each word
// folded with a space before it, and a space. Scripts that put no spaces between
// words have each character as a word, so that what is looked for is found
// wherever it stands.
func appendWords(dst, text, scratch []byte) (words, memory []byte) {
	if !isASCII(text) {
		scratch = norm.NFKD.Append(scratch[:0], text...)
		text = scratch
	}
	dst = append(dst, 0)
	gap := true
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		i += size
		switch {
		case unicode.Is(unicode.M, r):
			continue
		case r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		}
		alone := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
		if gap || alone {
			dst = append(dst, ' ')
		}
		gap = alone
		dst = appendFoldedRune(dst, r)
	}
	return append(dst, ' '), scratch
}

// sought is a word or a phrase as it stands among words; nil when it has neither
// letter nor digit. With open the last word may go on.
func sought(text string, open bool) []byte {
	words, _ := appendWords(nil, []byte(text), nil)
	words = words[1:]
	if open {
		words = bytes.TrimRight(words, " ")
	}
	if len(bytes.TrimSpace(words)) == 0 {
		return nil
	}
	return words
}

// wording is an expression of words: it holds when a phrase is there, or all of
// its parts hold, or any. The zero value holds for nothing.
type wording struct {
	phrase []byte
	any    []wording
	all    []wording
	not    bool
}

func (w *wording) holds(words []byte) bool {
	return w.said(words) != w.not
}

func (w *wording) said(words []byte) bool {
	switch {
	case w.phrase != nil:
		return bytes.Contains(words, w.phrase)
	case w.any != nil:
		for i := range w.any {
			if w.any[i].holds(words) {
				return true
			}
		}
		return false
	}
	for i := range w.all {
		if !w.all[i].holds(words) {
			return false
		}
	}
	return len(w.all) > 0
}

// wordParser reads an expression of words (R4 search.html#text): words, "phrases",
// and, or, not and parentheses; words side by side must all be there.
type wordParser struct {
	rest  string
	count int
	depth int
}

// parseWords understands the value of _text or _content.
func parseWords(s string) (wording, *fault) {
	p := &wordParser{rest: s}
	w, f := p.either()
	if f == nil && p.peek() != "" {
		f = bad("has a parenthesis that was not opened")
	}
	return w, f
}

// peek is the next word, parenthesis or opening quotation mark; empty at the end.
func (p *wordParser) peek() string {
	p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace)
	if p.rest == "" {
		return ""
	}
	if strings.IndexByte(`()"`, p.rest[0]) >= 0 {
		return p.rest[:1]
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"'
	})
	if end < 0 {
		end = len(p.rest)
	}
	return p.rest[:end]
}

// take takes the next word when it is the one wanted, in any case.
func (p *wordParser) take(wanted string) bool {
	next := p.peek()
	if !strings.EqualFold(next, wanted) || next == "" {
		return false
	}
	p.rest = p.rest[len(next):]
	return true
}

func (p *wordParser) either() (wording, *fault) {
	var parts []wording
	for {
		part, f := p.both()
		if f != nil {
			return wording{}, f
		}
		parts = append(parts, part)
		if !p.take("or") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return wording{any: parts}, nil
}

func (p *wordParser) both() (wording, *fault) {
	var parts []wording
	for {
		part, f := p.one()
		if f != nil {
			return wording{}, f
		}
		parts = append(parts, part)
		if p.take("and") {
			continue
		}
		if next := p.peek(); next == "" || next == ")" || strings.EqualFold(next, "or") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return wording{all: parts}, nil
}

func (p *wordParser) one() (wording, *fault) {
	not := false
	for p.take("not") {
		not = !not
	}
	if p.count++; p.count > maxWords {
		return wording{}, costly(fmt.Sprintf("too many words: at most %d", maxWords))
	}
	next := p.peek()
	switch {
	case next == "" || next == ")" || strings.EqualFold(next, "and") || strings.EqualFold(next, "or"):
		return wording{}, bad("must be words or \"phrases\", joined by and, or, not and parentheses")
	case next == "(":
		if p.depth++; p.depth > maxWordDepth {
			return wording{}, costly(fmt.Sprintf("parentheses go at most %d deep", maxWordDepth))
		}
		p.rest = p.rest[1:]
		w, f := p.either()
		if f != nil {
			return wording{}, f
		}
		if !p.take(")") {
			return wording{}, bad("has a parenthesis that is not closed")
		}
		p.depth--
		w.not = w.not != not
		return w, nil
	case next == `"`:
		phrase, rest, closed := strings.Cut(p.rest[1:], `"`)
		if !closed {
			return wording{}, bad("has a quotation mark that is not closed")
		}
		p.rest = rest
		next = phrase
	default:
		p.rest = p.rest[len(next):]
	}
	w := wording{phrase: sought(next, false), not: not}
	if w.phrase == nil {
		return wording{}, bad("has a word without a letter or digit")
	}
	return w, nil
}
