package directive

import (
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// ExtensionRecord is what the server keeps in a directive of who did what. Nobody
// else writes it: whatever a client sends in its place is taken out.
const ExtensionRecord = consent.Canon + "/StructureDefinition/directive-record"

// ProposalLife is how long a proposal waits for somebody to agree.
const ProposalLife = 7 * 24 * time.Hour

// State is how far a directive is. The zero value is in force, and so is what
// cannot be read: a directive is a prohibition.
type State uint8

// The states. All but Active have no effect.
const (
	Active State = iota
	Proposed
	Withdrawn
	Lifted
	// Fulfilled: what was to be destroyed was, and the certificate is accepted.
	Fulfilled
)

// states are the words for them.
//
//nolint:gochecknoglobals // never changed
var states = [...]string{Active: "active", Proposed: "proposed", Withdrawn: "withdrawn", Lifted: "lifted", Fulfilled: "fulfilled"}

// String is the word for the state.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return states[Active]
}

// Person is somebody of the regulator's, as far as one can be told from another.
type Person struct {
	// Issuer and Subject are those of the tokens; User is "Practitioner/x", empty
	// where they name none.
	Issuer, Subject, User string
}

// Known reports whether there is a person to tell from others.
func (p Person) Known() bool { return p.Issuer != "" && strings.TrimSpace(p.Subject) != "" }

// Other reports whether the two are known to be two people. Who comes from another
// issuer, or is named as a practitioner where the other is not, may be the same
// under another name.
func (p Person) Other(q Person) bool {
	if !p.Known() || !q.Known() || p.Issuer != q.Issuer || (p.User == "") != (q.User == "") {
		return false
	}
	same := strings.EqualFold(strings.TrimSpace(p.Subject), strings.TrimSpace(q.Subject))
	return !same && (p.User == "" || p.User != q.User)
}

// Act is what a person did, and when. The zero value is nothing.
type Act struct {
	By Person
	At time.Time
}

// Lapsed reports whether a proposal has waited too long.
func (a *Act) Lapsed(now time.Time) bool { return !now.Before(a.At.Add(ProposalLife)) }

// Record is how far a directive is, and who did what. The zero value is that of one
// which is in force, as those are that were given before two had to agree.
type Record struct {
	State State
	// Proposed is who proposed it as it stands, and Agreed who agreed.
	Proposed, Agreed Act
	// Lifting is who proposes to lift it, and Until the moment from which on, zero
	// for at once; nothing when nobody does.
	Lifting Act
	Until   time.Time
	// Ended is who agreed to its end, withdrew it or accepted the certificate, and
	// End what was agreed to: the moment at which it ends.
	Ended Act
	End   time.Time
	// Task is the Task of a direction to destroy, "Task/x".
	Task string
}

// The names of the parts of the extension.
const (
	partState    = "state"
	partProposed = "proposed"
	partAgreed   = "agreed"
	partLifting  = "lifting"
	partUntil    = "until"
	partEnded    = "ended"
	partEnd      = "end"
	partTask     = "task"
	partBy       = "by"
	partAt       = "at"
)

// Recorded is the resource with the record in place of any that it has.
func Recorded(t *fhir.Tape, r Record) []byte {
	list := t.Field(t.Root(), "extension")
	text := []byte{'['}
	if t.Kind(list) == fhir.Array {
		for n := t.First(list); n != fhir.None; n = t.Next(n) {
			if t.Text(t.Field(n, "url")) != ExtensionRecord {
				text = append(append(text, t.Raw(n)...), ',')
			}
		}
	}
	text = append(r.append(text), ']')
	if list != fhir.None {
		start, end := t.Span(list)
		return fhir.Splice(nil, t.Source(), []fhir.Edit{{Start: start, End: end, Text: text}})
	}
	at, _ := t.Span(t.Root())
	text = append(append([]byte(`"extension":`), text...), ',')
	return fhir.Splice(nil, t.Source(), []fhir.Edit{{Start: at + 1, End: at + 1, Text: text}})
}

// append appends the extension.
func (r *Record) append(dst []byte) []byte {
	dst = append(dst, `{"url":"`+ExtensionRecord+`","extension":[{"url":"`+partState+`","valueCode":"`+r.State.String()+`"}`...)
	for _, a := range []struct {
		name string
		act  Act
	}{{partProposed, r.Proposed}, {partAgreed, r.Agreed}, {partLifting, r.Lifting}, {partEnded, r.Ended}} {
		if !a.act.At.IsZero() {
			dst = a.act.append(dst, a.name)
		}
	}
	for _, m := range []struct {
		name string
		at   time.Time
	}{{partUntil, r.Until}, {partEnd, r.End}} {
		if !m.at.IsZero() {
			dst = append(dst, `,{"url":"`+m.name+`","valueInstant":"`+fhir.FormatInstant(m.at)+`"}`...)
		}
	}
	if r.Task != "" {
		dst = append(dst, `,{"url":"`+partTask+`","valueReference":{"reference":`...)
		dst = append(fhir.AppendString(dst, r.Task), `}}`...)
	}
	return append(dst, `]}`...)
}

func (a *Act) append(dst []byte, name string) []byte {
	dst = append(dst, `,{"url":"`+name+`","extension":[{"url":"`+partBy+`","valueReference":{`...)
	if a.By.User != "" {
		dst = append(dst, `"reference":`...)
		dst = append(fhir.AppendString(dst, a.By.User), ',')
	}
	dst = append(dst, `"identifier":{"system":`...)
	dst = append(fhir.AppendString(dst, a.By.Issuer), `,"value":`...)
	dst = append(fhir.AppendString(dst, a.By.Subject), `}}},{"url":"`+partAt+`","valueInstant":"`+fhir.FormatInstant(a.At)+`"}]}`...)
	return dst
}

// record reads the record of a directive. One that is there twice, or says nothing
// that is known, is that of a directive in force.
func record(t *fhir.Tape) (r Record) {
	n, ok := only(t, t.Root(), ExtensionRecord)
	if !ok {
		return r
	}
	state, _ := only(t, n, partState)
	if i := slices.Index(states[:], t.Text(t.Field(state, "valueCode"))); i > 0 {
		r.State = State(i) //nolint:gosec // one of the few that there are
	}
	r.Proposed, r.Agreed = act(t, n, partProposed), act(t, n, partAgreed)
	r.Lifting, r.Ended = act(t, n, partLifting), act(t, n, partEnded)
	r.Until, r.End = moment(t, n, partUntil), moment(t, n, partEnd)
	task, _ := only(t, n, partTask)
	r.Task = t.Text(t.Field(t.Field(task, "valueReference"), "reference"))
	return r
}

// only is the one extension with the URL.
func only(t *fhir.Tape, of fhir.Node, url string) (found fhir.Node, ok bool) {
	found = fhir.None
	list := t.Field(of, "extension")
	if t.Kind(list) != fhir.Array {
		return fhir.None, false
	}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if t.Text(t.Field(n, "url")) != url {
			continue
		}
		if found != fhir.None {
			return fhir.None, false
		}
		found = n
	}
	return found, found != fhir.None
}

func act(t *fhir.Tape, record fhir.Node, name string) (a Act) {
	n, ok := only(t, record, name)
	if !ok {
		return a
	}
	by, _ := only(t, n, partBy)
	who := t.Field(by, "valueReference")
	id := t.Field(who, "identifier")
	a.By = Person{Issuer: t.Text(t.Field(id, "system")), Subject: t.Text(t.Field(id, "value")), User: t.Text(t.Field(who, "reference"))}
	a.At = moment(t, n, partAt)
	return a
}

// moment is an instant; zero where there is none.
func moment(t *fhir.Tape, of fhir.Node, name string) time.Time {
	n, _ := only(t, of, name)
	at, err := fhir.ParseInstant(t.Text(t.Field(n, "valueInstant")))
	if err != nil {
		return time.Time{}
	}
	return at
}
