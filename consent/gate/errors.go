package gate

import (
	"context"
	"errors"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The refusals that carry nothing. They are all that fhir/rest ever sees of a
// store.
var (
	// ErrNotFound: for this caller there is no such thing (404).
	ErrNotFound = errors.New("not found")
	// ErrGone: it existed for this caller and was deleted (410).
	ErrGone = errors.New("deleted")
	// ErrPrecondition: If-Match names a version that is not current (412).
	ErrPrecondition = errors.New("precondition failed")
	// ErrMultiple: a condition matches more than one resource (412).
	ErrMultiple = errors.New("multiple matches")
	// ErrConflict: another write came first (409).
	ErrConflict = errors.New("conflict")
	// ErrTooCostly: the query would read too much of the universe (422).
	ErrTooCostly = errors.New("too costly")
	// ErrTooLarge: the resource is larger than can be kept (413).
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable: the answer cannot be recorded or worked out now (503).
	ErrUnavailable = errors.New("unavailable")
	// ErrBadCursor: the cursor is not one that was given for this request (400).
	ErrBadCursor = errors.New("bad cursor")
	// ErrMethod: the type does not have this interaction (405).
	ErrMethod = errors.New("method not allowed")
	// ErrNoTransactions: the store cannot keep several resources as one (501).
	ErrNoTransactions = errors.New("no transactions")
	// ErrExports: the party has as many exports as it may (429).
	ErrExports = errors.New("too many exports")
	// ErrNoLedger: nobody signs the log of accesses here (501).
	ErrNoLedger = errors.New("no signed log")
)

// Refused is a refusal that depends on the caller alone, never on a patient
// (DOSSIER §7.9).
type Refused struct {
	// Status is the HTTP status, 401 or 403.
	Status int
	// Code is a code of the closed catalogue, such as "forbidden-purpose".
	Code string
}

// Error implements error.
func (r *Refused) Error() string { return r.Code }

// Invalid is content or a query that cannot be accepted, for reasons within
// itself.
type Invalid struct {
	// Status is the HTTP status: 400, 409, 412 or 422.
	Status int
	Issues []fhir.Issue
}

// Error implements error. It names no content.
func (i *Invalid) Error() string { return "invalid content" }

// EntryError is what went wrong with one entry of a transaction; nothing of
// the transaction was kept.
type EntryError struct {
	// Index counts from zero.
	Index int
	Err   error
}

// Error implements error.
func (e *EntryError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *EntryError) Unwrap() error { return e.Err }

// failed turns a failure into what the porch may know of it.
func (g *Gate) failed(ctx context.Context, err error) error {
	if several := (EntryErrors)(nil); errors.As(err, &several) {
		return several
	}
	var entry *EntryError
	if errors.As(err, &entry) {
		return &EntryError{Index: entry.Index, Err: g.failed(ctx, entry.Err)}
	}
	for _, known := range []struct{ is, as error }{
		{store.ErrNotFound, ErrNotFound},
		{store.ErrGone, ErrGone},
		{store.ErrConflict, ErrConflict},
		{store.ErrTooCostly, ErrTooCostly},
		{store.ErrTooLarge, ErrTooLarge},
		{store.ErrBadCursor, ErrBadCursor},
	} {
		if errors.Is(err, known.is) {
			return known.as
		}
	}
	if known := refusal(err); known != nil {
		return known
	}
	if ctx.Err() == nil {
		g.log.ErrorContext(ctx, "request failed", "error", err)
	}
	return ErrUnavailable
}

// refusal is the refusal within err that the porch may see; nil when there is
// none.
func refusal(err error) error {
	var (
		refused *Refused
		invalid *Invalid
		query   *search.Refusal
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &invalid):
		return invalid
	case errors.As(err, &query):
		return query
	}
	for _, known := range []error{
		ErrNotFound, ErrGone, ErrPrecondition, ErrMultiple, ErrConflict,
		ErrTooCostly, ErrTooLarge, ErrUnavailable, ErrBadCursor, ErrMethod, ErrNoTransactions, ErrExports, ErrNoLedger,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
