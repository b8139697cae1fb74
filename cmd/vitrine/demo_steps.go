package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// steps is the story of a record behind glass.
func (s *story) steps() []step {
	return []step{
		{"Clinic A's system contributes a result.", (*scene).contribute},
		{"The registered doctor sees the whole record.", (*scene).care},
		{"A doctor of another clinic gets the answer for a patient who does not exist.", (*scene).stranger},
		{"The patient's app posts a Consent: only clinic A.", (*scene).restrict},
		{"The doctor of clinic B, registered too, now sees exactly the basic set and the hint, whatever is tried.", (*scene).behindGlass},
		{"Contribution from clinic B goes on.", (*scene).goOn},
		{"A purpose of insurance is refused, even for allergies.", (*scene).insurance},
		{"Breaking the glass needs a reason, and then it opens.", (*scene).breakGlass},
		{"The emergency ends, and the view is the basic set again.", (*scene).stop},
		{"The auditor finds start, uses and stop.", (*scene).audit},
		{"The patient reads who looked.", (*scene).ownHistory},
		{"The patient lifts the restriction, and what was contributed meanwhile is there.", (*scene).lift},
	}
}

// The code systems the story speaks in.
const (
	actCode       = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	dicom         = "http://dicom.nema.org/resources/ontology/DCM"
	participation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	loinc         = "http://loinc.org"
)

type object = map[string]any

func concept(system, code string) object {
	return object{"coding": []any{object{"system": system, "code": code}}}
}

func reference(to string) object { return object{"reference": to} }

func (s *scene) contribute() {
	a := s.post(s.cast.systemA, "Observation", s.result())
	s.observation = a.id()
	s.check("it is taken", a.status == http.StatusCreated && s.observation != "")
	b := s.get(s.cast.systemA, "Observation/"+s.observation)
	s.check("writing gives no right to read", b.status == http.StatusForbidden)
}

// result is what a laboratory reports.
func (s *story) result() object {
	return object{
		"resourceType": "Observation", "status": "final", "code": concept(loinc, "4548-4"), "subject": reference("Patient/" + s.patient),
		"identifier": []any{object{"system": "urn:example:laboratory", "value": "2026-000123"}}, "effectiveDateTime": "2026-11-20T09:00:00+08:00",
		"valueQuantity": object{"value": 7.2, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
	}
}

func (s *scene) care() {
	all := s.count(s.cast.custodian)
	a := s.get(s.cast.doctorA, "Observation?patient="+s.patient)
	s.whole = a.total()
	if s.whole < 0 {
		s.whole = s.count(s.cast.doctorA)
	}
	s.check(fmt.Sprintf("all %d observations are there", all), s.whole == all && all > 1)
	b := s.get(s.cast.doctorA, "Observation/"+s.observation)
	s.check("the new result among them", b.status == http.StatusOK && text(b.body, "id") == s.observation)
	c := s.get(s.cast.doctorA, "Patient/"+s.patient)
	s.check("the patient in full, with the address", c.status == http.StatusOK && c.body["address"] != nil)
	s.glassBefore = c.header.Get("ETag")
	e := s.get(s.cast.doctorA, "Patient/"+s.patient+"/$everything")
	s.check("and everything else", e.status == http.StatusOK && len(e.matches()) > all/2)
}

// count asks how many observations of the patient there are for somebody.
func (s *scene) count(token string) int {
	quiet := &scene{story: s.story, ctx: s.ctx, silent: true}
	return quiet.get(token, "Observation?_summary=count&patient="+s.patient).total()
}

func (s *scene) stranger() {
	a, b := s.get(s.cast.doctorC, "Patient/"+s.patient), s.get(s.cast.doctorC, "Patient/nobody")
	s.check("the same 404, byte for byte", a.status == http.StatusNotFound && b.status == http.StatusNotFound && bytes.Equal(a.text, b.text))
	c := s.get(s.cast.doctorC, "AllergyIntolerance?patient="+s.patient)
	s.check("nothing and no hint in a search", c.status == http.StatusOK && len(c.matches()) == 0 && !c.hinted())
}

// wish is the Consent of the story: nobody but clinic A.
func (s *story) wish(status string) object {
	return object{
		"resourceType": "Consent", "status": status,
		"scope":    concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
		"category": []any{concept(loinc, "59284-0"), concept(actCode, "INFA")},
		"patient":  reference("Patient/" + s.patient), "dateTime": "2026-11-21T08:00:00+08:00",
		"policyRule": concept(actCode, "OPTOUT"),
		"provision": object{"type": "deny", "provision": []any{
			object{"type": "permit", "actor": []any{object{"role": concept(participation, "IRCP"), "reference": reference("Organization/clinic-a")}}},
		}},
	}
}

func (s *scene) restrict() {
	before := s.count(s.cast.doctorB)
	s.check("until now the doctor of clinic B sees the record too", before == s.whole)
	a := s.post(s.cast.app, "Consent", s.wish("active"))
	s.intake = a.id()
	s.check("it is taken", a.status == http.StatusCreated)
	s.check("for the doctor of clinic A nothing changes", s.count(s.cast.doctorA) == s.whole)
}

func (s *scene) behindGlass() {
	b := s.cast.doctorB
	a := s.get(b, "Observation?patient="+s.patient)
	s.check("no observations, and the hint", a.status == http.StatusOK && len(a.matches()) == 0 && a.hinted())
	s.check("the count says none", s.get(b, "Observation?_summary=count&patient="+s.patient).total() == 0)
	s.check("nor by its id in a search", len(s.get(b, "Observation?_id="+s.observation).matches()) == 0)
	absent := s.get(b, "Observation/nothing")
	for _, path := range []string{"Observation/" + s.observation, "Observation/" + s.observation + "/_history/1", "Observation/" + s.observation + "/_history"} {
		r := s.get(b, path)
		s.check("as absent as what never was", r.status == http.StatusNotFound && bytes.Equal(r.text, absent.text))
	}
	r := s.get(b, "Observation/"+s.observation, "If-None-Match", `W/"1"`)
	s.check("no 304 tells that it is there", r.status == http.StatusNotFound && bytes.Equal(r.text, absent.text))
	p := s.get(b, "Patient/"+s.patient, "If-None-Match", s.glassBefore)
	s.check("the patient in the basic edition, also for who held the full one", p.status == http.StatusOK && s.isBasic(p.body))
	g := s.get(b, "AllergyIntolerance?patient="+s.patient)
	s.check("allergies are in the basic set", len(g.matches()) > 0 && g.hinted())
	i := s.get(b, "Immunization?patient="+s.patient)
	s.check("immunisations too", i.status == http.StatusOK && i.hinted() && !slices.ContainsFunc(i.matches(), func(m map[string]any) bool { return m["location"] != nil || m["encounter"] != nil }))
	e := s.get(b, "Patient/"+s.patient+"/$everything")
	only := !slices.ContainsFunc(e.matches(), func(m map[string]any) bool {
		return !slices.Contains([]string{"Patient", "AllergyIntolerance", "Immunization", "Organization", "Practitioner", "PractitionerRole", "Location"}, text(m, "resourceType"))
	})
	s.check("everything is the basic set", e.status == http.StatusOK && only)
}

// isBasic reports whether a Patient has no element beyond the basic set.
func (s *story) isBasic(p map[string]any) bool {
	may := []string{"resourceType", "id", "meta", "identifier", "name", "birthDate", "_birthDate", "gender", "extension"}
	for name := range p {
		if !slices.Contains(may, name) {
			return false
		}
	}
	return text(p, "id") == s.patient
}

func (s *scene) goOn() {
	a := s.post(s.cast.systemB, "Condition", object{
		"resourceType": "Condition", "subject": reference("Patient/" + s.patient), "code": concept("http://snomed.info/sct", "44054006"),
		"clinicalStatus":     concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
		"verificationStatus": concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
	})
	s.condition = a.id()
	s.check("it is taken as ever", a.status == http.StatusCreated)
	b := s.get(s.cast.doctorB, "Condition/"+s.condition)
	s.check("and is behind the glass at once", b.status == http.StatusNotFound)
	c := s.ask(s.cast.systemB, http.MethodPost, "Observation", s.result(), "If-None-Exist", "identifier=urn:example:laboratory|2026-000123")
	s.check("a condition does not find what clinic A contributed", c.status == http.StatusCreated && c.id() != s.observation)
	s.whole = s.count(s.cast.custodian)
}

func (s *scene) insurance() {
	a := s.get(s.cast.insurer, "AllergyIntolerance?patient="+s.patient)
	s.check("forbidden-purpose", a.status == http.StatusForbidden && strings.Contains(string(a.text), "forbidden-purpose"))
}

// emergency is what is sent to break the glass.
func emergency(justification string) object {
	return object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "reason", "valueCoding": object{"system": actCode, "code": "OVRER"}},
		object{"name": "justification", "valueString": justification},
		object{"name": "threat", "valueCode": "life"},
	}}
}

func (s *scene) breakGlass() {
	op := "Patient/" + s.patient + "/$break-glass"
	a := s.post(s.cast.doctorB, op, emergency(" "))
	s.check("without a reason it stays shut", (a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity) && s.count(s.cast.doctorB) == 0)
	b := s.post(s.cast.doctorB, op, emergency("GCS 6, unknown medication, suspected overdose"))
	s.check("with one it opens", b.status == http.StatusCreated)
	c := s.get(s.cast.doctorB, "Observation?patient="+s.patient)
	s.check("the whole record", c.status == http.StatusOK && len(c.matches()) > 0 && !c.hinted() && s.count(s.cast.doctorB) == s.whole)
	d := s.get(s.cast.doctorB, "Condition/"+s.condition)
	s.check("with what clinic B contributed", d.status == http.StatusOK)
	e := s.get(s.cast.doctorC, "Patient/"+s.patient)
	s.check("for nobody else", e.status == http.StatusNotFound)
}

func (s *scene) stop() {
	a := s.post(s.cast.doctorB, "Patient/"+s.patient+"/$break-glass-stop", object{"resourceType": "Parameters"})
	s.check("it is stopped", a.status/100 == 2)
	b := s.get(s.cast.doctorB, "Observation?patient="+s.patient)
	s.check("nothing but the hint", b.status == http.StatusOK && len(b.matches()) == 0 && b.hinted())
}

func (s *scene) audit() {
	find := func(query string) *reply {
		return s.get(s.cast.auditor, "AuditEvent?"+query+"&patient="+s.patient+"&agent=PractitionerRole/dr-b-at-clinic-b&date=ge2026-01-01")
	}
	start := find("subtype=" + dicom + "|110127")
	s.check("one start", len(start.matches()) == 1)
	uses := find("purpose=BTG&type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest")
	s.check("every look in between, tagged BTG", len(uses.matches()) >= 3)
	stop := find("subtype=" + dicom + "|110138")
	s.check("one stop", len(stop.matches()) == 1)
	a := s.get(s.cast.auditor, "Observation?patient="+s.patient)
	s.check("and no clinical data", a.status == http.StatusForbidden || len(a.matches()) == 0)
	b := s.get(s.cast.doctorB, "AuditEvent?patient="+s.patient)
	s.check("which a provider does not find", b.status == http.StatusForbidden || len(b.matches()) == 0)
}

func (s *scene) ownHistory() {
	a := s.get(s.cast.app, "AuditEvent?patient="+s.patient+"&_sort=-date&_count=100")
	events := a.matches()
	s.check("who looked, newest first", a.status == http.StatusOK && len(events) > 3 && slices.IsSortedFunc(events, func(x, y map[string]any) int {
		return strings.Compare(text(y, "recorded"), text(x, "recorded"))
	}))
	s.check("the broken glass among it", strings.Contains(string(a.text), "110127"))
	s.check("clinic B by name of the organisation", strings.Contains(string(a.text), "clinic-b"))
	s.check("no addresses, tokens or clients", !slices.ContainsFunc([]string{`"network"`, `"policy"`, "emr-b"}, func(secret string) bool { return strings.Contains(string(a.text), secret) }))
}

func (s *scene) lift() {
	wish := s.wish("inactive")
	wish["id"] = s.intake
	a := s.ask(s.cast.app, http.MethodPut, "Consent/"+s.intake, wish)
	s.check("it is taken", a.status == http.StatusOK)
	b := s.get(s.cast.doctorB, "Observation?patient="+s.patient)
	s.check("the record is there, with the same token", len(b.matches()) > 0 && !b.hinted() && s.count(s.cast.doctorB) == s.whole)
	c := s.get(s.cast.doctorB, "Condition/"+s.condition)
	s.check("with what was contributed meanwhile", c.status == http.StatusOK)
	d := s.get(s.cast.doctorA, "Condition/"+s.condition)
	s.check("for clinic A as well", d.status == http.StatusOK)
}
