package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir/r4"
)

// control is a parameter that says how to answer, not what to find (R4
// search.html#return).
type control func(r *reading, value string) *fault

func controlOf(name string) control {
	switch name {
	case "_count":
		return (*reading).count
	case "_sort":
		return (*reading).sort
	case "_total":
		return (*reading).total
	case "_totalMethod": // Aidbox's word for it, which its client fhirpy sends
		return (*reading).totalMethod
	case "_summary":
		return (*reading).summary
	}
	return nil
}

func (r *reading) control(c control, pair Pair) *fault {
	if slices.Contains(r.seen, pair.Name) {
		return bad("it may be given once")
	}
	r.seen = append(r.seen, pair.Name)
	if f := c(r, pair.Value); f != nil {
		return f
	}
	r.understood(pair)
	return nil
}

// count reads _count; 0 asks for the number of matches alone.
func (r *reading) count(value string) *fault {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return bad("must be a whole number, 0 or more")
	}
	r.q.Count = int(n)
	r.q.CountOnly = r.q.CountOnly || n == 0
	return nil
}

func (r *reading) total(value string) *fault {
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

func (r *reading) totalMethod(value string) *fault {
	switch value {
	case "count":
		return r.total("accurate")
	case "estimate", "countEstimate":
		return r.total("estimate")
	default:
		return bad("must be count or estimate; _total is R4's parameter")
	}
}

func (r *reading) summary(value string) *fault {
	switch value {
	case "count":
		r.q.CountOnly = true
	case "false":
	case "true", "text", "data":
		return unsupported("only count and false are supported yet")
	default:
		return bad("must be count or false")
	}
	return nil
}

func (r *reading) sort(value string) *fault {
	names := strings.Split(value, ",")
	if len(names) > maxSortKeys {
		return bad(fmt.Sprintf("at most %d keys", maxSortKeys))
	}
	for i, name := range names {
		name, descending := strings.CutPrefix(name, "-")
		pp := r.Parser.param(r.q.Type, name)
		if pp == nil || !pp.indexed {
			return bad(fmt.Sprintf("key %d, %s, is no search parameter of %s", i+1, printable(name), r.q.Type))
		}
		k := SortKey{Param: pp.number, Descending: descending}
		switch pp.Kind {
		case r4.ParamDate, r4.ParamNumber, r4.ParamQuantity:
			k.Range = true
		case r4.ParamString, r4.ParamToken, r4.ParamReference, r4.ParamURI:
		case r4.ParamComposite, r4.ParamSpecial:
			return unsupported(fmt.Sprintf("key %d has no order", i+1))
		}
		r.q.Sort = append(r.q.Sort, k)
	}
	return nil
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
