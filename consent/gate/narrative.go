package gate

import (
	"bytes"
	"html"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"vitrine/fhir"
)

// narrativeEdits are the edits that put others in the place of links in a
// narrative: the href of an <a> and the src of an <img> (R4 http.html#trules).
// raw is the JSON string with its quotes, and start where it stands. What the
// links are is asked of with; every other byte stays as it is.
func narrativeEdits(dst []fhir.Edit, raw []byte, start int, with func(link string) (string, error)) ([]fhir.Edit, error) {
	text, at := unescaped(raw)
	for from, to := range linksIn(text) {
		link := html.UnescapeString(string(text[from:to]))
		if len(link) > linkMost {
			continue
		}
		other, err := with(link)
		if err != nil {
			return dst, err
		}
		if other == "" {
			continue
		}
		quoted := fhir.AppendString(nil, html.EscapeString(other))
		dst = append(dst, fhir.Edit{Start: start + offsetOf(at, from), End: start + offsetOf(at, to), Text: quoted[1 : len(quoted)-1]})
	}
	return dst, nil
}

// offsetOf is where in the JSON string a byte of its text stands.
func offsetOf(at []int32, i int) int {
	if at == nil {
		return i + 1
	}
	return int(at[i])
}

// unescaped is the text of a JSON string, and where each of its bytes stands in
// it, with that of the closing quote last; at is nil when nothing is escaped.
func unescaped(raw []byte) (text []byte, at []int32) {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	text, at = make([]byte, 0, len(inner)), make([]int32, 0, len(inner)+1)
	for i := 1; i < len(raw)-1; {
		size, before := 1, len(text)
		if raw[i] != '\\' {
			text = append(text, raw[i])
		} else {
			var r rune
			r, size = escape(raw[i:])
			text = utf8.AppendRune(text, r)
		}
		for range len(text) - before {
			at = append(at, int32(i)) //nolint:gosec // within Limits.Size
		}
		i += size
	}
	return text, append(at, int32(len(raw)-1)) //nolint:gosec // within Limits.Size
}

// escape is the character that an escape of a JSON string stands for, and how
// long the escape is. It was parsed before.
func escape(s []byte) (r rune, size int) {
	switch s[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hexadecimal(s[2:6])
		if utf16.IsSurrogate(r) && len(s) >= 12 {
			return utf16.DecodeRune(r, hexadecimal(s[8:12])), 12
		}
		return r, 6
	default:
		return rune(s[1]), 2
	}
}

func hexadecimal(digits []byte) (r rune) {
	for _, c := range digits {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}

// linksIn yields where the values of the links of an XHTML text begin and end.
func linksIn(text []byte) func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		for i := 0; i < len(text); {
			open := bytes.IndexByte(text[i:], '<')
			if open < 0 {
				return
			}
			i += open + 1
			if skipped := unmarked(text[i:]); skipped > 0 {
				i += skipped
				continue
			}
			end := i
			for end < len(text) && !space(text[end]) && text[end] != '>' && text[end] != '/' {
				end++
			}
			wanted := attributeOf(string(text[i:end]))
			for i = end; ; {
				name, from, to, next := attribute(text, i)
				i = next
				if name == "" {
					break
				}
				if name == wanted && !yield(from, to) {
					return
				}
			}
		}
	}
}

// unmarked is the length of a comment or of a section of plain text, behind its
// first <; zero when there is none.
func unmarked(s []byte) int {
	for _, m := range [...]struct{ open, shut string }{{"!--", "-->"}, {"![CDATA[", "]]>"}} {
		if !bytes.HasPrefix(s, []byte(m.open)) {
			continue
		}
		if n := bytes.Index(s[len(m.open):], []byte(m.shut)); n >= 0 {
			return len(m.open) + n + len(m.shut)
		}
		return len(s)
	}
	return 0
}

// attributeOf is the attribute of an element that is a link.
func attributeOf(element string) string {
	if _, local, prefixed := strings.Cut(element, ":"); prefixed {
		element = local
	}
	switch element {
	case "a":
		return "href"
	case "img":
		return "src"
	default:
		return ""
	}
}

// attribute is the next attribute of a tag, where its value begins and ends, and
// where to go on. The name is empty at the end of the tag.
func attribute(text []byte, i int) (name string, from, to, next int) {
	for i < len(text) && (space(text[i]) || text[i] == '/') {
		i++
	}
	start := i
	for i < len(text) && !space(text[i]) && text[i] != '=' && text[i] != '>' && text[i] != '<' {
		i++
	}
	name = string(text[start:i])
	for i < len(text) && (space(text[i]) || text[i] == '=') {
		i++
	}
	if name == "" || i >= len(text) || text[i] != '"' && text[i] != '\'' {
		return "", 0, 0, i
	}
	n := bytes.IndexByte(text[i+1:], text[i])
	if n < 0 {
		return "", 0, 0, len(text)
	}
	return name, i + 1, i + 1 + n, i + n + 2
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
