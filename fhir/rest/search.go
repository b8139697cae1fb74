package rest

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// searchType is R4 http.html#search on one type, by GET and by POST.
func (s *Server) searchType(ctx context.Context, x *exchange) (answer, error) {
	q, cursor, err := s.parseSearch(ctx, x, x.request.Type)
	if err != nil {
		return answer{}, err
	}
	return s.search(ctx, x, q, cursor, string(x.request.Type))
}

// searchSystem is R4 http.html#search on several types, or all, by GET and by
// POST.
func (s *Server) searchSystem(ctx context.Context, x *exchange) (answer, error) {
	q, cursor, err := s.parseSearch(ctx, x, "")
	if err != nil {
		return answer{}, err
	}
	return s.search(ctx, x, q, cursor, "")
}

// everyType stands for all types of a compartment (R4 http.html#search).
const everyType = "*"

// searchCompartment is R4 compartmentdefinition.html: a search confined to what
// belongs to one resource.
func (s *Server) searchCompartment(ctx context.Context, x *exchange) (answer, error) {
	owner := x.request.Type
	searched := s.tools.Definitions.Resource(x.target.of)
	if searched == nil && x.target.of != everyType {
		return answer{}, refuse(problemUnknownType)
	}
	if c := s.tools.Definitions.Compartment(string(owner)); c == nil {
		return answer{}, refuse(problemUnknownPath)
	}
	x.request.Type = ""
	if searched != nil {
		x.request.Type = searched.Resource()
	}
	q, cursor, err := s.parseSearch(ctx, x, x.request.Type)
	if err != nil {
		return answer{}, err
	}
	if s.tools.Parser.Compartment(q, string(owner), x.target.id) != nil {
		return answer{}, refuse(problemUnknownPath) // R4 has no such type in the compartment
	}
	return s.search(ctx, x, q, cursor, string(owner)+"/"+x.target.id+"/"+x.target.of)
}

// search asks the gate for one page. at is where the page stands below the base.
func (s *Server) search(ctx context.Context, x *exchange, q *search.Query, cursor, at string) (answer, error) {
	shape, err := s.shape(q)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Search(ctx, &x.request, q, cursor)
	if err != nil {
		return answer{}, err
	}
	return answer{
		released: released, form: formSearchset, status: http.StatusOK, self: q.Self, at: at,
		cursor: cursor, whole: wholly(q, cursor), shape: shape,
	}, nil
}

// wholly reports whether a page that has no next one is the whole answer, whose
// matches may be counted.
func wholly(q *search.Query, cursor string) bool {
	return cursor == "" && q.Total != search.TotalNone
}

// parseSearch understands the query and the form of a search. The form joins
// the target in the record, since it is the query of a search by POST.
func (s *Server) parseSearch(ctx context.Context, x *exchange, t fhir.ResourceType) (q *search.Query, cursor string, err error) {
	params, err := pairs(nil, x.query)
	if err != nil {
		return nil, "", err
	}
	if len(x.body) > 0 && x.row.body == bodyForm {
		form := string(x.body)
		if params, err = pairs(params, form); err != nil {
			return nil, "", err
		}
		joint := "?"
		if x.query != "" {
			joint = "&"
		}
		x.request.Target += joint + form
	}
	explain := false
	kept := params[:0]
	for _, p := range params {
		switch {
		case p.Value == "" && x.prefer.lenient: // which R4 asks of every search; see conformance/DIVERGENCES.md
		case p.Name == "_cursor":
			cursor = p.Value
		case p.Name == explained && x.request.Caller.Kind == consent.Custodian:
			if p.Value != "true" && p.Value != "false" {
				return nil, "", wrongParameter(p.Name, "it must be true or false")
			}
			explain = p.Value == "true"
		default:
			kept = append(kept, p)
		}
	}
	if q, err = s.understand(ctx, t, kept, x.prefer.lenient); err != nil {
		return nil, "", err
	}
	if q.Explain = explain; explain {
		q.Self = strings.TrimPrefix(q.Self+"&"+explained+"=true", "&")
	}
	return q, cursor, nil
}

// explained asks how the store goes about a search. It is the custodian's: for
// everybody else there is no such parameter.
const explained = "_explain"

// condition understands the query of a conditional write. It is never lenient:
// a criterion that was overlooked would match too much (R4 http.html#cond-update).
// Many clients write it as the address of a search, which it then must be of the
// same type.
func (s *Server) condition(ctx context.Context, t fhir.ResourceType, query string) (*search.Query, error) {
	if address, rest, ok := strings.Cut(query, "?"); ok && !strings.Contains(address, "=") {
		address = strings.Trim(strings.TrimPrefix(address, s.cfg.BaseURL), "/")
		if address != "" && address != string(t) {
			return nil, wrong(fhir.Issue{
				Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Detail: "invalid",
				Text: "A condition is the query of a search for " + string(t) + ", such as identifier=system|value.",
			})
		}
		query = rest
	}
	params, err := pairs(nil, query)
	if err != nil {
		return nil, err
	}
	q, err := s.understand(ctx, t, params, false)
	if err != nil {
		return nil, err
	}
	if len(q.Clauses) == 0 { // nothing, or only how to answer: it would match all there is
		return nil, wrong(fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeRequired, Detail: "invalid",
			Text: "A condition needs at least one search parameter, such as identifier.",
		})
	}
	return q, nil
}

func escape(s string) string { return url.QueryEscape(s) }
