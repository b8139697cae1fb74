package conformance

import (
	"strings"
	"testing"
)

// specParameters is what R4 defines of the parameters the differential test uses:
// type, name, kind and, by blanks, where the values are. A place is the way
// through the elements, of which [name=value] keeps those with that member, then
// the data type; of a code also @ and the system that its binding implies; of a
// reference also > and the types it may refer to, or =Type for those that
// resolve() to that type alone. A composite has the element that joins its
// components, "." for the resource, and a component in each place, as
// kind=place, those of one component with + between.
//
// It is copied from the definitions by hand, so that it has none of the mistakes
// of the server's reading of them.
const specParameters = `
* _id token id:id
* _lastUpdated date meta.lastUpdated:dateTime
* _tag token meta.tag:Coding
* _security token meta.security:Coding
* _profile uri meta.profile:canonical
* _source uri meta.source:uri

Patient active token active:boolean
Patient address string address:Address
Patient address-city string address.city:string
Patient address-country string address.country:string
Patient address-postalcode string address.postalCode:string
Patient address-use token address.use:code@http://hl7.org/fhir/address-use
Patient birthdate date birthDate:date
Patient death-date date deceasedDateTime:dateTime
Patient deceased token .:deceased
Patient email token telecom[system=email]:ContactPoint
Patient phone token telecom[system=phone]:ContactPoint
Patient telecom token telecom:ContactPoint
Patient family string name.family:family
Patient given string name.given:string
Patient name string name:HumanName
Patient gender token gender:code@http://hl7.org/fhir/administrative-gender
Patient general-practitioner reference generalPractitioner:Reference>Organization,Practitioner,PractitionerRole
Patient identifier token identifier:Identifier
Patient language token communication.language:CodeableConcept
Patient link reference link.other:Reference>Patient,RelatedPerson
Patient organization reference managingOrganization:Reference>Organization

Observation category token category:CodeableConcept
Observation code token code:CodeableConcept
Observation combo-code token code:CodeableConcept component.code:CodeableConcept
Observation combo-value-quantity quantity valueQuantity:Quantity component.valueQuantity:Quantity
Observation combo-value-concept token valueCodeableConcept:CodeableConcept component.valueCodeableConcept:CodeableConcept
Observation component-code token component.code:CodeableConcept
Observation component-value-quantity quantity component.valueQuantity:Quantity
Observation component-value-concept token component.valueCodeableConcept:CodeableConcept
Observation data-absent-reason token dataAbsentReason:CodeableConcept
Observation date date effectiveDateTime:dateTime effectivePeriod:Period effectiveTiming:Timing effectiveInstant:instant
Observation encounter reference encounter:Reference>Encounter
Observation focus reference focus:Reference>
Observation has-member reference hasMember:Reference>Observation,QuestionnaireResponse,MolecularSequence
Observation identifier token identifier:Identifier
Observation method token method:CodeableConcept
Observation patient reference subject:Reference=Patient
Observation performer reference performer:Reference>Practitioner,Organization,CareTeam,Patient,PractitionerRole,RelatedPerson
Observation specimen reference specimen:Reference>Specimen
Observation status token status:code@http://hl7.org/fhir/observation-status
Observation subject reference subject:Reference>Group,Device,Patient,Location
Observation value-concept token valueCodeableConcept:CodeableConcept
Observation value-date date valueDateTime:dateTime valuePeriod:Period
Observation value-quantity quantity valueQuantity:Quantity
Observation value-string string valueString:string valueCodeableConcept.text:string
Observation code-value-quantity composite . token=code:CodeableConcept quantity=valueQuantity:Quantity
Observation code-value-concept composite . token=code:CodeableConcept token=valueCodeableConcept:CodeableConcept
Observation code-value-string composite . token=code:CodeableConcept string=valueString:string
Observation code-value-date composite . token=code:CodeableConcept date=valueDateTime:dateTime+valuePeriod:Period
Observation component-code-value-quantity composite component token=code:CodeableConcept quantity=valueQuantity:Quantity
Observation component-code-value-concept composite component token=code:CodeableConcept token=valueCodeableConcept:CodeableConcept
Observation combo-code-value-quantity composite .,component token=code:CodeableConcept quantity=valueQuantity:Quantity

Condition abatement-date date abatementDateTime:dateTime abatementPeriod:Period
Condition abatement-string string abatementString:string
Condition abatement-age quantity abatementAge:Quantity abatementRange:Range
Condition body-site token bodySite:CodeableConcept
Condition category token category:CodeableConcept
Condition clinical-status token clinicalStatus:CodeableConcept
Condition code token code:CodeableConcept
Condition encounter reference encounter:Reference>Encounter
Condition evidence token evidence.code:CodeableConcept
Condition evidence-detail reference evidence.detail:Reference>
Condition identifier token identifier:Identifier
Condition onset-age quantity onsetAge:Quantity onsetRange:Range
Condition onset-date date onsetDateTime:dateTime onsetPeriod:Period
Condition onset-info string onsetString:string
Condition patient reference subject:Reference=Patient
Condition recorded-date date recordedDate:dateTime
Condition severity token severity:CodeableConcept
Condition subject reference subject:Reference>Group,Patient

Encounter class token class:Coding
Encounter date date period:Period
Encounter identifier token identifier:Identifier
Encounter length quantity length:Quantity
Encounter location reference location.location:Reference>Location
Encounter location-period date location.period:Period
Encounter part-of reference partOf:Reference>Encounter
Encounter participant reference participant.individual:Reference>Practitioner,PractitionerRole,RelatedPerson
Encounter patient reference subject:Reference=Patient
Encounter practitioner reference participant.individual:Reference=Practitioner
Encounter reason-code token reasonCode:CodeableConcept
Encounter service-provider reference serviceProvider:Reference>Organization
Encounter status token status:code@http://hl7.org/fhir/encounter-status
Encounter subject reference subject:Reference>Group,Patient
Encounter type token type:CodeableConcept

Practitioner active token active:boolean
Practitioner family string name.family:family
Practitioner gender token gender:code@http://hl7.org/fhir/administrative-gender
Practitioner given string name.given:string
Practitioner identifier token identifier:Identifier
Practitioner name string name:HumanName
Practitioner phone token telecom[system=phone]:ContactPoint
Practitioner address-state string address.state:string

Organization active token active:boolean
Organization address string address:Address
Organization identifier token identifier:Identifier
Organization name string name:string alias:string
Organization partof reference partOf:Reference>Organization
Organization type token type:CodeableConcept

Location address-city string address.city:string
Location identifier token identifier:Identifier
Location name string name:string alias:string
Location near special position:Position
Location organization reference managingOrganization:Reference>Organization
Location partof reference partOf:Reference>Location
Location status token status:code@http://hl7.org/fhir/location-status
Location type token type:CodeableConcept

MedicationRequest authoredon date authoredOn:dateTime
MedicationRequest code token medicationCodeableConcept:CodeableConcept
MedicationRequest date date dosageInstruction.timing.event:dateTime
MedicationRequest encounter reference encounter:Reference>Encounter
MedicationRequest identifier token identifier:Identifier
MedicationRequest intent token intent:code@http://hl7.org/fhir/CodeSystem/medicationrequest-intent
MedicationRequest medication reference medicationReference:Reference>Medication
MedicationRequest patient reference subject:Reference=Patient
MedicationRequest priority token priority:code@http://hl7.org/fhir/request-priority
MedicationRequest requester reference requester:Reference>Practitioner,Organization,Patient,PractitionerRole,Device,RelatedPerson
MedicationRequest status token status:code@http://hl7.org/fhir/CodeSystem/medicationrequest-status
MedicationRequest subject reference subject:Reference>Group,Patient

Medication code token code:CodeableConcept
Medication form token form:CodeableConcept
Medication identifier token identifier:Identifier
Medication manufacturer reference manufacturer:Reference>Organization
Medication status token status:code@http://hl7.org/fhir/CodeSystem/medication-status

List code token code:CodeableConcept
List date date date:dateTime
List empty-reason token emptyReason:CodeableConcept
List item reference entry.item:Reference>
List notes string note.text:string
List patient reference subject:Reference=Patient
List source reference source:Reference>Practitioner,Patient,PractitionerRole,Device
List status token status:code@http://hl7.org/fhir/list-status
List subject reference subject:Reference>Group,Device,Patient,Location
List title string title:string

ValueSet date date date:dateTime
ValueSet description string description:string
ValueSet identifier token identifier:Identifier
ValueSet name string name:string
ValueSet publisher string publisher:string
ValueSet reference uri compose.include.system:uri
ValueSet status token status:code@http://hl7.org/fhir/publication-status
ValueSet title string title:string
ValueSet url uri url:uri
ValueSet version token version:string
ValueSet context token useContext.valueCodeableConcept:CodeableConcept
ValueSet context-quantity quantity useContext.valueQuantity:Quantity useContext.valueRange:Range
ValueSet context-type token useContext.code:Coding
ValueSet context-type-quantity composite useContext token=code:Coding quantity=valueQuantity:Quantity+valueRange:Range
ValueSet context-type-value composite useContext token=code:Coding token=valueCodeableConcept:CodeableConcept

CodeSystem url uri url:uri
CodeSystem status token status:code@http://hl7.org/fhir/publication-status

Questionnaire url uri url:uri
Questionnaire version token version:string
Questionnaire title string title:string
Questionnaire status token status:code@http://hl7.org/fhir/publication-status
Questionnaire effective date effectivePeriod:Period

QuestionnaireResponse questionnaire reference questionnaire:canonical>Questionnaire
QuestionnaireResponse status token status:code@http://hl7.org/fhir/questionnaire-answers-status
QuestionnaireResponse authored date authored:dateTime
QuestionnaireResponse patient reference subject:Reference=Patient
QuestionnaireResponse subject reference subject:Reference>

RiskAssessment probability number prediction.probabilityDecimal:decimal
RiskAssessment risk token prediction.qualitativeRisk:CodeableConcept
RiskAssessment date date occurrenceDateTime:dateTime
RiskAssessment patient reference subject:Reference=Patient
RiskAssessment subject reference subject:Reference>Group,Patient

MolecularSequence window-start number referenceSeq.windowStart:integer
MolecularSequence window-end number referenceSeq.windowEnd:integer
MolecularSequence variant-start number variant.start:integer
MolecularSequence patient reference patient:Reference>Patient
MolecularSequence chromosome token referenceSeq.chromosome:CodeableConcept

ChargeItem factor-override number factorOverride:decimal
ChargeItem price-override quantity priceOverride:Money
ChargeItem quantity quantity quantity:Quantity
ChargeItem code token code:CodeableConcept
ChargeItem occurrence date occurrenceDateTime:dateTime occurrencePeriod:Period occurrenceTiming:Timing
ChargeItem patient reference subject:Reference=Patient
ChargeItem subject reference subject:Reference>Group,Patient
`

// parameter is one row of the table.
type parameter struct {
	typ, name, kind string
	places          []valuePlace
	// contexts and components are a composite's.
	contexts   []string
	components []parameter
}

// valuePlace is where values are, and what they are.
type valuePlace struct {
	path, typ string
	system    string   // of a code
	targets   []string // of a reference; nil for any
	only      string   // the type it must resolve to
}

// parameters reads the table: by type, in its order.
func parameters(t *testing.T) map[string][]parameter {
	t.Helper()
	out := map[string][]parameter{}
	for line := range strings.Lines(specParameters) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		p := parameter{typ: f[0], name: f[1], kind: f[2]}
		if p.kind == "composite" {
			p.contexts = strings.Split(f[3], ",")
			for _, c := range f[4:] {
				kind, places, _ := strings.Cut(c, "=")
				one := parameter{kind: kind}
				for place := range strings.SplitSeq(places, "+") {
					one.places = append(one.places, readPlace(place))
				}
				p.components = append(p.components, one)
			}
		} else {
			for _, place := range f[3:] {
				p.places = append(p.places, readPlace(place))
			}
		}
		out[p.typ] = append(out[p.typ], p)
	}
	for typ := range out {
		if typ != "*" {
			out[typ] = append(out[typ], out["*"]...)
		}
	}
	return out
}

func readPlace(s string) (p valuePlace) {
	p.path, p.typ, _ = strings.Cut(s, ":")
	if typ, system, ok := strings.Cut(p.typ, "@"); ok {
		p.typ, p.system = typ, system
	}
	if typ, targets, ok := strings.Cut(p.typ, ">"); ok {
		if p.typ = typ; targets != "" {
			p.targets = strings.Split(targets, ",")
		}
	}
	if typ, only, ok := strings.Cut(p.typ, "="); ok {
		p.typ, p.only, p.targets = typ, only, []string{only}
	}
	return p
}
