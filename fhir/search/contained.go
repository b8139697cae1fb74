package search

import "vitrine/fhir"

// containers adds the types of the resources that are contained.
func (w *walker) containers() {
	t := w.tape
	for c := t.First(t.Field(t.Root(), "contained")); c != fhir.None; c = t.Next(c) {
		typ := w.field(c, "resourceType", 0)
		if w.defs.ResourceBytes(typ) == nil {
			continue
		}
		at := w.out.begin(tagCode)
		w.out.buf = append(w.out.buf, typ...)
		w.out.commit(ParamContained, at)
	}
}

// Contained calls found with every resource of the type that t contains, and with
// its entries, _id among them, until it returns false. What is contained and no
// resource is passed over.
func (x *Indexer) Contained(t *fhir.Tape, typ fhir.ResourceType, found func(id string, content []byte, e Encoded) bool) {
	for c := t.First(t.Field(t.Root(), "contained")); c != fhir.None; c = t.Next(c) {
		if t.Text(t.Field(c, "resourceType")) != string(typ) {
			continue
		}
		var own fhir.Tape
		var e Entries
		if own.Parse(t.Raw(c), fhir.Stored()) != nil || x.Index(&e, &own) != nil {
			continue
		}
		id := t.Text(t.Field(c, "id"))
		if legible([]byte(id)) {
			e.Add(ParamID, []byte{tagCode}, []byte(id))
		}
		e.Sort()
		if !found(id, t.Raw(c), e.AppendBinary(nil)) {
			return
		}
	}
}
