package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// control is a parameter that says how to answer, not what to find (R4
// search.html#return).
type control struct {
	read func(r *reading, modifier, value string) *fault
	// repeats says that it may be given more than once, modified that it takes a
	// modifier, listed that what it takes several of stands between commas.
	repeats, modified, listed bool
}

func controlOf(name string) control {
	if name == "" || name[0] != '_' {
		return control{}
	}
	switch name {
	case "_count":
		return control{read: (*reading).count}
	case "_sort":
		return control{read: (*reading).sort, listed: true}
	case "_total":
		return control{read: (*reading).total}
	case "_totalMethod": // Aidbox's word for it, which its client fhirpy sends
		return control{read: (*reading).totalMethod}
	case "_summary":
		return control{read: (*reading).summary}
	case "_elements":
		return control{read: (*reading).elements, listed: true}
	case "_include":
		return control{read: (*reading).include, repeats: true, modified: true}
	case "_revinclude":
		return control{read: (*reading).revinclude, repeats: true, modified: true}
	case "_contained":
		return control{read: (*reading).contained}
	case "_containedType":
		return control{read: (*reading).containedType}
	case "_type":
		return control{read: (*reading).typed, listed: true}
	case "_query":
		return control{read: (*reading).named}
	}
	return control{}
}

// Controls are the parameters that say how to answer, sorted.
func Controls() []string {
	return []string{
		"_contained", "_containedType", "_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total", "_type",
	}
}

func (r *reading) control(c control, pair Pair, modifier string, modified bool) *fault {
	switch {
	case modified && !c.modified:
		if r.lenient {
			return nil
		}
		return unsupported("it takes no modifier")
	case c.listed && slices.Contains(r.seen, pair.Name):
		return bad("it may be given once, with commas between what it names")
	case !c.repeats && slices.Contains(r.seen, pair.Name):
		return bad("it may be given once")
	}
	r.seen = append(r.seen, pair.Name)
	if f := c.read(r, modifier, pair.Value); f != nil {
		return f
	}
	r.understood(pair)
	return nil
}

// count reads _count; 0 asks for the number of matches alone.
func (r *reading) count(_, value string) *fault {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return bad("must be a whole number, 0 or more")
	}
	r.q.Count = int(n)
	r.q.CountOnly = r.q.CountOnly || n == 0
	return nil
}

func (r *reading) total(_, value string) *fault {
	switch value {
	case "none":
		r.q.Total = TotalNone
	case "estimate":
		r.q.Total = TotalEstimate
	case "accurate":
		r.q.Total = TotalAccurate
	default:
		return bad("must be none, estimate or accurate")
	}
	return nil
}

func (r *reading) totalMethod(_, value string) *fault {
	switch value {
	case "count":
		return r.total("", "accurate")
	case "estimate", "countEstimate":
		return r.total("", "estimate")
	default:
		return bad("must be count or estimate; _total is R4's parameter")
	}
}

// summary reads _summary (R4 search.html#summary).
func (r *reading) summary(_, value string) *fault {
	switch value {
	case "count":
		r.q.CountOnly = true
	case "false":
	case "true":
		r.q.Summary = SummaryTrue
	case "text":
		r.q.Summary = SummaryText
	case "data":
		r.q.Summary = SummaryData
	default:
		return bad("must be true, text, data, count or false")
	}
	return nil
}

// elements reads _elements (R4 search.html#elements): names of elements at the
// root of a type searched, a choice by either of its names.
func (r *reading) elements(_, value string) *fault {
	if strings.Count(value, ",") >= maxElements {
		return bad(fmt.Sprintf("at most %d elements", maxElements))
	}
	for i, name := range strings.Split(value, ",") {
		if !slices.ContainsFunc(r.searched, func(t fhir.ResourceType) bool { return r.hasElement(t, name) }) {
			return bad(fmt.Sprintf("element %d, %s, is not at the root of what is searched; name elements such as id or meta", i+1, printable(name)))
		}
		if !slices.Contains(r.q.Elements, name) {
			r.q.Elements = append(r.q.Elements, name)
		}
	}
	return nil
}

func (r *reading) hasElement(t fhir.ResourceType, name string) bool {
	typ := r.defs.Resource(string(t))
	return typ != nil && slices.ContainsFunc(typ.Elements, func(e r4.Element) bool {
		return e.Name == name || e.Choice == name && name != ""
	})
}

// contained reads _contained (R4 search.html#contained).
func (r *reading) contained(_, value string) *fault {
	switch value {
	case "false":
		r.q.Contained = ContainedFalse
	case "true":
		r.q.Contained = ContainedTrue
	case "both":
		r.q.Contained = ContainedBoth
	default:
		return bad("must be true, false or both")
	}
	return nil
}

// containedType reads _containedType.
func (r *reading) containedType(_, value string) *fault {
	switch value {
	case "container":
		r.q.Containers = true
	case "contained":
		r.q.Containers = false
	default:
		return bad("must be container or contained")
	}
	return nil
}

// named refuses _query: R4 wants an unknown one refused, and there are none.
func (r *reading) named(_, _ string) *fault {
	return unsupported("there are no named queries; use search parameters or _filter")
}

// sort reads _sort (R4 search.html#sort).
func (r *reading) sort(_, value string) *fault {
	if strings.Count(value, ",") >= maxSortKeys {
		return bad(fmt.Sprintf("at most %d keys", maxSortKeys))
	}
	names := strings.Split(value, ",")
	for i, name := range names {
		name, descending := strings.CutPrefix(name, "-")
		k, f := r.sortKey(name)
		if f != nil {
			f.text = fmt.Sprintf("key %d, %s, %s", i+1, printable(name), f.text)
			return f
		}
		k.Descending = descending
		r.q.Sort = append(r.q.Sort, k)
	}
	return nil
}

// sortKey is one key; a query of several types needs one that is the same for
// all of them.
func (r *reading) sortKey(name string) (k SortKey, f *fault) {
	if name == "_score" {
		return k, unsupported("is not supported: what is found matches, and is not ranked")
	}
	for i, t := range r.searched {
		pp := r.Parser.param(t, name)
		if pp == nil || !pp.indexed {
			return k, bad("is no search parameter of " + string(t))
		}
		if i > 0 && pp.number != k.Param {
			return k, bad("is not one and the same parameter for all types searched; sort by _lastUpdated, or search one type")
		}
		k.Param = pp.number
		switch pp.Kind {
		case r4.ParamDate, r4.ParamNumber, r4.ParamQuantity:
			k.Range = true
		case r4.ParamString, r4.ParamToken, r4.ParamReference, r4.ParamURI:
		case r4.ParamComposite, r4.ParamSpecial:
			return k, unsupported("has no order")
		}
	}
	return k, nil
}

// understood adds a parameter to Self.
func (r *reading) understood(pair Pair) {
	if r.self.Len() > 0 {
		r.self.WriteByte('&')
	}
	percent(&r.self, pair.Name)
	r.self.WriteByte('=')
	percent(&r.self, pair.Value)
}

// percent writes s for a query string: what RFC 3986 leaves unreserved, and the
// few marks FHIR uses that mean nothing there, stand for themselves.
func percent(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("-._~,:/$", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}
