package gate

import (
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/patch"
	"vitrine/fhir/search"
)

// Request is everything about one request that is not its content.
type Request struct {
	// Caller is who the token says is asking. Role and lineage are resolved
	// here, against the directory.
	Caller consent.Caller
	// Now is the one moment at which the request is decided.
	Now time.Time
	// ID is the X-Request-Id; events of one request share it.
	ID          string
	Interaction Interaction
	// Type is the resource type addressed; empty for the whole system.
	Type fhir.ResourceType
	// Method and Target open AuditEvent.entity.query; the target of a search by
	// POST has its form body appended as the query.
	Method, Target string
	// Header holds the Accept and Prefer lines, for AuditEvent.entity.query.
	Header string
	// Address is the network address of the client.
	Address string
	// ClaimsEmergency says that a Category header declares BTG. It opens
	// nothing; without a grant it is an anomaly.
	ClaimsEmergency bool
	// Hold returns at a moment that does not tell how long it took to find out that
	// there is nothing. It is called before that is recorded; nil for at once.
	Hold func()
	// Begin is called when all that depends on content or query alone is done: a client makes
	// that take as long as it likes, and it is nothing to hold. Nil is none.
	Begin func()
}

// Interaction is what a request does.
type Interaction struct {
	// Code is the code of the restful-interaction code system, such as "read"
	// or "search-type", or the name of an operation, such as "$everything".
	Code string
	// Letter is the SMART scope letter: c, r, u, d or s.
	Letter byte
	// Write says that the interaction may change what is stored.
	Write bool
}

// Content is a resource as the client sent it.
type Content struct {
	// Tape has the resource at its root. It is not kept.
	Tape *fhir.Tape
	// Report asks for what was noticed of content that is taken.
	Report bool
	// labels are those that it had before, on file, and may keep though the server
	// alone sets them.
	labels []string
}

// Entry is one entry of a transaction, or the one of a batch.
type Entry struct {
	// Interaction is what the entry's request does; its Code is one of create,
	// update, patch, delete, read, vread, search-type and history-instance.
	Interaction Interaction
	// Method and Target are what the entry asks for, as Request has them.
	Method, Target string
	// FullURL is Bundle.entry.fullUrl.
	FullURL string
	Type    fhir.ResourceType
	// ID and Version are those in the entry's URL; may be empty.
	ID, Version string
	// Query is the search of a search-type entry, or the condition of a
	// conditional update, patch or delete.
	Query *search.Query
	// IfNoneExist is the condition of a conditional create.
	IfNoneExist *search.Query
	// IfMatch is the version the entry requires; empty for any, Absent for none.
	IfMatch string
	// History is what a history entry asks for.
	History HistoryPage
	// Content is the resource of a create or update.
	Content Content
	// Patch is what a patch changes.
	Patch *patch.Document
}

// HistoryPage says which part of a history is wanted.
type HistoryPage struct {
	// Count is the page size wished for; -1 when none was named.
	Count int
	// Cursor is the Next of the page before.
	Cursor string
	// Since leaves out what is older; the zero time leaves out nothing.
	Since time.Time
	// From and Until, when they are set, leave out what was current at no moment
	// from the one on and before the other.
	From, Until time.Time
	// List is the id of a List; what it does not refer to is left out. Empty for
	// none.
	List string
	// Self is the query as it was understood, for the addresses of the pages.
	Self string
}

// EverythingPage says which part of a record is wanted.
type EverythingPage struct {
	// Count is the page size wished for; -1 when none was named.
	Count int
	// Cursor is the Next of the page before.
	Cursor string
	// Types confines the answer to these types; empty for all of them.
	Types []fhir.ResourceType
	// Clauses confine it to what holds all of them. They may be of parameters
	// alone that every type has, such as _lastUpdated.
	Clauses []search.Clause
}

// BreakGlassRequest is the content of Patient/$break-glass (DOSSIER §2.2).
type BreakGlassRequest struct {
	// Reason must be v3-ActCode OVRER.
	Reason fhir.Coding
	// Justification is what the user writes; at least ten characters that are
	// not space.
	Justification string
	// Threat is "life" or "health".
	Threat string
	// Encounter is the caller's own identifier of the visit; may be empty.
	Encounter fhir.Identifier
	// TTL is the life wished for; zero for the default.
	TTL time.Duration
	// Emergency asks for an emergency registration in the same act.
	Emergency bool
}
