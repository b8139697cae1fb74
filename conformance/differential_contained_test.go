package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// contain gives some resources others that they contain and refer to; their ids
// are the same ones in every container.
func (g *specMaker) contain(o object) {
	inner := func(typ string) any {
		c := g.resource(typ)
		within, _ := o["contained"].([]any)
		c["resourceType"], c["id"] = typ, fmt.Sprint("in", len(within)+1)
		o["contained"] = append(within, c)
		r := object{"reference": "#" + text(c, "id")}
		g.set(r, 25, "display", func() any { return g.phrase() })
		return r
	}
	further := func(name, typ string) {
		others, _ := o[name].([]any)
		o[name] = append(slices.Clone(others), inner(typ))
	}
	switch text(o, "resourceType") {
	case "MedicationRequest":
		if delete(o, "medicationCodeableConcept"); g.chance(90) {
			o["medicationReference"] = inner("Medication")
		}
		g.set(o, 30, "requester", func() any { return inner(pick(g, "Practitioner", "Organization")) })
		if o["medicationReference"] == nil {
			o["medicationReference"] = g.refer("Medication")
		}
	case "Observation":
		further("performer", pick(g, "Practitioner", "Organization"))
		if g.chance(50) {
			further("hasMember", "Observation")
		}
		if g.chance(30) {
			further("performer", "Practitioner")
		}
	case "Encounter":
		further("participant", "Practitioner")
		participants := list(o, "participant")
		participants[len(participants)-1] = object{"individual": participants[len(participants)-1]}
		g.set(o, 50, "serviceProvider", func() any { return inner("Organization") })
		if g.chance(50) {
			o["location"] = []any{object{"location": inner("Location")}}
		}
	case "Patient":
		o["managingOrganization"] = inner("Organization")
		if g.chance(50) {
			further("generalPractitioner", pick(g, "Practitioner", "Organization"))
		}
	case "Location":
		o["managingOrganization"] = inner("Organization")
		g.set(o, 40, "partOf", func() any { return inner("Location") })
	}
}

// medication is in the world by itself, and within others.
func (g *specMaker) medication() object {
	o := object{}
	g.set(o, 85, "code", g.concept)
	g.set(o, 60, "status", func() any { return pick(g, "active", "inactive") })
	g.set(o, 50, "form", g.concept)
	g.set(o, 60, "identifier", g.identifiers)
	g.set(o, 50, "manufacturer", func() any { return g.refer("Organization") })
	return o
}

// contained is what a reference within a resource leads to (R4
// references.html#contained).
func (w *specWorld) contained(r *specResource, place *valuePlace, id string) (out []*specResource) {
	for _, c := range w.inner[r] {
		if c.id == id && (place.targets == nil || slices.Contains(place.targets, c.typ)) {
			out = append(out, c)
		}
	}
	return out
}

// leadsOn reports whether a condition goes on from the resource it is about.
func leadsOn(name string) bool {
	return strings.Contains(name, ".") || strings.HasPrefix(name, "_has:")
}

// goesOn reports whether some test of an expression does.
func (f *filterNode) goesOn() bool {
	return strings.Contains(f.path, ".") || slices.ContainsFunc(f.of, (*filterNode).goesOn)
}

// searchWithin is what a search with _contained finds (R4 search.html#contained):
// the containers, or container#id.
func (w *specWorld) searchWithin(q query) (names []string) {
	if q.contained == "both" {
		for _, r := range w.search(q.typ, q.all) {
			names = append(names, r.name())
		}
	}
	for r, within := range w.inner {
		for _, c := range within {
			if c.typ != q.typ || !w.satisfies(c, q.all) {
				continue
			}
			if q.containedType == "contained" {
				names = append(names, r.name()+"#"+c.id)
			} else {
				names = append(names, r.name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// within is a search for what is contained.
func (a *asker) within() query {
	q := query{
		typ: pick(a.specMaker, "Organization", "Practitioner", "Medication", "Location", "Observation"), contained: pick(a.specMaker, "true", "true", "both"),
		containedType: pick(a.specMaker, "", "container", "contained"),
	}
	for range pick(a.specMaker, 0, 1, 1, 1, 2) {
		q.all = append(q.all, a.own(a.parameter(q.typ)))
	}
	return q
}
