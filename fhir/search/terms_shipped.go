package search

import (
	"context"

	"vitrine/fhir/r4"
)

// shipped is the terminology that comes with R4.
type shipped struct{ terms *r4.Terms }

// NewShipped makes a Terminology of the code systems and value sets that come
// with R4.
func NewShipped(t *r4.Terms) Terminology { return shipped{t} }

func (s shipped) Members(_ context.Context, url string) ([]Codes, error) {
	includes, _, listed := s.terms.ValueSet(url)
	if !listed {
		return nil, ErrUnknownTerms
	}
	sets := make([]Codes, len(includes))
	for i, in := range includes {
		sets[i] = Codes{System: in.System, Codes: in.Codes, Whole: in.Codes == nil}
	}
	return sets, nil
}

func (s shipped) Above(_ context.Context, system, code string) ([]Codes, error) {
	return s.related(s.terms.Above, system, code)
}

func (s shipped) Below(_ context.Context, system, code string) ([]Codes, error) {
	return s.related(s.terms.Below, system, code)
}

func (s shipped) related(ask func(system, code string) ([]string, bool), system, code string) (sets []Codes, err error) {
	systems := []string{system}
	if system == "" {
		systems = s.terms.SystemsOf(code)
	}
	for _, system := range systems {
		codes, ok := ask(system, code)
		if !ok {
			return nil, ErrUnknownTerms
		}
		sets = append(sets, Codes{System: system, Codes: codes})
	}
	if len(sets) == 0 {
		return nil, ErrUnknownTerms
	}
	return sets, nil
}
