package restriction

import (
	"strconv"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// maxIssues bounds what is reported about one Consent.
const maxIssues = 20

// What one Consent may say altogether. Whom it denies is looked up for everybody who
// asks about its patient: one that never ends would hold up those who write, and tell
// by the time that the patient is there.
const (
	actorsMost  = 200
	rulesMost   = 200
	classesMost = 200
	labelsMost  = 100
)

// reader reads one Consent and gathers what is wrong with it.
type reader struct {
	tape     *fhir.Tape
	defs     *r4.Definitions
	base     string
	issues   []fhir.Issue
	doubtful bool
	// actors, nestings, classes and labelled are how many there were so far.
	actors, nestings, classes, labelled int
}

// doubt notes that the meaning cannot be told.
func (r *reader) doubt(n fhir.Node, path string, code fhir.IssueCode, text string) {
	r.doubtful = true
	r.refuse(n, path, code, text)
}

// bounded calls yield for as many elements of an array as the Consent may still have
// of them, and doubts it where there are more.
func (r *reader) bounded(array fhir.Node, path, what string, count *int, most int, yield func(n fhir.Node, path string)) {
	r.each(array, path, func(n fhir.Node, path string) {
		*count++
		switch {
		case *count <= most:
			yield(n, path)
		case *count == most+1:
			r.doubt(n, path, fhir.CodeTooCostly, "a Consent may have "+strconv.Itoa(most)+" "+what+" altogether")
		}
	})
}

// refuse notes what a client may not write, though its meaning is clear.
func (r *reader) refuse(n fhir.Node, path string, code fhir.IssueCode, text string) {
	if len(r.issues) >= maxIssues {
		return
	}
	issue := fhir.Issue{Severity: fhir.SeverityError, Code: code, Text: text, Expression: path}
	if n != fhir.None {
		start, _ := r.tape.Span(n)
		issue.Line, issue.Column = r.tape.Line(start)
	}
	r.issues = append(r.issues, issue)
}

// modifiers doubts every modifierExtension at or below n: none is understood,
// and each may change the meaning of what holds it (R4
// extensibility.html#modifierExtension).
func (r *reader) modifiers(n fhir.Node, path string) {
	object := r.tape.Kind(n) == fhir.Object
	i := 0
	for c := r.tape.First(n); c != fhir.None; c = r.tape.Next(c) {
		name := path
		if object {
			key := string(r.tape.Key(c))
			if key == "modifierExtension" {
				r.doubt(c, path+".modifierExtension", fhir.CodeNotSupported, "no modifier extension is understood")
			}
			name = path + "." + key
		} else {
			name += "[" + strconv.Itoa(i) + "]"
			i++
		}
		if k := r.tape.Kind(c); k == fhir.Object || k == fhir.Array {
			r.modifiers(c, name)
		}
	}
}

// codings calls yield for each coding of a CodeableConcept.
func (r *reader) codings(concept fhir.Node, yield func(fhir.Coding)) {
	for c := r.tape.First(r.tape.Field(concept, "coding")); c != fhir.None; c = r.tape.Next(c) {
		yield(r.coding(c))
	}
}

func (r *reader) coding(n fhir.Node) fhir.Coding {
	return fhir.Coding{System: r.tape.Text(r.tape.Field(n, "system")), Code: r.tape.Text(r.tape.Field(n, "code"))}
}

// each calls yield for the elements of an array with their paths.
func (r *reader) each(array fhir.Node, path string, yield func(n fhir.Node, path string)) {
	if array != fhir.None && r.tape.Kind(array) != fhir.Array {
		r.doubt(array, path, fhir.CodeStructure, "the element must be an array")
		return
	}
	i := 0
	for n := r.tape.First(array); n != fhir.None; n = r.tape.Next(n) {
		yield(n, path+"["+strconv.Itoa(i)+"]")
		i++
	}
	if array != fhir.None && i == 0 {
		r.doubt(array, path, fhir.CodeStructure, "an array must not be empty")
	}
}

// effect reads provision.type; given is false when there is none.
func (r *reader) effect(provision fhir.Node, path string) (e consent.Effect, given bool) {
	n := r.tape.Field(provision, "type")
	switch r.tape.Text(n) {
	case "permit":
		return consent.Permit, true
	case "deny":
		return consent.Deny, true
	}
	if n != fhir.None || r.tape.Field(provision, "_type") != fhir.None {
		r.doubt(n, path+".type", fhir.CodeCodeInvalid, "type must be permit or deny")
	}
	return consent.Deny, false
}
