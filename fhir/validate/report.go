package validate

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The bounds of one report. Warnings and what is for information have their own,
// so that they cannot crowd out an error.
const (
	maxErrors = 80
	maxOthers = 20
)

// reporter gathers what every pass over one tape finds. A place is a node: where
// it stands in the resource is worked out at the end, for what was found alone.
type reporter struct {
	defs     *r4.Definitions
	t        *fhir.Tape
	findings []finding
	errors   int
	// broken is how many of the errors are broken rules: with the others nothing
	// is sure of the structure.
	broken int
	// errorsOnly leaves out what is no error.
	errorsOnly bool
}

// finding is an issue whose place is still a node.
type finding struct {
	severity fhir.Severity
	code     fhir.IssueCode
	text     string
	node     fhir.Node
	child    string // a member of the node that is missing, or that is not entered
	offset   int
	detail   string // DetailProfile, or nothing
}

// full says that no further error would be reported.
func (r *reporter) full() bool { return r.errors >= maxErrors }

// fail reports an error at a value.
func (r *reporter) fail(n fhir.Node, code fhir.IssueCode, text string) {
	r.add(fhir.SeverityError, n, "", code, text)
}

// failIn reports an error at a member that an object should have, or that is
// there without being its element; it has no name when that cannot be repeated.
func (r *reporter) failIn(object fhir.Node, child string, code fhir.IssueCode, text string) {
	r.add(fhir.SeverityError, object, child, code, text)
}

// failKey is failIn for a member that is there: its name is the place.
func (r *reporter) failKey(object, member fhir.Node, child string, code fhir.IssueCode, text string) {
	before := len(r.findings)
	if r.failIn(object, child, code, text); len(r.findings) > before {
		r.findings[before].offset, _ = r.t.KeySpan(member)
	}
}

// warn reports what does not forbid to store the resource.
func (r *reporter) warn(n fhir.Node, code fhir.IssueCode, text string) {
	r.add(fhir.SeverityWarning, n, "", code, text)
}

// inform reports what could not be checked.
func (r *reporter) inform(n fhir.Node, code fhir.IssueCode, text string) {
	r.add(fhir.SeverityInformation, n, "", code, text)
}

func (r *reporter) add(s fhir.Severity, n fhir.Node, child string, code fhir.IssueCode, text string) {
	if s == fhir.SeverityError {
		if r.full() {
			return
		}
		r.errors++
		if code == fhir.CodeInvariant || code == fhir.CodeBusinessRule {
			r.broken++
		}
	} else if r.errorsOnly || len(r.findings)-r.errors >= maxOthers {
		return
	}
	start, _ := r.t.Span(n)
	r.findings = append(r.findings, finding{severity: s, code: code, text: text, node: n, child: child, offset: start})
}

// report is all that was found: errors, warnings, information, each in the order
// of the passes. Line and column are found in one pass over the source.
func (r *reporter) report() []fhir.Issue {
	if len(r.findings) == 0 {
		return nil
	}
	issues := make([]fhir.Issue, len(r.findings))
	order := make([]int, len(r.findings))
	for i := range r.findings {
		f := &r.findings[i]
		issues[i] = fhir.Issue{Severity: f.severity, Code: f.code, Detail: f.detail, Text: f.text, Expression: r.expression(f.node, f.child)}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return r.findings[a].offset - r.findings[b].offset })
	src, at, line, column := r.t.Source(), 0, 1, 1
	for _, i := range order {
		passed := src[at:r.findings[i].offset]
		if end := bytes.LastIndexByte(passed, '\n'); end >= 0 {
			line, column = line+bytes.Count(passed, []byte{'\n'}), 1
			passed = passed[end+1:]
		}
		column += utf8.RuneCount(passed)
		at = r.findings[i].offset
		issues[i].Line, issues[i].Column = line, column
	}
	slices.SortStableFunc(issues, func(a, b fhir.Issue) int { return rank(a.Severity) - rank(b.Severity) })
	return issues
}

// rank puts errors before warnings, and those before what is for information.
func rank(s fhir.Severity) int {
	switch s {
	case fhir.SeverityFatal, fhir.SeverityError:
		return 0
	case fhir.SeverityWarning:
		return 1
	case fhir.SeverityInformation:
		return 2
	default:
		return 0
	}
}
