package mongo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/fhir/search"
)

// is, among and within are the shapes of conditions.
func is(field string, v any) bson.D { return bson.D{{Key: field, Value: v}} }

func among[T any](field string, values []T) bson.D {
	if len(values) == 1 {
		return is(field, values[0])
	}
	return is(field, bson.D{{Key: "$in", Value: values}})
}

func anyOf(alternatives []bson.D) bson.D {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return is("$or", alternatives)
}

func allOf(conditions []bson.D) bson.D {
	if len(conditions) == 1 {
		return conditions[0]
	}
	return is("$and", conditions)
}

// condition is a clause of a query as a filter.
type condition struct {
	filter bson.D
	// exact says that it names entries, whose documents the index has in the
	// order of positions.
	exact bool
	// negative says that no index leads to what it holds for.
	negative bool
	// key is the value that it names, when it is one.
	key []byte
	// entries are those that it names, when it is exact.
	entries []string
	// joined says that some of them stand for a join.
	joined bool
}

// names reports whether a condition names a patient and nothing else, which
// within his rows tells nothing apart.
func (c *condition) names(patient string) bool {
	return patient != "" && bytes.HasSuffix(c.key, []byte("Patient/"+patient))
}

// weighed puts conditions together so that the servers have few ways to go, and
// no bad one. Of several conditions on x an index scan is bounded by one. They
// would try each, which costs more than the page of one patient, and in the
// alternatives for many patients they do not come to the end of it. So what names
// entries is left for them to see; otherwise the type is, within the rows of a
// patient, where a range of dates would be looked for among those of all. choices
// is how many they see.
//
// Within the rows of a patient what stands for a join does not lead where
// something else does: both are few there.
func weighed(wide []bson.D, narrow []condition, patient string) (all []bson.D, choices int) {
	leads := func(c *condition) bool { return c.exact && !c.names(patient) }
	if patient != "" && slices.ContainsFunc(narrow, func(c condition) bool { return leads(&c) && !c.joined }) {
		leads = func(c *condition) bool { return c.exact && !c.names(patient) && !c.joined }
	}
	for i := range narrow {
		if leads(&narrow[i]) {
			choices++
		}
	}
	if led := choices > 0; led || patient != "" {
		for i := range narrow {
			f := narrow[i].filter
			if !leads(&narrow[i]) {
				f = unled(f)
			}
			all = append(all, f)
		}
		for _, f := range wide {
			if led {
				f = unled(f)
			}
			all = append(all, f)
		}
		return all, max(choices, len(wide))
	}
	all = append(all, wide...)
	for i := range narrow {
		f := narrow[i].filter
		if narrow[i].negative {
			f = unled(f)
		}
		all = append(all, f)
	}
	return all, len(all)
}

// unled is a condition that no index scan is led by.
func unled(f bson.D) bson.D {
	return is("$nor", bson.A{is("$nor", bson.A{f})})
}

// clause is the condition that any of the matches holds; nil for none.
func clause(matches []search.Match) bson.D {
	equal := equals(matches)
	var rest []bson.D
	for i := range matches {
		switch m := &matches[i]; m.Op {
		case search.OpEqual:
		case search.OpPrefix:
			rest = append(rest, prefixed(m))
		case search.OpRange:
			rest = append(rest, ranged(m))
		case search.OpContains:
			if end := bytes.IndexByte(m.Key, 0); len(m.Key) > 0 && len(m.Key) <= mostPart && (end < 0 || end == len(m.Key)-1) {
				rest = append(rest, containing(m))
			}
		case search.OpIn, search.OpBelow, search.OpAbove: // nothing, until it is said what they stand for
		}
	}
	if len(equal) > 0 {
		rest = append(rest, among("x", equal))
	}
	if len(rest) == 0 {
		return nil
	}
	return anyOf(rest)
}

// equals are the entries that matches name.
func equals(matches []search.Match) (all []string) {
	for i := range matches {
		if m := &matches[i]; m.Op == search.OpEqual {
			all = append(all, entry(m.Param, m.Key))
		}
	}
	return all
}

func prefixed(m *search.Match) bson.D {
	return between(entry(m.Param, m.Key), beyond(m.Param, m.Key))
}

// mostPart is more than any entry has; of a longer part the pattern would be too
// long for the servers.
const mostPart = 4096

// containing looks within the folded text of the entries of a parameter, one by
// one. The text ends before the first zero.
func containing(m *search.Match) bson.D {
	const before = 3 // the parameter and the tag
	pattern := fmt.Sprintf(`^[\s\S]{%d}[^\x00]*`, before) + quoted(m.Key[1:])
	low, high := entry(m.Param, m.Key[:1]), beyond(m.Param, m.Key[:1])
	return is("x", is("$elemMatch", bson.D{
		{Key: "$gte", Value: low}, {Key: "$lt", Value: high}, {Key: "$regex", Value: bson.Regex{Pattern: pattern}},
	}))
}

// quoted is a pattern for the characters that stand for the bytes. A pattern that
// has a zero in it is not sent whole.
func quoted(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\x{%02x}`, c)
	}
	return b.String()
}

// beyond is the first entry above all that start with the value.
func beyond(p search.Param, value []byte) string {
	raw := append(binary.BigEndian.AppendUint16(nil, uint16(p)), value...)
	raw = next(raw)
	return entry(search.Param(binary.BigEndian.Uint16(append(raw, 0, 0))), raw[min(2, len(raw)):])
}

// between bounds one entry on both sides, tightly: without $elemMatch an index
// would be searched to the end on one of them.
func between(low, high string) bson.D {
	return is("x", is("$elemMatch", bson.D{{Key: "$gte", Value: low}, {Key: "$lt", Value: high}}))
}

// ranged bounds an entry by its low bound, which the index serves, and by its
// high bound, which is compared where the document is.
func ranged(m *search.Match) bson.D {
	at := func(bound uint64) []byte {
		return binary.BigEndian.AppendUint64(append([]byte(nil), m.Key...), bound)
	}
	low, high := entry(m.Param, at(m.Bounds.LowMin)), beyond(m.Param, at(m.Bounds.LowMax))
	f := between(low, high)
	if m.Bounds.HighMin == 0 && m.Bounds.HighMax == math.MaxUint64 {
		return f
	}
	bound := func(b uint64) bson.D { return is("$literal", characters(binary.BigEndian.AppendUint64(nil, b))) }
	const width = 8
	part := is("$substrCP", bson.A{"$$e", 2 + len(m.Key) + width, width})
	compare := func(op string, what, with any) bson.D { return is(op, bson.A{what, with}) }
	holds := is("$and", bson.A{
		compare("$gte", "$$e", is("$literal", low)),
		compare("$lt", "$$e", is("$literal", high)),
		compare("$gte", part, bound(m.Bounds.HighMin)),
		compare("$lte", part, bound(m.Bounds.HighMax)),
	})
	exact := is("$expr", is("$anyElementTrue", bson.A{is("$map", bson.D{
		{Key: "input", Value: is("$ifNull", bson.A{"$x", bson.A{}})}, {Key: "as", Value: "e"}, {Key: "in", Value: holds},
	})}))
	return allOf([]bson.D{f, exact})
}
