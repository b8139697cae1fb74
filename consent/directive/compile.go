package directive

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
)

// The extensions of a directive.
const (
	// ExtensionTarget is whom the directive is about, besides Basic.subject: a
	// Reference, or extensions "who" (a Reference) and "profession" (a Coding) of
	// which all must fit. Of several targets one must.
	ExtensionTarget = consent.Canon + "/StructureDefinition/directive-target"
	// ExtensionPeriod is the Period in which it holds; without one it holds
	// until it is lifted.
	ExtensionPeriod = consent.Canon + "/StructureDefinition/directive-period"
	// ExtensionType is the code of a resource type that LIMIT_TYPES leaves.
	ExtensionType = consent.Canon + "/StructureDefinition/directive-type"
	// ExtensionClass is the Coding of a profession that LIMIT_CLASSES leaves.
	ExtensionClass = consent.Canon + "/StructureDefinition/directive-class"
	// ExtensionOf is the code of a resource type to which BLOCK_READ and BLOCK_WRITE
	// are confined.
	ExtensionOf = consent.Canon + "/StructureDefinition/directive-of"
	// ExtensionWindow is the Period whose disclosures DESTROY is about; without one
	// it is about all that there were.
	ExtensionWindow = consent.Canon + "/StructureDefinition/directive-window"

	partWho        = "who"
	partProfession = "profession"

	// ofDirectives begins every extension that is one of a directive.
	ofDirectives = consent.Canon + "/StructureDefinition/directive-"
)

// The reasons why a directive cannot be read.
var (
	ErrEffect  = errors.New("the effect must be BLOCK_READ, BLOCK_WRITE, LIMIT_TYPES, LIMIT_CLASSES or DESTROY")
	ErrTarget  = errors.New("a target must be an Organization, Practitioner, PractitionerRole or Device on this server, a profession, or several of these that must all fit; without any it must be of some types")
	ErrPeriod  = errors.New("a period must have readable bounds, the start before the end")
	ErrTypes   = errors.New("LIMIT_TYPES needs the codes of the types it leaves, and a type is told by its code")
	ErrClasses = errors.New("LIMIT_CLASSES needs the professions it leaves, each with system and code")
	ErrDestroy = errors.New("DESTROY stands alone, without a period, and is for one organisation, or one Practitioner or Device within it")
	ErrOther   = errors.New("an element is not understood, or an extension of directives is not one that there is")
)

// Fault is a reason why a directive cannot be read, and the place.
type Fault struct {
	Place  string
	Reason error
}

// Error implements error.
func (f *Fault) Error() string { return f.Reason.Error() }

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Reason }

// Compile reads a directive. A directive is a prohibition: what cannot be read
// of it comes back blocking, with the reason.
func Compile(t *fhir.Tape, base string) (Directive, error) {
	r := reader{tape: t, base: base}
	r.d.ID = t.Text(t.Field(t.Root(), "id"))
	r.effects()
	if n := t.Field(t.Root(), "subject"); n != fhir.None {
		r.place = "Basic.subject"
		if ref, ok := r.who(n); ok {
			r.d.Targets = append(r.d.Targets, Target{Who: []string{ref}, Place: r.place})
		}
	}
	r.extensions()
	for _, name := range [...]string{"modifierExtension", "implicitRules"} {
		if t.Field(t.Root(), name) != fhir.None {
			r.place = "Basic." + name
			r.strange()
		}
	}
	if r.doubtful {
		r.d.Effects, r.d.Period = nil, consent.Period{}
	}
	r.whole()
	r.d.Record = record(t)
	if end := r.d.Record.End; !end.IsZero() && (r.d.Period.Until.IsZero() || end.Before(r.d.Period.Until)) {
		r.d.Period.Until = end
	}
	return r.d, r.err
}

type reader struct {
	tape      *fhir.Tape
	base      string
	d         Directive
	everybody bool   // some target cannot be read
	anything  bool   // nor some type that it is confined to
	doubtful  bool   // there is more than is understood
	place     string // what is read
	err       error
}

// fail keeps the first reason.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = &Fault{Place: r.place, Reason: err}
	}
}

// strange is what is read and not understood.
func (r *reader) strange() {
	r.doubtful = true
	r.fail(ErrOther)
}

// extensions reads all that there are.
func (r *reader) extensions() {
	t := r.tape
	list := t.Field(t.Root(), "extension")
	if r.place = "Basic.extension"; list != fhir.None && t.Kind(list) != fhir.Array {
		r.strange()
	}
	i := 0
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		r.place = "Basic.extension[" + strconv.Itoa(i) + "]"
		r.extension(n)
		i++
	}
}

// whole holds the parts against each other.
func (r *reader) whole() {
	d := &r.d
	if r.anything {
		d.Of = nil
	}
	if r.place = "Basic.subject"; r.everybody || len(d.Targets) == 0 && len(d.Of) == 0 {
		r.fail(ErrTarget)
		d.Targets = nil
	}
	if r.place = "Basic.extension"; slices.Contains(d.Effects, LimitTypes) && len(d.Types) == 0 {
		r.fail(ErrTypes)
	}
	if slices.Contains(d.Effects, LimitClasses) && len(d.Classes) == 0 {
		r.fail(ErrClasses)
	}
	if !slices.Contains(d.Effects, Destroy) {
		return
	}
	r.place = "Basic"
	if _, _, ok := d.Destroys(); !ok || len(d.Effects) > 1 || d.Period != (consent.Period{}) || len(d.Of) > 0 {
		r.fail(ErrDestroy)
	}
	d.Period = consent.Period{} // a certificate ends it, not time
}

func (r *reader) effects() {
	r.place = "Basic.code"
	for n := codings(r.tape); n != fhir.None; n = r.tape.Next(n) {
		if r.tape.Text(r.tape.Field(n, "system")) != consent.SystemDirective {
			continue
		}
		effect := BlockAll
		switch r.tape.Text(r.tape.Field(n, "code")) {
		case "BLOCK_READ":
			effect = BlockRead
		case "BLOCK_WRITE":
			effect = BlockWrite
		case "LIMIT_TYPES":
			effect = LimitTypes
		case "LIMIT_CLASSES":
			effect = LimitClasses
		case "DESTROY":
			effect = Destroy
		default:
			r.fail(ErrEffect)
		}
		r.d.Effects = append(r.d.Effects, effect)
	}
	if len(r.d.Effects) == 0 {
		r.fail(ErrEffect)
	}
}

func codings(t *fhir.Tape) fhir.Node {
	return t.First(t.Field(t.Field(t.Root(), "code"), "coding"))
}

func (r *reader) extension(n fhir.Node) {
	t, d := r.tape, &r.d
	switch url := t.Text(t.Field(n, "url")); url {
	case ExtensionTarget:
		r.target(n)
	case ExtensionType:
		if code := t.Text(t.Field(n, "valueCode")); code != "" {
			d.Types = append(d.Types, fhir.ResourceType(code))
		} else {
			r.fail(ErrTypes)
		}
	case ExtensionOf:
		if code := t.Text(t.Field(n, "valueCode")); code != "" {
			d.Of = append(d.Of, fhir.ResourceType(code))
		} else {
			r.anything = true
			r.fail(ErrTypes)
		}
	case ExtensionClass:
		if c, ok := r.profession(n); ok {
			d.Classes = append(d.Classes, c)
		} else {
			r.fail(ErrClasses)
		}
	case ExtensionPeriod:
		d.Period = r.period(n)
	case ExtensionWindow:
		d.Window = r.period(n)
	case ExtensionRecord:
	default:
		if strings.HasPrefix(url, ofDirectives) { // it may name another target
			r.everybody = true
			r.strange()
		}
	}
}

// period reads a Period; one that cannot be read is open.
func (r *reader) period(n fhir.Node) consent.Period {
	v := r.tape.Field(n, "valuePeriod")
	p, ok := consent.ReadPeriod(r.tape, v)
	if !ok || v == fhir.None {
		r.fail(ErrPeriod)
		return consent.Period{}
	}
	return p
}

// target reads one target, of one part or of several.
func (r *reader) target(n fhir.Node) {
	t := r.tape
	parts := t.Field(n, "extension")
	if parts == fhir.None {
		if ref, ok := r.who(t.Field(n, "valueReference")); ok {
			r.d.Targets = append(r.d.Targets, Target{Who: []string{ref}, Place: r.place})
		}
		return
	}
	one := Target{Place: r.place}
	for p := t.First(parts); p != fhir.None; p = t.Next(p) {
		switch t.Text(t.Field(p, "url")) {
		case partWho:
			if ref, ok := r.who(t.Field(p, "valueReference")); ok {
				one.Who = append(one.Who, ref)
			}
		case partProfession:
			c, ok := r.profession(p)
			if !ok {
				r.everybody = true
				r.fail(ErrTarget)
			}
			one.Professions = append(one.Professions, c)
		default:
			r.everybody = true
			r.fail(ErrTarget)
		}
	}
	if len(one.Who)+len(one.Professions) == 0 || t.Kind(parts) != fhir.Array || t.Field(n, "valueReference") != fhir.None {
		r.everybody = true
		r.fail(ErrTarget)
	}
	r.d.Targets = append(r.d.Targets, one)
}

// who reads a reference to somebody whom a directive can be about.
func (r *reader) who(n fhir.Node) (string, bool) {
	ref := fhir.ParseReference(r.tape.Text(r.tape.Field(n, "reference")), r.base)
	if ref.Form == fhir.RefLocal {
		switch ref.Type {
		case "Organization", "Practitioner", "PractitionerRole", "Device":
			return ref.Local(), true
		}
	}
	r.everybody = true
	r.fail(ErrTarget)
	return "", false
}

func (r *reader) profession(n fhir.Node) (fhir.Coding, bool) {
	v := r.tape.Field(n, "valueCoding")
	c := fhir.Coding{System: r.tape.Text(r.tape.Field(v, "system")), Code: r.tape.Text(r.tape.Field(v, "code"))}
	return c, c.System != "" && c.Code != ""
}
