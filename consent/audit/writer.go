package audit

import (
	"vitrine/fhir"
)

// writer puts JSON together. A value that follows another within the same
// object or array gets its comma from the last byte written.
type writer struct{ out []byte }

// open begins an object or an array.
func (w *writer) open(c byte) { w.out = append(w.comma(), c) }

// shut ends it.
func (w *writer) shut(c byte) { w.out = append(w.out, c) }

// comma appends one unless something has just begun.
func (w *writer) comma() []byte {
	switch w.out[len(w.out)-1] {
	case '{', '[', ':', ',':
		return w.out
	default:
		return append(w.out, ',')
	}
}

// name begins a member. The name is one of this package's own.
func (w *writer) name(s string) {
	w.out = append(w.comma(), '"')
	w.out = append(append(w.out, s...), '"', ':')
}

func (w *writer) text(name, value string) {
	w.name(name)
	w.out = fhir.AppendString(w.out, value)
}

func (w *writer) requestor(value bool) {
	w.name("requestor")
	if value {
		w.out = append(w.out, "true"...)
		return
	}
	w.out = append(w.out, "false"...)
}

func (w *writer) coding(c fhir.Coding) {
	w.open('{')
	if c.System != "" {
		w.text("system", c.System)
	}
	w.text("code", c.Code)
	w.shut('}')
}

func (w *writer) codingList(cs []fhir.Coding) {
	w.open('[')
	for _, c := range cs {
		w.coding(c)
	}
	w.shut(']')
}

// concepts writes an array of CodeableConcepts of one coding each.
func (w *writer) concepts(cs []fhir.Coding) {
	w.open('[')
	for _, c := range cs {
		w.concept(c)
	}
	w.shut(']')
}

func (w *writer) concept(c fhir.Coding) {
	w.open('{')
	w.name("coding")
	w.codingList([]fhir.Coding{c})
	w.shut('}')
}

// party is agent.type, one concept of the codes.
func (w *writer) party(cs ...fhir.Coding) {
	w.name("type")
	w.open('{')
	w.name("coding")
	w.codingList(cs)
	w.shut('}')
}

// who is agent.who; nothing when nothing is known.
func (w *writer) who(ref, value string) {
	if ref == "" && value == "" {
		return
	}
	w.name("who")
	w.reference(ref, "", value)
}

// whoNamed is the agent.who of a person, who may be known by name.
func (w *writer) whoNamed(a *Agent) {
	if a.User == "" && a.Subject == "" && a.Name == "" {
		return
	}
	w.name("who")
	w.reference(a.User, a.Issuer, a.Subject)
	if a.Name != "" {
		w.out = w.out[:len(w.out)-1]
		w.text("display", a.Name)
		w.shut('}')
	}
}

// reference is a Reference, literal or logical or both.
func (w *writer) reference(ref, system, value string) {
	w.open('{')
	if ref != "" {
		w.text("reference", ref)
	}
	if value != "" {
		w.name("identifier")
		w.open('{')
		if system != "" {
			w.text("system", system)
		}
		w.text("value", value)
		w.shut('}')
	}
	w.shut('}')
}

// policies are those of the policies by which the agent acted that there are.
func (w *writer) policies(uris ...string) {
	mark := len(w.out)
	w.name("policy")
	w.open('[')
	empty := len(w.out)
	for _, uri := range uris {
		if uri != "" {
			w.out = fhir.AppendString(w.comma(), uri)
		}
	}
	if len(w.out) == empty {
		w.out = w.out[:mark]
		return
	}
	w.shut(']')
}

func (w *writer) purposeOfUse(a *Agent) {
	if c := a.Purpose.Coding(); c.Code != "" {
		w.name("purposeOfUse")
		w.concepts([]fhir.Coding{c})
	}
}

// network is agent.network; kind is a code of network-type.
func (w *writer) network(address, kind string) {
	if address == "" {
		return
	}
	w.name("network")
	w.open('{')
	w.text("address", address)
	w.text("type", kind)
	w.shut('}')
}

// period is the life of a grant that has ended.
func (w *writer) period(g *Glass) {
	if g.Start.IsZero() && g.End.IsZero() {
		return
	}
	w.name("period")
	w.open('{')
	if !g.Start.IsZero() {
		w.text("start", fhir.FormatInstant(g.Start))
	}
	if !g.End.IsZero() {
		w.text("end", fhir.FormatInstant(g.End))
	}
	w.shut('}')
}

// kind is entity.type and entity.role.
func (w *writer) kind(typ, role string) {
	w.name("type")
	w.coding(fhir.Coding{System: systemEntityType, Code: typ})
	w.name("role")
	w.coding(fhir.Coding{System: systemObjectRole, Code: role})
}

// detail is an entity.detail.
type detail struct{ name, value string }

func (w *writer) details(list ...detail) {
	if len(list) == 0 {
		return
	}
	w.name("detail")
	w.open('[')
	for _, d := range list {
		w.open('{')
		w.text("type", d.name)
		w.text("valueString", d.value)
		w.shut('}')
	}
	w.shut(']')
}
