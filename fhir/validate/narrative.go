package validate

import "bytes"

// What a narrative must be (R4 narrative.html, txt-1 and txt-2); each ends the
// sentence "div must be …".
const (
	wantDiv     = "XHTML that starts with <div"
	wantFormed  = "well-formed XHTML: every element closed in its turn, attributes in quotation marks and once"
	wantTags    = "XHTML of the elements of narrative.html alone: no scripts, forms, frames, objects or styles beside style attributes"
	wantAttrs   = "XHTML with the attributes of narrative.html alone: no event handlers"
	wantLinks   = "XHTML whose links are relative or http, https, mailto, tel, ftp or urn, and its images besides data:image"
	wantStyle   = "XHTML whose style attributes run nothing, and have no escapes or comments"
	wantEntity  = "XHTML with no entities but lt, gt, amp, quot, apos and numbers of characters"
	wantShallow = "XHTML whose elements nest less deeply"
	wantContent = "XHTML with some content: words or an image"
	wantSpace   = "XHTML in the namespace http://www.w3.org/1999/xhtml"
)

// The bounds of markup: how deep elements nest, and how many attributes one has.
const (
	maxTags  = 100
	maxAttrs = 16
)

// markup scans a narrative once, from end to end, without building anything.
type markup struct {
	b    []byte
	i    int
	open [maxTags]span // the names of the elements that are open
	deep int
	// attrs are the names of the attributes of the tag that is read.
	attrs [maxAttrs]span
	// content says that there was a word or an image.
	content bool
	// spaced says that the outermost element names its namespace.
	spaced bool
}

// span is a part of the markup.
type span struct{ start, end int }

func (m *markup) text(s span) []byte { return m.b[s.start:s.end] }

// wrongXHTML says what a narrative would have to be; empty when it is right.
// content asks for some (txt-2).
func wrongXHTML(b []byte, content bool) string {
	if len(b) < 5 || string(b[:4]) != "<div" || nameByte(b[4]) {
		return wantDiv
	}
	m := markup{b: b}
	for m.i < len(b) {
		if m.i > 0 && m.deep == 0 {
			return wantFormed // something after the end
		}
		var wrong string
		if b[m.i] == '<' {
			wrong = m.markup()
		} else {
			wrong = m.words()
		}
		if wrong != "" {
			return wrong
		}
	}
	switch {
	case m.deep > 0:
		return wantFormed
	case !m.spaced:
		return wantSpace
	case !m.content && content:
		return wantContent
	}
	return ""
}

// words reads up to the next markup.
func (m *markup) words() string {
	for m.i < len(m.b) && m.b[m.i] != '<' {
		switch c := m.b[m.i]; {
		case c == '&':
			n, r := entity(m.b[m.i:])
			if n == 0 {
				return wantEntity
			}
			m.content = m.content || r > ' '
			m.i += n
			continue
		case c > ' ':
			m.content = true
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return wantFormed
		}
		m.i++
	}
	return ""
}

// markup reads a tag or a comment.
func (m *markup) markup() string {
	rest := m.b[m.i:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		return m.comment()
	case bytes.HasPrefix(rest, []byte("</")):
		return m.closing()
	case len(rest) < 2 || rest[1] == '!' || rest[1] == '?':
		return wantTags // sections, declarations and instructions
	}
	return m.opening()
}

// comment passes over one. What HTML takes for the end of a comment and XML does
// not is refused.
func (m *markup) comment() string {
	rest := m.b[m.i+4:]
	end := bytes.Index(rest, []byte("--"))
	if end < 0 || end+2 >= len(rest) || rest[end+2] != '>' || rest[0] == '>' || bytes.HasPrefix(rest, []byte("->")) {
		return wantFormed
	}
	m.i += 4 + end + 3
	return ""
}

func (m *markup) closing() string {
	m.i += 2
	name := m.name()
	m.space()
	if m.deep == 0 || m.peek() != '>' || !bytes.Equal(m.text(name), m.text(m.open[m.deep-1])) {
		return wantFormed
	}
	m.i++
	m.deep--
	return ""
}

func (m *markup) opening() string {
	m.i++
	name := m.name()
	tag := m.text(name)
	if len(tag) == 0 {
		return wantFormed
	}
	if !narrativeElement(string(tag)) {
		return wantTags
	}
	for count := 0; ; count++ {
		spaced := m.space()
		switch c := m.peek(); {
		case c == '>' || c == '/':
			return m.opened(name)
		case !spaced:
			return wantFormed
		case count == maxAttrs:
			return wantAttrs
		}
		if wrong := m.attribute(tag, count); wrong != "" {
			return wrong
		}
	}
}

// opened ends an opening tag, which may close its element as well.
func (m *markup) opened(name span) string {
	if string(m.text(name)) == "img" {
		m.content = true
	}
	if m.peek() == '/' {
		m.i++
		if m.peek() != '>' || m.deep == 0 { // a narrative that is closed at once is empty
			return wantFormed
		}
		m.i++
		return ""
	}
	m.i++
	if m.deep == maxTags {
		return wantShallow
	}
	m.open[m.deep] = name
	m.deep++
	return ""
}

// attribute reads one, the count-th of its tag.
func (m *markup) attribute(tag []byte, count int) string {
	name := m.name()
	m.space()
	if name.start == name.end || m.peek() != '=' {
		return wantFormed
	}
	m.i++
	m.space()
	quote := m.peek()
	if quote != '"' && quote != '\'' {
		return wantFormed
	}
	m.i++
	end := bytes.IndexByte(m.b[m.i:], quote)
	if end < 0 {
		return wantFormed
	}
	value := m.b[m.i : m.i+end]
	m.i += end + 1
	for _, other := range m.attrs[:count] {
		if bytes.Equal(m.text(other), m.text(name)) {
			return wantFormed
		}
	}
	m.attrs[count] = name
	m.spaced = m.spaced || m.deep == 0 && string(m.text(name)) == "xmlns"
	return wrongAttribute(string(tag), string(m.text(name)), value)
}

// name reads a name; it is empty when there is none.
func (m *markup) name() span {
	start := m.i
	for m.i < len(m.b) && nameByte(m.b[m.i]) {
		m.i++
	}
	return span{start, m.i}
}

// space passes over white space, and reports whether there was some.
func (m *markup) space() bool {
	start := m.i
	for m.i < len(m.b) && (m.b[m.i] == ' ' || m.b[m.i] == '\t' || m.b[m.i] == '\n' || m.b[m.i] == '\r') {
		m.i++
	}
	return m.i > start
}

func (m *markup) peek() byte {
	if m.i < len(m.b) {
		return m.b[m.i]
	}
	return 0
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '-' || c == '_' || c == '.'
}

// entity reads the reference at the start of b: its length and what it stands
// for. The length is 0 when it stands for nothing.
func entity(b []byte) (length int, r rune) {
	const longest = len("&#x10FFFF;")
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 {
		return 0, 0
	}
	switch name := b[1:end]; string(name) {
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "amp":
		r = '&'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		if r = numbered(name); r == 0 {
			return 0, 0
		}
	}
	return end + 1, r
}

// numbered is the character of a reference by number, "#160" or "#xA0"; 0 when it
// is none of XML's.
func numbered(name []byte) rune {
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	digits, base := name[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	r := rune(0)
	for _, c := range digits {
		d := rune(99)
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = rune(c|0x20-'a') + 10
		}
		if d >= base {
			return 0
		}
		r = r*base + d
	}
	if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xD800 && r <= 0xDFFF || r > 0x10FFFF || r == 0xFFFE || r == 0xFFFF {
		return 0
	}
	return r
}
