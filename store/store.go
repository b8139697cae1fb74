// Package store owns the contract of a store: a few small interfaces, their
// refusals, what each method promises, and the copy of one store into another.
// It keeps nothing, which is store/embedded's; it decides nothing, which is
// consent's.
package store

import (
	"context"
	"errors"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// The refusals of a store. Everything else is a failure.
var (
	// ErrNotFound: there is no such resource in the universe.
	ErrNotFound = errors.New("not found")
	// ErrGone: the resource was in the universe and was deleted.
	ErrGone = errors.New("deleted")
	// ErrConflict: another write came first; the caller may try again.
	ErrConflict = errors.New("conflict")
	// ErrTooCostly: the query would read more rows of the universe than allowed.
	ErrTooCostly = errors.New("too costly")
	// ErrTooLarge: the resource is larger than this store can keep.
	ErrTooLarge = errors.New("too large")
	// ErrBadCursor: the position is not one this store gave for this query.
	ErrBadCursor = errors.New("bad cursor")
	// ErrClosed: the store is shut.
	ErrClosed = errors.New("store closed")
)

// Store keeps resources, their versions and the log of accesses, which is a Merkle
// tree. Safe for concurrent use.
type Store interface {
	Log
	// Snapshot opens a consistent view of everything acknowledged before.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Write runs do on the newest state, alone; what it put is committed as a
	// whole and durable when Write returns nil, and nothing of it is kept when
	// do or the commit fails. do may be run again.
	Write(ctx context.Context, do func(Tx) error) error
	// Record appends audit records (consent/audit's encoding) to the log. The
	// receipt comes when they are durable; concurrent calls share the wait.
	Record(ctx context.Context, records ...[]byte) (Receipt, error)
	// Settle makes every audit record acknowledged before the call findable as
	// an AuditEvent.
	Settle(ctx context.Context) error
	// At opens once more the view that gave the mark. It fails with ErrBadCursor
	// when the store does not keep that view any longer.
	At(ctx context.Context, mark []byte) (Snapshot, error)
	// Backup writes a consistent copy that Restore of the same kind of store
	// reads, into a directory that must not exist yet.
	Backup(ctx context.Context, dir string) error
	Close() error
}

// Transactional is what a store says of itself that may be unable to keep
// several resources as one: Write then does so only for what goes with a single
// one. Stores that do not say it are able.
type Transactional interface {
	Transactions() bool
}

// Receipt proves that audit records are durable. The zero value proves nothing.
type Receipt struct{ last uint64 }

// NewReceipt is for stores: last is the number of the last record written.
func NewReceipt(last uint64) Receipt { return Receipt{last: last} }

// Valid reports whether r proves anything.
func (r Receipt) Valid() bool { return r.last != 0 }

// Found is one version of a resource, in the edition in which it was admitted.
type Found struct {
	fhir.Resource
	consent.Row
	Edition consent.Edition
	// Keys are the values it sorts by, one for each key of a query that sorts.
	Keys []SortValue
	// Record is the audit record that an AuditEvent is made of, whatever the edition;
	// nil for all else. It is never released.
	Record []byte
}

// SortValue is the value of one sort key; a resource may have none.
type SortValue struct {
	Has   bool
	Value []byte
}

// Snapshot is a consistent view. It must be closed. Not safe for concurrent use.
type Snapshot interface {
	Reader
	// Epoch identifies the state of the facts filed under key at this snapshot:
	// equal epochs mean equal facts. ok is false when that cannot be said, and
	// nothing read under it may then be kept.
	Epoch(key string) (epoch uint64, ok bool)
	// Mark makes the store keep this view for a while, for At; empty when it
	// cannot. Views are kept for minutes, not for ever.
	Mark() []byte
	Close() error
}

// Reader answers from a universe, and from nothing else.
type Reader interface {
	// Read returns the current version: ErrNotFound, or ErrGone when a version
	// that was deleted would be admitted.
	Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (Found, error)
	// Version returns one version, current or former, of the edition admitted.
	Version(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id, version string) (Found, error)
	// History returns the versions of the edition admitted, newest first,
	// deletions included, at most limit of them that are older than the
	// position (empty: from the newest), and the position for the rest, empty
	// at the end. total counts all of them.
	History(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, limit int, after []byte) (versions []Found, next []byte, total int, err error)
	// Changes returns one page of the versions of all resources of some types,
	// deletions included, in the order of Change. A version is there when the
	// resource and what it was then are both admitted in full. AuditEvents, which
	// never change, are not among them. It fails with ErrTooCostly when too many
	// are passed over.
	Changes(ctx context.Context, u *consent.Universe, q ChangesRequest) (ChangesPage, error)
	// State returns the value under the key and when its time is over; a nil value
	// when there is none.
	State(ctx context.Context, key string) (value []byte, until time.Time, err error)
	// States calls each for the states whose keys have the prefix and come after
	// another key (empty: from the first), in the order of their bytes, until it
	// fails. each must not write; the value is its to keep.
	States(ctx context.Context, prefix, beyond string, each func(key string, value []byte, until time.Time) error) error
	// Search returns one page of what matches within the universe.
	Search(ctx context.Context, u *consent.Universe, q *search.Query, p PageRequest) (Page, error)
}

// PageRequest says which part of the matches is wanted.
type PageRequest struct {
	// Limit is the greatest number of resources to return.
	Limit int
	// After is the Next of the page before, or a Position of a query that sorts;
	// empty for the first page.
	After []byte
	// Count asks for Page.Total; it is exact.
	Count bool
	// Explain asks for Page.Plan.
	Explain bool
}

// Page is one page of matches, in the order of the query: by the sort keys, what
// has no value last in either direction, and what sorts alike by id, ascending.
// A query that does not sort has the order that the store gives once and for all
// and in which what is not in the universe has no part.
type Page struct {
	Found []Found
	// Next continues after this page; empty when nothing follows. It is for
	// this store alone to read and must be sealed before it leaves the server.
	Next []byte
	// Total counts all matches within the universe; -1 when not asked for.
	Total int
	// Plan says in words what led the search and what was checked, a line each.
	// It may tell of rows that are hidden: it is for the custodian alone.
	Plan []string
}

// Tx is a write under way. It reads its own writes.
type Tx interface {
	Reader
	// Put stores a new current version of a resource.
	Put(p Put) error
	// Delete records a deletion as a new version of the full edition and, when
	// basic is not empty, of the basic one. The row stays where it was.
	Delete(t fhir.ResourceType, id, full, basic string, at time.Time) error
	// SetState puts a value under the key, in place of another; nil takes it away.
	SetState(key string, value []byte, until time.Time) error
	// Record appends audit records that are durable together with the write.
	Record(records ...[]byte)
	// Touch changes the epoch of the keys when the write commits.
	Touch(keys ...string)
	// Epoch is that of a Snapshot of the newest state, on which the write builds.
	// ok is false, too, when a write that is not committed has touched the key.
	Epoch(key string) (epoch uint64, ok bool)
}

// Put is one resource to be stored.
type Put struct {
	consent.Row
	ID string
	// Full is the full edition; always there.
	Full Version
	// Basic is the basic edition; nil for types that have none.
	Basic *Version
}

// Version is one edition of a resource at one version.
type Version struct {
	Version string
	Updated time.Time
	// JSON has id, meta.versionId and meta.lastUpdated in place.
	JSON []byte
	// Entries are the index entries of this edition, sorted. That of its id is
	// among them (search.ParamID), by which joins lead to it.
	Entries *search.Entries
	// Unchanged says that the edition is the one already stored: its bytes,
	// version and time stay, and no new version is made of it. Its row and, where
	// there are any, its Entries replace those that were.
	Unchanged bool
}
