package search

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// value understands one value without a modifier. Escapes are still in it.
func (r *reading) value(pp *paramPlan, v string) ([]Match, *fault) {
	switch pp.Kind {
	case r4.ParamToken:
		if pp.number == ParamID {
			return []Match{IDMatch(unescape(v))}, nil
		}
		return tokenMatches(pp.number, nil, v)
	case r4.ParamString:
		return textMatches(pp, unescape(v))
	case r4.ParamURI:
		return []Match{equal(pp.number, []byte{tagURI}, appendPart(nil, []byte(unescape(v))))}, legibleValue(v)
	case r4.ParamReference:
		return r.reference(pp, unescape(v))
	case r4.ParamDate:
		return r.date(pp.number, v)
	case r4.ParamNumber:
		return numberMatches(pp.number, v)
	case r4.ParamQuantity:
		return r.quantityMatches(pp.number, v)
	case r4.ParamComposite:
		return r.joined(pp, v)
	case r4.ParamSpecial:
		return nearMatches(pp.number, v)
	}
	return nil, unsupported("not supported")
}

func legibleValue(v string) *fault {
	if strings.IndexByte(v, 0) >= 0 {
		return bad("has a character that no value can have")
	}
	return nil
}

// tokenMatches understands code, system|code, |code and system| (R4
// search.html#token). Case counts for nothing.
func tokenMatches(p Param, prefix []byte, v string) ([]Match, *fault) {
	parts, _ := splitEscaped(v, '|')
	if f := legibleValue(v); f != nil {
		return nil, f
	}
	for i := range parts {
		parts[i] = unescape(parts[i])
	}
	tag := func(t byte) []byte { return append(slices.Clone(prefix), t) }
	switch {
	case len(parts) > 2:
		return nil, bad(`must be code, system|code, |code or system|; write \| for a bar within`)
	case len(parts) == 2 && parts[1] == "":
		if parts[0] == "" {
			return nil, bad("has neither a system nor a code")
		}
		m := equal(p, tag(tagSystemCode), appendSystemCode(nil, []byte(parts[0]), nil))
		m.Op = OpPrefix
		return []Match{m}, nil
	}
	system := []byte(parts[0])
	return codeMatches(p, prefix, system, []byte(parts[len(parts)-1]), len(parts) == 2), nil
}

// codeMatches are the matches of one code, in any case, of its system when piped.
func codeMatches(p Param, prefix, system, code []byte, piped bool) []Match {
	tag := func(t byte) []byte { return append(slices.Clone(prefix), t) }
	code = foldCode(nil, code)
	exact, folded := byte(tagCode), byte(tagFoldedCode)
	value := appendPart(nil, code)
	if piped {
		exact, folded = tagSystemCode, tagFoldedSystem
		value = appendSystemCode(nil, system, code)
	}
	matches := []Match{equal(p, tag(exact), value)}
	if hasCase(code) {
		matches = append(matches, equal(p, tag(folded), value))
	}
	return matches
}

// textMatches understands the start of a string (R4 search.html#string).
func textMatches(pp *paramPlan, v string) ([]Match, *fault) {
	folded, _ := foldText(nil, []byte(v), nil)
	switch {
	case legibleValue(v) != nil:
		return nil, legibleValue(v)
	case len(folded) == 0:
		return nil, bad("has no letter or digit to search by")
	case len(folded) > maxPrefix:
		return nil, bad("is too long to search by")
	}
	m := equal(pp.number, []byte{tagText}, folded)
	m.Op = OpPrefix
	if !pp.person {
		return []Match{m}, nil
	}
	word := equal(pp.number, []byte{tagWord}, folded)
	word.Op = OpPrefix
	return []Match{m, word}, nil
}

func exactText(pp *paramPlan, v string) ([]Match, *fault) {
	var fold, norm []byte
	v = unescape(v)
	return []Match{equal(pp.number, []byte{tagText}, appendString(nil, []byte(v), &fold, &norm))}, legibleValue(v)
}

// reference understands an id, Type/id and URLs (R4 search.html#reference). An
// id alone means that id of every type the parameter may refer to.
func (r *reading) reference(pp *paramPlan, v string) ([]Match, *fault) {
	if f := legibleValue(v); f != nil {
		return nil, f
	}
	if l, ok := r.local([]byte(v)); ok {
		return []Match{equal(pp.number, []byte{tagReference}, appendPart(nil, l.whole))}, nil
	}
	switch {
	case strings.Contains(v, ":"):
		return []Match{equal(pp.number, []byte{tagReference}, appendPart(nil, []byte(v)))}, nil
	case !fhir.ValidID(v):
		return nil, bad("must be an id, Type/id or a URL")
	}
	targets := pp.targets
	if len(targets) == 0 {
		for _, t := range r.defs.Resources() {
			targets = append(targets, t.Resource())
		}
	}
	matches := make([]Match, len(targets))
	for i, t := range targets {
		matches[i] = ReferenceMatch(pp.SearchParam, string(t)+"/"+v)
	}
	return matches, nil
}

// typedReference understands a value of name:Type.
func (r *reading) typedReference(pp *paramPlan, typ, v string) ([]Match, *fault) {
	v = unescape(v)
	if fhir.ValidID(v) {
		v = typ + "/" + v
	}
	l, ok := r.local([]byte(v))
	if !ok || string(l.typ) != typ {
		return nil, bad("must be the id of a resource of that type")
	}
	return []Match{equal(pp.number, []byte{tagReference}, appendPart(nil, l.whole))}, nil
}

// joined understands the components of a composite, between $ (R4
// search.html#composite).
func (r *reading) joined(pp *paramPlan, v string) ([]Match, *fault) {
	parts, _ := splitEscaped(v, '$')
	if len(parts) != len(pp.components) || slices.Contains(parts, "") {
		return nil, bad("must have a value for each of its components, with $ between")
	}
	heads, f := r.value(pp.components[0], parts[0])
	if f != nil {
		return nil, f
	}
	var tails []Match
	if isPair(pp.components) {
		tails, f = pairMatches(parts[1], parts[2])
	} else {
		tails, f = r.value(pp.components[1], parts[1])
	}
	if f != nil {
		return nil, f
	}
	var out []Match
	for _, head := range heads {
		if head.Op != OpEqual {
			return nil, unsupported("the first component must be a whole value")
		}
		for _, m := range tails {
			m.Param, m.Key = pp.number, append(appendEscaped(nil, head.Key), m.Key...)
			out = append(out, m)
		}
	}
	return out, nil
}

// splitEscaped splits at separators that have no backslash before them. Escapes
// stay in the parts. ok is false when a backslash stands before anything that
// needs none.
func splitEscaped(s string, separator byte) (parts []string, ok bool) {
	ok = true
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			ok = ok && i < len(s) && strings.IndexByte(`,|$\`, s[i]) >= 0
		case separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:]), ok
}

// unescape takes the backslashes out (R4 search.html#escaping).
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
