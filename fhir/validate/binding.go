package validate

import (
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// fewCodes is how many codes a report lists.
const fewCodes = 12

// uncoded reports a code outside the value set of a required binding.
func (w *walker) uncoded(n fhir.Node, e *r4.Element) {
	w.fail(n, fhir.CodeCodeInvalid, e.Name+" must be a code of "+e.Binding.URL+codesOf(e.Binding))
}

// coded checks a CodeableConcept or Coding with a required binding: one of its
// codings must be of the value set. A concept in words alone passes: whether
// words are enough is for profiles to say.
func (w *walker) coded(n fhir.Node, e *r4.Element) {
	if !e.Binding.Listed() {
		return
	}
	switch e.Type.Name {
	case "Coding":
		if !w.inSet(n, e.Binding) {
			w.uncoded(n, e)
		}
	case "CodeableConcept":
		list := w.t.Field(n, "coding")
		for c := w.t.First(list); c != fhir.None; c = w.t.Next(c) {
			if w.inSet(c, e.Binding) {
				return
			}
		}
		if w.t.First(list) != fhir.None {
			w.uncoded(n, e)
		}
	}
}

// inSet says whether a Coding is of the value set.
func (w *walker) inSet(coding fhir.Node, v *r4.ValueSet) bool {
	var systemRoom, codeRoom [64]byte
	system := w.t.Bytes(w.t.Field(coding, "system"), systemRoom[:])
	code := w.t.Bytes(w.t.Field(coding, "code"), codeRoom[:])
	for i := range v.Includes {
		if v.Includes[i].System == string(system) && v.Includes[i].Has(code) {
			return true
		}
	}
	return false
}

// codesOf lists the codes of a small value set, as the end of a sentence.
func codesOf(v *r4.ValueSet) string {
	var codes []string
	for i := range v.Includes {
		codes = append(codes, v.Includes[i].Codes...)
	}
	if len(codes) > fewCodes {
		return ""
	}
	return ": " + strings.Join(codes, ", ")
}
