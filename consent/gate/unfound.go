package gate

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir/search"
	"vitrine/store"
)

// unfound notices of a search whom it asked for and did not find: as many as the
// answer tells, by what is on the page or by its total, however many one request has.
// Of a page that has more after it, or others before it, that is not told.
func (v *visit) unfound(q *search.Query, found []store.Found, patients []string, out *Released) {
	if !v.isWatched() {
		return
	}
	known := len(patients)
	if v.g.limit(q) == 0 || out.next != "" {
		known = max(known, out.total)
		if out.total < 0 {
			return
		}
	}
	if out.previous != "" {
		return
	}
	v.unfoundIDs(q, found, out)
	asked := v.askedFor(q)
	if known == 0 {
		for _, target := range asked {
			v.vain(target)
		}
		if len(asked) == 0 && len(found) == 0 && aboutPatients(q) {
			v.vain("search " + timeless(q.Self))
		}
		return
	}
	// Which of them are there is not for this place to know: so many are not.
	all := strings.Join(asked, "\x00")
	for i := range len(asked) - known {
		v.vain(fmt.Sprint("of some ", i, " ", all))
	}
}

// unfoundIDs notices the ids that a search asks for and does not find, each as a read
// of it is noticed. Those of Patients are noticed where they are decided.
func (v *visit) unfoundIDs(q *search.Query, found []store.Found, out *Released) {
	if q.Type == "" || q.Type == "Patient" {
		return
	}
	there := map[string]bool{}
	for i := range found {
		if found[i].Resource.Type == q.Type {
			there[found[i].ID] = true
		}
	}
	for i := range q.Clauses {
		ids := idsIn(&q.Clauses[i])
		left := len(ids) - max(len(there), out.total)
		for _, id := range ids {
			if !there[id] && left > 0 {
				v.vain(string(q.Type) + "/" + id)
				left--
			}
		}
	}
}

// idsIn are the ids that a clause asks for.
func idsIn(c *search.Clause) (ids []string) {
	for _, m := range c.Any {
		if m.Param == search.ParamID && !c.Not {
			ids = append(ids, string(m.Key))
		}
	}
	return ids
}

// aboutPatients reports whether a search looks for Patients, or for them too.
func aboutPatients(q *search.Query) bool {
	return q.Type == "Patient" || slices.Contains(q.Types, "Patient")
}

// askedFor are those whom a search asks for, one by one: by their identifiers or ids
// or, without these, by the names and numbers in the clause that has most of them.
func (v *visit) askedFor(q *search.Query) []string {
	var named, told []string
	for i := range q.Clauses {
		c := &q.Clauses[i]
		if c.Not {
			continue
		}
		if aboutPatients(q) {
			named = append(named, v.valuesOf(c, "identifier")...)
			told = longer(told, v.valuesOf(c, "name", "family", "given", "phonetic", "phone", "email", "telecom"))
		}
		for _, m := range c.Any {
			if token, ok := m.Stated(); ok {
				named = append(named, "identifier "+valueOf(token))
			}
		}
		for j := range c.Via {
			named = append(named, v.joined(q, &c.Via[j])...)
		}
	}
	if len(named) == 0 {
		for i := range told {
			told[i] = "search " + timeless(q.Self) + "\x00" + told[i]
		}
		named = told
	}
	slices.Sort(named)
	return slices.Compact(named)
}

// joined are those whom a step of a chain, or of _has, asks for.
func (v *visit) joined(q *search.Query, j *search.Join) (all []string) {
	for k := range j.Clauses {
		c := &j.Clauses[k]
		if c.Not {
			continue
		}
		if j.Type == "Patient" {
			all = append(all, v.valuesOf(c, "identifier", "phone", "email", "telecom")...)
		}
		if j.Type != "Patient" || q.Patients == nil { // else they are noticed where they are decided
			for _, id := range idsIn(c) {
				all = append(all, string(j.Type)+"/"+id)
			}
		}
		for n := range c.Via {
			all = append(all, v.joined(q, &c.Via[n])...)
		}
	}
	return all
}

// valuesOf are the values of a clause that are of one of the parameters of a Patient.
func (v *visit) valuesOf(c *search.Clause, codes ...string) (values []string) {
	for _, code := range codes {
		p := v.g.tools.Definitions.Resource("Patient").Param(code)
		for _, m := range c.Any {
			if p != nil && m.Param == search.Param(p.Number) {
				values = append(values, "identifier "+valueOf(m))
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// longer is the longer of the two.
func longer(a, b []string) []string {
	if len(b) > len(a) {
		return b
	}
	return a
}

// valueOf is what a match of a token asks for: a value that is given without a system
// is asked for in two ways.
func valueOf(m search.Match) string { return string(m.Key[min(1, len(m.Key)):]) }

// timeless is a query without when things changed: an app that asks for news again
// and again asks for the same.
func timeless(query string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		return strings.HasPrefix(pair, "_lastUpdated=")
	}), "&")
}
