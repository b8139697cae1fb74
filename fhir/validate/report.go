package validate

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// finding is an issue whose place is still an offset.
type finding struct {
	issue  fhir.Issue
	offset int
}

// fail reports an error at a value.
func (w *walker) fail(n fhir.Node, code fhir.IssueCode, text string) {
	start, _ := w.t.Span(n)
	w.add(fhir.SeverityError, code, text, w.expression(""), start)
}

// failAt reports an error at the name of a member that the walk has not entered.
func (w *walker) failAt(m fhir.Node, code fhir.IssueCode, text, name string) {
	start, _ := w.t.KeySpan(m)
	w.add(fhir.SeverityError, code, text, w.expression(name), start)
}

func (w *walker) warn(n fhir.Node, code fhir.IssueCode, text string) {
	start, _ := w.t.Span(n)
	w.add(fhir.SeverityWarning, code, text, w.expression(""), start)
}

func (w *walker) add(s fhir.Severity, code fhir.IssueCode, text, expression string, offset int) {
	if s == fhir.SeverityError {
		w.errors++
	} else if len(w.findings)-w.errors >= maxWarnings {
		return
	}
	w.findings = append(w.findings, finding{
		issue:  fhir.Issue{Severity: s, Code: code, Text: text, Expression: expression},
		offset: offset,
	})
}

func (w *walker) failCount(m fhir.Node, e *r4.Element) {
	w.fail(m, fhir.CodeStructure, e.Name+" may be there "+strconv.Itoa(e.Max)+" times at most")
}

// missing reports the required elements that an object lacks.
func (w *walker) missing(n fhir.Node, typ *r4.Type, slots uint64) {
	start, _ := w.t.Span(n)
	last := -1
	for i := range typ.Elements {
		e := &typ.Elements[i]
		if slots&(1<<e.Slot) == 0 || e.Slot == last || w.errors >= maxErrors {
			continue
		}
		last = e.Slot
		name, text := e.Name, e.Name+" is required"
		if e.Choice != "" {
			name, text = e.Choice, e.Choice+"[x] is required, for instance as "+e.Name
		}
		w.add(severity(e.Path), fhir.CodeRequired, text, w.expression(name), start)
	}
}

// unknown reports a member that the type does not have.
func (w *walker) unknown(m fhir.Node, typ *r4.Type) {
	key := w.t.Key(m)
	text, name := typ.Name+" has no such element", ""
	if presentable(key) {
		name = string(key)
		text = typ.Name + " has no element \"" + name + "\"" + suggestElement(name, typ)
	}
	w.failAt(m, fhir.CodeStructure, text, name)
}

// expression is the FHIRPath of where the walk is, and of a child of it when
// one is named.
func (w *walker) expression(child string) string {
	root := w.root
	if root == "" {
		root = "Resource"
	}
	out := []byte(root)
	for _, s := range w.steps[:w.depth] {
		name := s.element.Name
		if s.element.Choice != "" {
			name = s.element.Choice
		}
		out = append(append(out, '.'), name...)
		if s.index >= 0 {
			out = append(strconv.AppendInt(append(out, '['), int64(s.index), 10), ']')
		}
	}
	if child != "" {
		out = append(append(out, '.'), child...)
	}
	return string(out)
}

// report finds line and column of every finding, in one pass over the source.
func (w *walker) report() []fhir.Issue {
	if len(w.findings) == 0 {
		return nil
	}
	order := make([]*finding, len(w.findings))
	for i := range w.findings {
		order[i] = &w.findings[i]
	}
	slices.SortStableFunc(order, func(a, b *finding) int { return a.offset - b.offset })
	src, at, line, column := w.t.Source(), 0, 1, 1
	for _, f := range order {
		passed := src[at:f.offset]
		if end := bytes.LastIndexByte(passed, '\n'); end >= 0 {
			line, column = line+bytes.Count(passed, []byte{'\n'}), 1
			passed = passed[end+1:]
		}
		column += utf8.RuneCount(passed)
		at = f.offset
		f.issue.Line, f.issue.Column = line, column
	}
	issues := make([]fhir.Issue, len(w.findings))
	for i := range w.findings {
		issues[i] = w.findings[i].issue
	}
	return issues
}

// kindName names a JSON kind in a sentence.
func kindName(k fhir.Kind) string {
	switch k {
	case fhir.Object:
		return "an object"
	case fhir.Array:
		return "an array"
	case fhir.String:
		return "a string"
	case fhir.Number:
		return "a number"
	case fhir.True, fhir.False:
		return "true or false"
	case fhir.Null:
		return "null"
	case fhir.Invalid:
		return "nothing"
	default:
		return "nothing"
	}
}
