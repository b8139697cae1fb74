package conformance

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// What searches can follow, read and sort by: resources that refer to each
// other across the line between what the callers see and what they do not.

const (
	worldCodes = "http://example.org/codes"
	// hiddenWord stands in what the basic set leaves out.
	hiddenWord = "Secretville"
)

// catalogue is what belongs to nobody: it is in both worlds.
func (g *worldMaker) catalogue() []object {
	concepts := func(more ...any) []any { return more }
	out := []object{
		{
			"resourceType": "CodeSystem", "id": "codes", "url": worldCodes, "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
			"concept": concepts(
				object{"code": "c0", "concept": concepts(object{"code": "c1", "concept": concepts(object{"code": "c2"})})},
				object{"code": "c3"}, object{"code": "c4"},
			),
		},
		{
			"resourceType": "ValueSet", "id": "some", "url": "http://example.org/ValueSet/some", "status": "active",
			"compose": object{"include": []any{object{"system": worldCodes, "concept": []any{object{"code": "c1"}, object{"code": "c3"}}}}},
		},
		{
			"resourceType": "ValueSet", "id": "tree", "url": "http://example.org/ValueSet/tree", "status": "active",
			"compose": object{"include": []any{object{"system": worldCodes, "filter": []any{object{"property": "concept", "op": "is-a", "value": "c1"}}}}},
		},
		{"resourceType": "Questionnaire", "id": "q1", "url": "http://example.org/Questionnaire/q1", "version": "1", "status": "active", "title": "Asked of all"},
		{"resourceType": "Practitioner", "id": "dr-n", "active": true, "name": []any{object{"family": "Named", "given": []any{"Nell"}}}, "identifier": []any{object{"system": "http://example.org/reg", "value": "N1"}}},
		{
			"resourceType": "SearchParameter", "id": "site-text", "url": "http://example.org/SearchParameter/site-text", "name": "SiteText", "status": "active",
			"description": "The site in words", "code": "site-text", "base": []any{"Observation"}, "type": "string", "expression": "Observation.bodySite.text",
		},
		{
			"resourceType": "SearchParameter", "id": "marital", "url": "http://example.org/SearchParameter/marital", "name": "Marital", "status": "active",
			"description": "What the basic set leaves out", "code": "marital", "base": []any{"Patient"}, "type": "token", "expression": "Patient.maritalStatus",
		},
	}
	for i := range 3 {
		out = append(out,
			object{
				"resourceType": "Location", "id": fmt.Sprintf("place-%d", i), "status": "active", "name": fmt.Sprintf("Place %d", i),
				"position": object{"latitude": 1.3 + float64(i)/10, "longitude": 103.8}, "managingOrganization": ref("Organization/clinic-b"),
			},
			object{"resourceType": "Medication", "id": fmt.Sprintf("drug-%d", i), "code": concept(worldCodes, fmt.Sprintf("c%d", i))})
	}
	return out
}

// indexed waits until the search parameters of the catalogue are in use.
func (g *worldMaker) indexed(t *testing.T, s *server) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for _, query := range []string{"Patient?marital=D", "Observation?site-text=site"} {
		for s.do(t, s.custodian(t), get(query)).status != http.StatusOK {
			select {
			case <-deadline:
				t.Fatalf("%s is not served", query)
			case <-tick.C:
			}
		}
	}
}

// sensitive is the label that a patient of posture labelled denies clinic A.
func sensitive(o object) object {
	return with(o, "meta", object{"security": []any{object{"system": actCode, "code": "HIV"}}})
}

// promise is the id of a resource that is yet to be made: what is visible may
// refer to it before. It will be the patient's own where some of that is hidden,
// and somebody else's otherwise.
func (g *worldMaker) promise(kind string, p worldPatient) string {
	if g.promised == nil {
		g.promised = map[string][]string{}
	}
	id, key := g.next(kind), kind
	if p.posture != open {
		key += " of " + p.id
	}
	g.promised[key] = append(g.promised[key], id)
	return kind + "/" + id
}

// kept is a resource of a patient under an id that was promised, or else its own.
func (g *worldMaker) kept(o object, patient string) object {
	kind := text(o, "resourceType")
	for _, key := range []string{kind + " of " + patient, kind} {
		if ids := g.promised[key]; len(ids) > 0 {
			g.promised[key] = ids[1:]
			return with(o, "id", ids[0])
		}
	}
	return o
}

// visibleWeb are linked resources of a patient that the callers see. What they
// refer to besides each other is hidden in one world and never was in the other.
func (g *worldMaker) visibleWeb(p worldPatient) []object {
	web := g.web(p.id, g.promise("Observation", p), g.promise("Encounter", p))
	for _, o := range web {
		kind := text(o, "resourceType")
		g.shown[kind] = append(g.shown[kind], text(o, "id"))
	}
	return web
}

// hiddenWeb are linked resources of a patient of whom the callers do not see
// them; they refer to what the callers see.
func (g *worldMaker) hiddenWeb(subject string) []object {
	web := g.web(subject, "Observation/"+g.anyShown("Observation"), "Encounter/"+g.anyShown("Encounter"))
	for i, o := range web {
		web[i] = g.kept(o, subject)
	}
	return append(web, g.group(subject))
}

// group is a list of people, which providers do not see.
func (g *worldMaker) group(member string) object {
	return object{
		"resourceType": "Group", "id": g.next("Group"), "type": "person", "actual": true,
		"member": []any{object{"entity": ref("Patient/" + member)}},
	}
}

func (g *worldMaker) anyShown(kind string) string {
	ids := g.shown[kind]
	if len(ids) == 0 {
		return "none"
	}
	return ids[g.rand.IntN(len(ids))]
}

// web are resources of one patient that refer to each other, and to two others.
func (g *worldMaker) web(subject, farObservation, farEncounter string) []object {
	who := ref("Patient/" + subject)
	visit := object{
		"resourceType": "Encounter", "id": g.next("Encounter"), "status": "finished", "subject": who, "partOf": ref(farEncounter),
		"class":    object{"system": actCode, "code": "AMB"},
		"period":   object{"start": "2018-0" + fmt.Sprint(1+g.rand.IntN(9)) + "-01", "end": "2018-12-31"},
		"location": []any{object{"location": ref(fmt.Sprintf("Location/place-%d", g.rand.IntN(3)))}},
	}
	at := ref("Encounter/" + text(visit, "id"))
	member := g.observation(worldPatient{}, subject, object{"encounter": at, "bodySite": object{"text": "site " + fmt.Sprint(g.rand.IntN(4))}})
	panel := g.observation(worldPatient{}, subject, object{
		"encounter": at, "hasMember": []any{ref("Observation/" + text(member, "id")), ref(farObservation)},
		"component": []any{object{"code": g.code(), "valueQuantity": object{"value": g.rand.IntN(90), "system": "http://unitsofmeasure.org", "code": "g"}}},
		"performer": []any{with(ref("Practitioner/dr-n"), "identifier", object{"system": "http://example.org/reg", "value": "N1"})},
	})
	for text(panel, "code", "text") == text(panel, "component", 0, "code", "text") { // R4 wants another (obs-7)
		panel["code"] = g.code()
	}
	report := object{
		"resourceType": "DiagnosticReport", "id": g.next("DiagnosticReport"), "status": "final", "code": g.code(),
		"subject":           with(who, "identifier", object{"system": nric, "value": worldPatient{id: subject}.nric()}),
		"effectiveDateTime": g.day(), "encounter": at, "result": []any{ref("Observation/" + text(panel, "id")), ref(farObservation)},
	}
	listed := object{
		"resourceType": "List", "id": g.next("List"), "status": "current", "mode": "working", "subject": who, "title": "kept by hand",
		"entry": []any{
			object{"item": ref("Observation/" + text(member, "id"))},
			object{"item": ref(farObservation)},
			object{"item": ref("Encounter/" + text(visit, "id"))},
			object{"item": ref(farEncounter)},
		},
	}
	finding := object{
		"resourceType": "Condition", "id": g.next("Condition"), "subject": who, "code": g.code(), "encounter": at, "recordedDate": g.day(),
		"evidence": []any{object{"detail": []any{ref("Observation/" + text(member, "id")), ref(farObservation)}}},
		"text":     object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">narrated ` + g.word() + `</div>`},
	}
	order := object{
		"resourceType": "MedicationRequest", "id": g.next("MedicationRequest"), "status": "active", "intent": "order", "subject": who,
		"contained":           []any{object{"resourceType": "Medication", "id": "med", "code": g.code()}},
		"medicationReference": ref("#med"), "authoredOn": g.day(), "encounter": at,
	}
	bought := object{
		"resourceType": "MedicationRequest", "id": g.next("MedicationRequest"), "status": "active", "intent": "order", "subject": who,
		"medicationReference": ref(fmt.Sprintf("Medication/drug-%d", g.rand.IntN(3))), "authoredOn": g.day(), "requester": ref("Practitioner/dr-n"),
	}
	risk := object{
		"resourceType": "RiskAssessment", "id": g.next("RiskAssessment"), "status": "final", "subject": who, "encounter": at,
		"prediction": []any{object{"probabilityDecimal": float64(g.rand.IntN(100)) / 100}},
	}
	asked := object{
		"resourceType": "QuestionnaireResponse", "id": g.next("QuestionnaireResponse"), "status": "completed", "subject": who,
		"questionnaire": "http://example.org/Questionnaire/q1|1", "authored": g.day(),
	}
	return []object{visit, member, panel, report, listed, finding, order, bought, risk, asked}
}

func (g *worldMaker) word() string {
	return []string{"cough", "fever", "ache", "rash"}[g.rand.IntN(4)]
}

// secretly are the changes to what exists in both worlds that the callers see
// nothing of, since the basic set leaves them out.
func (g *worldMaker) secretly() []object {
	var out []object
	for _, o := range g.basic {
		changed := with(o, "note", []any{object{"text": hiddenWord}})
		changed["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + hiddenWord + `</div>`}
		changed["identifier"] = g.identifier()
		if text(o, "resourceType") == "AllergyIntolerance" {
			changed["recorder"], changed["recordedDate"] = ref("Practitioner/dr-n"), g.day()
			changed["encounter"] = ref("Encounter/" + g.anyShown("Encounter"))
		} else {
			changed["performer"] = []any{object{"actor": ref("Practitioner/dr-n")}}
			changed["location"] = ref("Location/place-1")
		}
		out = append(out, changed)
	}
	return out
}
