package search

import (
	"strconv"
	"strings"

	"vitrine/fhir"
)

// Refusal says why a search was not understood. It names parameters and the
// places of values, never the values.
type Refusal struct{ Issues []fhir.Issue }

// Error is the texts of the issues.
func (r *Refusal) Error() string {
	texts := make([]string, len(r.Issues))
	for i := range r.Issues {
		texts[i] = r.Issues[i].Text
	}
	return strings.Join(texts, "; ")
}

func refused(code fhir.IssueCode, text string) fhir.Issue {
	return fhir.Issue{Severity: fhir.SeverityError, Code: code, Text: text}
}

// fault is what is wrong with a parameter's value; nil for nothing.
type fault struct {
	code fhir.IssueCode
	text string
}

func bad(text string) *fault         { return &fault{fhir.CodeValue, text} }
func unsupported(text string) *fault { return &fault{fhir.CodeNotSupported, text} }

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
