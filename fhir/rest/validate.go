package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// validate is R4 resource-operation-validate.html, of a type and of an instance.
// The resource stands in Parameters, or is the body itself; mode and profile may
// stand in the address as well.
func (s *Server) validate(ctx context.Context, x *exchange) (answer, error) {
	p := gate.Proposal{ID: x.target.id}
	given, err := pairs(nil, x.query)
	if err != nil {
		return answer{}, err
	}
	for _, one := range given {
		if err := s.proposing(&p, one.Name, one.Value); err != nil && (one.Name == "mode" || !x.prefer.lenient) { // lenience is about names
			return answer{}, err
		}
	}
	line, column := 1, 1
	if x.tape != nil {
		if line, column, err = s.proposed(x, &p); err != nil {
			return answer{}, err
		}
	}
	if p.Content.Tape != nil {
		if err := sameType(p.Content.Tape, x.request.Type); err != nil {
			return answer{}, err
		}
	}
	switch {
	case p.Intent == gate.IntentDelete && p.ID == "":
		return answer{}, wrongParameter("mode", "delete is for an instance: [type]/[id]/$validate")
	case p.Intent == gate.IntentProfile && len(p.Profiles) == 0:
		return answer{}, wrongParameter("mode", "profile needs the parameter profile")
	}
	released, err := s.gate.Validate(ctx, &x.request, x.request.Type, p)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released.Moved(line, column), form: formIssues, status: http.StatusOK}, nil
}

// proposing reads a parameter that is a word.
func (s *Server) proposing(p *gate.Proposal, name, value string) error {
	switch name {
	case "profile":
		p.Profiles = append(p.Profiles, value)
		return nil
	case "mode":
		for i, mode := range [...]string{"create", "update", "delete", "profile"} {
			if value == mode {
				p.Intent = gate.IntentCreate + gate.Intent(i)
				return nil
			}
		}
		return wrongParameter(name, "it must be create, update, delete or profile")
	}
	return wrongParameter(name, "it is not a parameter of $validate; known are: resource, mode, profile")
}

// proposed reads the body. Where the resource stands in Parameters it gets a tape
// of its own, which takes the place of the body's; line and column are where it
// begins.
func (s *Server) proposed(x *exchange, p *gate.Proposal) (line, column int, err error) {
	t := x.tape
	if t.Text(t.Field(t.Root(), "resourceType")) != "Parameters" || x.request.Type == "Parameters" && !asksToValidate(t) {
		p.Content.Tape = t
		return 1, 1, nil
	}
	resource, i := fhir.None, -1
	for n := t.First(t.Field(t.Root(), "parameter")); n != fhir.None; n = t.Next(n) {
		i++
		at := "Parameters.parameter[" + strconv.Itoa(i) + "]"
		name := t.Text(t.Field(n, "name"))
		if name == "resource" {
			if resource = t.Field(n, "resource"); t.Kind(resource) != fhir.Object {
				return 0, 0, misplaced(t, n, fhir.CodeInvalid, at, "The parameter resource must have a resource.")
			}
			continue
		}
		value := ""
		for m := t.First(n); m != fhir.None; m = t.Next(m) {
			if strings.HasPrefix(string(t.Key(m)), "value") {
				value = t.Text(m)
			}
		}
		if err := s.proposing(p, name, value); err != nil {
			text := "The name is not that of a parameter of $validate; known are: resource, mode, profile."
			if name == "mode" {
				text = "The parameter mode must be create, update, delete or profile."
			}
			return 0, 0, misplaced(t, n, fhir.CodeInvalid, at, text)
		}
	}
	if resource == fhir.None {
		return 1, 1, nil
	}
	start, _ := t.Span(resource)
	line, column = t.Line(start)
	own := s.tape()
	defer s.tapes.Put(t)
	x.tape = own
	p.Content.Tape = own
	return line, column, own.Parse(t.Raw(resource), s.tapeLimits(bodyResource))
}

// asksToValidate tells Parameters that hold a resource to be validated from
// Parameters that are to be validated themselves.
func asksToValidate(t *fhir.Tape) bool {
	for n := t.First(t.Field(t.Root(), "parameter")); n != fhir.None; n = t.Next(n) {
		if t.Text(t.Field(n, "name")) == "resource" {
			return true
		}
	}
	return false
}
