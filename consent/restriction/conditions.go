package restriction

import (
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
)

// conditions are what a provision says besides its nested ones.
type conditions struct {
	rule consent.Rule
	// reading says that the provision concerns reading.
	reading bool
}

// confined reports whether the rule is for someone or something in particular.
func (c *conditions) confined() bool {
	u := &c.rule
	return len(u.Actors) > 0 || len(u.Types) > 0 || len(u.Labels) > 0 || u.Purpose != consent.PurposeNone
}

// conditions reads the elements of a provision. Every element that might
// confine it must be understood.
func (r *reader) conditions(provision fhir.Node, path string, effect consent.Effect) conditions {
	c := conditions{rule: consent.Rule{Place: path, Effect: effect}, reading: true}
	if r.tape.Kind(provision) != fhir.Object {
		r.doubt(provision, path, fhir.CodeStructure, "a provision must be an object")
		return c
	}
	for n := r.tape.First(provision); n != fhir.None; n = r.tape.Next(n) {
		key := string(r.tape.Key(n))
		at := path + "." + key
		switch key {
		case "type", "_type", "provision", "id", "extension", "modifierExtension": // read elsewhere, or without meaning
		case "period":
			period, ok := consent.ReadPeriod(r.tape, n)
			if !ok {
				r.doubt(n, at, fhir.CodeValue, "the period must have readable bounds, the start before the end")
			}
			c.rule.Period = period
		case "actor":
			r.bounded(n, at, "actors", &r.actors, actorsMost, func(n fhir.Node, path string) { c.rule.Actors = append(c.rule.Actors, r.actor(n, path)) })
		case "action":
			c.reading = r.reading(n, at)
		case "securityLabel":
			c.rule.Labels = r.labels(n, at, effect)
		case "purpose":
			c.rule.Purpose = r.purpose(n, at, effect)
		case "class":
			r.bounded(n, at, "classes", &r.classes, classesMost, func(n fhir.Node, path string) { c.rule.Types = append(c.rule.Types, r.class(n, path)) })
		case "code", "data", "dataPeriod":
			r.doubt(n, at, fhir.CodeNotSupported, key+" is not supported; use class or securityLabel")
		default:
			r.doubt(n, at, fhir.CodeStructure, "the element is not understood")
		}
	}
	return c
}

// actor reads whom a rule names. Only recipients can be named: a custodian is
// where the data come from.
func (r *reader) actor(n fhir.Node, path string) consent.Actor {
	recipient, other := false, false
	r.codings(r.tape.Field(n, "role"), func(c fhir.Coding) {
		switch c {
		case fhir.Coding{System: systemParticipation, Code: "IRCP"}, fhir.Coding{System: systemParticipation, Code: "PRCP"}:
			recipient = true
		default:
			other = true
		}
	})
	if !recipient || other {
		r.doubt(n, path+".role", fhir.CodeBusinessRule, "the role must be IRCP or PRCP of v3-ParticipationType")
	}
	ref := fhir.ParseReference(r.tape.Text(r.tape.Field(r.tape.Field(n, "reference"), "reference")), r.base)
	if ref.Form == fhir.RefLocal {
		switch ref.Type {
		case "Organization":
			return consent.Actor{Organization: ref.ID}
		case "Practitioner":
			return consent.Actor{Practitioner: ref.Local()}
		case "PractitionerRole":
			return consent.Actor{Role: ref.Local()}
		}
	}
	r.doubt(n, path+".reference", fhir.CodeNotSupported, "the actor must be an Organization, a Practitioner or a PractitionerRole on this server")
	return consent.Actor{}
}

// reading reports whether the actions concern reading. None means all; a rule
// about correct or collect alone does not.
func (r *reader) reading(n fhir.Node, path string) bool {
	reading, any := false, false
	r.each(n, path, func(n fhir.Node, path string) {
		known := false
		r.codings(n, func(c fhir.Coding) {
			if c.System != systemAction {
				return
			}
			switch c.Code {
			case "access", "use", "disclose":
				known, reading = true, true
			case "collect", "correct":
				known = true
			}
		})
		if !known {
			r.doubt(n, path, fhir.CodeCodeInvalid, "an action must be one of collect, access, use, disclose and correct of consentaction")
		}
		any = true
	})
	return reading || !any
}

// purpose reads the one purpose of a rule. Two would be read one way by R4 and
// another by IHE PCF (DOSSIER §1.1).
func (r *reader) purpose(n fhir.Node, path string, effect consent.Effect) consent.Purpose {
	p, count := consent.PurposeNone, 0
	r.each(n, path, func(n fhir.Node, path string) {
		count++
		var ok bool
		if p, ok = consent.ParsePurpose(r.coding(n)); !ok {
			r.doubt(n, path, fhir.CodeCodeInvalid, "the purpose must be a code of v3-ActReason's PurposeOfUse")
		}
	})
	switch {
	case count != 1:
		r.doubt(n, path, fhir.CodeBusinessRule, "a provision may name one purpose")
	case effect == consent.Permit && p.Excluded():
		r.refuse(n, path, fhir.CodeBusinessRule, "no Consent can permit access for this purpose")
	case effect == consent.Deny && p == consent.BreakGlass:
		r.refuse(n, path, fhir.CodeBusinessRule, "no Consent can rule out access in an emergency that threatens life or health")
	}
	return p
}

// class reads a resource type.
func (r *reader) class(n fhir.Node, path string) fhir.ResourceType {
	c := r.coding(n)
	if c.System != systemResourceTypes || r.defs.Resource(c.Code) == nil {
		r.doubt(n, path, fhir.CodeNotSupported, "the class must be a resource type of http://hl7.org/fhir/resource-types")
	}
	return fhir.ResourceType(c.Code)
}

// labels reads security labels, those below them included: the logic of labels
// other than confidentiality is subsumption (R4
// consent-definitions.html#Consent.provision.securityLabel).
func (r *reader) labels(n fhir.Node, path string, effect consent.Effect) []string {
	var labels []string
	count := 0
	r.bounded(n, path, "security labels", &r.labelled, labelsMost, func(n fhir.Node, path string) {
		count++
		c := r.coding(n)
		switch {
		case c.System == "" || c.Code == "":
			r.doubt(n, path, fhir.CodeRequired, "a label needs a system and a code")
			return
		case c.System == systemConfidentiality:
			r.doubt(n, path, fhir.CodeNotSupported, "a confidentiality code stands for all lower ones too, so what it is meant to hide is in doubt; use a sensitivity code")
		}
		for _, l := range append([]string{c.System + "|" + c.Code}, below(c)...) {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	})
	if count == 0 || (count > 1 && effect == consent.Permit) {
		r.doubt(n, path, fhir.CodeBusinessRule, "a permit may name one label")
	}
	return labels
}

// below are the sensitivity labels that a label subsumes (v3-ActCode, R4).
func below(c fhir.Coding) []string {
	if c.System != systemActCode {
		return nil
	}
	var codes []string
	switch c.Code {
	case "SPI":
		codes = []string{"BH", "COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN", "SUD", "ETHUD", "OPIOIDUD"}
	case "BH":
		codes = []string{"COGN", "DVD", "EMOTDIS"}
	case "SUD":
		codes = []string{"ETHUD", "OPIOIDUD"}
	}
	for i, code := range codes {
		codes[i] = systemActCode + "|" + code
	}
	return codes
}
