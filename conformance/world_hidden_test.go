package conformance

import (
	"net/http"
	"slices"
	"strings"
)

// What others do in the first world while callers write in both.

var (
	// absent is nobody in either world, until somebody hidden comes in the first.
	absent = worldPatient{id: "w77", posture: unrelated} //nolint:gochecknoglobals // a constant
	// shut is a patient of clinic B in the first world alone, who opted out.
	shut = worldPatient{id: "w70", posture: optedOut} //nolint:gochecknoglobals // a constant
	// nobody is in neither world.
	nobody = worldPatient{id: "w71", posture: unrelated} //nolint:gochecknoglobals // a constant
)

// anybody is one of the patients, or one who is in neither world or in one.
func (w *writing) anybody() worldPatient {
	others := []worldPatient{bystander, opened, absent, shut, nobody}
	if n := w.g.rand.IntN(len(w.g.patients) + len(others)); n < len(others) {
		return others[n]
	}
	return w.g.patients[w.g.rand.IntN(len(w.g.patients))]
}

// hide fills the first world with what clinic B contributed: under the business
// identifiers that others use, waiting for patients whom others name, with value
// sets of the same names.
func (w *writing) hide() {
	g := w.g
	g.load(w.t, w.one, []object{g.person(shut, true), g.episode(shut, "clinic-b"), g.restriction(shut)})
	for n := range 40 {
		o := without(g.observation(worldPatient{}, w.unseen().id, nil), "id")
		o["identifier"] = []any{object{"system": "http://example.org/ids", "value": "n" + string(rune('0'+n%10))}}
		if n%4 == 0 {
			o["subject"] = object{"identifier": object{"system": nric, "value": absent.nric()}}
		}
		w.contribute(o)
	}
	for _, o := range g.hiddenWeb(g.ofPosture(unrelated).id)[:10] {
		w.contribute(without(o, "id"))
	}
	w.directives()
	w.contribute(without(g.person(absent, true), "id"))
	w.contribute(object{
		"resourceType": "ValueSet", "url": "http://example.org/ValueSet/ours", "status": "active",
		"compose": object{"include": []any{object{"system": worldCodes, "concept": []any{object{"code": "c0"}, object{"code": "c4"}}}}},
	})
}

// unseen is a patient of whom clinic A sees no Observation.
func (w *writing) unseen() worldPatient {
	all := slices.DeleteFunc(slices.Clone(w.g.patients), func(p worldPatient) bool { return p.posture == open || p.posture == labelled })
	return all[w.g.rand.IntN(len(all))]
}

// contribute creates a resource as clinic B does, in the first world.
func (w *writing) contribute(o object) {
	a := w.one.do(w.t, w.one.system(w.t, "clinic-b"), send(http.MethodPost, text(o, "resourceType"), mustJSON(o))).want(w.t, http.StatusCreated)
	at := locationPattern.FindStringSubmatch(a.header.Get("Location"))
	w.foreign = append(w.foreign, at[1]+"/"+at[2])
	w.said[at[1]+"/"+at[2]] = o
	if _, patient, ok := strings.Cut(text(o, "subject", "reference"), "Patient/"); ok {
		w.of[patient] = append(w.of[patient], at[1]+"/"+at[2])
	}
}

// move is one thing that others do in the first world.
func (w *writing) move() {
	g := w.g
	theirs := w.foreign[g.rand.IntN(len(w.foreign))]
	mine, about := "Observation/none", "Observation/none"
	if len(w.made) > 0 {
		m := w.made[g.rand.IntN(len(w.made))]
		mine = m.kind + "/" + m.id[0]
	}
	if n := slices.IndexFunc(w.made, func(m made) bool { return m.kind == "Observation" }); n >= 0 {
		about = "Observation/" + w.made[n].id[0]
	}
	switch g.rand.IntN(9) {
	case 0: // the patient comes whom rows wait for
		g.load(w.t, w.one, []object{g.person(absent, true), g.episode(absent, "clinic-b")})
	case 1: // of something of theirs, too, that is of somebody unseen
		w.contribute(with(without(g.provenance(mine), "id"), "target", []any{ref(mine), ref(w.foreign[0])}))
	case 2:
		w.contribute(without(g.observation(worldPatient{}, w.unseen().id, object{"hasMember": []any{ref(about)}}), "id"))
	case 3:
		w.contribute(without(g.observation(worldPatient{}, "none", object{"subject": object{"identifier": object{"system": nric, "value": w.unseen().nric()}}}), "id"))
	case 4:
		w.contribute(without(g.person(w.anybody(), true), "id"))
	case 5:
		all := g.secretly()
		g.load(w.t, w.one, all[:min(2, len(all))])
	case 6:
		w.one.do(w.t, w.one.doctor(w.t, "role-b", "clinic-b"), get(mine))
	case 7:
		w.one.do(w.t, w.one.system(w.t, "clinic-b"), request{method: http.MethodDelete, path: theirs})
	default:
		g.load(w.t, w.one, []object{with(g.person(g.ofPosture(denied), true), "telecom", []any{object{"system": "phone", "value": "555-9999"}})})
	}
}

// directives are the regulator's, in the first world alone: one that is proposed
// against clinic A, one that was withdrawn, and a direction to somebody else.
func (w *writing) directives() {
	s, t := w.one, w.t
	mei, tan := s.person(t, "mei"), s.person(t, "tan")
	for kind, target := range map[string]string{"BLOCK_READ": "Organization/clinic-a", "BLOCK_WRITE": "Practitioner/dr-a", "DESTROY": "Organization/employer"} {
		o := with(directiveOf(target), "code", concept("https://vitrine.example/CodeSystem/nehr-directive", kind))
		a := s.do(t, mei, send(http.MethodPost, "Basic", mustJSON(o))).want(t, http.StatusCreated)
		at := "Basic/" + text(decode(t, a.body), "id")
		switch kind {
		case "BLOCK_WRITE":
			s.do(t, tan, request{method: http.MethodPost, path: at + "/$withdraw", header: map[string]string{"If-Match": `W/"1"`}}).want(t, http.StatusOK)
		case "DESTROY":
			s.do(t, tan, request{method: http.MethodPost, path: at + "/$agree", header: map[string]string{"If-Match": `W/"1"`}}).want(t, http.StatusOK)
		}
	}
}
