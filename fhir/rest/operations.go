package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// breakGlass is Patient/[id]/$break-glass (DOSSIER §2.2): 201 and the grant.
func (s *Server) breakGlass(ctx context.Context, x *exchange) (answer, error) {
	var b gate.BreakGlassRequest
	if x.tape != nil {
		if err := readParameters(x.tape, func(name string, p fhir.Node) error {
			return breakGlassParameter(&b, x.tape, name, p)
		}); err != nil {
			return answer{}, err
		}
	}
	released, err := s.gate.BreakGlass(ctx, &x.request, x.target.id, b)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formGrant, status: http.StatusCreated}, nil
}

// stopBreakGlass is Patient/[id]/$break-glass-stop. It has no parameters.
func (s *Server) stopBreakGlass(ctx context.Context, x *exchange) (answer, error) {
	if x.tape != nil {
		if err := readParameters(x.tape, func(name string, p fhir.Node) error {
			return parameterError(x.tape, p, "$break-glass-stop has no parameters.")
		}); err != nil {
			return answer{}, err
		}
	}
	released, err := s.gate.StopBreakGlass(ctx, &x.request, x.target.id)
	if err != nil {
		return answer{}, err
	}
	return removed(released, x), nil
}

// access is Patient/[id]/$access: the caller's level, and whether breaking the
// glass is open.
func (s *Server) access(ctx context.Context, x *exchange) (answer, error) {
	released, err := s.gate.Access(ctx, &x.request, x.target.id)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formAccess, status: http.StatusOK}, nil
}

// faultsMost is how many faults of parameters are told: more nobody reads.
const faultsMost = 20

// faults are what is wrong with several parameters, under the status of the first.
type faults struct {
	status int
	issues []fhir.Issue
}

// add keeps what is wrong with one. It returns what ends the search for more: that it
// went wrong otherwise, or that there are enough.
func (f *faults) add(err error) error {
	var bad *gate.Invalid
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &bad):
		return err
	}
	f.status = cmp.Or(f.status, bad.Status)
	f.issues = append(f.issues, bad.Issues...)
	if len(f.issues) >= faultsMost {
		return f.err()
	}
	return nil
}

// err is all that is wrong; nil for nothing.
func (f *faults) err() error {
	if len(f.issues) == 0 {
		return nil
	}
	return &gate.Invalid{Status: f.status, Issues: f.issues}
}

// readParameters hands each parameter of a Parameters resource to yield
// (R4 parameters.html). All that are wrong are told.
func readParameters(t *fhir.Tape, yield func(name string, p fhir.Node) error) error {
	if err := sameType(t, "Parameters"); err != nil {
		return err
	}
	list := t.Field(t.Root(), "parameter")
	if list == fhir.None {
		return nil
	}
	if t.Kind(list) != fhir.Array {
		return parameterError(t, list, "parameter must be a list.")
	}
	seen := make(map[string]bool)
	var all faults
	for p := t.First(list); p != fhir.None; p = t.Next(p) {
		var err error
		switch name := t.Text(t.Field(p, "name")); {
		case name == "":
			err = parameterError(t, p, "Every parameter must have a name.")
		case seen[name]:
			err = parameterError(t, p, "A parameter stands there twice.")
		default:
			seen[name] = true
			err = yield(name, p)
		}
		if err := all.add(err); err != nil {
			return err
		}
	}
	return all.err()
}

// parameterPairs are the parameters of an operation that stands for a search, in
// the form they have in a query (R4 operations.html#request).
func parameterPairs(dst []search.Pair, t *fhir.Tape) ([]search.Pair, error) {
	return pairsBy(dst, t, func(p, value fhir.Node) (string, error) {
		switch t.Kind(value) { //nolint:exhaustive // the others are no such value
		case fhir.String:
			return t.Text(value), nil
		case fhir.Number:
			return string(t.Raw(value)), nil
		default:
			return "", parameterError(t, p, "The value must be a primitive.")
		}
	})
}

// pairsBy are the parameters of a Parameters resource, each with what is read of
// its value.
func pairsBy(dst []search.Pair, t *fhir.Tape, read func(p, value fhir.Node) (string, error)) ([]search.Pair, error) {
	if err := sameType(t, "Parameters"); err != nil {
		return nil, err
	}
	list := t.Field(t.Root(), "parameter")
	if list != fhir.None && t.Kind(list) != fhir.Array {
		return nil, parameterError(t, list, "parameter must be a list.")
	}
	for p := t.First(list); p != fhir.None; p = t.Next(p) {
		pair := search.Pair{Name: t.Text(t.Field(p, "name"))}
		for member := t.First(p); member != fhir.None; member = t.Next(member) {
			if !strings.HasPrefix(string(t.Key(member)), "value") {
				continue
			}
			value, err := read(p, member)
			if err != nil {
				return nil, err
			}
			pair.Value = value
		}
		if pair.Name == "" || pair.Value == "" {
			return nil, parameterError(t, p, "Every parameter must have a name and a value.")
		}
		dst = append(dst, pair)
	}
	return dst, nil
}

// breakGlassParameter reads one parameter of $break-glass. What it may be is the
// gate's to say; here is only its form.
func breakGlassParameter(b *gate.BreakGlassRequest, t *fhir.Tape, name string, p fhir.Node) error {
	switch name {
	case "reason":
		v := t.Field(p, "valueCoding")
		if t.Kind(v) != fhir.Object {
			return parameterError(t, p, "reason must have a valueCoding.")
		}
		b.Reason = fhir.Coding{System: t.Text(t.Field(v, "system")), Code: t.Text(t.Field(v, "code"))}
	case "justification":
		v := t.Field(p, "valueString")
		if t.Kind(v) != fhir.String {
			return parameterError(t, p, "justification must have a valueString.")
		}
		b.Justification = t.Text(v)
	case "threat":
		v := t.Field(p, "valueCode")
		if t.Kind(v) != fhir.String {
			return parameterError(t, p, "threat must have a valueCode.")
		}
		b.Threat = t.Text(v)
	case "encounter":
		v := t.Field(t.Field(p, "valueReference"), "identifier")
		if t.Kind(v) != fhir.Object {
			return parameterError(t, p, "encounter must have a valueReference with an identifier.")
		}
		b.Encounter = fhir.Identifier{System: t.Text(t.Field(v, "system")), Value: t.Text(t.Field(v, "value"))}
	case "emergency":
		v := t.Field(p, "valueBoolean")
		if k := t.Kind(v); k != fhir.True && k != fhir.False {
			return parameterError(t, p, "emergency must have a valueBoolean.")
		}
		b.Emergency = t.Kind(v) == fhir.True
	case "duration":
		ttl, ok := duration(t, t.Field(p, "valueDuration"))
		if !ok {
			return parameterError(t, p, "duration must have a valueDuration, in UCUM s, min or h.")
		}
		b.TTL = ttl
	default:
		return parameterError(t, p, "Known parameters are reason, justification, threat, encounter, emergency and duration.")
	}
	return nil
}

// duration reads a Duration (R4 datatypes.html#Duration) of at most a year.
func duration(t *fhir.Tape, v fhir.Node) (time.Duration, bool) {
	if t.Kind(v) != fhir.Object || t.Kind(t.Field(v, "value")) != fhir.Number {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(t.Raw(t.Field(v, "value"))), 64)
	if err != nil || n <= 0 {
		return 0, false
	}
	var unit time.Duration
	switch t.Text(t.Field(v, "code")) {
	case "s":
		unit = time.Second
	case "min":
		unit = time.Minute
	case "h":
		unit = time.Hour
	default:
		return 0, false
	}
	if n*unit.Hours() > 24*366 {
		return 0, false
	}
	return time.Duration(n * float64(unit)), true
}

// parameterError is a 400 about one parameter, by its place in the body.
func parameterError(t *fhir.Tape, p fhir.Node, text string) error {
	return misplaced(t, p, fhir.CodeInvalid, "Parameters.parameter", text)
}
