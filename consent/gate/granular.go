package gate

import (
	"net/url"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// A scope with a query opens the part of a type that the query finds (SMART App
// Launch 2.2, #finer-grained-resource-constraints-using-search-parameters). What is
// not in the part is not there: it is left out of the universe, inside every
// question (sifted.go). It opens no more than reading: what is written is open by
// whole types alone.

// opening is how scopes open a type; the zero value is not at all.
type opening struct {
	ok, confined bool
	// narrowed says that there is nothing of the type but what the alternatives find,
	// of which all clauses must hold.
	narrowed     bool
	alternatives [][]search.Clause
}

// openings are those that were worked out, with the search parameters that there
// were.
type openings struct {
	by    *parameters
	known map[openingOf]opening
}

type openingOf struct {
	letter byte
	t      fhir.ResourceType
}

// opens is how scopes open a type to a permission.
func (v *visit) opens(letter byte, t fhir.ResourceType) opening {
	if !v.caller.Scopes.Granular() {
		ok, confined := v.caller.Scopes.Allows(letter, t)
		return opening{ok: ok, confined: confined}
	}
	if v.openings.by != v.params {
		v.openings = openings{v.params, map[openingOf]opening{}}
	}
	key := openingOf{letter, t}
	o, known := v.openings.known[key]
	if !known {
		o = v.opening(letter, t)
		v.openings.known[key] = o
	}
	return o
}

// reading is how a type is open to be read or searched in a request: as the request
// itself has it, and where it does not, as the other of the two permissions has.
func (v *visit) reading(t fhir.ResourceType) opening {
	own, other := byte('r'), byte('s')
	if v.letter == 's' {
		own, other = other, own
	}
	if o := v.opens(own, t); o.ok {
		return o
	}
	return v.opens(other, t)
}

// part is what Universe.Parted is told of a type.
func (v *visit) part(t fhir.ResourceType) (alternatives [][]search.Clause, narrowed bool) {
	o := v.reading(t)
	return o.alternatives, o.narrowed
}

// parted leaves of a universe what the scopes open.
func (v *visit) parted(u *consent.Universe) *consent.Universe {
	if !v.caller.Scopes.Granular() {
		return u
	}
	return u.Parted(v.part)
}

func (v *visit) opening(letter byte, t fhir.ResourceType) opening {
	whole, own := v.caller.Scopes.Allows(letter, t)
	if whole && !own || letter != 'r' && letter != 's' {
		return opening{ok: whole, confined: own}
	}
	var ofPatient, ofAnybody [][]search.Clause
	for _, p := range v.caller.Scopes.Parts(letter, t) {
		switch clauses, ok := v.partBy(t, p.Query); {
		case !ok:
		case p.PatientOnly:
			ofPatient = append(ofPatient, clauses)
		default:
			ofAnybody = append(ofAnybody, clauses)
		}
	}
	switch {
	case len(ofAnybody) > 0:
		if whole {
			ofPatient = [][]search.Clause{nil}
		}
		return opening{ok: true, narrowed: true, alternatives: append(ofAnybody, v.ofLaunch(t, ofPatient)...)}
	case whole:
		return opening{ok: true, confined: true}
	default:
		return opening{ok: len(ofPatient) > 0, confined: true, narrowed: true, alternatives: ofPatient}
	}
}

// ofLaunch are the alternatives for the launch patient alone, beside others that are
// for anybody. Whose a resource is, it says itself: what does not is not opened.
func (v *visit) ofLaunch(t fhir.ResourceType, alternatives [][]search.Clause) [][]search.Clause {
	q := search.Query{Type: t}
	if len(alternatives) == 0 || v.caller.Patient == "" || v.parser().Compartment(&q, "Patient", v.caller.Patient) != nil {
		return nil
	}
	out := make([][]search.Clause, len(alternatives))
	for i, clauses := range alternatives {
		out[i] = append(slices.Clone(clauses), q.Clauses...)
	}
	return out
}

// partBy understands the query of a scope. It is a condition on the resource itself
// and nothing else: what leads elsewhere, what a terminology has a say in, what is
// read in the content, and what shapes an answer, opens nothing. A client that may
// write could have the first two say what it likes.
func (v *visit) partBy(t fhir.ResourceType, query string) ([]search.Clause, bool) {
	var pairs []search.Pair
	for part := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !ok || value == "" || !isCondition(name) {
			return nil, false
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, false
		}
		pairs = append(pairs, search.Pair{Name: name, Value: value})
	}
	q, refusal := v.parser().Parse(t, pairs, false)
	if refusal != nil || len(q.Clauses) != len(pairs) || !v.parser().Serves(q) || !q.Own() || named(q.Clauses) {
		return nil, false
	}
	return q.Clauses, true
}

// isCondition reports whether a parameter is none of those that shape an answer or
// lead elsewhere.
func isCondition(name string) bool {
	if strings.Contains(name, ".") || strings.HasPrefix(name, "_has") {
		return false
	}
	name, _, _ = strings.Cut(name, ":")
	switch name {
	case "_id", "_lastUpdated", "_profile", "_security", "_source", "_tag":
		return true
	default:
		return name != "" && name[0] != '_'
	}
}

// named reports whether a terminology has a say in the clauses.
func named(all []search.Clause) bool {
	return slices.ContainsFunc(all, func(c search.Clause) bool {
		return slices.ContainsFunc(c.Any, func(m search.Match) bool { return m.Op.Named() }) || slices.ContainsFunc(c.All, named)
	})
}

// sifts reports whether an interaction is one that answers from the universe alone,
// where parts of types are all there is. The others are open by whole types.
func (in *Interaction) sifts() bool {
	switch in.Code {
	case "read", "vread", "history-instance", "search-type", "search-system", "$everything", "$export":
		return !in.Write
	default:
		return false
	}
}
