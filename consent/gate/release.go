package gate

import (
	"time"

	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/store"
)

// Mode is Bundle.entry.search.mode.
type Mode string

// What a search found, and what comes with it (R4 valueset-search-entry-mode).
const (
	ModeMatch   Mode = "match"
	ModeInclude Mode = "include"
)

// Item is one resource of an answer, or the answer to one entry of a
// transaction.
type Item struct {
	// Resource is what is released. After a write it is the caller's own
	// content, to be sent only when the caller prefers a representation.
	Resource fhir.Resource
	Mode     Mode
	// Within is the resource that contains this one, "Type/id"; empty for one
	// that stands by itself.
	Within string
	// Status is the HTTP status of the entry in a transaction; zero elsewhere.
	Status int
	// Several says that the item is the answer to a delete that may concern several
	// resources, and Count how many it did.
	Several bool
	Count   int
	// deleted are those, "Type/id".
	deleted []string
	// Issues are what was noticed of the content of an entry, when the client asked
	// to hear it.
	Issues []fhir.Issue
	// Answer is the answer to a read or search entry of a transaction; nil for
	// other entries.
	Answer *Released
}

// Access is the answer to Patient/$access.
type Access struct {
	// Level is "basic", "full" or "self".
	Level string
	// BreakGlass says that breaking the glass is open to the caller.
	BreakGlass bool
}

// Grant is the answer to Patient/$break-glass.
type Grant struct {
	ID      string
	Expires time.Time
}

// Released is an answer whose record is durable. Only this package can make
// one; the zero value releases nothing.
type Released struct {
	// receipt proves the record of a reading; committed is set when a write and
	// its record were committed together.
	receipt   store.Receipt
	committed bool

	items    []Item
	total    int
	next     string
	previous string
	partial  bool
	missed   bool
	plan     []string
	hint     bool
	created  bool
	grant    Grant
	access   Access
	issues   []fhir.Issue
	export   Export
	file     *File
	log      LogAnswer
	// What is told in plain words, and to whom.
	reader      plain.Reader
	visits      []plain.Visit
	outlook     *plain.Outlook
	explanation *plain.Explanation
	report      Report
}

// Valid reports whether the answer may be sent.
func (r Released) Valid() bool { return r.committed || r.receipt.Valid() }

// Items are the resources released, in order.
func (r Released) Items() []Item {
	if !r.Valid() {
		return nil
	}
	return r.items
}

// Total is the number of matches in the caller's universe; -1 when it was not
// asked for.
func (r Released) Total() int {
	if !r.Valid() {
		return -1
	}
	return r.total
}

// Next is the sealed cursor of the following page; empty at the end.
func (r Released) Next() string {
	if !r.Valid() {
		return ""
	}
	return r.next
}

// Previous is the sealed cursor of the page before; empty on the first, and
// where it is too far back.
func (r Released) Previous() string {
	if !r.Valid() {
		return ""
	}
	return r.previous
}

// Partial reports that more was to be included than an answer may hold.
func (r Released) Partial() bool { return r.Valid() && r.partial }

// Missed reports that something was looked for by its id, to come with what was
// found, and is not there for the caller.
func (r Released) Missed() bool { return r.Valid() && r.missed }

// Plan says how a search was gone about, a line each; nil for all but the
// custodian who asked for it.
func (r Released) Plan() []string {
	if !r.Valid() {
		return nil
	}
	return r.plan
}

// Hint reports that the Bundle is to carry the constant note that a
// restriction applies (DOSSIER §7.9).
func (r Released) Hint() bool { return r.Valid() && r.hint }

// Created reports that the write made a new resource.
func (r Released) Created() bool { return r.Valid() && r.created }

// Grant is the answer to $break-glass.
func (r Released) Grant() Grant {
	if !r.Valid() {
		return Grant{}
	}
	return r.grant
}

// Access is the answer to $access.
func (r Released) Access() Access {
	if !r.Valid() {
		return Access{}
	}
	return r.access
}

// Export is how far an export is.
func (r Released) Export() Export {
	if !r.Valid() {
		return Export{}
	}
	return r.export
}

// File is a file of an export, to be read as it goes out; nil for any other answer.
func (r Released) File() *File {
	if !r.Valid() {
		return nil
	}
	return r.file
}

// Log is the answer to the operations of the log of accesses.
func (r Released) Log() LogAnswer {
	if !r.Valid() {
		return LogAnswer{}
	}
	return r.log
}

// Report is the answer to $break-glass-report.
func (r Released) Report() Report {
	if !r.Valid() {
		return Report{}
	}
	return r.report
}

// Issues are what $validate has to say, or what was noticed of content that was
// stored, when the client asked to hear it.
func (r Released) Issues() []fhir.Issue {
	if !r.Valid() {
		return nil
	}
	return r.issues
}

// Reader is whom Visits, Outlook and Explanation are told.
func (r Released) Reader() plain.Reader {
	if !r.Valid() {
		return plain.Reader{}
	}
	return r.reader
}

// Visits are the answer to $access-history, newest first.
func (r Released) Visits() []plain.Visit {
	if !r.Valid() {
		return nil
	}
	return r.visits
}

// Outlook is the answer to $simulate; nil for others.
func (r Released) Outlook() *plain.Outlook {
	if !r.Valid() {
		return nil
	}
	return r.outlook
}

// Explanation is the answer to $explain; nil for others.
func (r Released) Explanation() *plain.Explanation {
	if !r.Valid() {
		return nil
	}
	return r.explanation
}

// Moved is the answer with the places of its issues told from where the content
// begins in the body.
func (r Released) Moved(line, column int) Released {
	moved := make([]fhir.Issue, len(r.issues))
	for i, issue := range r.issues {
		if issue.Line == 1 {
			issue.Column += column - 1
		}
		if issue.Line > 0 {
			issue.Line += line - 1
		}
		moved[i] = issue
	}
	r.issues = moved
	return r
}
