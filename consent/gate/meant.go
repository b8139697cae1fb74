package gate

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// errQuestion: the query of a conditional reference is not understood.
var errQuestion = errors.New("query of a conditional reference")

// errUnresolved is what a conditional reference comes to that does not match
// exactly one resource. None and several are the same refusal: which of them it
// is would tell of what is there.
func errUnresolved() error {
	return invalid(http.StatusPreconditionFailed, fhir.CodeNotFound, "a conditional reference does not match exactly one resource", "")
}

// meaning is the one resource, "Type/id", that a conditional reference means (R4
// http.html#trules); empty when there is none, or more than one.
func (v *visit) meaning(ctx context.Context, said string) (string, error) {
	ref := fhir.ParseReference(said, v.g.cfg.BaseURL)
	q, err := v.condition(ref.Type, ref.Query)
	if err != nil {
		return "", errQuestion
	}
	only := ""
	for _, u := range v.referable() {
		found, err := v.matching(ctx, u, q)
		if refused := (*search.Refusal)(nil); errors.As(err, &refused) {
			return "", errQuestion
		}
		if err != nil {
			return "", err
		}
		for i := range found {
			if only != "" && only != found[i].ID {
				return "", nil
			}
			only = found[i].ID
		}
	}
	if only == "" {
		return "", nil
	}
	return string(ref.Type) + "/" + only, nil
}

// referable are the universes in which conditional references are looked up:
// the caller's own contributions, and the directory.
func (v *visit) referable() []*consent.Universe {
	if v.caller.Kind == consent.Custodian {
		return []*consent.Universe{consent.Everything()}
	}
	return []*consent.Universe{v.partition(), consent.OfPatients(nil, anyShared, nil)}
}

// condition understands the query of a conditional reference.
func (v *visit) condition(t fhir.ResourceType, query string) (*search.Query, error) {
	if v.g.tools.Definitions.Resource(string(t)) == nil {
		return nil, ErrNotFound
	}
	var pairs []search.Pair
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		val, err := url.QueryUnescape(value)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, search.Pair{Name: n, Value: val})
	}
	q, refusal := v.params.parser.Parse(t, pairs, false)
	if refusal != nil {
		return nil, refusal
	}
	if len(q.Clauses) == 0 {
		return nil, ErrMultiple
	}
	return q, nil
}

// meanings looks up the conditional references of a step, each once, and reports
// whether all of them are resolved and the draft is made of what they mean.
func (v *visit) meanings(ctx context.Context, s *step, known map[string]string) (all, same bool, err error) {
	all, same = true, !s.open
	for said, was := range s.asks {
		now, ok := known[said]
		if !ok {
			if now, err = v.meaning(ctx, said); err != nil {
				return false, false, err
			}
			known[said] = now
		}
		all, same = all && now != "", same && now == was
	}
	return all, same, nil
}

// only is the one resource of the caller's own that the condition matches;
// ErrMultiple when there are more.
func (v *visit) only(ctx context.Context, cond *search.Query) (f store.Found, ok bool, err error) {
	found, err := v.matching(ctx, v.partition(), cond)
	switch {
	case err != nil:
		return f, false, err
	case len(found) > 1:
		return f, false, ErrMultiple
	case len(found) == 0:
		return f, false, nil
	}
	return found[0], true, nil
}
