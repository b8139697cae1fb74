package validate

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// xhtmlSpace is the namespace of XHTML.
const xhtmlSpace = "http://www.w3.org/1999/xhtml"

// narrativeElement says that an element may stand in a narrative: those of
// chapters 7 to 11 (without inserted and deleted text) and 15 of HTML 4.0 that
// are not deprecated, links and images (R4 narrative.html#limitations).
func narrativeElement(name string) bool {
	switch name {
	case "div", "span", "h1", "h2", "h3", "h4", "h5", "h6", "address", "bdo", "p", "br", "pre", "blockquote", "q",
		"em", "strong", "dfn", "code", "samp", "kbd", "var", "cite", "abbr", "acronym", "sub", "sup",
		"ul", "ol", "li", "dl", "dt", "dd",
		"table", "caption", "thead", "tfoot", "tbody", "colgroup", "col", "tr", "th", "td",
		"tt", "i", "b", "big", "small", "hr", "a", "img", "map", "area":
		return true
	}
	return false
}

// narrativeAttribute says that an element may have an attribute in a narrative.
func narrativeAttribute(tag, name string) bool {
	switch name {
	case "id", "class", "style", "title", "lang", "xml:lang", "dir", "xmlns", "accesskey", "tabindex", "align":
		return true
	}
	switch tag {
	case "a":
		return strings.Contains(" href name charset type hreflang rel rev shape coords ", " "+name+" ")
	case "area":
		return strings.Contains(" href alt shape coords nohref ", " "+name+" ")
	case "img":
		return strings.Contains(" src alt longdesc height width usemap ismap border ", " "+name+" ")
	case "map":
		return name == "name"
	case "blockquote", "q":
		return name == "cite"
	case "table":
		return strings.Contains(" summary width border frame rules cellspacing cellpadding ", " "+name+" ")
	case "col", "colgroup":
		return strings.Contains(" span width valign char charoff ", " "+name+" ")
	case "thead", "tbody", "tfoot", "tr":
		return strings.Contains(" valign char charoff ", " "+name+" ")
	case "td", "th":
		return strings.Contains(" abbr axis headers scope rowspan colspan valign char charoff nowrap width ", " "+name+" ")
	case "pre":
		return name == "xml:space"
	}
	return false
}

// wrongAttribute says what a narrative would have to be when an attribute may not
// be there or not have that value.
func wrongAttribute(tag, name string, value []byte) string {
	if !narrativeAttribute(tag, name) {
		return wantAttrs
	}
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '<' || value[i] < ' ' && value[i] != '\t' && value[i] != '\n' && value[i] != '\r':
			return wantFormed
		case value[i] == '&':
			if n, _ := entity(value[i:]); n == 0 {
				return wantEntity
			}
		}
	}
	switch name {
	case "xmlns":
		if string(value) != xhtmlSpace {
			return wantSpace
		}
	case "style":
		return wrongStyle(value)
	case "href", "src", "cite", "longdesc", "usemap":
		return wrongLink(value, name == "src")
	}
	return ""
}

// wrongLink looks at the scheme of a link as a browser would: without regard to
// case, white space and control characters.
func wrongLink(value []byte, image bool) string {
	const known = " http https mailto tel ftp urn "
	var room [24]byte
	seen := room[:0]
	for at := 0; at < len(value); {
		r := rune(value[at])
		n := 1
		if r == '&' {
			n, r = entity(value[at:])
		}
		at += n
		switch {
		case r <= ' ' || r == 0x7f:
		case r == ':':
			name := " " + string(seen) + " "
			switch {
			case strings.Contains(known, name):
				return ""
			case image && name == " data " && bytes.HasPrefix(bytes.TrimLeft(value[at:], " "), []byte("image/")):
				return ""
			}
			return wantLinks
		case r == '/' || r == '?' || r == '#' || r == '%' || r >= utf8.RuneSelf:
			return "" // no scheme
		case len(seen) == cap(seen):
			return "" // longer than any scheme that does something
		default:
			seen = append(seen, lower(byte(r)))
		}
	}
	return ""
}

// wrongStyle refuses what runs something, and what could hide it. What a style
// fetches is a link like that of an image.
func wrongStyle(value []byte) string {
	var room [256]byte
	css := room[:0]
	for at := 0; at < len(value); {
		r := rune(value[at])
		n := 1
		if r == '&' {
			n, r = entity(value[at:])
		}
		at += n
		if r < utf8.RuneSelf {
			css = append(css, lower(byte(r)))
		} else {
			css = append(css, '?')
		}
	}
	for _, bad := range [...]string{`\`, "/*", "<", "@", "src(", "image-set(", "expression", "script:", "behavior", "-moz-binding"} {
		if bytes.Contains(css, []byte(bad)) {
			return wantStyle
		}
	}
	for {
		_, rest, found := bytes.Cut(css, []byte("url("))
		if !found {
			return ""
		}
		link, rest, closed := bytes.Cut(rest, []byte{')'})
		if !closed {
			return wantStyle
		}
		if wrong := wrongLink(bytes.Trim(link, ` "'`), true); wrong != "" {
			return wrong
		}
		css = rest
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
