package rest

import (
	"context"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// understand understands a search by the parameters that there are, those that
// the custodian added among them. What is not known here may have been added by
// another process since this one heard of any: it is asked before a refusal.
func (s *Server) understand(ctx context.Context, t fhir.ResourceType, params []search.Pair, lenient bool) (*search.Query, error) {
	known := s.gate.Parser()
	q, refusal := known.Parse(t, params, false)
	if refusal == nil {
		return q, nil
	}
	now, err := s.gate.Learn(ctx)
	if err != nil {
		return nil, err
	}
	if now != known || lenient {
		q, refusal = now.Parse(t, params, lenient)
	}
	if refusal != nil {
		return nil, refusal
	}
	return q, nil
}

// declared is the CapabilityStatement of the parameters that a parser takes.
type declared struct {
	parser *search.Parser
	text   []byte
}

// capabilities is the CapabilityStatement, made anew when there are other search
// parameters.
func (s *Server) capabilities() []byte {
	p := s.gate.Parser()
	if d := s.statements.Load(); d != nil && d.parser == p {
		return d.text
	}
	d := &declared{p, s.statement(p)}
	s.statements.Store(d)
	return d.text
}
