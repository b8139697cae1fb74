package search

import (
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
)

// Refusal says why a search was not understood. It names parameters and the
// places of values, never the values, but for the value set or code that is not
// known; it goes to who asked alone.
type Refusal struct{ Issues []fhir.Issue }

// Error is the texts of the issues.
func (r *Refusal) Error() string {
	texts := make([]string, len(r.Issues))
	for i := range r.Issues {
		texts[i] = r.Issues[i].Text
	}
	return strings.Join(texts, "; ")
}

func refusal(code fhir.IssueCode, text string) *Refusal {
	return &Refusal{[]fhir.Issue{refused(code, text)}}
}

func refused(code fhir.IssueCode, text string) fhir.Issue {
	return fhir.Issue{Severity: fhir.SeverityError, Code: code, Text: text}
}

// fault is what is wrong with a parameter's value; nil for nothing.
type fault struct {
	code fhir.IssueCode
	text string
	// unknown says that a parameter, named, is not known for types. A chain tries
	// many; what there is in its place is told only once nothing else is left.
	unknown bool
	named   string
	types   []fhir.ResourceType
}

func bad(text string) *fault         { return &fault{code: fhir.CodeValue, text: text} }
func unsupported(text string) *fault { return &fault{code: fhir.CodeNotSupported, text: text} }
func costly(text string) *fault      { return &fault{code: fhir.CodeTooCostly, text: text} }

func unknown(named string, types []fhir.ResourceType) *fault {
	return &fault{code: fhir.CodeNotSupported, unknown: true, named: named, types: types}
}

// said is the text of a fault of a parameter. What is not known is answered with
// what is.
func (r *reading) said(name string, f *fault) string {
	if !f.unknown || f.text != "" {
		return f.text
	}
	var known []string
	for _, pp := range r.Supported(f.types[0]) {
		if specialOf(pp.Code) == nil && r.common(f.types, pp.Code) {
			known = append(known, pp.Code)
		}
	}
	known = append(known, specials()...)
	slices.Sort(known)
	of, what := string(f.types[0]), ""
	if len(f.types) > 1 {
		of = "all of the types searched"
	}
	if base, _, _ := strings.Cut(name, ":"); base != f.named { // a step of a chain, or a name in a filter
		what = printable(f.named) + " is "
	}
	return what + "not known for " + of + "; known are " + strings.Join(slices.Compact(known), ", ")
}

// printable is a name from a request, short enough and safe to be repeated.
func printable(name string) string {
	const most = 64
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if len(clean) > most {
		clean = strings.ToValidUTF8(clean[:most], "") + "…"
	}
	return strconv.Quote(clean)
}
