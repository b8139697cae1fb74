package search

import (
	"slices"

	"vitrine/fhir"
)

// Param is the number of a search parameter in the R4 tables, stable for the
// life of an index.
type Param uint16

// Op says how a Match compares.
type Op uint8

// The operators of a Match. The zero value matches nothing.
const (
	// OpEqual matches an entry whose value is Key.
	OpEqual Op = iota + 1
	// OpPrefix matches an entry whose value starts with Key.
	OpPrefix
	// OpRange matches an entry whose value is Key, then the eight big-endian
	// bytes of its low bound, then those of its high bound, both within Bounds.
	OpRange
	// OpContains matches the entry of a string that starts with the tag, which is
	// the first byte of Key, and whose folded text has the rest of Key in it; a
	// Key that ends in NUL matches at the end of the text.
	OpContains
	// OpIn stands for the codes of the value set whose URL, as the request named
	// it, is Key.
	OpIn
	// OpBelow stands for a code and all that it subsumes. Key is the tag s, system
	// NUL code, or the tag c and a code of whatever system; the case is the
	// request's.
	OpBelow
	// OpAbove stands for a code and all that subsume it; Key is as for OpBelow.
	OpAbove
)

// Named reports whether a terminology has to say what the operator stands for.
// Until it has, the match holds for nothing.
func (o Op) Named() bool { return o == OpIn || o == OpBelow || o == OpAbove }

// Bounds are the inclusive limits within which the low and the high bound of an
// entry must lie. Times, numbers and quantities are mapped to uint64 so that
// order is kept.
type Bounds struct {
	LowMin, LowMax, HighMin, HighMax uint64
}

// Match is one alternative of a Clause.
type Match struct {
	Param  Param
	Op     Op
	Key    []byte
	Bounds Bounds // OpRange only
}

// Clause is a condition on one resource: it holds when any of its alternatives
// does, or with Not when none does. A clause without alternatives holds for
// nothing, or with Not for everything.
type Clause struct {
	// Any are answered by the resource's own entries.
	Any []Match
	// Via lead to other resources of the same universe.
	Via []Join
	// Read are answered by nothing but the content of the edition admitted.
	Read []Reading
	// All are alternatives of which every clause must hold.
	All [][]Clause
	Not bool
}

// CloneClauses are clauses that say the same and share nothing that Resolve
// changes.
func CloneClauses(all []Clause) []Clause {
	out := slices.Clone(all)
	for i := range out {
		c := &out[i]
		c.Any, c.Via, c.All = slices.Clone(c.Any), slices.Clone(c.Via), slices.Clone(c.All)
		for j := range c.Via {
			c.Via[j].Clauses = CloneClauses(c.Via[j].Clauses)
		}
		for j := range c.All {
			c.All[j] = CloneClauses(c.All[j])
		}
	}
	return out
}

// Join leads from a resource to others by a reference: along it, as a chain
// does, or against it, as _has does. It holds when one of the resources that it
// leads to is in the universe, in the edition admitted, and satisfies all
// clauses. A resource outside the universe satisfies nothing, whatever it refers
// to or is referred to by.
type Join struct {
	// Param is the reference parameter: of the resource itself or, when Reverse,
	// of those that refer to it.
	Param Param
	// Reverse leads to those that refer to the resource.
	Reverse bool
	// By, when it is not zero, is the uri parameter of the target by which a
	// canonical names it; otherwise the target is named by its type and id.
	By Param
	// Type is the type of the resources that the join leads to.
	Type    fhir.ResourceType
	Clauses []Clause
}

// Reading is a condition that entries do not answer: _text, _content, :text, and
// what is contained. It is safe for concurrent use.
type Reading interface {
	// Holds reports whether the content, one resource, satisfies it.
	Holds(content *fhir.Tape) bool
}

// Include is one _include or _revinclude (R4 search.html#include).
type Include struct {
	// Reverse adds what refers to the matches, and not what they refer to.
	Reverse bool
	// Iterate goes on from what was included.
	Iterate bool
	// Source is the type that refers; empty for any (*).
	Source fhir.ResourceType
	// Param is the parameter by which it does; zero for all (*).
	Param Param
	// Target is the type referred to; empty for any.
	Target fhir.ResourceType
}

// Summary is the caller's wish about how much of a resource is sent.
type Summary uint8

// The values of _summary (R4 search.html#summary); count is Query.CountOnly. The
// zero value sends the whole.
const (
	SummaryFalse Summary = iota
	SummaryTrue
	SummaryText
	SummaryData
)

// Contained is what a search finds in place of resources that contain others,
// or beside them.
type Contained uint8

// The values of _contained (R4 search.html#contained).
const (
	ContainedFalse Contained = iota // resources that stand by themselves
	ContainedTrue                   // contained ones
	ContainedBoth
)

// SortKey is one key of _sort.
type SortKey struct {
	Param Param
	// Range says that entries of Param end in two bounds of eight bytes: they
	// sort by the low one, and then by the high one.
	Range      bool
	Descending bool
}

// Total is the caller's wish about Bundle.total.
type Total uint8

// The values of _total (R4 search.html#total). The zero value leaves it to the
// server.
const (
	TotalUnset Total = iota
	TotalNone
	TotalEstimate
	TotalAccurate
)

// Query is a search, understood. Every Clause must hold.
type Query struct {
	// Type is the type searched; empty at system level.
	Type fhir.ResourceType
	// Types are the types of a search at system level, sorted; nil for Type alone.
	Types   []fhir.ResourceType
	Clauses []Clause
	Sort    []SortKey
	// Count is the page size wished for; -1 when the caller named none.
	Count int
	Total Total
	// CountOnly is _summary=count: matches are counted, none is returned.
	CountOnly bool
	// Patients are the ids of the patients to whom the clauses confine the
	// search, in the order named; nil when they do not confine it.
	Patients []string
	Includes []Include
	Summary  Summary
	// Elements are those of _elements; nil for all.
	Elements []string
	// Contained asks for contained resources; Containers for those that contain
	// them in their place (_containedType=container, the default).
	Contained  Contained
	Containers bool
	// Explain asks how the store goes about it; for the custodian alone.
	Explain bool
	// Within is the resource whose compartment is searched, "Patient/p1"; empty
	// for none.
	Within string
	// Self is the query string as it was understood, in the order given, for
	// Bundle.link[self]; it leaves out what was ignored under lenient handling.
	Self string
}
