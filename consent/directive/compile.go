package directive

import (
	"errors"

	"vitrine/consent"
	"vitrine/fhir"
)

// The extensions of a directive.
const (
	// ExtensionTarget is a Reference to whom the directive is about, besides
	// Basic.subject.
	ExtensionTarget = consent.Canon + "/StructureDefinition/directive-target"
	// ExtensionPeriod is the Period in which it holds; without one it holds
	// until it is deleted.
	ExtensionPeriod = consent.Canon + "/StructureDefinition/directive-period"
	// ExtensionType is the code of a resource type that LIMIT_TYPES leaves.
	ExtensionType = consent.Canon + "/StructureDefinition/directive-type"
)

// The reasons why a directive cannot be read.
var (
	ErrEffect = errors.New("directive: the effect must be BLOCK_READ, BLOCK_WRITE or LIMIT_TYPES")
	ErrTarget = errors.New("directive: a target must be an Organization, Practitioner, PractitionerRole or Device on this server")
	ErrPeriod = errors.New("directive: the period must have readable bounds, the start before the end")
	ErrTypes  = errors.New("directive: LIMIT_TYPES needs the codes of the types it leaves")
	ErrOther  = errors.New("directive: an element is not understood")
)

func codings(t *fhir.Tape) fhir.Node {
	return t.First(t.Field(t.Field(t.Root(), "code"), "coding"))
}

// Compile reads a directive. A directive is a prohibition: what cannot be read
// of it comes back blocking, with the reason.
func Compile(t *fhir.Tape, base string) (Directive, error) {
	r := reader{tape: t, base: base}
	r.d.ID = t.Text(t.Field(t.Root(), "id"))
	r.effects()
	if n := t.Field(t.Root(), "subject"); n != fhir.None {
		r.target(n)
	}
	for n := t.First(t.Field(t.Root(), "extension")); n != fhir.None; n = t.Next(n) {
		r.extension(n)
	}
	if t.Field(t.Root(), "modifierExtension") != fhir.None || t.Field(t.Root(), "implicitRules") != fhir.None {
		r.fail(ErrOther)
		r.d.Effects, r.d.Period = nil, consent.Period{}
	}
	if len(r.d.Targets) == 0 || r.everybody {
		r.fail(ErrTarget)
		r.d.Targets = nil
	}
	if r.limits && len(r.d.Types) == 0 {
		r.fail(ErrTypes)
	}
	return r.d, r.err
}

type reader struct {
	tape      *fhir.Tape
	base      string
	d         Directive
	everybody bool // some target cannot be read
	limits    bool
	err       error
}

// fail keeps the first reason.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) effects() {
	for n := codings(r.tape); n != fhir.None; n = r.tape.Next(n) {
		if r.tape.Text(r.tape.Field(n, "system")) != consent.SystemDirective {
			continue
		}
		switch r.tape.Text(r.tape.Field(n, "code")) {
		case "BLOCK_READ":
			r.d.Effects = append(r.d.Effects, BlockRead)
		case "BLOCK_WRITE":
			r.d.Effects = append(r.d.Effects, BlockWrite)
		case "LIMIT_TYPES":
			r.limits = true
			r.d.Effects = append(r.d.Effects, LimitTypes)
		default:
			r.fail(ErrEffect)
			r.d.Effects = append(r.d.Effects, BlockAll)
		}
	}
	if len(r.d.Effects) == 0 {
		r.fail(ErrEffect)
	}
}

func (r *reader) extension(n fhir.Node) {
	t := r.tape
	switch t.Text(t.Field(n, "url")) {
	case ExtensionTarget:
		r.target(t.Field(n, "valueReference"))
	case ExtensionType:
		if code := t.Text(t.Field(n, "valueCode")); code != "" {
			r.d.Types = append(r.d.Types, fhir.ResourceType(code))
		} else {
			r.fail(ErrTypes)
		}
	case ExtensionPeriod:
		v := t.Field(n, "valuePeriod")
		p, ok := consent.ReadPeriod(t, v)
		if !ok || v == fhir.None {
			r.fail(ErrPeriod)
			return
		}
		r.d.Period = p
	}
}

func (r *reader) target(n fhir.Node) {
	ref := fhir.ParseReference(r.tape.Text(r.tape.Field(n, "reference")), r.base)
	if ref.Form == fhir.RefLocal {
		switch ref.Type {
		case "Organization", "Practitioner", "PractitionerRole", "Device":
			r.d.Targets = append(r.d.Targets, ref.Local())
			return
		}
	}
	r.everybody = true
}
