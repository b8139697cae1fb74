package compartment

import "vitrine/fhir"

// subject says that an element of a resource, rather than of a part of it, names
// whom the resource is about.
func subject(name string) bool {
	switch name {
	case "subject", "patient", "beneficiary", "for", "individual", "candidate":
		return true
	}
	return false
}

// subjects looks at whom the resource is about once more: someone who is named
// there in words alone, by a URN nobody resolved, or in a way that cannot be
// read, is a patient we do not know.
func (f *finder) subjects() {
	if f.typ == nil {
		return
	}
	for n := f.t.First(f.t.Root()); n != fhir.None; n = f.t.Next(n) {
		key := f.t.Key(n)
		if !subject(string(key)) {
			continue
		}
		if e := f.typ.Element(key); e == nil || e.Type.Name != "Reference" {
			continue
		}
		if f.t.Kind(n) != fhir.Array {
			f.subject(n)
			continue
		}
		for s := f.t.First(n); s != fhir.None; s = f.t.Next(s) {
			f.subject(s)
		}
	}
}

func (f *finder) subject(n fhir.Node) {
	ref := f.t.Field(n, "reference")
	if ref == fhir.None {
		if f.t.Field(n, "identifier") == fhir.None {
			f.unclear()
		}
		return
	}
	switch fhir.ParseReference(f.t.Text(ref), f.base).Form {
	case fhir.RefInvalid, fhir.RefURN, fhir.RefConditional:
		f.unclear()
	case fhir.RefLocal, fhir.RefExternal, fhir.RefContained:
	}
}
