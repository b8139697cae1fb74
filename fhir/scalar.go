package fhir

import "encoding/binary"

// skipSpace returns the offset of the first byte from i that is not white
// space. Indentation is taken eight blanks at a time.
func skipSpace(src []byte, i int) int {
	if i >= len(src) || src[i] > ' ' {
		return i
	}
	return skipIndent(src, i)
}

func skipIndent(src []byte, i int) int {
	const blanks = 0x2020202020202020
	for i < len(src) {
		switch src[i] {
		case ' ':
			for i+8 <= len(src) && binary.LittleEndian.Uint64(src[i:]) == blanks {
				i += 8
			}
			for i < len(src) && src[i] == ' ' {
				i++
			}
		case '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// scalar reads the number or literal at i into v.
func (t *Tape) scalar(i int, v *node) int {
	var end int
	switch c := t.src[i]; c {
	case 't':
		end, v.kind = t.literal(i, "true"), True
	case 'f':
		end, v.kind = t.literal(i, "false"), False
	case 'n':
		end, v.kind = t.literal(i, "null"), Null
	default:
		if c != '-' && !digit(c) {
			return t.stop(i, "a value should be here")
		}
		end, v.kind = t.number(i), Number
	}
	v.start, v.end = uint32(i), uint32(end) //nolint:gosec // within Limits.Size, or refused
	return end
}

func (t *Tape) literal(i int, want string) int {
	if len(t.src)-i < len(want) || string(t.src[i:i+len(want)]) != want {
		return t.stop(i, "a value should be here; text must be in double quotes")
	}
	return i + len(want)
}

func digit(c byte) bool { return c-'0' <= 9 }

func digits(src []byte, i int) int {
	for i < len(src) && digit(src[i]) {
		i++
	}
	return i
}

// number reads a number (RFC 8259 section 6). What may follow it is for the
// caller to say, so 01 ends after the zero.
func (t *Tape) number(start int) int {
	src, i := t.src, start
	if src[i] == '-' {
		i++
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
	default:
		from := i
		if i = digits(src, i); i == from {
			return t.stop(i, "a digit should follow the minus sign")
		}
	}
	if i < len(src) && src[i] == '.' {
		from := i + 1
		if i = digits(src, from); i == from {
			return t.stop(i, "a digit should follow the decimal point")
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		from := i
		if i = digits(src, from); i == from {
			return t.stop(i, "a digit should stand in the exponent")
		}
	}
	return i
}
