package plain

import (
	"net/url"
	"slices"
	"strings"

	"vitrine/consent/audit"
	"vitrine/fhir"
)

// dataMost is how many kinds of data are told of one event.
const dataMost = 64

// dataOf are the kinds of data that an event was about: what it names, or what was
// asked for. whole says that it was the record as a whole.
func dataOf(e *audit.Event) (types []fhir.ResourceType, whole bool) {
	add := func(name string) {
		t := fhir.ResourceType(name)
		if isType(name) && !slices.Contains(types, t) && len(types) < dataMost {
			types = append(types, t)
		}
	}
	for _, ref := range e.Entities {
		name, _, _ := strings.Cut(ref, "/")
		add(name)
	}
	switch e.Kind { //nolint:exhaustive // of the others the kind says it all
	case audit.KindRest, audit.KindExport:
		if len(types) == 0 {
			whole = asked(e.Query, add)
		}
	}
	switch e.Interaction {
	case "search-system", "$everything", "$export":
		return types, whole && len(types) == 0
	default:
		return types, false
	}
}

// asked calls add for every type that a request line asks for, and reports whether
// it asks for the record as a whole.
func asked(query string, add func(string)) (whole bool) {
	line, _, _ := strings.Cut(query, "\n")
	_, target, ok := strings.Cut(line, " ")
	if !ok {
		return false
	}
	path, parameters, _ := strings.Cut(target, "?")
	if _, below, ok := strings.Cut(path, "/fhir"); ok {
		path = below
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	whole = true
	named := func(name string) {
		add(name)
		whole = whole && !isType(name)
	}
	switch first := segments[0]; {
	case !isType(first):
	case len(segments) == 3 && isType(segments[2]): // in a compartment
		named(segments[2])
	case segments[len(segments)-1] == "$export": // Patient is what stands in its address, of one and of all
	case len(segments) == 3 && segments[2] == "$everything":
	default:
		named(first)
	}
	for pair := range strings.SplitSeq(parameters, "&") {
		name, value, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		switch name, _, _ = strings.Cut(name, ":"); name {
		case "_type":
			for one := range strings.SplitSeq(value, ",") {
				named(one)
			}
		case "_revinclude":
			source, _, _ := strings.Cut(value, ":")
			add(source)
		case "_include":
			if parts := strings.Split(value, ":"); len(parts) == 3 {
				add(parts[2])
			}
		}
	}
	return whole
}

// isType reports whether a word is spelled as the types are.
func isType(s string) bool {
	if s == "" || len(s) > 40 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
