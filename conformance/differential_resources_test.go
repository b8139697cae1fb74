package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
)

// sizes are how many resources of each type a world of size one has.
const sizes = `Patient 60 Practitioner 24 Organization 20 Location 24 Encounter 60 Observation 160 Condition 80
	MedicationRequest 50 List 24 ValueSet 24 Questionnaire 12 QuestionnaireResponse 24 RiskAssessment 40
	MolecularSequence 30 ChargeItem 30 Medication 20`

// world makes all resources, the ones first to which others refer.
func (g *specMaker) world(size int) (all []object) {
	f := strings.Fields(sizes)
	for i := 0; i < len(f); i += 2 {
		var n int
		_, _ = fmt.Sscan(f[i+1], &n)
		g.count[f[i]] = n * size
	}
	for i := 0; i < len(f); i += 2 {
		for n := range g.count[f[i]] {
			o := g.resource(f[i])
			o["resourceType"], o["id"] = f[i], fmt.Sprintf("%s%d", strings.ToLower(f[i][:3]), n)
			g.common(o)
			if g.chance(20) {
				g.contain(o)
			}
			all = append(all, o)
		}
	}
	return append(all, g.terms()...)
}

// common are the elements of every resource.
func (g *specMaker) common(o object) {
	meta := object{}
	g.set(meta, 30, "tag", func() any { return several(g, 2, func() any { return g.tag() }) })
	g.set(meta, 15, "security", func() any {
		return []any{object{"system": "http://example.org/labels", "code": pick(g, "blue", "Blue", "red")}}
	})
	g.set(meta, 30, "profile", func() any { return several(g, 2, func() any { return g.canonical("profile") }) })
	g.set(meta, 30, "source", func() any {
		return pick(g, "http://example.org/s", "http://example.org/s#1", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7")
	})
	if len(meta) > 0 {
		o["meta"] = meta
	}
	g.set(o, 30, "text", func() any {
		return object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml"><p>` + xmlEscaped(g.phrase()) + `</p> <b>` + xmlEscaped(g.given()) + `</b></div>`}
	})
}

func xmlEscaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func (g *specMaker) tag() object {
	t := object{"code": pick(g, "t1", "T1", "t2")}
	g.set(t, 60, "system", func() any { return "http://example.org/tags" })
	return t
}

// canonical is a URL with or without a version.
func (g *specMaker) canonical(kind string) string {
	return g.url(kind) + pick(g, "", "", "|1", "|1.2", "|1.2.0", "|2")
}

func (g *specMaker) url(kind string) string {
	return "http://example.org/" + pick(g, kind, kind, kind+"/a", kind+"/a/b", kind+"/ab", strings.ToUpper(kind)) + fmt.Sprint(pick(g, "", "/1", "/2"))
}

func (g *specMaker) resource(typ string) object {
	switch typ {
	case "Patient":
		return g.patient()
	case "Practitioner":
		return g.practitioner()
	case "Organization", "Location":
		return g.site(typ)
	case "Encounter":
		return g.encounter()
	case "Observation":
		return g.observation()
	case "Condition":
		return g.condition()
	case "MedicationRequest":
		return g.prescription()
	case "List":
		return g.list()
	case "ValueSet":
		return g.valueSet()
	case "Questionnaire":
		return g.questionnaire()
	case "QuestionnaireResponse":
		return g.response()
	case "RiskAssessment":
		return g.risk()
	case "MolecularSequence":
		return g.sequence()
	case "ChargeItem":
		return g.charge()
	case "Medication":
		return g.medication()
	}
	panic("type " + typ)
}

func (g *specMaker) patient() object {
	o := object{}
	g.set(o, 80, "active", func() any { return g.chance(70) })
	g.set(o, 92, "name", func() any { return several(g, 2, g.humanName) })
	g.set(o, 85, "gender", func() any { return pick(g, "male", "female", "other", "unknown") })
	g.set(o, 85, "birthDate", g.date)
	g.set(o, 60, "telecom", func() any { return several(g, 3, g.contact) })
	g.set(o, 60, "address", func() any { return several(g, 2, g.address) })
	g.set(o, 80, "identifier", g.identifiers)
	g.set(o, 50, "generalPractitioner", func() any { return g.refers(2, "Organization", "Practitioner") })
	g.set(o, 50, "managingOrganization", func() any { return g.refer("Organization") })
	g.set(o, 30, "communication", func() any { return []any{object{"language": g.concept()}} })
	g.set(o, 20, "link", func() any { return []any{object{"other": g.refer("Patient"), "type": "seealso"}} })
	switch g.rand.IntN(4) {
	case 0:
		o["deceasedDateTime"] = g.dateTime()
	case 1:
		o["deceasedBoolean"] = g.chance(50)
	}
	return o
}

func (g *specMaker) practitioner() object {
	o := object{}
	g.set(o, 80, "active", func() any { return g.chance(70) })
	g.set(o, 92, "name", func() any { return several(g, 2, g.humanName) })
	g.set(o, 80, "gender", func() any { return pick(g, "male", "female") })
	g.set(o, 60, "telecom", func() any { return several(g, 2, g.contact) })
	g.set(o, 60, "address", func() any { return several(g, 2, g.address) })
	g.set(o, 80, "identifier", g.identifiers)
	return o
}

// site is an Organization or a Location.
func (g *specMaker) site(typ string) object {
	o := object{"name": g.phrase()}
	g.set(o, 50, "alias", func() any { return several(g, 2, func() any { return g.family() }) })
	g.set(o, 70, "type", g.concepts)
	g.set(o, 70, "identifier", g.identifiers)
	g.set(o, 50, "partOf", func() any { return g.refer(typ) })
	if typ == "Organization" {
		g.set(o, 80, "active", func() any { return g.chance(70) })
		g.set(o, 70, "address", func() any { return several(g, 2, g.homeless) })
		return o
	}
	g.set(o, 80, "status", func() any { return pick(g, "active", "suspended", "inactive") })
	g.set(o, 70, "address", g.address)
	g.set(o, 60, "managingOrganization", func() any { return g.refer("Organization") })
	g.set(o, 80, "position", func() any { return g.position() })
	return o
}

// homeless is an address that is no one's home, as R4 wants an Organization's.
func (g *specMaker) homeless() any {
	a := g.address()
	if o, ok := a.(object); ok && o["use"] == "home" {
		o["use"] = "work"
	}
	return a
}

// position is near Singapore, the date line or a pole.
func (g *specMaker) position() object {
	lat := pick(g, 1.29, 1.30, -17.0, 89.95, -89.99, 0)
	lon := pick(g, 103.85, 103.80, 179.95, -179.95, 0, 45)
	degrees := func(f float64) json.Number { return json.Number(fmt.Sprintf("%.4f", f)) }
	return object{"latitude": degrees(max(-90, min(90, lat+0.3*g.rand.Float64()-0.15))), "longitude": degrees(max(-180, min(180, lon+0.1*g.rand.Float64()-0.05)))}
}

func (g *specMaker) encounter() object {
	o := object{"status": pick(g, "planned", "finished", "in-progress", "cancelled"), "class": g.coding()}
	g.set(o, 85, "subject", func() any { return g.refer("Patient", "Patient", "Patient", "Group") })
	g.set(o, 80, "period", g.period)
	g.set(o, 60, "type", g.concepts)
	g.set(o, 60, "identifier", g.identifiers)
	g.set(o, 60, "length", func() any { return durationOf(g.quantityOf("time")) })
	g.set(o, 60, "participant", func() any {
		return several(g, 2, func() any {
			return object{"individual": g.refer("Practitioner", "Practitioner", "RelatedPerson", "PractitionerRole")}
		})
	})
	g.set(o, 50, "location", func() any {
		return several(g, 2, func() any { return object{"location": g.refer("Location"), "period": g.period()} })
	})
	g.set(o, 60, "serviceProvider", func() any { return g.refer("Organization") })
	g.set(o, 30, "partOf", func() any { return g.refer("Encounter") })
	g.set(o, 40, "reasonCode", g.concepts)
	return o
}

// durationOf gives a Duration the unit that R4 demands of it.
func durationOf(q object) object {
	q["system"] = ucum
	if _, known := scales[fmt.Sprint(q["code"])]; !known || scales[fmt.Sprint(q["code"])].of != "time" {
		q["code"] = "min"
	}
	return q
}

func (g *specMaker) observation() object {
	o := object{"status": pick(g, "final", "registered", "preliminary", "amended"), "code": g.concept()}
	g.set(o, 85, "subject", func() any { return g.refer("Patient", "Patient", "Patient", "Group", "Device", "Location") })
	g.set(o, 50, "category", g.concepts)
	g.set(o, 60, "encounter", func() any { return g.refer("Encounter") })
	g.set(o, 20, "focus", func() any { return g.refers(2, "Patient", "Condition", "Organization") })
	g.set(o, 20, "hasMember", func() any { return g.refers(2, "Observation", "QuestionnaireResponse", "MolecularSequence") })
	g.set(o, 60, "identifier", g.identifiers)
	g.set(o, 20, "method", g.concept)
	g.set(o, 50, "performer", func() any {
		return g.refers(2, "Practitioner", "Organization", "Patient", "CareTeam", "PractitionerRole", "RelatedPerson")
	})
	g.set(o, 15, "specimen", func() any { return g.refer("Specimen") })
	switch g.rand.IntN(6) {
	case 0, 1:
		o["effectiveDateTime"] = g.dateTime()
	case 2:
		o["effectivePeriod"] = g.period()
	case 3:
		o["effectiveTiming"] = g.timing()
	case 4:
		o["effectiveInstant"] = g.instant()
	}
	g.value(o)
	g.set(o, 35, "component", func() any {
		return several(g, 3, func() any {
			c := object{"code": g.concept()}
			g.value(c)
			delete(c, "valueString")
			return c
		})
	})
	return o
}

// value gives an Observation or a component a value, or says why there is none.
func (g *specMaker) value(o object) {
	switch g.rand.IntN(8) {
	case 0, 1, 2:
		o["valueQuantity"] = g.quantity()
	case 3:
		o["valueCodeableConcept"] = g.concept()
	case 4:
		o["valueString"] = g.phrase()
	case 5:
		o["valueDateTime"] = g.dateTime()
	case 6:
		o["valuePeriod"] = g.period()
	case 7:
		o["dataAbsentReason"] = g.concept()
	}
}

func (g *specMaker) condition() object {
	o := object{"subject": g.refer("Patient", "Patient", "Patient", "Group")}
	g.set(o, 85, "code", g.concept)
	g.set(o, 40, "category", g.concepts)
	g.set(o, 40, "bodySite", g.concepts)
	g.set(o, 40, "severity", g.concept)
	g.set(o, 60, "encounter", func() any { return g.refer("Encounter") })
	g.set(o, 60, "identifier", g.identifiers)
	g.set(o, 60, "recordedDate", g.dateTime)
	g.set(o, 30, "evidence", func() any {
		return several(g, 2, func() any { return object{"code": g.concepts(), "detail": g.refers(2, "Observation", "Encounter")} })
	})
	o["clinicalStatus"] = concept("http://terminology.hl7.org/CodeSystem/condition-clinical", pick(g, "resolved", "inactive"))
	switch g.rand.IntN(5) {
	case 0:
		o["onsetDateTime"] = g.dateTime()
	case 1:
		o["onsetPeriod"] = g.period()
	case 2:
		o["onsetAge"] = ageOf(g.quantityOf("time"))
	case 3:
		o["onsetRange"] = g.rangeOf("")
	case 4:
		o["onsetString"] = g.phrase()
	}
	switch g.rand.IntN(6) {
	case 0:
		o["abatementDateTime"] = g.dateTime()
	case 1:
		o["abatementPeriod"] = g.period()
	case 2:
		o["abatementAge"] = ageOf(g.quantityOf("time"))
	case 3:
		o["abatementRange"] = g.rangeOf("")
	case 4:
		o["abatementString"] = g.phrase()
	}
	return o
}

// ageOf gives an Age the unit and the sign that R4 demands of it.
func ageOf(q object) object {
	if n, ok := q["value"].(json.Number); ok && rational(n.String()).Sign() <= 0 {
		q["value"] = json.Number("5.40")
	}
	return durationOf(q)
}

func (g *specMaker) prescription() object {
	o := object{"status": pick(g, "active", "stopped", "draft"), "intent": pick(g, "order", "plan", "proposal"), "subject": g.refer("Patient", "Patient", "Group")}
	if g.chance(60) {
		o["medicationCodeableConcept"] = g.concept()
	} else {
		o["medicationReference"] = g.refer("Medication")
	}
	g.set(o, 70, "authoredOn", g.dateTime)
	g.set(o, 50, "encounter", func() any { return g.refer("Encounter") })
	g.set(o, 50, "identifier", g.identifiers)
	g.set(o, 50, "priority", func() any { return pick(g, "routine", "stat", "urgent") })
	g.set(o, 60, "requester", func() any { return g.refer("Practitioner", "Organization", "Patient", "Device") })
	g.set(o, 50, "dosageInstruction", func() any {
		return several(g, 2, func() any { return object{"timing": object{"event": several(g, 2, g.dateTime)}} })
	})
	return o
}

func (g *specMaker) list() object {
	o := object{"status": pick(g, "current", "retired"), "mode": "working"}
	g.set(o, 50, "code", g.concept)
	g.set(o, 50, "date", g.dateTime)
	g.set(o, 50, "title", func() any { return g.phrase() })
	g.set(o, 40, "note", func() any { return several(g, 2, func() any { return object{"text": g.phrase()} }) })
	g.set(o, 50, "subject", func() any { return g.refer("Patient", "Patient", "Group", "Device", "Location") })
	g.set(o, 50, "source", func() any { return g.refer("Practitioner", "Patient", "Device") })
	if g.chance(85) {
		o["entry"] = several(g, 8, func() any { return object{"item": g.refer("Patient", "Observation", "Condition", "Encounter", "List")} })
	} else {
		o["emptyReason"] = g.concept()
	}
	return o
}

func (g *specMaker) valueSet() object {
	o := object{"status": pick(g, "draft", "active", "retired"), "url": g.url("vs")}
	g.set(o, 50, "version", func() any { return pick(g, "1", "1.2", "2") })
	g.set(o, 50, "date", g.dateTime)
	g.set(o, 40, "description", func() any { return g.phrase() })
	g.set(o, 50, "identifier", g.identifiers)
	g.set(o, 50, "publisher", func() any { return g.phrase() })
	g.set(o, 50, "title", func() any { return g.phrase() })
	o["name"] = "Set" + strings.Join(wordsIn(g.family()), "")
	g.set(o, 60, "useContext", func() any {
		return several(g, 2, func() any {
			c := object{"code": g.coding()}
			switch g.rand.IntN(3) {
			case 0:
				c["valueCodeableConcept"] = g.concept()
			case 1:
				c["valueQuantity"] = g.quantity()
			default:
				c["valueRange"] = g.rangeOf("")
			}
			return c
		})
	})
	g.set(o, 80, "compose", func() any {
		return object{"include": several(g, 2, func() any {
			i := object{"system": g.system()}
			g.set(i, 80, "concept", func() any { return several(g, 3, func() any { return object{"code": g.codeText()} }) })
			return i
		})}
	})
	return o
}

func (g *specMaker) questionnaire() object {
	o := object{"status": pick(g, "draft", "active"), "url": g.url("q")}
	g.set(o, 50, "version", func() any { return pick(g, "1", "1.2", "2") })
	g.set(o, 60, "title", func() any { return g.phrase() })
	g.set(o, 60, "effectivePeriod", g.period)
	return o
}

func (g *specMaker) response() object {
	o := object{"status": pick(g, "completed", "amended")}
	g.set(o, 85, "questionnaire", func() any { return g.canonical("q") })
	g.set(o, 70, "authored", g.dateTime)
	g.set(o, 70, "subject", func() any { return g.refer("Patient", "Patient", "Organization", "Practitioner") })
	return o
}

func (g *specMaker) risk() object {
	o := object{"status": "final", "subject": g.refer("Patient", "Patient", "Group")}
	g.set(o, 85, "prediction", func() any {
		return several(g, 2, func() any {
			p := object{}
			g.set(p, 80, "probabilityDecimal", func() any {
				return json.Number(pick(g, "0", "0.1", "0.10", "0.3", "5", "5.0", "5.4", "5.45", "9.5", "10", "10.5", "90", "95", "99.5", "100", "1E-3", "0.0010"))
			})
			g.set(p, 50, "qualitativeRisk", g.concept)
			if len(p) == 0 {
				p["rationale"] = g.phrase()
			}
			return p
		})
	})
	switch g.rand.IntN(3) {
	case 0:
		o["occurrenceDateTime"] = g.dateTime()
	case 1:
		o["occurrencePeriod"] = g.period()
	}
	return o
}

func (g *specMaker) sequence() object {
	o := object{"coordinateSystem": json.Number("0")}
	g.set(o, 70, "patient", func() any { return g.refer("Patient") })
	g.set(o, 80, "referenceSeq", func() any {
		return object{"windowStart": g.whole(), "windowEnd": g.whole(), "strand": "watson", "genomeBuild": "GRCh38", "chromosome": g.concept()}
	})
	g.set(o, 60, "variant", func() any { return several(g, 2, func() any { return object{"start": g.whole(), "end": g.whole()} }) })
	return o
}

func (g *specMaker) charge() object {
	o := object{"status": "billed", "code": g.concept(), "subject": g.refer("Patient", "Patient", "Group")}
	g.set(o, 60, "factorOverride", g.number)
	g.set(o, 60, "priceOverride", func() any {
		m := object{"value": g.number()}
		g.set(m, 80, "currency", func() any { return pick(g, "SGD", "EUR") })
		return m
	})
	g.set(o, 60, "quantity", func() any { return g.quantityOf("") })
	switch g.rand.IntN(4) {
	case 0:
		o["occurrenceDateTime"] = g.dateTime()
	case 1:
		o["occurrencePeriod"] = g.period()
	case 2:
		o["occurrenceTiming"] = g.timing()
	}
	return o
}
