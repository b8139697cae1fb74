package conformance

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// splitAt splits where no backslash stands before the separator; escapes stay in
// (R4 search.html#escaping).
func splitAt(s string, separator byte) (parts []string) {
	part := ""
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			part += s[i : i+2]
			i++
		case s[i] == separator:
			parts = append(parts, part)
			part = ""
		default:
			part += s[i : i+1]
		}
	}
	return append(parts, part)
}

func unescaped(s string) string {
	out := ""
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out += s[i : i+1]
	}
	return out
}

// escapedValue makes a value of a query out of a text.
func escapedValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
}

// folded is a text as strings are compared (R4 search.html#string): without case,
// accents and other marks; without punctuation, and with single blanks, which R4
// leaves to the server.
func folded(s string) string {
	var out []rune
	for _, r := range norm.NFKD.String(s) {
		if unicode.IsSpace(r) {
			r = ' '
		}
		if unicode.IsPunct(r) || unicode.Is(unicode.M, r) || r == ' ' && len(out) > 0 && out[len(out)-1] == ' ' {
			continue
		}
		out = append(out, unicode.ToLower(r))
	}
	return strings.Trim(strings.ReplaceAll(string(out), "ß", "ss"), " ")
}

// textsOf are the texts of a value; words are the parts of a double name, each of
// which finds it.
func textsOf(v any, typ string) (texts, words []string) {
	add := func(v any) {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, one := range v {
				if s, ok := one.(string); ok {
					texts = append(texts, s)
				}
			}
		}
	}
	switch typ {
	case "string":
		add(v)
	case "family":
		add(v)
		words = wordsOf(v)
	case "HumanName":
		for _, part := range []string{"text", "family", "given", "prefix", "suffix"} {
			add(at(v, part))
		}
		words = wordsOf(at(v, "family"))
	case "Address":
		for _, part := range []string{"text", "line", "city", "district", "state", "postalCode", "country"} {
			add(at(v, part))
		}
	}
	return texts, words
}

// wordsOf are the ends of a family name that begin with one of its further parts.
func wordsOf(v any) (words []string) {
	s, _ := v.(string)
	for i := 1; i < len(s); i++ {
		if s[i-1] == ' ' || s[i-1] == '-' {
			words = append(words, s[i:])
		}
	}
	return words
}

func stringMatches(v, modifier string, value any, typ string) bool {
	texts, words := textsOf(value, typ)
	v = unescaped(v)
	for _, s := range texts {
		switch modifier {
		case "exact":
			if s == v {
				return true
			}
		case "contains":
			if strings.Contains(folded(s), folded(v)) {
				return true
			}
		default:
			if strings.HasPrefix(folded(s), folded(v)) {
				return true
			}
		}
	}
	return modifier == "" && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(folded(w), folded(v)) })
}

// specToken is one code of a value. bare says that no system can be asked for.
type specToken struct {
	system, code string
	bare         bool
}

// tokensOf are the codes of a value (R4 search.html#token).
func tokensOf(v any, place *valuePlace) (out []specToken) {
	switch place.typ {
	case "code":
		out = append(out, specToken{place.system, asText(v), false})
	case "id", "string", "uri":
		out = append(out, specToken{code: asText(v), bare: true})
	case "boolean":
		if b, ok := v.(bool); ok {
			out = append(out, specToken{code: map[bool]string{true: "true", false: "false"}[b], bare: true})
		}
	case "deceased":
		_, dated := at(v, "deceasedDateTime").(string)
		dead, _ := at(v, "deceasedBoolean").(bool)
		out = append(out, specToken{code: map[bool]string{true: "true", false: "false"}[dated || dead], bare: true})
	case "Coding":
		out = append(out, specToken{text(v, "system"), text(v, "code"), false})
	case "CodeableConcept":
		for _, c := range list(v, "coding") {
			out = append(out, specToken{text(c, "system"), text(c, "code"), false})
		}
	case "Identifier":
		out = append(out, specToken{text(v, "system"), text(v, "value"), false})
	case "ContactPoint":
		out = append(out, specToken{code: text(v, "value"), bare: true})
	}
	return slices.DeleteFunc(out, func(t specToken) bool { return t.code == "" && t.system == "" })
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// tokenMatches is code, system|code, |code or system|. Case counts for nothing in
// a code, which DIVERGENCES.md says.
func tokenMatches(v string, tokens []specToken) bool {
	parts := splitAt(v, '|')
	for _, t := range tokens {
		switch {
		case len(parts) == 1:
			if t.code != "" && strings.EqualFold(t.code, unescaped(parts[0])) {
				return true
			}
		case t.bare:
		case parts[1] == "":
			if t.system == unescaped(parts[0]) {
				return true
			}
		default:
			if t.code != "" && t.system == unescaped(parts[0]) && strings.EqualFold(t.code, unescaped(parts[1])) {
				return true
			}
		}
	}
	return false
}

// ofType is :of-type: the type of an identifier and its value.
func ofType(v string, value any) bool {
	parts := splitAt(v, '|')
	if len(parts) != 3 || !strings.EqualFold(text(value, "value"), unescaped(parts[2])) {
		return false
	}
	for _, c := range list(value, "type", "coding") {
		if text(c, "system") == unescaped(parts[0]) && strings.EqualFold(text(c, "code"), unescaped(parts[1])) {
			return true
		}
	}
	return false
}

// tokenTexts are what :text looks into: the text of a concept, what is shown of a
// coding, the text of an identifier's type.
func tokenTexts(v any, typ string) (out []string) {
	switch typ {
	case "Coding":
		out = append(out, text(v, "display"))
	case "CodeableConcept":
		out = append(out, text(v, "text"))
		for _, c := range list(v, "coding") {
			out = append(out, text(c, "display"))
		}
	case "Identifier":
		out = append(out, text(v, "type", "text"))
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// local takes Type/id or Type/id/_history/version apart, relative or below the
// server's base; ok is false for all else.
func (w *specWorld) local(s string) (typ, id, version string, ok bool) {
	s = strings.TrimPrefix(s, w.base+"/")
	parts := strings.Split(s, "/")
	switch {
	case len(parts) == 2 && w.types[parts[0]]:
		return parts[0], parts[1], "", true
	case len(parts) == 4 && w.types[parts[0]] && parts[2] == "_history":
		return parts[0], parts[1], parts[3], true
	}
	return "", "", "", false
}

// refers reports whether a place looks at a reference at all.
func (w *specWorld) refers(place *valuePlace, v any) bool {
	if place.typ == "canonical" {
		return true
	}
	if place.only == "" {
		return true
	}
	if typ, _, _, ok := w.local(text(v, "reference")); ok {
		return typ == place.only
	}
	if _, has := at(v, "reference").(string); has {
		parts := strings.Split(text(v, "reference"), "/")
		return len(parts) > 1 && parts[len(parts)-2] == place.only || text(v, "type") == place.only
	}
	return text(v, "type") == place.only
}

// referenceMatches is an id, Type/id or a URL (R4 search.html#reference).
func (w *specWorld) referenceMatches(v, modifier string, place *valuePlace, value any) bool {
	if place.typ == "canonical" {
		return w.canonicalMatches(unescaped(v), modifier, asText(value))
	}
	if !w.refers(place, value) {
		return false
	}
	if modifier == "identifier" {
		i := at(value, "identifier")
		if i == nil {
			return false
		}
		return tokenMatches(v, tokensOf(i, &valuePlace{typ: "Identifier"}))
	}
	v = unescaped(v)
	literal := text(value, "reference")
	if literal == "" || strings.HasPrefix(literal, "#") {
		return false
	}
	typ, id, version, ok := w.local(literal)
	if modifier != "" && !strings.Contains(v, "/") {
		v = modifier + "/" + v
	}
	if wanted, wantedID, wantedVersion, local := w.local(v); local {
		return ok && typ == wanted && id == wantedID && (wantedVersion == "" || version == wantedVersion)
	}
	if !strings.Contains(v, ":") {
		return ok && id == v && (place.targets == nil || slices.Contains(place.targets, typ))
	}
	unversioned, _, _ := strings.Cut(literal, "/_history/")
	return literal == v || unversioned == v
}

// canonicalMatches is a canonical with or without its version (R4
// search.html#versions); :below a version are those that it begins.
func (w *specWorld) canonicalMatches(v, modifier, canonical string) bool {
	bare, _, _ := strings.Cut(canonical, "|")
	_, _, versioned := strings.Cut(v, "|")
	if modifier != "" && !versioned {
		return uriMatches(v, modifier, canonical, "canonical")
	}
	switch modifier {
	case "below":
		return canonical == v || strings.HasPrefix(canonical, v+".")
	case "above":
		return canonical == v || strings.Contains(canonical, "|") && strings.HasPrefix(v, canonical+".")
	}
	return canonical == v || bare == v
}

// uriMatches is a uri as it is, or one that lies above or below it by its path
// (R4 search.html#uri).
func uriMatches(v, modifier, uri, typ string) bool {
	v = unescaped(v)
	bare := uri
	if typ == "canonical" {
		bare, _, _ = strings.Cut(uri, "|")
	}
	whole := func(s string) string { return strings.TrimRight(s, "/") }
	within := func(inner, outer string) bool {
		return whole(inner) == whole(outer) || strings.HasPrefix(inner, whole(outer)+"/")
	}
	switch modifier {
	case "below":
		return within(bare, v)
	case "above":
		return within(v, bare)
	}
	return uri == v || bare == v
}
