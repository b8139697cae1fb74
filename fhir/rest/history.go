package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// history is R4 http.html#history of one resource.
func (s *Server) history(ctx context.Context, x *exchange) (answer, error) {
	return s.historyOf(x, func(p gate.HistoryPage) (gate.Released, error) {
		return s.gate.History(ctx, &x.request, x.request.Type, x.target.id, p)
	})
}

// changes is R4 http.html#history of a type, and of the whole system.
func (s *Server) changes(ctx context.Context, x *exchange) (answer, error) {
	return s.historyOf(x, func(p gate.HistoryPage) (gate.Released, error) {
		return s.gate.Changes(ctx, &x.request, x.request.Type, p)
	})
}

func (s *Server) historyOf(x *exchange, get func(gate.HistoryPage) (gate.Released, error)) (answer, error) {
	p, err := s.paging(x, historyParameters()...)
	if err != nil {
		return answer{}, err
	}
	released, err := get(p.history())
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formHistory, status: http.StatusOK, self: p.self, at: x.path, whole: p.cursor == ""}, nil
}

// historyParameters are those of R4 http.html#history, and the order that every
// history has.
func historyParameters() []string { return []string{"_count", "_since", "_at", "_list", "_sort"} }

// history is the part of a history that is asked for.
func (p *paged) history() gate.HistoryPage {
	return gate.HistoryPage{Count: p.count, Cursor: p.cursor, Since: p.since, From: p.from, Until: p.until, List: p.list, Self: p.self}
}

// paged are the parameters of an answer that comes in pages and is no search.
type paged struct {
	count  int
	cursor string
	types  []fhir.ResourceType
	// since is _since: of everything, what changed then or later is meant
	// (R4 http.html#history, patient-operation-everything.html).
	since time.Time
	// from and until are _at: what was current at some moment of it is meant.
	from, until time.Time
	// list is the id of the List that _list names.
	list string
	// self is the query as it was understood, without the cursor.
	self string
}

// paging reads the parameters of a history or an operation: those named, and
// the cursor. One that is not among them is refused by name, unless the client
// asks for lenience.
func (s *Server) paging(x *exchange, known ...string) (paged, error) {
	p := paged{count: -1}
	all, err := pairs(nil, x.query)
	if err == nil && x.tape != nil {
		all, err = parameterPairs(all, x.tape)
	}
	if err != nil {
		return p, err
	}
	var self []string
	for _, one := range all {
		switch {
		case one.Name == "_cursor":
			p.cursor = one.Value
			continue
		case one.Name == "_summary" || one.Name == "_elements":
			continue // R4 lets a server overlook them
		case !contains(known, one.Name):
			if x.prefer.lenient {
				continue
			}
			return p, wrongParameter(one.Name, "it is not a parameter of this interaction; known are: "+strings.Join(known, ", "))
		case one.Name == "_count":
			if p.count, err = strconv.Atoi(one.Value); err != nil || p.count < 1 {
				return p, wrongParameter(one.Name, "it must be a whole number, 1 or more")
			}
		case one.Name == "_type":
			if p.types, err = s.types(p.types, one); err != nil {
				return p, err
			}
		case one.Name == "_since":
			// A plus that was not escaped has become a space.
			if p.since, err = fhir.ParseInstant(strings.Replace(one.Value, " ", "+", 1)); err != nil {
				return p, wrongParameter(one.Name, "it must be an instant, such as 2026-11-22T08:30:00+08:00")
			}
		default:
			if err := p.narrow(s, one); err != nil {
				return p, err
			}
		}
		self = append(self, one.Name+"="+escape(one.Value))
	}
	p.self = strings.Join(self, "&")
	return p, nil
}

// narrow reads the other parameters of a history.
func (p *paged) narrow(s *Server, one search.Pair) error {
	ok := false
	switch one.Name {
	case "_at":
		p.from, p.until, ok = s.tools.Parser.Span(strings.Replace(one.Value, " ", "+", 1))
		if !ok {
			return wrongParameter(one.Name, "it must be a date or time, such as 2026, 2026-11, 2026-11-22 or 2026-11-22T08:30:00+08:00")
		}
	case "_list":
		p.list = strings.TrimPrefix(one.Value, "List/")
		if !fhir.ValidID(p.list) {
			return wrongParameter(one.Name, "it must be the id of a List; lists by their function are not kept")
		}
	case "_sort":
		if one.Value != "-_lastUpdated" {
			return wrongParameter(one.Name, "a history has one order, the newest first: -_lastUpdated")
		}
	}
	return nil
}

// types reads a list of resource types.
func (s *Server) types(dst []fhir.ResourceType, p search.Pair) ([]fhir.ResourceType, error) {
	for name := range strings.SplitSeq(p.Value, ",") {
		t := s.tools.Definitions.Resource(name)
		if t == nil {
			return nil, wrongParameter(p.Name, "it must list resource types of R4, separated by commas")
		}
		dst = append(dst, t.Resource())
	}
	return dst, nil
}

// wrongParameter names a parameter and says what would be right. Its value is
// not repeated.
func wrongParameter(name, text string) error {
	if len(name) > 64 {
		name = name[:64]
	}
	return wrong(fhir.Issue{
		Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Detail: "invalid",
		Text: "Parameter " + strconv.Quote(name) + ": " + text + ".",
	})
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}
