package rest

import (
	"context"
	"strconv"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// create is R4 http.html#create, and conditional create with If-None-Exist.
func (s *Server) create(ctx context.Context, x *exchange) (answer, error) {
	if err := sameType(x.tape, x.request.Type); err != nil {
		return answer{}, err
	}
	var cond *search.Query
	if given, asked := x.unlessExists(); asked {
		var err error
		if cond, err = s.condition(ctx, x.request.Type, given); err != nil {
			return answer{}, err
		}
	}
	released, err := s.gate.Create(ctx, &x.request, x.content(), cond)
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}

// content is the body as the gate takes it.
func (x *exchange) content() gate.Content {
	return gate.Content{Tape: x.tape, Report: x.prefer.returns == returnOutcome}
}

// unlessExists is the condition of a create: If-None-Exist, or else the query of
// its address without what is about the form of the answer. R4 has no such
// query, but some clients put the condition there, and to overlook it would make
// the duplicate they want to avoid. One that is empty is asked for too, and will be
// refused.
func (x *exchange) unlessExists() (condition string, asked bool) {
	if x.conditions.unless {
		return x.conditions.ifNoneExist, true
	}
	var kept []string
	for one := range strings.SplitSeq(x.query, "&") {
		p, err := pair(one)
		if err == nil && (p.Name == "" || p.Name == "_format" || p.Name == "_pretty") {
			continue
		}
		kept = append(kept, one)
	}
	condition = strings.Join(kept, "&")
	return condition, condition != ""
}

// sameType refuses a body of another type than the address names.
func sameType(t *fhir.Tape, want fhir.ResourceType) error {
	n := t.Field(t.Root(), "resourceType")
	if t.Kind(n) != fhir.String {
		return misplaced(t, n, fhir.CodeRequired, "resourceType", "resourceType is required, and must be "+string(want)+" here.")
	}
	if t.Text(n) != string(want) {
		return misplaced(t, n, fhir.CodeInvalid, "resourceType", "resourceType must be "+string(want)+", as in the address.")
	}
	return nil
}

// sameID refuses a body without the id of the address, or with another
// (R4 http.html#update).
func sameID(t *fhir.Tape, want string) error {
	n := t.Field(t.Root(), "id")
	if t.Kind(n) != fhir.String {
		return misplaced(t, n, fhir.CodeRequired, "Resource.id", "An update must carry the id of the address.")
	}
	if t.Text(n) != want {
		return misplaced(t, n, fhir.CodeInvalid, "Resource.id", "The id must be the one in the address.")
	}
	return nil
}

// misplaced is a 400 about one element of the body.
func misplaced(t *fhir.Tape, n fhir.Node, code fhir.IssueCode, expression, text string) error {
	issue := fhir.Issue{Severity: fhir.SeverityError, Code: code, Detail: "invalid", Text: text, Expression: expression}
	if n != fhir.None {
		start, _ := t.Span(n)
		issue.Line, issue.Column = t.Line(start)
	}
	return wrong(issue)
}

// place is the FHIRPath of an entry.
func place(i int) string { return "Bundle.entry[" + strconv.Itoa(i) + "]" }
