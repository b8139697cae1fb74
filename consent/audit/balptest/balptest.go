// Package balptest owns the rules of IHE BALP (IHE/ITI.BasicAudit 1.1.5), as a
// table that tests hold AuditEvents against. It does not write AuditEvents, which
// is consent/audit's, and knows nothing of how that does: what is read here is
// JSON. Nothing but tests may import it.
package balptest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Base is where the profiles are kept; a claim in meta.profile begins with it.
const Base = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"

// object is an element that has members.
type object = map[string]any

// Check returns what is wrong with an AuditEvent: with the profiles it claims,
// with those that it satisfies and does not claim, and with what all have in
// common. It is empty when nothing is.
func Check(doc []byte) []string {
	var e object
	if err := json.Unmarshal(doc, &e); err != nil {
		return []string{"no JSON: " + err.Error()}
	}
	wrong := everyEvent(e)
	claimed, all := Claims(doc), profiles()
	for _, name := range claimed {
		p, ok := all[name]
		if !ok {
			wrong = append(wrong, "claims "+name+", which is no profile")
			continue
		}
		for _, w := range p.check(e, all) {
			wrong = append(wrong, name+": "+w)
		}
	}
	for name, p := range all {
		covered := slices.ContainsFunc(claimed, func(c string) bool { return c == name || all[c].parent == name })
		if !p.optional && !covered && len(p.check(e, all)) == 0 {
			wrong = append(wrong, "satisfies "+name+" and does not claim it")
		}
	}
	return wrong
}

// Claims are the names of the profiles that an AuditEvent claims.
func Claims(doc []byte) []string {
	var e struct{ Meta struct{ Profile []string } }
	if json.Unmarshal(doc, &e) != nil {
		return nil
	}
	for i := range e.Meta.Profile {
		e.Meta.Profile[i] = strings.TrimPrefix(e.Meta.Profile[i], Base)
	}
	return e.Meta.Profile
}

// Names are all profiles of the table.
func Names() (names []string) {
	for name := range profiles() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// everyEvent is what R4 and this house ask of each event.
func everyEvent(e object) (wrong []string) {
	for _, r := range []rule{
		{path: "type", min: 1, max: 1},
		{path: "recorded", min: 1, max: 1},
		{path: "outcome", min: 1, max: 1, among: []string{"0", "4", "8", "12"}},
		{path: "agent", min: 1, max: many},
		{path: "agent.requestor", each: true},
		{path: "source.observer", min: 1, max: 1},
		{path: "source.type", min: 1, max: many},
	} {
		wrong = append(wrong, r.check(e)...)
	}
	asking := 0
	for _, a := range list(e, "agent") {
		if a["requestor"] == true {
			asking++
		}
	}
	if asking != 1 {
		wrong = append(wrong, fmt.Sprintf("%d agents asked for it", asking))
	}
	for _, x := range list(e, "entity") {
		if x["name"] != nil && x["query"] != nil {
			wrong = append(wrong, "sev-1: an entity has a name and a query")
		}
	}
	return wrong
}

// list are the members of that name, whether there are several or one.
func list(e object, name string) (out []object) {
	switch v := e[name].(type) {
	case []any:
		for _, one := range v {
			if o, ok := one.(object); ok {
				out = append(out, o)
			}
		}
	case object:
		out = append(out, v)
	}
	return out
}

// values are what a path leads to.
func values(e object, path string) []any {
	at := []any{e}
	for _, name := range strings.Split(path, ".") {
		var next []any
		for _, v := range at {
			o, ok := v.(object)
			if !ok {
				continue
			}
			switch m := o[name].(type) {
			case nil:
			case []any:
				next = append(next, m...)
			default:
				next = append(next, m)
			}
		}
		at = next
	}
	return at
}

// codes are the codings of a Coding or a CodeableConcept, as "system|code".
func codes(v any) (out []string) {
	o, ok := v.(object)
	if !ok {
		return nil
	}
	if code, ok := o["code"].(string); ok {
		system, _ := o["system"].(string)
		return []string{system + "|" + code}
	}
	for _, c := range list(o, "coding") {
		out = append(out, codes(c)...)
	}
	return out
}
