package search

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vitrine/fhir"
)

// Codes are codes of one system.
type Codes struct {
	System string
	// Codes are those meant; they are not looked at when Whole is set.
	Codes []string
	// Whole means every code of the system, which need not be known.
	Whole bool
}

// Terminology knows value sets and how code systems are ordered. It is safe for
// concurrent use. What it does not know it says with ErrUnknownTerms, and what is
// more than MaxCodes with ErrTooManyCodes: nothing is an answer only when it is
// known that there is nothing.
type Terminology interface {
	// Members are the codes of a value set, named by its canonical URL, perhaps
	// with |version.
	Members(ctx context.Context, url string) ([]Codes, error)
	// Above are the code and all that subsume it; without a system, those of every
	// system that has the code.
	Above(ctx context.Context, system, code string) ([]Codes, error)
	// Below are the code and all that it subsumes; without a system, likewise.
	Below(ctx context.Context, system, code string) ([]Codes, error)
}

// MaxCodes is how many codes one value of :in, :not-in, :above or :below may
// stand for; a whole system counts as one.
const MaxCodes = 4000

var (
	// ErrUnknownTerms says that a value set, system or code is not known, or that
	// its codes cannot be listed.
	ErrUnknownTerms = errors.New("terminology: not known")
	// ErrTooManyCodes says that there are more than MaxCodes.
	ErrTooManyCodes = errors.New("terminology: too many codes")
)

// Resolve replaces what asks for value sets and hierarchies, everywhere in the
// query, by matches of the codes themselves. A refusal names the parameter and
// what is not known or too large; an error is neither yes nor no, and q is not to
// be used then.
func (p *Parser) Resolve(ctx context.Context, q *Query, t Terminology) (*Refusal, error) {
	r := &resolver{Parser: p, terms: t}
	if err := r.clauses(ctx, q.Clauses); err != nil {
		return nil, err
	}
	if len(r.issues) > 0 {
		return &Refusal{r.issues}, nil
	}
	return nil, nil
}

// resolver is one query while its terms are resolved.
type resolver struct {
	*Parser
	terms   Terminology
	matches int
	issues  []fhir.Issue
}

func (r *resolver) clauses(ctx context.Context, all []Clause) error {
	for i := range all {
		c := &all[i]
		if err := r.clause(ctx, c); err != nil {
			return err
		}
		for j := range c.Via {
			if err := r.clauses(ctx, c.Via[j].Clauses); err != nil {
				return err
			}
		}
		for _, group := range c.All {
			if err := r.clauses(ctx, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// clause replaces the matches of one clause. Those that need nothing stay where
// they are.
func (r *resolver) clause(ctx context.Context, c *Clause) error {
	asks := false
	for i := range c.Any {
		asks = asks || c.Any[i].Op.Named()
	}
	if !asks {
		return nil
	}
	var out []Match
	for i := range c.Any {
		m := c.Any[i]
		if !m.Op.Named() {
			out = append(out, m)
			continue
		}
		codes, err := r.listed(ctx, &m)
		switch {
		case errors.Is(err, ErrUnknownTerms), errors.Is(err, ErrTooManyCodes):
			r.refuse(&m, err)
			continue
		case err != nil:
			return err
		}
		out = appendCodes(out, m.Param, codes)
	}
	if r.matches += len(out); r.matches > maxMatches && len(r.issues) == 0 {
		r.issues = append(r.issues, refused(fhir.CodeTooCostly, "the value sets of the search have too many codes together"))
	}
	c.Any = out
	return nil
}

// listed asks for the codes that a match stands for.
func (r *resolver) listed(ctx context.Context, m *Match) (sets []Codes, err error) {
	system, code := named(m)
	switch m.Op { //nolint:exhaustive // the others need no terminology
	case OpIn:
		sets, err = r.terms.Members(ctx, system)
	case OpAbove:
		sets, err = r.terms.Above(ctx, system, code)
	case OpBelow:
		sets, err = r.terms.Below(ctx, system, code)
	}
	total := 0
	for i := range sets {
		total += max(1, len(sets[i].Codes))
	}
	if err == nil && total > MaxCodes {
		err = ErrTooManyCodes
	}
	return sets, err
}

// named is the value set that a match names, or the system, which may be empty,
// and the code.
func named(m *Match) (system, code string) {
	switch {
	case m.Op == OpIn:
		return string(m.Key), ""
	case len(m.Key) > 0 && m.Key[0] == tagSystemCode:
		system, code, _ = strings.Cut(string(m.Key[1:]), "\x00")
		return system, code
	case len(m.Key) > 0:
		return "", string(m.Key[1:])
	default:
		return "", ""
	}
}

func (r *resolver) refuse(m *Match, err error) {
	system, code := named(m)
	what := "value set " + printable(system)
	if m.Op != OpIn {
		what = "code " + printable(code)
		if system != "" {
			what += " of system " + printable(system)
		}
	}
	text := "search parameter " + printable(r.codeOf(m.Param)) + ": " + what
	if errors.Is(err, ErrTooManyCodes) {
		r.issues = append(r.issues, refused(fhir.CodeTooCostly, fmt.Sprintf("%s stands for more than %d codes", text, MaxCodes)))
		return
	}
	r.issues = append(r.issues, refused(fhir.CodeNotFound, text+" is not known, or its codes cannot be listed"))
}

// codeOf is what a parameter is called in a query.
func (t *table) codeOf(p Param) string {
	if sp := t.defs.ParamByNumber(uint16(p)); sp != nil {
		return sp.Code
	}
	if a, ok := t.added[p]; ok {
		return a.Code
	}
	return ""
}

// appendCodes appends the matches of codes, each in any case as a token's are.
func appendCodes(dst []Match, p Param, sets []Codes) []Match {
	for _, set := range sets {
		if set.Whole {
			m := equal(p, []byte{tagSystemCode}, appendSystemCode(nil, []byte(set.System), nil))
			m.Op = OpPrefix
			dst = append(dst, m)
			continue
		}
		for _, code := range set.Codes {
			dst = append(dst, codeMatches(p, nil, []byte(set.System), []byte(code), true)...)
		}
	}
	return dst
}
