package validate

import (
	"bytes"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// fewCodes is how many codes a report lists.
const fewCodes = 12

// code checks a primitive with a required binding, decoded.
func (w *walker) code(n fhir.Node, e *r4.Element, text []byte) {
	if e.Binding.Listed() {
		if _, ok := e.Binding.System(text); !ok {
			w.uncoded(n, e)
		}
		return
	}
	ok := true
	switch e.Binding.URL {
	case "http://hl7.org/fhir/ValueSet/currencies":
		ok = len(text) == 3 && isUpper(text[0]) && isUpper(text[1]) && isUpper(text[2])
	case mediaTypes:
		ok = isMediaType(text)
	}
	switch {
	case !ok:
		w.uncoded(n, e)
	case e.Binding.URL == mediaTypes: // of these there is no list
	default:
		w.unchecked(n, e)
	}
}

const mediaTypes = "http://hl7.org/fhir/ValueSet/mimetypes"

// unchecked reports a code of a value set whose codes are not known, once.
func (w *walker) unchecked(n fhir.Node, e *r4.Element) {
	if !w.errorsOnly && w.first(e.Binding.URL) {
		w.inform(n, fhir.CodeNotSupported, e.Name+" was not checked: the codes of "+e.Binding.URL+" are not on this server")
	}
}

// first says that of a value set or code system nothing was told yet.
func (w *walker) first(url string) bool {
	if w.told[url] {
		return false
	}
	if w.told == nil {
		w.told = make(map[string]bool)
	}
	w.told[url] = true
	return true
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// isMediaType says that a text has the form of one (RFC 6838 §4.2), or is one of
// the short names that R4 allows beside them.
func isMediaType(b []byte) bool {
	switch string(b) {
	case "json", "xml", "ttl":
		return true
	}
	b, _, _ = bytes.Cut(b, []byte{';'})
	kind, rest, ok := bytes.Cut(bytes.TrimSpace(b), []byte{'/'})
	return ok && isMediaName(kind) && isMediaName(rest)
}

func isMediaName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`()<>@,;:\"/[]?=`), c) >= 0 {
			return false
		}
	}
	return len(b) > 0
}

// uncoded reports a code outside the value set of a required binding.
func (w *walker) uncoded(n fhir.Node, e *r4.Element) {
	w.fail(n, fhir.CodeCodeInvalid, e.Name+" must be a code of "+e.Binding.URL+codesOf(e.Binding))
}

// coded checks a CodeableConcept or Coding with a required binding: one of its
// codings must be of the value set, and words alone are not enough (R4
// terminologies.html#required). One that has extensions alone says why it is not
// told.
func (w *walker) coded(n fhir.Node, e *r4.Element) {
	if !e.Binding.Listed() {
		w.unchecked(n, e)
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
		if list != fhir.None || w.t.Field(n, "text") != fhir.None {
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

// known reports a Coding whose code is not of its system, and one of a system
// that is not on this server: once for each such system.
func (w *walker) known(coding fhir.Node) {
	system, code := w.t.Text(w.t.Field(coding, "system")), w.t.Field(coding, "code")
	if system == "" || w.t.Kind(code) != fhir.String {
		return
	}
	in, known := w.how.Codes(system, w.t.Text(code))
	switch {
	case known && !in:
		w.warn(code, fhir.CodeCodeInvalid, "the code system has no such code")
	case !known && w.first(system):
		w.inform(code, fhir.CodeNotSupported, "the codes of this system are not on this server; they were not checked")
	}
}

// codesOf lists the codes of a small value set, as the end of a sentence.
func codesOf(v *r4.ValueSet) string {
	var codes []string
	for i := range v.Includes {
		codes = append(codes, v.Includes[i].Codes...)
	}
	if len(codes) == 0 || len(codes) > fewCodes {
		return ""
	}
	return ": " + strings.Join(codes, ", ")
}
