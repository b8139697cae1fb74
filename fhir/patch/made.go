package patch

import (
	"vitrine/fhir/r4"
)

// content is an element ready to be put in: its JSON, and that of its sibling
// with the underscore. Either may be nil.
type content struct {
	raw, aside []byte
}

// made is the content that a value is for an element that it fits.
func made(el *r4.Element, v *value) (content, error) {
	if v.typ != nil {
		return content{v.raw, v.aside}, nil
	}
	raw, err := built(el.Type, v.parts)
	return content{raw: raw}, err
}

// built is an object of a type, made of parts.
func built(typ *r4.Type, parts []part) ([]byte, error) {
	var members []byte
	slots := map[int]bool{}
	for i, p := range parts {
		el, err := elementFor(typ, p.name, p.value)
		if err != nil {
			return nil, err
		}
		if slots[el.Slot] {
			if el.Repeats() && firstOf(parts, p.name) < i {
				continue // it went with the first of that name
			}
			return nil, fault(ErrValue, "an element that does not repeat is there twice")
		}
		slots[el.Slot] = true
		if members, err = appendElement(members, typ, el, parts[i:], p.name); err != nil {
			return nil, err
		}
	}
	if len(members) == 0 {
		return nil, fault(ErrValue, "an element cannot be empty")
	}
	return append(append([]byte{'{'}, members...), '}'), nil
}

func firstOf(parts []part, name string) int {
	for i := range parts {
		if parts[i].name == name {
			return i
		}
	}
	return len(parts)
}

// appendElement appends the members of one element; of one that repeats, all the
// parts of its name.
func appendElement(dst []byte, typ *r4.Type, el *r4.Element, parts []part, name string) ([]byte, error) {
	var all []content
	for _, p := range parts {
		if p.name != name || (len(all) == 1 && !el.Repeats()) {
			continue
		}
		again, err := elementFor(typ, name, p.value)
		if err != nil {
			return nil, err
		}
		c, err := made(again, p.value)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if !el.Repeats() {
		return appendContent(dst, el.Name, all[0]), nil
	}
	return appendContent(dst, el.Name, listed(all)), nil
}

// appendContent appends the members that content is under a name.
func appendContent(dst []byte, name string, c content) []byte {
	if c.raw != nil {
		dst = appendMember(dst, name, c.raw)
	}
	if c.aside != nil {
		dst = appendMember(dst, "_"+name, c.aside)
	}
	return dst
}

// listed is the content of a list: what one of the two sides lacks is null there
// (R4 json.html#primitive).
func listed(all []content) (out content) {
	raw, aside := false, false
	for _, c := range all {
		raw, aside = raw || c.raw != nil, aside || c.aside != nil
	}
	for i, c := range all {
		out.raw = appendItem(out.raw, i, c.raw)
		out.aside = appendItem(out.aside, i, c.aside)
	}
	out.raw, out.aside = append(out.raw, ']'), append(out.aside, ']')
	if !raw {
		out.raw = nil
	}
	if !aside {
		out.aside = nil
	}
	return out
}

func appendItem(dst []byte, i int, raw []byte) []byte {
	if i == 0 {
		dst = append(dst, '[')
	} else {
		dst = append(dst, ',')
	}
	if raw == nil {
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}
