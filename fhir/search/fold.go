package search

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// foldText appends the form in which strings are compared (R4 search.html#string):
// compatibility decomposition, case folded, combining marks and punctuation
// removed, white space reduced to single spaces. scratch is working memory; it
// is returned to be used again.
func foldText(dst, src, scratch []byte) (folded, memory []byte) {
	start := len(dst)
	if !isASCII(src) {
		scratch = norm.NFKD.Append(scratch[:0], src...)
		src = scratch
	}
	gap := false
	for i := 0; i < len(src); {
		r, size := rune(src[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(src[i:])
		}
		i += size
		switch {
		case unicode.IsSpace(r):
			gap = len(dst) > start
			continue
		case unicode.IsPunct(r), unicode.IsControl(r), unicode.Is(unicode.M, r):
			continue
		}
		if gap {
			dst, gap = append(dst, ' '), false
		}
		dst = appendFoldedRune(dst, r)
	}
	return dst, scratch
}

// appendFoldedRune folds the case of one character. Sharp s and the final sigma
// are the ones whose lower case is not yet their fold.
func appendFoldedRune(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(dst, byte(r))
	}
	switch r = unicode.ToLower(r); r {
	case 'ß':
		return append(dst, "ss"...)
	case 'ς':
		r = 'σ'
	}
	return utf8.AppendRune(dst, r)
}

// foldCode appends a token's code with its case folded and nothing else.
func foldCode(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, src[i])
		} else {
			dst = appendFoldedRune(dst, r)
		}
		i += size
	}
	return dst
}

// codeFolds says that a code differs from its folded form.
func codeFolds(src []byte) bool {
	for i := 0; i < len(src); {
		c := src[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				return true
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(src[i:])
		if r != utf8.RuneError && (unicode.ToLower(r) != r || r == 'ß' || r == 'ς') {
			return true
		}
		i += size
	}
	return false
}

// hasCase says that a folded code could have been written in another case.
func hasCase(folded []byte) bool {
	for i := 0; i < len(folded); {
		r, size := utf8.DecodeRune(folded[i:])
		if unicode.IsLetter(r) {
			return true
		}
		i += size
	}
	return false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
