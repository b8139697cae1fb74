package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// posture is how a patient stands towards clinic A, whose callers look.
type posture int

const (
	open      posture = iota // registered, no restriction: all is visible
	optedOut                 // registered, class 1: the basic set is visible
	denied                   // registered, permit with clinic A denied: basic set
	allowedB                 // registered, only clinic B permitted: basic set
	onlyImm                  // registered, clinic A permitted for Immunization alone
	doubtful                 // registered, a Consent whose meaning is in doubt: basic set
	unrelated                // registered with clinic B alone: nothing
	examined                 // seen at clinic A for an employment examination: nothing
	labelled                 // registered, permit, but clinic A denied what is labelled: all else
	classed                  // registered, permit, but clinic A denied Observations: all else
	postures
)

type worldPatient struct {
	id string
	posture
}

// worldMaker makes resources: the same ones, in the same order, for a seed.
type worldMaker struct {
	rand     *rand.Rand
	patients []worldPatient
	ids      []string // "Type/id" of everything made, visible or hidden
	serial   int
	promised map[string][]string // ids of what is referred to and not yet made, by type
	shown    map[string][]string // ids of the linked resources that callers see, by type
	basic    []object            // what callers see the basic edition of
	unseen   []object            // what was made with the visible and is hidden
}

func (g *worldMaker) directory() []object {
	out := []object{}
	for _, p := range []worldPatient{bystander, opened} {
		out = append(out, g.person(p, true), g.record(p, p.id), g.record(p, p.id), g.allergy(p, true))
	}
	out = append(out, g.episode(opened, "clinic-a"), g.restriction(opened), object{
		"resourceType": "RelatedPerson", "id": "daughter", "active": true, "patient": ref("Patient/" + bystander.id),
		"extension": []any{authority("family")},
	})
	for _, id := range []string{"clinic-a", "clinic-b", "clinic-c", "employer"} {
		out = append(out, object{"resourceType": "Organization", "id": id, "active": true, "name": id})
	}
	for _, k := range []string{"a", "b", "c"} {
		out = append(out,
			object{"resourceType": "Practitioner", "id": "dr-" + k, "active": true},
			object{
				"resourceType": "PractitionerRole", "id": "role-" + k, "active": true,
				"practitioner": ref("Practitioner/dr-" + k), "organization": ref("Organization/clinic-" + k),
				"code": []any{concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")},
			})
	}
	return append(out, g.catalogue()...)
}

// visible is what exists in both worlds: every patient, who is registered where,
// every restriction, and what the callers may see.
func (g *worldMaker) visible() []object {
	var out []object
	for _, p := range g.patients {
		if p.posture != unrelated && p.posture != examined {
			out = append(out, g.person(p, false), g.episode(p, "clinic-a"))
		}
		if c := g.restriction(p); c != nil {
			out = append(out, c)
		}
		switch p.posture {
		case open:
			for range 12 {
				out = append(out, g.record(p, p.id))
			}
			out = append(out, g.allergy(p, true), g.immunization(p, true))
			out = append(out, g.visibleWeb(p)...)
			out = append(out, g.episode(p, "clinic-b"))
		case optedOut, denied, allowedB, onlyImm, doubtful:
			immunization := g.immunization(p, p.posture == onlyImm)
			g.basic = append(g.basic, g.allergy(p, false), g.allergy(p, false))
			out = append(append(out, g.basic[len(g.basic)-2:]...), immunization)
			if p.posture != onlyImm {
				g.basic = append(g.basic, immunization)
			}
		case labelled:
			out = append(out, g.visibleWeb(p)...)
		case classed:
			seen, unseen := split(g.visibleWeb(p), "Observation")
			out = append(out, seen...)
			g.unseen = append(g.unseen, unseen...)
		case unrelated, examined, postures:
		}
	}
	return out
}

// split parts the resources of a type from the others.
func split(all []object, kind string) (others, of []object) {
	for _, o := range all {
		if text(o, "resourceType") == kind {
			of = append(of, o)
		} else {
			others = append(others, o)
		}
	}
	return others, of
}

// hidden is what the callers of clinic A may not see: what exists in one world
// alone.
func (g *worldMaker) hidden() []object {
	var out []object
	first := map[posture]string{}
	out = append(out, g.unseen...)
	for _, p := range g.patients {
		first[p.posture] = p.id
		switch p.posture {
		case open:
		case unrelated, examined:
			out = append(out, g.person(p, true), g.episode(p, "clinic-b"))
			if p.posture == examined {
				out = append(out, g.examination(p))
			}
			out = append(out, g.allergy(p, true), g.immunization(p, true))
			fallthrough
		case optedOut, denied, allowedB, onlyImm, doubtful:
			for range 8 + g.rand.IntN(8) {
				out = append(out, g.record(p, p.id))
			}
			out = append(out, g.hiddenWeb(p.id)...)
		case labelled:
			for _, o := range g.hiddenWeb(p.id) {
				out = append(out, sensitive(o))
			}
		case classed:
			for range 6 {
				out = append(out, g.kept(g.observation(p, p.id, nil), p.id))
			}
		case postures:
		}
	}
	for _, p := range g.patients { // records of two patients, one of them hidden
		if p.posture == open {
			o := g.record(p, p.id)
			o["resourceType"] = "Observation"
			out = append(out, g.observation(p, p.id, object{"focus": []any{ref("Patient/" + first[optedOut])}}))
			out = append(out, g.observation(p, first[unrelated], object{"performer": []any{ref("Patient/" + p.id)}}))
		}
	}
	// No subject, so no one's until it is linked.
	orphan := g.observation(worldPatient{}, "", nil)
	delete(orphan, "subject")
	out = append(out, orphan)
	for _, p := range g.patients { // someone chosen, someone told: not for providers
		switch p.posture {
		case optedOut:
			of := g.record(p, p.id)
			out = append(out, of, g.provenance(text(of, "resourceType")+"/"+text(of, "id")))
		case open:
			former := g.restriction(worldPatient{p.id, allowedB})
			former["id"], former["status"] = g.next("Consent"), "inactive"
			out = append(out, former, g.group(p.id))
		case denied, allowedB, onlyImm, doubtful, unrelated, examined, labelled, classed, postures:
		}
	}
	return out
}

// disturb changes what the callers see nothing of: a new address, a note on an
// allergy, looks by others.
func (g *worldMaker) disturb(t *testing.T, s *server) {
	t.Helper()
	other := s.doctor(t, "role-b", "clinic-b")
	for _, p := range g.patients {
		switch p.posture {
		case optedOut, denied, allowedB, onlyImm, doubtful:
			moved := g.person(p, true)
			s.do(t, s.custodian(t), send(http.MethodPut, "Patient/"+p.id, encode(t, moved))).want(t, http.StatusOK)
		case open: // an act of the server's own that providers see nothing of
			s.do(t, other, send(http.MethodPost, "Patient/"+p.id+"/$break-glass", glassRequest())).want(t, http.StatusCreated)
		case unrelated, examined, labelled, classed, postures:
		}
		s.do(t, other, get("Patient/"+p.id))
		s.do(t, other, get("Observation?patient="+p.id))
	}
	g.load(t, s, g.secretly())
}

func (g *worldMaker) next(kind string) string {
	g.serial++
	id := fmt.Sprintf("r%d", g.serial)
	g.ids = append(g.ids, kind+"/"+id)
	return id
}

// person is a Patient; private adds what the basic set leaves out.
func (g *worldMaker) person(p worldPatient, private bool) object {
	n := p.id[1:]
	o := object{
		"resourceType": "Patient", "id": p.id, "active": true,
		"identifier": []any{object{"system": nric, "value": p.nric(), "type": with(concept("http://terminology.hl7.org/CodeSystem/v2-0203", "NI"), "text", "national")}},
		"name":       []any{object{"use": "official", "family": "Family" + n, "given": []any{"Given" + n}}},
		"gender":     "female", "birthDate": fmt.Sprintf("198%s-03-0%d", n[len(n)-1:], 1+len(n)),
	}
	if private || p.posture == open {
		o["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">lives in ` + hiddenWord + `</div>`}
		o["address"] = []any{object{"city": hiddenWord + n}}
		o["telecom"] = []any{object{"system": "phone", "value": "555-000" + n}}
		o["identifier"] = append(list(o, "identifier"), object{"system": passport, "value": "E" + p.id})
		o["generalPractitioner"] = []any{ref("Organization/clinic-b")}
		o["maritalStatus"] = concept("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "D")
	}
	return o
}

// passport identifies somebody, too, and is not in the basic set.
const passport = "http://example.org/passport"

const nric = "https://fhir.synapxe.sg/NamingSystem/nric"

// nric is S00000nn with its check letter: weights 3 and 2 for the last digits.
func (p worldPatient) nric() string {
	n := "0" + p.id[1:]
	n = n[len(n)-2:]
	return "S00000" + n + string("JZIHGFEDCBA"[(3*int(n[0]-'0')+2*int(n[1]-'0'))%11])
}

func (g *worldMaker) episode(p worldPatient, org string) object {
	return object{
		"resourceType": "EpisodeOfCare", "id": "ep-" + p.id + "-" + org, "status": "active",
		"patient": ref("Patient/" + p.id), "managingOrganization": ref("Organization/" + org),
	}
}

func (g *worldMaker) examination(p worldPatient) object {
	return object{
		"resourceType": "Encounter", "id": g.next("Encounter"), "status": "in-progress",
		"class":   object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
		"type":    []any{concept("http://hl7.org/fhir/sid/icd-10", "Z02.1")},
		"subject": ref("Patient/" + p.id), "serviceProvider": ref("Organization/clinic-a"),
	}
}

// restriction is the patient's Consent, nil when there is none.
func (g *worldMaker) restriction(p worldPatient) object {
	const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	clinic := func(kind, org string, more object) object {
		r := object{"type": kind, "actor": []any{object{
			"role":      concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
			"reference": ref("Organization/" + org),
		}}}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	var rule string
	var root object
	switch p.posture {
	case optedOut:
		rule, root = "OPTOUT", object{"type": "deny"}
	case denied:
		rule, root = "OPTINR", object{"type": "permit", "provision": []any{clinic("deny", "clinic-a", nil)}}
	case allowedB:
		rule, root = "OPTOUTE", object{"type": "deny", "provision": []any{clinic("permit", "clinic-b", nil)}}
	case onlyImm:
		rule, root = "OPTOUTE", object{"type": "deny", "provision": []any{clinic("permit", "clinic-a", object{
			"class": []any{object{"system": "http://hl7.org/fhir/resource-types", "code": "Immunization"}},
		})}}
	case doubtful:
		rule, root = "OPTOUTE", object{"type": "deny", "provision": []any{object{"type": "permit", "provision": []any{object{"type": "deny"}}}}}
	case labelled:
		rule, root = "OPTINR", object{"type": "permit", "provision": []any{clinic("deny", "clinic-a", object{
			"securityLabel": []any{object{"system": act, "code": "HIV"}},
		})}}
	case classed:
		rule, root = "OPTINR", object{"type": "permit", "provision": []any{clinic("deny", "clinic-a", object{
			"class": []any{object{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}},
		})}}
	case open, unrelated, examined, postures:
		return nil
	}
	return object{
		"resourceType": "Consent", "id": "consent-" + p.id, "status": "active",
		"scope":    concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
		"category": []any{concept(act, "INFA")}, "patient": ref("Patient/" + p.id),
		"dateTime": "2026-08-01T09:00:00+08:00", "policyRule": concept(act, rule), "provision": root,
	}
}

// record is some clinical resource of the patient.
func (g *worldMaker) record(p worldPatient, subject string) object {
	who := ref("Patient/" + subject)
	switch g.rand.IntN(4) {
	case 0:
		return object{
			"resourceType": "Condition", "id": g.next("Condition"), "subject": who,
			"code": g.code(), "recordedDate": g.day(), "identifier": g.identifier(),
		}
	case 1:
		return object{
			"resourceType": "Encounter", "id": g.next("Encounter"), "status": "finished", "subject": who,
			"class":  object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
			"period": object{"start": "2019-01-0" + fmt.Sprint(1+g.rand.IntN(9)), "end": "2019-02-01"}, "serviceProvider": ref("Organization/clinic-b"),
		}
	case 2:
		return object{
			"resourceType": "MedicationRequest", "id": g.next("MedicationRequest"), "status": "active", "intent": "order",
			"subject": who, "medicationCodeableConcept": g.code(), "authoredOn": g.day(), "requester": ref("Practitioner/dr-b"),
		}
	default:
		return g.observation(p, subject, nil)
	}
}

func (g *worldMaker) observation(_ worldPatient, subject string, more object) object {
	o := object{
		"resourceType": "Observation", "id": g.next("Observation"), "status": "final",
		"subject": ref("Patient/" + subject), "code": g.code(), "effectiveDateTime": g.day(),
		"valueQuantity": object{"value": g.rand.IntN(200), "system": "http://unitsofmeasure.org", "code": "mg", "unit": "mg"},
		"performer":     []any{ref("Practitioner/dr-b")}, "identifier": g.identifier(),
		"meta": object{
			"tag":      []any{object{"system": "http://example.org/tag", "code": "t" + fmt.Sprint(g.rand.IntN(3))}},
			"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}},
			"source":   "http://example.org/lab/" + fmt.Sprint(g.rand.IntN(3)), "profile": []any{"http://example.org/p" + fmt.Sprint(g.rand.IntN(2))},
		},
	}
	for k, v := range more {
		o[k] = v
	}
	for text(o, "component", 0, "code", "text") == text(o, "code", "text") {
		o["code"] = g.code() // a component must not have the code of the whole (obs-7)
	}
	return o
}

func (g *worldMaker) allergy(p worldPatient, private bool) object {
	o := object{
		"resourceType": "AllergyIntolerance", "id": g.next("AllergyIntolerance"), "patient": ref("Patient/" + p.id),
		"clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"), "code": g.code(), "criticality": "high",
	}
	if private {
		o["note"] = []any{object{"text": "secret note"}}
		o["recorder"] = ref("Practitioner/dr-b")
		o["recordedDate"] = g.day()
	}
	return o
}

func (g *worldMaker) immunization(p worldPatient, private bool) object {
	o := object{
		"resourceType": "Immunization", "id": g.next("Immunization"), "status": "completed", "patient": ref("Patient/" + p.id),
		"vaccineCode": g.code(), "occurrenceDateTime": g.day(), "lotNumber": "L" + fmt.Sprint(g.rand.IntN(9)),
	}
	if private {
		o["performer"] = []any{object{"actor": ref("Organization/clinic-b")}}
		o["note"] = []any{object{"text": "secret note"}}
	}
	return o
}

func (g *worldMaker) provenance(target string) object {
	return object{
		"resourceType": "Provenance", "id": g.next("Provenance"), "target": []any{ref(target)}, "recorded": "2026-01-01T00:00:00Z",
		"agent": []any{object{"who": ref("Organization/clinic-b")}},
	}
}

func (g *worldMaker) code() object {
	code := fmt.Sprintf("c%d", g.rand.IntN(5))
	return with(concept("http://example.org/codes", code), "text", "kind "+code)
}

func (g *worldMaker) day() string {
	return fmt.Sprintf("20%02d-0%d-1%d", 10+g.rand.IntN(15), 1+g.rand.IntN(9), g.rand.IntN(9))
}

func (g *worldMaker) identifier() []any {
	return []any{object{"system": "http://example.org/ids", "value": fmt.Sprintf("n%d", g.rand.IntN(40))}}
}

func ref(to string) object { return object{"reference": to} }

func concept(system, code string) object {
	return object{"coding": []any{object{"system": system, "code": code}}}
}

// load stores resources as the custodian, in order, in transactions of one so
// that instants differ as they would in life.
func (g *worldMaker) load(t *testing.T, s *server, resources []object) {
	t.Helper()
	for _, r := range resources {
		for last := time.Now().UnixMilli(); time.Now().UnixMilli() == last; { //nolint:revive // an instant of its own for each, so that order by time is the same in both worlds
		}
		path := text(r, "resourceType") + "/" + text(r, "id")
		a := s.do(t, s.custodian(t), send(http.MethodPut, path, encode(t, r)))
		if a.status != http.StatusCreated && a.status != http.StatusOK {
			t.Fatalf("PUT %s: %d %s\n%s", path, a.status, a.body, encode(t, r))
		}
	}
}

// bystander is a patient of no clinic of the story, whom nothing hidden
// concerns: not even the record of who looked.
var bystander = worldPatient{id: "w99", posture: open} //nolint:gochecknoglobals // a constant

// opened is a patient who opted out, and whose record is the same in both
// worlds: a doctor of clinic A breaks the glass.
var opened = worldPatient{id: "w98", posture: optedOut} //nolint:gochecknoglobals // a constant

// callers look from clinic A, or from nowhere.
func (g *worldMaker) callers(t *testing.T, s *server) []caller {
	t.Helper()
	btg := []string{"--purpose", "BTG"}
	return []caller{
		{name: "doctor of clinic A", token: s.doctor(t, "role-a", "clinic-a"), mixed: 120},
		{name: "doctor of clinic A, claiming an emergency", token: s.doctor(t, "role-a", "clinic-a", btg...), mixed: -1},
		{name: "another patient", token: s.patient(t, bystander.id), mixed: 40, sees: withoutAccesses},
	}
}

// withoutAccesses leaves out what would put records of access into an order of
// their own: their ids and instants are fresh in each world.
func withoutAccesses(r request) bool {
	asked := r.path + string(r.body)
	system := r.feature != "" && !strings.Contains(asked, "_type=") && (strings.HasPrefix(r.path, "?") || strings.HasPrefix(r.path, "_search"))
	return !system && !strings.Contains(asked, "AuditEvent") && !strings.Contains(asked, "_revinclude=%2A")
}

// requests are every interaction and search form, aimed at what is visible,
// what is hidden and what never was.
func (g *worldMaker) requests(c caller) []request {
	var out []request
	if c.mixed >= 0 {
		for _, r := range g.featureRequests(c.mixed) {
			if c.sees == nil || c.sees(r) {
				out = append(out, r)
			}
		}
	}
	targets := append([]string{"Observation/none", "Patient/none", "Consent/consent-" + g.patients[0].id}, g.ids...)
	for _, p := range g.patients {
		targets = append(targets, "Patient/"+p.id)
	}
	g.rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	for _, id := range targets[:min(40, len(targets))] {
		out = append(out, g.readRequests(id)...)
	}
	for range 100 {
		out = append(out, g.searchRequest())
	}
	for _, p := range g.patients {
		out = append(out, get("Patient/"+p.id+"/$everything?_count=7"), get("Patient/"+p.id+"/$access"), get("Patient/"+p.id+"/$validate"),
			get("Patient/"+p.id), get("Patient/"+p.id+"/_history"), get("Patient/"+p.id+"/$export?_type=Observation"))
	}
	for _, p := range g.patients {
		out = append(out, get("Patient/"+p.id+"/$access-history?fold=false"), get("AuditEvent/"+p.id+"/$explain"), send(http.MethodPost, "Consent/$simulate", mustJSON(optOut(p.id))))
	}
	out = append(out, get("$export"), get("Group/none/$export"), get("$export-status/none"), get("$export-file/none/1"))
	out = append(out, get("AuditEvent/$checkpoint"), get("AuditEvent/$consistency-proof?from=1"), get("AuditEvent/$log-records?start=0&count=9"),
		get("AuditEvent/$log-tiles?level=0&start=0"), get("AuditEvent/"+g.patients[0].id+"/$inclusion-proof"))
	for _, id := range []string{"none", g.anyID("Task"), g.anyID("Observation")} {
		out = append(out, send(http.MethodPost, "Task/"+id+"/$review", reviewRequest("in-review")))
	}
	out = append(out, get("AuditEvent/$break-glass-report"), get("AuditEvent/$break-glass-report?organization=none").with("Accept", "text/csv"))
	return append(out, g.batchRequest(targets))
}

func (g *worldMaker) readRequests(id string) []request {
	r := get(id)
	all := []request{
		r,
		{method: http.MethodHead, path: id},
		get(id + "/_history"), get(id + "/_history/1"), get(id + "/_history/b1"), get(id + "/_history/2"),
		get(id + "/_history?_at=2100"), get(id + "/_history?_at=2020-01-01T00:00:00Z"), get(id + "/_history?_since=2020-01-01T00:00:00Z&_count=1"),
		get(id + "/_history?_list=" + g.anyID("List")), get(strings.Split(id, "/")[0] + "/_history"), get("_history?_at=2100"),
		get(id + "/$meta"), get(id + "/_history/1/$meta"), get(strings.Split(id, "/")[0] + "/$meta"),
		r.with("If-None-Match", `W/"1"`), r.with("If-None-Match", `W/"2"`), r.with("If-None-Match", `W/"b1"`),
		r.with("If-Modified-Since", "Wed, 01 Jan 2025 00:00:00 GMT"), r.with("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
	}
	g.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:4]
}

func (g *worldMaker) anyPatient() string { return g.patients[g.rand.IntN(len(g.patients))].id }

// searchRequest is a random search of a random type.
func (g *worldMaker) searchRequest() request {
	types := []string{"Observation", "Condition", "Encounter", "MedicationRequest", "AllergyIntolerance", "Immunization", "Patient", "EpisodeOfCare", "Consent", "AuditEvent", "Provenance", "Task"}
	kind := types[g.rand.IntN(len(types))]
	q := url.Values{}
	for range 1 + g.rand.IntN(2) {
		name, value := g.searchParam(kind)
		q.Add(name, value)
	}
	switch g.rand.IntN(6) {
	case 0:
		q.Set("_count", fmt.Sprint(1+g.rand.IntN(4)))
	case 1:
		q.Set("_summary", "count")
	case 2:
		q.Set("_total", "accurate")
		q.Set("_count", "2")
	}
	if g.rand.IntN(3) == 0 && kind != "AuditEvent" { // whose ids and instants are fresh in each world
		sorts := []string{"_lastUpdated", "-_lastUpdated", "_id"}
		sorts = append(sorts, map[string][]string{
			"Observation": {"date", "-date", "code,-date", "-value-quantity"}, "Condition": {"code", "-recorded-date"},
			"Encounter": {"date"}, "Patient": {"birthdate", "-family", "address-city"}, "AllergyIntolerance": {"date", "code"}, "Immunization": {"-date"},
		}[kind]...)
		q.Set("_sort", sorts[g.rand.IntN(len(sorts))])
	}
	switch g.rand.IntN(5) {
	case 0:
		return request{method: http.MethodPost, path: kind + "/_search", body: []byte(q.Encode()), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
	case 1:
		if kind != "Patient" {
			return get("Patient/" + g.anyPatient() + "/" + kind + "?" + q.Encode())
		}
	case 2:
		if kind == "Observation" || kind == "MedicationRequest" {
			return get("Practitioner/dr-b/" + kind + "?" + q.Encode())
		}
	}
	return get(kind + "?" + q.Encode())
}

func (g *worldMaker) searchParam(kind string) (name, value string) {
	common := [][2]string{
		{"_id", fmt.Sprintf("r%d,r%d", 1+g.rand.IntN(g.serial), 1+g.rand.IntN(g.serial))},
		{"_lastUpdated", "gt2020-01-01"},
		{"_lastUpdated", "lt2020-01-01"},
		{"_tag", "http://example.org/tag|t1"},
		{"_security", "R"},
		{"_source", "http://example.org/lab/1"},
		{"_profile", "http://example.org/p1"},
	}
	patient := [][2]string{{"patient", g.anyPatient()}, {"patient", "Patient/" + g.anyPatient()}, {"patient", g.anyPatient() + "," + g.anyPatient()}, {"patient", "none"}}
	coded := [][2]string{{"code", "c" + fmt.Sprint(g.rand.IntN(5))}, {"code", "http://example.org/codes|c1,http://example.org/codes|c2"}}
	own := map[string][][2]string{
		"Observation": append([][2]string{
			{"date", "ge2015"},
			{"date", "2012-03"},
			{"value-quantity", "gt50"},
			{"value-quantity", "lt100|http://unitsofmeasure.org|mg"},
			{"status", "final"},
			{"performer", "Practitioner/dr-b"},
			{"identifier", "n" + fmt.Sprint(g.rand.IntN(40))},
			{"subject", "Patient/" + g.anyPatient()},
		}, coded...),
		"Condition":          append([][2]string{{"recorded-date", "lt2018"}, {"identifier", "http://example.org/ids|n" + fmt.Sprint(g.rand.IntN(40))}}, coded...),
		"Encounter":          {{"status", "finished"}, {"service-provider", "Organization/clinic-b"}, {"date", "2019-01"}, {"class", "AMB"}},
		"MedicationRequest":  append([][2]string{{"status", "active"}, {"requester", "Practitioner/dr-b"}, {"authoredon", "ge2012"}}, coded...),
		"AllergyIntolerance": append([][2]string{{"criticality", "high"}, {"recorder", "Practitioner/dr-b"}, {"date", "ge2012"}}, coded...),
		"Immunization":       {{"vaccine-code", "c1"}, {"date", "ge2012"}, {"lot-number", "L1"}, {"performer", "Organization/clinic-b"}},
		"Patient": {
			{"name", "family"},
			{"family", "Family" + g.anyPatient()[1:]},
			{"birthdate", "ge1980"},
			{"gender", "female"},
			{"address-city", "Secret"},
			{"phone", "555-0001"},
			{"general-practitioner", "Organization/clinic-b"},
			{"identifier", nric + "|" + g.patients[g.rand.IntN(len(g.patients))].nric()},
			{"_id", g.anyPatient()},
			{"active", "true"},
		},
		"EpisodeOfCare": {{"status", "active"}, {"organization", "Organization/clinic-a"}, {"organization", "Organization/clinic-b"}},
		"Consent":       {{"status", "active"}, {"actor", "Organization/clinic-b"}},
		"AuditEvent":    {{"date", "ge2020"}, {"subtype", "read"}},
		"Provenance":    {{"recorded", "2026-01"}, {"agent", "Organization/clinic-b"}},
		"Task":          {{"status", "requested"}},
	}[kind]
	choices := append(common, own...)
	if kind != "Patient" {
		choices = append(choices, patient...)
		choices = append(choices, patient...)
	}
	c := choices[g.rand.IntN(len(choices))]
	return c[0], c[1]
}

func (g *worldMaker) batchRequest(targets []string) request {
	entries := []string{}
	for _, id := range targets[:8] {
		entries = append(entries, fmt.Sprintf(`{"request":{"method":"GET","url":"%s"}}`, id))
	}
	entries = append(entries, fmt.Sprintf(`{"request":{"method":"GET","url":"Observation?patient=%s"}}`, g.anyPatient()))
	return send(http.MethodPost, "", []byte(`{"resourceType":"Bundle","type":"batch","entry":[`+strings.Join(entries, ",")+`]}`))
}

// labelRequest is the body of $meta-add and $meta-delete.
func labelRequest() []byte {
	return mustJSON(object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "meta", "valueMeta": object{"tag": []any{object{"system": "http://example.org/tag", "code": "t9"}}}},
	}})
}

// reviewRequest is the body of $review.
func reviewRequest(state string) []byte {
	return mustJSON(object{"resourceType": "Parameters", "parameter": []any{object{"name": "state", "valueCode": state}}})
}

// glassRequest is the body of a break-glass request.
func glassRequest() []byte {
	return mustJSON(object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "reason", "valueCoding": object{"system": actCode, "code": "OVRER"}},
		object{"name": "justification", "valueString": emergency},
		object{"name": "threat", "valueCode": "life"},
	}})
}
