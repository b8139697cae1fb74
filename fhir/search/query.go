package search

import "vitrine/fhir"

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
)

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

// Clause holds for a resource when any of its matches does. A clause without
// matches never holds.
type Clause struct {
	Any []Match
}

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
	Type    fhir.ResourceType
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
	// Self is the query string as it was understood, in the order given, for
	// Bundle.link[self]; it leaves out what was ignored under lenient handling.
	Self string
}
