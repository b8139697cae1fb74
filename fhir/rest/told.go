package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// accessHistory is Patient/[id]/$access-history: who looked at the record, and why,
// in plain words (DOSSIER §3.5).
func (s *Server) accessHistory(ctx context.Context, x *exchange) (answer, error) {
	p := toldPage{AccessPage: gate.AccessPage{Count: -1}, language: x.languages}
	all, err := pairs(nil, x.query)
	if err == nil && x.tape != nil {
		all, err = toldPairs(all, x.tape)
	}
	if err != nil {
		return answer{}, err
	}
	var self []string
	for _, one := range all {
		known, err := p.read(s, one)
		switch {
		case err != nil:
			return answer{}, err
		case !known && !x.prefer.lenient:
			return answer{}, wrongParameter(one.Name, "it is not a parameter of this operation; known are: start, end, organization, emergency, fold, _count, _language")
		case known && one.Name != "_cursor":
			self = append(self, one.Name+"="+escape(one.Value))
		}
	}
	released, err := s.gate.AccessHistory(ctx, &x.request, x.target.id, p.AccessPage)
	if err != nil {
		return answer{}, err
	}
	return answer{
		released: released, form: formVisits, status: http.StatusOK, self: strings.Join(self, "&"), at: x.path,
		speaker: plain.NewSpeaker(plain.Choose(p.language), released.Reader()),
	}, nil
}

// toldPage is what is asked of $access-history.
type toldPage struct {
	gate.AccessPage
	language string
}

// read takes one parameter; known is false for one that there is not.
func (p *toldPage) read(s *Server, one search.Pair) (known bool, err error) {
	ok := true
	switch one.Name {
	case "start", "end":
		// A plus that was not escaped has become a space.
		from, until, dated := s.tools.Parser.Span(strings.Replace(one.Value, " ", "+", 1))
		if ok = dated; one.Name == "start" {
			p.Since = from
		} else {
			p.Until = until
		}
		err = wrongParameter(one.Name, "it must be a date or time, such as 2026-11-22 or 2026-11-22T08:30:00+08:00")
	case "organization":
		p.Organization = strings.TrimPrefix(one.Value, "Organization/")
		ok, err = fhir.ValidID(p.Organization), wrongParameter(one.Name, "it must be the id of an Organization")
	case "emergency":
		p.Emergency, ok = one.Value == "true", one.Value == "true" || one.Value == "false"
		err = wrongParameter(one.Name, "it must be true or false")
	case "fold":
		p.Each, ok = one.Value == "false", one.Value == "true" || one.Value == "false"
		err = wrongParameter(one.Name, "it must be true or false")
	case "_count":
		var bad error
		p.Count, bad = strconv.Atoi(one.Value)
		ok, err = bad == nil && p.Count >= 1, wrongParameter(one.Name, "it must be a whole number, 1 or more")
	case "_language":
		p.language = one.Value
	case "_cursor":
		p.Cursor = one.Value
	default:
		return false, nil
	}
	if ok {
		err = nil
	}
	return true, err
}

// toldPairs are the parameters of a body, as those of an address.
func toldPairs(dst []search.Pair, t *fhir.Tape) ([]search.Pair, error) {
	return pairsBy(dst, t, func(p, value fhir.Node) (string, error) {
		switch t.Kind(value) { //nolint:exhaustive // the others are no such value
		case fhir.String:
			return t.Text(value), nil
		case fhir.Object:
			return t.Text(t.Field(value, "reference")), nil
		case fhir.Number, fhir.True, fhir.False:
			return string(t.Raw(value)), nil
		default:
			return "", parameterError(t, p, "The value must be a primitive or a Reference.")
		}
	})
}

// simulate is Consent/$simulate: who could still see what if a Consent were on
// file. It is the body, or the parameter resource of the body.
func (s *Server) simulate(ctx context.Context, x *exchange) (answer, error) {
	language, err := x.language()
	if err != nil {
		return answer{}, err
	}
	t, resource := x.tape, fhir.None
	if t.Text(t.Field(t.Root(), "resourceType")) == "Parameters" {
		if err := readParameters(t, func(name string, p fhir.Node) error {
			if resource = t.Field(p, "resource"); name != "resource" || t.Kind(resource) != fhir.Object {
				return parameterError(t, p, "The one parameter of $simulate is resource, which has a Consent.")
			}
			return nil
		}); err != nil {
			return answer{}, err
		}
		if resource == fhir.None {
			return answer{}, parameterError(t, t.Root(), "The parameter resource is required.")
		}
		t = s.tape()
		defer s.tapes.Put(t)
		if err := t.Parse(x.tape.Raw(resource), s.tapeLimits(bodyResource)); err != nil {
			return answer{}, err
		}
	}
	if err := sameType(t, "Consent"); err != nil {
		return answer{}, err
	}
	released, err := s.gate.Simulate(ctx, &x.request, gate.Content{Tape: t})
	if err != nil {
		shifted(err, x.tape, resource)
		return answer{}, err
	}
	return answer{
		released: released, form: formOutlook, status: http.StatusOK,
		speaker: plain.NewSpeaker(plain.Choose(language), released.Reader()),
	}, nil
}

// explain is AuditEvent/[id]/$explain: why an access was decided as it was.
func (s *Server) explain(ctx context.Context, x *exchange) (answer, error) {
	language, err := x.language()
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Explain(ctx, &x.request, x.target.id)
	if err != nil {
		return answer{}, err
	}
	return answer{
		released: released, form: formExplanation, status: http.StatusOK,
		speaker: plain.NewSpeaker(plain.Choose(language), released.Reader()),
	}, nil
}

// language is the one asked for in the address or, without one there, by the
// header. No other parameter is known.
func (x *exchange) language() (string, error) {
	all, err := pairs(nil, x.query)
	if err != nil {
		return "", err
	}
	out := x.languages
	for _, one := range all {
		if one.Name == "_language" {
			out = one.Value
		} else if !x.prefer.lenient {
			return "", wrongParameter(one.Name, "it is not a parameter of this operation; known is: _language")
		}
	}
	return out, nil
}

// systemWho, systemDeed and systemBecause are the codes of what is told.
const (
	systemWho     = consent.Canon + "/CodeSystem/nehr-who"
	systemDeed    = consent.Canon + "/CodeSystem/nehr-deed"
	systemBecause = consent.Canon + "/CodeSystem/nehr-because"
	systemUnsaid  = consent.Canon + "/CodeSystem/nehr-unsaid"
	systemTypes   = "http://hl7.org/fhir/resource-types"
)
