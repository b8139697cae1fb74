package relation

import (
	"vitrine/consent"
	"vitrine/fhir"
)

// ExtensionAuthority names, in a RelatedPerson, the kind of authority by which it
// acts for its patient (consent.ParseAuthority). That somebody is a relative is no
// authority: the registry must say that, and which, it has.
const ExtensionAuthority = consent.Canon + "/StructureDefinition/nehr-authority"

// FromRelatedPerson reads by what authority, and when, a RelatedPerson may act for
// its patient. ok is false when it may not, or that cannot be read for certain.
func FromRelatedPerson(t *fhir.Tape) (a consent.Authority, p consent.Period, ok bool) {
	root := t.Root()
	if !readable(t, "RelatedPerson") {
		return consent.AuthorityNone, p, false
	}
	if active := t.Field(root, "active"); active != fhir.None && t.Kind(active) != fhir.True {
		return consent.AuthorityNone, p, false
	}
	a, fault := authority(t)
	if fault || a == consent.AuthorityNone {
		return consent.AuthorityNone, p, false
	}
	p, ok = consent.ReadPeriod(t, t.Field(root, "period"))
	if !ok {
		return consent.AuthorityNone, consent.Period{}, false
	}
	return a, p, true
}

// AuthorityFault reports whether a RelatedPerson names an authority that cannot be
// read.
func AuthorityFault(t *fhir.Tape) bool {
	_, fault := authority(t)
	return fault
}

// authority reads the extension; fault says that it cannot be read.
func authority(t *fhir.Tape) (a consent.Authority, fault bool) {
	list := t.Field(t.Root(), "extension")
	if t.Kind(list) != fhir.Array {
		return consent.AuthorityNone, false
	}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if t.Text(t.Field(n, "url")) != ExtensionAuthority {
			continue
		}
		members := 0
		for m := t.First(n); m != fhir.None; m = t.Next(m) {
			members++
		}
		code := t.Field(n, "valueCode")
		parsed, ok := consent.ParseAuthority(t.Text(code))
		if a != consent.AuthorityNone || members != 2 || t.Kind(code) != fhir.String || !ok {
			return consent.AuthorityNone, true
		}
		a = parsed
	}
	return a, false
}
