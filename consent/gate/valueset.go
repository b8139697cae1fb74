package gate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// codeSet are codes by system; nil stands for every code of a system whose codes
// are not listed.
type codeSet map[string]map[string]bool

func setOfCodes(all []search.Codes) codeSet {
	out := codeSet{}
	for _, c := range all {
		if c.Whole {
			out[c.System] = nil
			continue
		}
		out.join(codeSet{c.System: listed(c.Codes)})
	}
	return out
}

func listed(codes []string) map[string]bool {
	out := make(map[string]bool, len(codes))
	for _, c := range codes {
		out[c] = true
	}
	return out
}

// codes are the codes, by system in order.
func (a codeSet) codes() []search.Codes {
	out := make([]search.Codes, 0, len(a))
	for _, system := range slices.Sorted(maps.Keys(a)) {
		switch codes := a[system]; {
		case codes == nil:
			out = append(out, search.Codes{System: system, Whole: true})
		case len(codes) > 0:
			out = append(out, search.Codes{System: system, Codes: slices.Sorted(maps.Keys(codes))})
		}
	}
	return out
}

// size is how many codes there are; a whole system counts as one.
func (a codeSet) size() (n int) {
	for _, codes := range a {
		n += max(1, len(codes))
	}
	return n
}

func (a codeSet) join(b codeSet) {
	for system, codes := range b {
		have, there := a[system]
		switch {
		case there && have == nil:
		case codes == nil:
			a[system] = nil
		case !there:
			a[system] = maps.Clone(codes)
		default:
			maps.Copy(have, codes)
		}
	}
}

// without takes b away; false when it cannot be told what is left of a system.
func (a codeSet) without(b codeSet) bool {
	for system, codes := range b {
		have, there := a[system]
		switch {
		case !there:
		case codes == nil:
			delete(a, system)
		case have == nil:
			return len(codes) == 0
		default:
			maps.DeleteFunc(have, func(c string, _ bool) bool { return codes[c] })
		}
	}
	return true
}

// both are the codes in a and in b.
func (a codeSet) both(b codeSet) codeSet {
	out := codeSet{}
	for system, codes := range a {
		other, there := b[system]
		switch {
		case !there:
		case other == nil:
			out[system] = maps.Clone(codes)
		case codes == nil:
			out[system] = maps.Clone(other)
		default:
			out[system] = maps.Clone(codes)
			maps.DeleteFunc(out[system], func(c string, _ bool) bool { return !other[c] })
		}
	}
	return out
}

// composed are the codes that ValueSet.compose means (R4 valueset.html#compose).
func (t *terminology) composed(ctx context.Context, tape *fhir.Tape, depth int) (codeSet, error) {
	compose := tape.Field(tape.Root(), "compose")
	if compose == fhir.None {
		return nil, search.ErrUnknownTerms
	}
	all := codeSet{}
	var failure error
	for _, list := range []string{"include", "exclude"} {
		elements(tape, compose, list, func(n fhir.Node) {
			if failure != nil {
				return
			}
			part, err := t.rule(ctx, tape, n, depth)
			if err == nil {
				err = t.spend(part.size())
			}
			switch {
			case err != nil:
				failure = err
			case list == "include":
				all.join(part)
			case !all.without(part):
				failure = search.ErrUnknownTerms
			default:
				failure = t.spend(all.size())
			}
		})
	}
	return all, failure
}

// rule are the codes of one include or exclude: those of its system that are in
// every value set it names.
func (t *terminology) rule(ctx context.Context, tape *fhir.Tape, n fhir.Node, depth int) (codeSet, error) {
	var all codeSet
	if system := tape.Text(tape.Field(n, "system")); system != "" {
		codes, err := t.ofSystem(ctx, tape, n, system)
		if err != nil {
			return nil, err
		}
		all = codeSet{system: codes}
	}
	var failure error
	elements(tape, n, "valueSet", func(url fhir.Node) {
		if failure != nil {
			return
		}
		other, err := t.members(ctx, tape.Text(url), depth+1)
		switch {
		case err != nil:
			failure = err
		case all == nil:
			all = other
		default:
			failure = t.spend(all.size())
			all = all.both(other)
		}
	})
	if all == nil && failure == nil {
		failure = search.ErrUnknownTerms
	}
	return all, failure
}

// ofSystem are the codes of its system that a rule means; nil for all of them
// when they are not listed.
func (t *terminology) ofSystem(ctx context.Context, tape *fhir.Tape, n fhir.Node, system string) (map[string]bool, error) {
	if tape.Field(n, "concept") != fhir.None {
		codes := map[string]bool{}
		elements(tape, n, "concept", func(c fhir.Node) { codes[tape.Text(tape.Field(c, "code"))] = true })
		return codes, nil
	}
	if tape.Field(n, "filter") == fhir.None {
		s, err := t.system(ctx, system)
		if err != nil || s == nil || len(s.codes) > search.MaxCodes {
			return nil, err
		}
		return listed(s.codes), nil
	}
	var all map[string]bool
	var failure error
	elements(tape, n, "filter", func(f fhir.Node) {
		text := func(name string) string { return tape.Text(tape.Field(f, name)) }
		if failure != nil {
			return
		}
		codes, err := t.filtered(ctx, system, text("property"), text("op"), text("value"))
		if err == nil {
			err = t.spend(len(codes) + len(all))
		}
		switch {
		case err != nil:
			failure = err
		case all == nil:
			all = codes
		default:
			maps.DeleteFunc(all, func(c string, _ bool) bool { return !codes[c] })
		}
	})
	return all, failure
}

// filtered are the codes that one filter means. Of the filters those by hierarchy
// are known (R4 valueset-filter-operator).
func (t *terminology) filtered(ctx context.Context, system, property, op, value string) (map[string]bool, error) {
	if property != "concept" && property != "code" || op != "is-a" && op != "descendent-of" && op != "is-not-a" {
		return nil, search.ErrUnknownTerms
	}
	below, err := t.Below(ctx, system, value)
	if err != nil {
		return nil, err
	}
	codes := setOfCodes(below)[system]
	switch op {
	case "descendent-of":
		maps.DeleteFunc(codes, func(c string, _ bool) bool { return strings.EqualFold(c, value) })
	case "is-not-a":
		s, err := t.system(ctx, system)
		if err != nil || s == nil {
			return nil, errors.Join(err, search.ErrUnknownTerms)
		}
		if err := t.spend(len(s.codes)); err != nil {
			return nil, err
		}
		rest := listed(s.codes)
		maps.DeleteFunc(rest, func(c string, _ bool) bool { return codes[c] })
		return rest, nil
	}
	return codes, nil
}

// expanded are the codes of ValueSet.expansion, when it has all of them.
func expanded(tape *fhir.Tape) (codeSet, error) {
	expansion := tape.Field(tape.Root(), "expansion")
	if expansion == fhir.None || tape.Field(expansion, "offset") != fhir.None {
		return nil, search.ErrUnknownTerms
	}
	all, entries := codeSet{}, 0
	var walk func(n fhir.Node)
	walk = func(n fhir.Node) {
		elements(tape, n, "contains", func(c fhir.Node) {
			entries++
			system, code := tape.Text(tape.Field(c, "system")), tape.Text(tape.Field(c, "code"))
			if code != "" && tape.Kind(tape.Field(c, "abstract")) != fhir.True {
				all.join(codeSet{system: {code: true}})
			}
			walk(c)
		})
	}
	walk(expansion)
	if total := tape.Field(expansion, "total"); total != fhir.None && string(tape.Raw(total)) != strconv.Itoa(entries) {
		return nil, search.ErrUnknownTerms
	}
	return all, nil
}
