package fhir

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// special has the high bit set in the lowest byte of w that cannot be passed
// over inside a string: a quote, a backslash, a control character or part of a
// character beyond ASCII. Bits above that one mean nothing.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	return (w | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - ' '*ones)) & highs
}

// str reads the string whose opening quote is at i, adds the mark when it has
// escapes, and returns the offset after its closing quote.
func (t *Tape) str(i int, m *marks, mark marks) int {
	src, start := t.src, i
	for i++; ; {
		for i+8 <= len(src) {
			hit := special(binary.LittleEndian.Uint64(src[i:]))
			if hit != 0 {
				i += bits.TrailingZeros64(hit) >> 3
				break
			}
			i += 8
		}
		if i >= len(src) {
			return t.stop(start, "this string has no closing quote")
		}
		switch c := src[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			*m |= mark
			if i = t.escape(i); i < 0 {
				return i
			}
		case c < ' ':
			return t.stop(i, "a control character in a string must be escaped")
		case c < utf8.RuneSelf: // among the last seven bytes of the source
			i++
		default:
			if i = t.runes(i); i < 0 {
				return i
			}
		}
	}
}

// runes passes over the characters beyond ASCII that start at i.
func (t *Tape) runes(i int) int {
	for i < len(t.src) && t.src[i] >= utf8.RuneSelf {
		_, size := utf8.DecodeRune(t.src[i:])
		if size == 1 {
			return t.stop(i, "these bytes are not UTF-8")
		}
		i += size
	}
	return i
}

// escape passes over the escape at i.
func (t *Tape) escape(i int) int {
	if i+1 >= len(t.src) {
		return t.stop(i, "the text ends inside an escape")
	}
	switch t.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r, ok := hex4(t.src, i+2)
		switch {
		case !ok:
			return t.stop(i, `four hexadecimal digits should follow \u`)
		case !utf16.IsSurrogate(r):
			return i + 6
		}
		if low, ok := hex4(t.src, i+8); ok && t.src[i+6] == '\\' && t.src[i+7] == 'u' &&
			utf16.DecodeRune(r, low) != utf8.RuneError {
			return i + 12
		}
		return t.stop(i, "this surrogate escape has no partner")
	default:
		return t.stop(i, "there is no such escape")
	}
}

// hex4 is the value of the four hexadecimal digits at i.
func hex4(src []byte, i int) (r rune, ok bool) {
	if i+4 > len(src) {
		return 0, false
	}
	for _, c := range src[i : i+4] {
		switch {
		case digit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendDecoded appends the content of a string that was read, escapes undone.
func appendDecoded(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		run := bytes.IndexByte(raw[i:], '\\')
		if run < 0 {
			return append(dst, raw[i:]...)
		}
		dst = append(dst, raw[i:i+run]...)
		i += run + 1
		switch c := raw[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw, i+3)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become the
// replacement character.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}
