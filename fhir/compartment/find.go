package compartment

import (
	"cmp"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// finder gathers the owners of one resource.
type finder struct {
	t      *fhir.Tape
	base   string
	typ    *r4.Type
	defs   *r4.Definitions
	owners Owners
}

func compareIdentifiers(a, b fhir.Identifier) int {
	return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Value, b.Value))
}

// unclear takes a patient who cannot be found by what the resource tells.
func (f *finder) unclear() {
	f.owners.Identifiers = append(f.owners.Identifiers, fhir.Identifier{})
}

// inheritFrom gathers the references whose owners the resource shares.
func (f *finder) inheritFrom(name string) {
	switch name {
	case "Provenance":
		targets := f.t.Field(f.t.Root(), "target")
		for n := f.t.First(targets); n != fhir.None; n = f.t.Next(n) {
			f.inherit(n)
		}
	case "Binary":
		if context := f.t.Field(f.t.Root(), "securityContext"); context != fhir.None {
			f.inherit(context)
		}
	}
}

// inherit takes one such reference. A patient is an owner already, by being
// referred to.
func (f *finder) inherit(n fhir.Node) {
	r := fhir.ParseReference(f.t.Text(f.t.Field(n, "reference")), f.base)
	switch {
	case r.Form != fhir.RefLocal:
		if f.t.Text(f.t.Field(n, "type")) != "Patient" || f.t.Field(n, "identifier") == fhir.None {
			f.unclear()
		}
	case r.Type != "Patient":
		f.owners.Inherits = append(f.owners.Inherits, r)
	}
}

// object looks for owners in an object: in itself, if it is a Reference or a
// Patient, and in its members. typ is its type, and e the element whose value it
// is; both are nil where R4 knows nothing of it, which must not hide an owner.
func (f *finder) object(n fhir.Node, typ *r4.Type, e *r4.Element) {
	r := reference{fhir.None, fhir.None, fhir.None}
	patient := false
	for m := f.t.First(n); m != fhir.None; m = f.t.Next(m) {
		key, kind := f.t.Key(m), f.t.Kind(m)
		switch {
		case kind == fhir.String && string(key) == "reference":
			r.literal = m
		case kind == fhir.String && string(key) == "type":
			r.kind = m
		case kind == fhir.Object && string(key) == "identifier":
			r.identifier = m
		case kind == fhir.String && string(key) == "resourceType":
			patient = n != f.t.Root() && f.t.Text(m) == "Patient"
		}
		if kind == fhir.Object || kind == fhir.Array {
			f.member(n, m, key, typ)
		}
	}
	if r.literal != fhir.None || r.identifier != fhir.None && (e == nil || e.Type.Name == "Reference") {
		f.reference(r, e)
	}
	if patient {
		f.within(n)
	}
}

// member goes into the objects of a member. Patient.link is left out of account.
func (f *finder) member(n, m fhir.Node, key []byte, typ *r4.Type) {
	var e *r4.Element
	if typ != nil {
		e = typ.Element(key)
	}
	if n == f.t.Root() && f.owners.Self && string(key) == "link" {
		return
	}
	if f.t.Kind(m) == fhir.Object {
		f.object(m, f.typeOf(m, e), e)
		return
	}
	for item := f.t.First(m); item != fhir.None; item = f.t.Next(item) {
		if kind := f.t.Kind(item); kind == fhir.Object {
			f.object(item, f.typeOf(item, e), e)
		} else if kind == fhir.Array { // never right, and refused by validate; looked into all the same
			f.member(item, item, nil, nil)
		}
	}
}

// typeOf is the type of the object that is a value of e: of a resource, its own.
func (f *finder) typeOf(n fhir.Node, e *r4.Element) *r4.Type {
	if e == nil {
		return nil
	}
	if e.Type.Kind == r4.KindResource {
		return f.defs.Resource(f.t.Text(f.t.Field(n, "resourceType")))
	}
	return e.Type
}

// reference is the members of a Reference that may say whom it means.
type reference struct{ literal, kind, identifier fhir.Node }

// reference takes one Reference.
func (f *finder) reference(r reference, e *r4.Element) {
	if r.literal != fhir.None {
		switch to := fhir.ParseReference(f.t.Text(r.literal), f.base); {
		case to.Form == fhir.RefLocal && to.Type == "Patient":
			f.owners.Patients = append(f.owners.Patients, to.ID)
			return
		case to.Form == fhir.RefConditional && to.Type == "Patient":
			f.unclear()
			return
		case to.Form == fhir.RefExternal && elsewhere(to.URL), to.Form == fhir.RefInvalid && mentioned(f.t.Text(r.literal)):
			if !f.identified(r.identifier) {
				f.unclear()
			}
			return
		case to.Form != fhir.RefInvalid && to.Form != fhir.RefURN:
			return
		}
	}
	if r.identifier != fhir.None && f.logical(r, e) && !f.identified(r.identifier) {
		f.unclear()
	}
}

// identified takes a logical reference to a patient; false when the identifier
// has no value or no system.
func (f *finder) identified(identifier fhir.Node) bool {
	id := fhir.Identifier{
		System: f.t.Text(f.t.Field(identifier, "system")),
		Value:  f.t.Text(f.t.Field(identifier, "value")),
	}
	if id.System == "" || id.Value == "" {
		return false
	}
	f.owners.Identifiers = append(f.owners.Identifiers, id)
	return true
}

// mentioned says that what is no reference, such as a URL below our base with a
// query, was yet meant for a patient.
func mentioned(s string) bool {
	return strings.HasPrefix(s, "Patient/") || strings.Contains(s, "/Patient/") || strings.Contains(s, "/Patient?")
}

// elsewhere says that an absolute URL names a patient of another server, or asks
// for one.
func elsewhere(url string) bool {
	url, _, asks := strings.Cut(url, "?")
	if asks {
		return strings.HasSuffix(url, "/Patient")
	}
	url, _, _ = strings.Cut(url, "/_history/")
	rest, _, ok := cutLast(url, "/")
	return ok && strings.HasSuffix(rest, "/Patient")
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// logical says that a reference by identifier alone is to a patient: it says so
// by its type; or it says nothing and stands where the subject does, or where a
// patient may stand but nobody who acts (R4 references.html#logical).
func (f *finder) logical(r reference, e *r4.Element) bool {
	if r.kind != fhir.None {
		name := f.t.Text(r.kind)
		return name == "Patient" || strings.HasSuffix(name, "/Patient")
	}
	if e == nil {
		return false
	}
	if f.typ != nil && f.typ.Element([]byte(e.Name)) == e && subject(e.Name) {
		return true
	}
	patient := false
	for _, target := range e.Targets {
		switch target {
		case "Patient":
			patient = true
		case "Practitioner", "PractitionerRole", "Organization", "RelatedPerson":
			return false
		}
	}
	return patient
}

// within takes a Patient that stands inside the resource, contained or in an
// entry of a Bundle: the first identifier that has a system names who it is.
func (f *finder) within(resource fhir.Node) {
	list := f.t.Field(resource, "identifier")
	for i := f.t.First(list); i != fhir.None; i = f.t.Next(i) {
		if f.identified(i) {
			return
		}
	}
	f.unclear()
}
