package conformance

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// cast is the stage of the scenarios: patients P (restricted, class 1), Q
// (unrestricted), R (only clinic A), B baby of M (M restricted, B not); doctors
// A1 and B1 (registered with P, Q, R at clinics A and B) and C1 (registered with
// none).
type cast struct {
	*server
	a1, b1, c1          string
	systemA, systemB    string
	appP, appQ, auditor string
	root                string // the custodian
}

const (
	actCode   = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	actReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	snomed    = "http://snomed.info/sct"
	// secret stands in everything of P that the basic set leaves out.
	secret = "Zyxwvut"
)

// model is the stage as it is before anything is played on it, without a server:
// it is set once, and copied for each test.
var model struct { //nolint:gochecknoglobals // written once, by the first test that asks for a stage
	once sync.Once
	cast *cast
}

// newCast is a stage of its own, on a server with these flags.
func newCast(t *testing.T, flags ...string) *cast {
	t.Helper()
	data := t.TempDir() + "/data"
	if slices.Contains(flags, "--store") {
		return castOn(t, start(t, data, flags...))
	}
	model.once.Do(func() {
		c := castOn(t, start(t, filepath.Join(filepath.Dir(program), "stage")))
		c.stop(t)
		model.cast = c
	})
	if model.cast == nil {
		t.Fatal("the stage could not be set")
	}
	if onMongoDB() { // whose copies take longer than setting it: the keys alone
		if err := os.CopyFS(data, os.DirFS(model.cast.data)); err != nil {
			t.Fatal(err)
		}
		s := start(t, data, flags...)
		s.tokens = model.cast.tokens
		return castOn(t, s)
	}
	duplicate(t, model.cast.data, data)
	c := *model.cast
	c.server = start(t, data, flags...)
	c.tokens = model.cast.tokens
	return &c
}

// castOn sets the stage on a server.
func castOn(t *testing.T, s *server) *cast {
	t.Helper()
	c := &cast{server: s, root: s.custodian(t), auditor: s.regulator(t)}
	c.a1, c.b1, c.c1 = s.doctor(t, "a1", "a"), s.doctor(t, "b1", "b"), s.doctor(t, "c1", "c")
	c.systemA, c.systemB = s.system(t, "a"), s.system(t, "b")
	c.appP, c.appQ = s.patient(t, "p"), s.patient(t, "q")
	for _, org := range []string{"a", "b", "c"} {
		c.put(t, organization(org, ""))
		c.put(t, object{"resourceType": "Practitioner", "id": "dr-" + org, "active": true})
		c.put(t, role(org+"1", "dr-"+org, org, "doctor"))
	}
	for _, p := range []string{"p", "q", "r", "b", "m"} {
		c.put(t, person(p))
		for _, org := range []string{"a", "b"} {
			c.put(t, episode(p, org))
		}
		c.record(t, p)
	}
	c.put(t, optOut("p"))
	c.put(t, optOut("m"))
	c.put(t, consent("r", "OPTOUTE", "deny", provision("permit", "Organization/a")))
	return c
}

// put stores a resource as the custodian.
func (c *cast) put(t *testing.T, o object) answer {
	t.Helper()
	a := c.do(t, c.root, send(http.MethodPut, text(o, "resourceType")+"/"+text(o, "id"), encode(t, o)))
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		t.Fatalf("PUT %s/%s: %d\n%s", text(o, "resourceType"), text(o, "id"), a.status, a.body)
	}
	return a
}

// post creates a resource.
func (c *cast) post(t *testing.T, token string, o object) answer {
	t.Helper()
	return c.do(t, token, send(http.MethodPost, text(o, "resourceType"), encode(t, o)))
}

// record gives the patient one resource of several types, each with the secret.
func (c *cast) record(t *testing.T, p string) {
	t.Helper()
	for _, o := range []object{condition(p, "c-"+p), observation(p, "o-"+p), medication(p, "m-"+p), allergy(p, "a-"+p), immunization(p, "i-"+p)} {
		c.put(t, o)
	}
}

func organization(id, partOf string) object {
	o := object{"resourceType": "Organization", "id": id, "active": true, "name": id}
	if partOf != "" {
		o["partOf"] = ref("Organization/" + partOf)
	}
	return o
}

func role(id, practitioner, org, code string) object {
	return object{
		"resourceType": "PractitionerRole", "id": id, "active": true, "practitioner": ref("Practitioner/" + practitioner),
		"organization": ref("Organization/" + org), "code": []any{concept("http://terminology.hl7.org/CodeSystem/practitioner-role", code)},
	}
}

func person(id string) object {
	return object{
		"resourceType": "Patient", "id": id, "active": true,
		"text":       object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + secret + `</div>`},
		"identifier": []any{object{"system": nric, "value": "S1234567D"}, object{"system": "http://example.org/passport", "value": secret}},
		"name":       []any{object{"use": "official", "family": "Lowe", "given": []any{id}}},
		"gender":     "female", "birthDate": "1980-01-02", "maritalStatus": object{"text": secret},
		"telecom": []any{object{"system": "phone", "value": secret}}, "address": []any{object{"city": secret}},
		"generalPractitioner": []any{object{"reference": "Organization/a", "display": secret}},
	}
}

func episode(patient, org string) object {
	return object{
		"resourceType": "EpisodeOfCare", "id": patient + "-" + org, "status": "active",
		"patient": ref("Patient/" + patient), "managingOrganization": ref("Organization/" + org),
	}
}

func condition(patient, id string) object {
	return object{
		"resourceType": "Condition", "id": id, "subject": ref("Patient/" + patient), "recordedDate": "2026-02-03",
		"code": object{"text": secret, "coding": []any{object{"system": snomed, "code": "74400008"}}},
	}
}

func observation(patient, id string) object {
	return object{
		"resourceType": "Observation", "id": id, "status": "final", "subject": ref("Patient/" + patient),
		"code": concept("http://loinc.org", "29463-7"), "valueQuantity": object{"value": 185.50, "unit": secret}, "effectiveDateTime": "2026-02-03T10:00:00+08:00",
	}
}

func medication(patient, id string) object {
	return object{
		"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order", "subject": ref("Patient/" + patient),
		"medicationCodeableConcept": object{"text": secret},
	}
}

func allergy(patient, id string) object {
	return object{
		"resourceType": "AllergyIntolerance", "id": id, "patient": ref("Patient/" + patient),
		"clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
		"code":           object{"text": "Penicillin"}, "note": []any{object{"text": secret}}, "recorder": object{"reference": "Practitioner/dr-b", "display": secret},
	}
}

func immunization(patient, id string) object {
	return object{
		"resourceType": "Immunization", "id": id, "status": "completed", "patient": ref("Patient/" + patient),
		"vaccineCode": object{"text": "Influenza"}, "occurrenceDateTime": "2026-01-02", "note": []any{object{"text": secret}},
		"performer": []any{object{"actor": object{"reference": "Organization/b", "display": secret}}},
	}
}

// consent is a Consent on file for the patient.
func consent(patient, rule, root string, nested ...object) object {
	provisions := object{"type": root}
	if len(nested) > 0 {
		rules := []any{}
		for _, n := range nested {
			rules = append(rules, n)
		}
		provisions["provision"] = rules
	}
	return object{
		"resourceType": "Consent", "id": "consent-" + patient, "status": "active",
		"scope":    concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
		"category": []any{concept("http://loinc.org", "59284-0"), concept(actCode, "INFA")},
		"patient":  ref("Patient/" + patient), "dateTime": "2026-08-01T09:00:00+08:00",
		"policyRule": concept(actCode, rule), "provision": provisions,
	}
}

func optOut(patient string) object { return consent(patient, "OPTOUT", "deny") }

// provision is a nested rule that names actors.
func provision(kind string, actors ...string) object {
	named := []any{}
	for _, a := range actors {
		named = append(named, object{"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"), "reference": ref(a)})
	}
	p := object{"type": kind}
	if len(named) > 0 {
		p["actor"] = named
	}
	return p
}

// breakGlass asks for an emergency override.
func (c *cast) breakGlass(t *testing.T, token, patient, reason, justification string) answer {
	t.Helper()
	params := []any{object{"name": "reason", "valueCoding": object{"system": actCode, "code": reason}}, object{"name": "threat", "valueCode": "life"}}
	if justification != "" {
		params = append(params, object{"name": "justification", "valueString": justification})
	}
	return c.do(t, token, send(http.MethodPost, "Patient/"+patient+"/$break-glass", encode(t, object{"resourceType": "Parameters", "parameter": params})))
}

const emergency = "GCS 6, unknown medication, suspected overdose"

// full fails unless the caller sees the patient's whole record.
func (c *cast) full(t *testing.T, token, patient string) {
	t.Helper()
	for _, kind := range []string{"Condition", "Observation", "MedicationRequest", "AllergyIntolerance", "Immunization"} {
		a := c.do(t, token, get(kind+"?patient="+patient)).want(t, http.StatusOK)
		if len(a.ids(t)) == 0 || a.hinted(t) {
			t.Errorf("%s of %s: %v, hint %v; want the record, and no hint", kind, patient, a.ids(t), a.hinted(t))
		}
	}
}

// basic fails unless the caller sees exactly the basic set of the patient.
func (c *cast) basic(t *testing.T, token, patient string) {
	t.Helper()
	for _, kind := range []string{"Condition", "Observation", "MedicationRequest", "EpisodeOfCare", "Consent"} {
		a := c.do(t, token, get(kind+"?patient="+patient)).want(t, http.StatusOK).hides(t, secret)
		if len(a.ids(t)) != 0 || !a.hinted(t) {
			t.Errorf("%s of %s: %v, hint %v; want nothing but the hint", kind, patient, a.ids(t), a.hinted(t))
		}
	}
	for _, kind := range []string{"AllergyIntolerance", "Immunization"} {
		a := c.do(t, token, get(kind+"?patient="+patient)).want(t, http.StatusOK).hides(t, secret)
		if len(a.ids(t)) != 1 || !a.hinted(t) {
			t.Errorf("%s of %s: %v, hint %v; want one and the hint", kind, patient, a.ids(t), a.hinted(t))
		}
	}
	c.do(t, token, get("Patient/"+patient)).want(t, http.StatusOK).hides(t, secret)
}

// nothing fails unless the patient might as well not exist for the caller.
func (c *cast) nothing(t *testing.T, token, patient string) {
	t.Helper()
	none := c.do(t, token, get("Patient/none")).want(t, http.StatusNotFound)
	same(t, "Patient/"+patient, none, c.do(t, token, get("Patient/"+patient)))
	for _, kind := range []string{"Condition", "AllergyIntolerance", "Immunization"} {
		a := c.do(t, token, get(kind+"?patient="+patient)).want(t, http.StatusOK).hides(t, secret)
		if len(a.ids(t)) != 0 || a.hinted(t) {
			t.Errorf("%s of %s: %v, hint %v; want nothing at all", kind, patient, a.ids(t), a.hinted(t))
		}
	}
}
