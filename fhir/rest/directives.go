package rest

import (
	"context"
	"net/http"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// directing are the rows of directives: what the regulator's people do to agree, and
// what an organisation does that was given a direction. For everybody else there are
// no such operations.
func directing() []interaction {
	regulator := func(k consent.Kind) bool { return k == consent.Regulator }
	return []interaction{
		{name: "$agree", method: http.MethodPost, pattern: onInstance + "/$agree", letter: 'u', audit: "$agree", write: true, body: bodyOptional, only: "Basic", whose: regulator, handle: (*Server).agree},
		{name: "$lift", method: http.MethodPost, pattern: onInstance + "/$lift", letter: 'u', audit: "$lift", write: true, body: bodyOptional, only: "Basic", whose: regulator, handle: (*Server).lift},
		{name: "$withdraw", method: http.MethodPost, pattern: onInstance + "/$withdraw", letter: 'u', audit: "$withdraw", write: true, body: bodyOptional, only: "Basic", whose: regulator, handle: (*Server).withdraw},
		{name: "$accept", method: http.MethodPost, pattern: onInstance + "/$accept", letter: 'u', audit: "$accept", write: true, body: bodyOptional, only: "Task", whose: regulator, handle: (*Server).accept},
		{name: "$certify", method: http.MethodPost, pattern: onInstance + "/$certify", letter: 'u', audit: "$certify", write: true, body: bodyResource, only: "Task", whose: gate.Directed, handle: (*Server).certify},
		{name: "$directions", method: http.MethodGet, pattern: onType + "/$directions", letter: 'r', audit: "$directions", only: "Task", whose: gate.Directed, handle: (*Server).directions},
	}
}

// agree is Basic/[id]/$agree: a second person agrees to what If-Match names.
func (s *Server) agree(ctx context.Context, x *exchange) (answer, error) {
	return x.directed(func(version string, _ time.Time) (gate.Released, error) {
		return s.gate.Agree(ctx, &x.request, x.target.id, version)
	})
}

// lift is Basic/[id]/$lift: a person proposes that a directive end.
func (s *Server) lift(ctx context.Context, x *exchange) (answer, error) {
	return x.directed(func(version string, until time.Time) (gate.Released, error) {
		return s.gate.Lift(ctx, &x.request, x.target.id, version, until)
	})
}

// withdraw is Basic/[id]/$withdraw: what was proposed is taken back, or refused.
func (s *Server) withdraw(ctx context.Context, x *exchange) (answer, error) {
	return x.directed(func(version string, _ time.Time) (gate.Released, error) {
		return s.gate.Withdraw(ctx, &x.request, x.target.id, version)
	})
}

// accept is Task/[id]/$accept: the regulator accepts a certificate.
func (s *Server) accept(ctx context.Context, x *exchange) (answer, error) {
	return x.directed(func(version string, _ time.Time) (gate.Released, error) {
		return s.gate.Accept(ctx, &x.request, x.target.id, version)
	})
}

// directed reads what the operations have in common: the version that the person
// has read and, of $lift, the moment.
func (x *exchange) directed(do func(version string, until time.Time) (gate.Released, error)) (answer, error) {
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	var until time.Time
	if x.tape != nil {
		if err := readParameters(x.tape, func(name string, p fhir.Node) error {
			if name != "until" || x.row.name != "$lift" {
				return parameterError(x.tape, p, "$lift has the parameter until; the other operations of directives have none.")
			}
			if until, err = fhir.ParseInstant(x.tape.Text(x.tape.Field(p, "valueInstant"))); err != nil {
				return parameterError(x.tape, p, "until must have a valueInstant.")
			}
			return nil
		}); err != nil {
			return answer{}, err
		}
	}
	released, err := do(version, until)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formResource, status: http.StatusOK, located: true}, nil
}

// certify is Task/[id]/$certify: the body is the DocumentReference that certifies.
func (s *Server) certify(ctx context.Context, x *exchange) (answer, error) {
	if err := sameType(x.tape, "DocumentReference"); err != nil {
		return answer{}, err
	}
	released, err := s.gate.Certify(ctx, &x.request, x.target.id, gate.Content{Tape: x.tape})
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formResource, status: http.StatusOK}, nil
}

// directions is Task/$directions: what the caller's organisation was directed to do.
func (s *Server) directions(ctx context.Context, x *exchange) (answer, error) {
	released, err := s.gate.Directions(ctx, &x.request)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formSearchset, status: http.StatusOK, at: x.path, whole: true}, nil
}
