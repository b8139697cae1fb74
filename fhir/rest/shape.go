package rest

import (
	"errors"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/subset"
)

// shape is how much of each resource is sent; nil for the whole (R4
// search.html#summary, #elements).
func (s *Server) shape(q *search.Query) (*subset.Form, error) {
	if len(q.Elements) > 0 {
		types := q.Types
		if q.Type != "" {
			types = []fhir.ResourceType{q.Type}
		}
		form, err := s.subsets.Elements(types, q.Elements)
		if unknown := (*subset.Unknown)(nil); errors.As(err, &unknown) {
			return nil, wrongParameter("_elements", unknown.Error())
		}
		return form, err
	}
	switch q.Summary {
	case search.SummaryTrue:
		return s.subsets.Summary(), nil
	case search.SummaryText:
		return s.subsets.Text(), nil
	case search.SummaryData:
		return s.subsets.Data(), nil
	case search.SummaryFalse:
		return nil, nil
	default:
		return nil, nil
	}
}

// shapeOf is what a read asks for by _summary and _elements; of its other
// parameters it knows none (R4 http.html#read).
func (s *Server) shapeOf(x *exchange) (*subset.Form, error) {
	if x.query == "" {
		return nil, nil
	}
	params, err := pairs(nil, x.query)
	if err != nil {
		return nil, err
	}
	kept := params[:0]
	for _, p := range params {
		switch {
		case p.Name == "_summary" && p.Value == "count":
			return nil, wrongParameter(p.Name, "there is nothing to count in one resource")
		case p.Name == "_summary" || p.Name == "_elements":
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	q, refusal := s.tools.Parser.Parse(x.request.Type, kept, false)
	if refusal != nil {
		return nil, refusal
	}
	return s.shape(q)
}

// appendShaped appends a resource, or as much of it as is asked for.
func (s *Server) appendShaped(dst []byte, shape *subset.Form, resource []byte) []byte {
	if shape == nil {
		return append(dst, resource...)
	}
	t := s.tape()
	defer s.tapes.Put(t)
	if t.Parse(resource, fhir.Stored()) != nil {
		return append(dst, resource...) // it was released whole
	}
	return shape.Append(dst, t)
}
