package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// feature is a part of search and the queries that use it. In braces stand what
// fill puts in: {code}, {patient}, {day}, {n}, {word}, {family}, {nric},
// {Observation} for the id of one, and so on.
type feature struct {
	name    string
	queries []string
}

// features are all that search has. Each query is asked in every world at least
// once, by GET, by POST or in a batch.
func features() []feature {
	return append(append(valueFeatures(), linkFeatures()...), answerFeatures()...)
}

// valueFeatures look at one resource alone.
func valueFeatures() []feature {
	return []feature{
		{"string", []string{
			"Patient?name={family}", "Patient?family:exact={family}", "Patient?name:contains=amily", "Patient?given:contains=IVEN",
			"Patient?address={secret}", "Patient?address-city:contains=cretvil", "Patient?address-city:exact={secret}1", "Location?name:contains=lace",
		}},
		{"token", []string{
			"Observation?code={codes}|{code}", "Observation?code={codes}|", "Observation?code=|{code}", "Patient?telecom=555-000{n}", "Patient?phone=555-000{n}",
			"Observation?_security=R", "Condition?_security={act}|HIV", "Observation?_tag=t{n}", "Patient?active=true",
		}},
		{"not", []string{
			"Observation?code:not={code}", "Condition?code:not={codes}|{code},{codes}|c0", "Observation?_tag:not=t1", "Patient?gender:not=male", "Patient?identifier:not={nricsystem}|{nric}",
			"Encounter?status:not=planned", "AllergyIntolerance?criticality:not=low", "Observation?_security:not={act}|HIV", "Patient?phone:not=555-0001", "DiagnosticReport?code:not={code}",
		}},
		{"token text", []string{"Condition?code:text={code}", "Observation?code:text=kind {code}", "Patient?identifier:text=nation", "AllergyIntolerance?code:text=kind", "Observation?patient.identifier:text=national"}},
		{"in", []string{
			"Observation?code:in=http://example.org/ValueSet/some", "Observation?code:not-in=http://example.org/ValueSet/some", "Condition?code:in=http://example.org/ValueSet/tree",
			"AllergyIntolerance?code:not-in=http://example.org/ValueSet/tree", "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender",
		}},
		{"above and below", []string{
			"Observation?code:below={codes}|c0", "Observation?code:above={codes}|c2", "Condition?code:below={codes}|c1", "ValueSet?url:below=http://example.org/ValueSet", "ValueSet?url:above=http://example.org/ValueSet/some/more",
			"Observation?_source:below=http://example.org/lab", "Observation?_source:above=http://example.org/lab/1/more", "Observation?_profile:below=http://example.org/p1", "Questionnaire?url:below=http://example.org",
		}},
		{"of-type", []string{"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|NI|{nric}", "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|NI|{seen}"}},
		{"missing", []string{
			"Patient?address:missing=true", "Patient?address-city:missing=false", "Patient?telecom:missing=true", "Patient?phone:missing=false", "Patient?general-practitioner:missing=true", "Patient?active:missing=true",
			"Patient?link:missing=true", "AllergyIntolerance?recorder:missing=true", "AllergyIntolerance?recorder:missing=false", "AllergyIntolerance?date:missing=true", "Immunization?performer:missing=false", "Immunization?location:missing=true",
			"Observation?encounter:missing=true", "Observation?has-member:missing=false", "Observation?value-quantity:missing=true", "Observation?component-code:missing=false", "Condition?encounter:missing=false",
			"Encounter?part-of:missing=true", "RiskAssessment?probability:missing=true", "Observation?_tag:missing=true", "Observation?_source:missing=false", "Immunization?identifier:missing=true",
		}},
		{"reference", []string{
			"Observation?subject=Patient/{patient}", "Observation?subject:Patient={patient}", "Observation?subject={base}/Patient/{patient}", "Observation?patient={patient}",
			"Observation?encounter=Encounter/{Encounter}", "Observation?has-member=Observation/{Observation}", "DiagnosticReport?result={Observation}", "List?item=Observation/{Observation}", "List?item:Encounter={Encounter}",
			"Patient?general-practitioner=Organization/clinic-b", "Patient?link=Patient/{patient}", "Encounter?part-of=Encounter/{Encounter}", "Encounter?part-of=Encounter/{Encounter}/_history/1",
			"AllergyIntolerance?recorder=Practitioner/dr-n", "Immunization?location=Location/place-1", "MedicationRequest?medication=Medication/drug-{n}",
			"QuestionnaireResponse?questionnaire=http://example.org/Questionnaire/q1", "QuestionnaireResponse?questionnaire=http://example.org/Questionnaire/q1|1",
		}},
		{"identifier", []string{"DiagnosticReport?subject:identifier={nricsystem}|{seen}", "DiagnosticReport?subject:identifier={nricsystem}|{nric}", "Observation?subject:identifier={nricsystem}|{nric}", "Condition?patient:identifier={nricsystem}|{nric}", "Observation?performer:identifier=http://example.org/reg|N1"}},
		{"number", []string{
			"RiskAssessment?probability=gt0.5", "RiskAssessment?probability=lt0.5", "RiskAssessment?probability=ne0.5", "RiskAssessment?probability=ap0.5", "RiskAssessment?probability=ge0.2&probability=le0.9", "RiskAssessment?probability=sa0.1", "RiskAssessment?probability=eb0.9",
		}},
		{"date", []string{
			"Observation?date=eq{day}", "Observation?date=ne{day}", "Observation?date=gt{day}", "Observation?date=lt{day}", "Observation?date=ge{day}&date=le2024", "Observation?date=sa{day}", "Observation?date=eb{day}", "Observation?date=ap{day}",
			"Encounter?date=2018-05", "Encounter?date=ne2018", "AllergyIntolerance?date=gt2010", "AllergyIntolerance?date=ne2015", "Patient?birthdate=ge1984", "Patient?_lastUpdated=gt2020-01-01", "AllergyIntolerance?_lastUpdated=ge2020", "Patient?death-date=ne2015",
		}},
		{"quantity", []string{
			"Observation?value-quantity=gt100", "Observation?value-quantity=ne50", "Observation?value-quantity=ap50|http://unitsofmeasure.org|mg", "Observation?value-quantity=lt0.1|http://unitsofmeasure.org|g", "Observation?value-quantity=le50||mg",
			"Observation?value-quantity=sa20", "Observation?value-quantity=eb20", "Observation?component-value-quantity=gt1000|http://unitsofmeasure.org|mg", "Observation?combo-value-quantity=ge10",
		}},
		{"composite", []string{
			"Observation?code-value-quantity={codes}|{code}$gt50", "Observation?code-value-quantity={code}$lt0.1|http://unitsofmeasure.org|g", "Observation?component-code-value-quantity={code}$gt10", "Observation?combo-code-value-quantity={code}$lt80",
			"Observation?code-value-date={code}$gt2012",
		}},
		{"near", []string{"Location?near=1.3|103.8|5|km", "Location?near=1.4|103.8|1000|m", "Location?near=40|10|1|km"}},
		{"text", []string{
			"Patient?_text={secret}", "Patient?_content={secret}", "AllergyIntolerance?_content={secret}", "AllergyIntolerance?_text={secret}", "Immunization?_content={secret} or note", "Condition?_text=narrated and {word}", "Condition?_content={word}",
			"Observation?_content=mg not c1", "Patient?_content=(lives and {secret}) or {family}", "List?_content=%22kept by hand%22", "Patient?_content=not {secret}",
		}},
		{"filter", []string{
			"Patient?_filter=address-city co %22{secret}%22", "Patient?_filter=not(phone eq %22555-0001%22)", "Patient?_filter=address pr true", "Patient?_filter=name sw %22fam%22 and not(address pr true)",
			"Observation?_filter=code eq {code} or value-quantity gt 150", "Observation?_filter=(code eq c1 or code eq c2) and date ge 2015", "Observation?_filter=not (code eq {code})", "Observation?_filter=subject.family co %22family%22",
			"Condition?_filter=code ne {code}", "AllergyIntolerance?_filter=recorder pr false", "AllergyIntolerance?_filter=recorder re Practitioner/dr-n", "Observation?_filter=patient re Patient/{patient}", "Encounter?_filter=part-of pr true",
		}},
		{"custom parameter", []string{
			"Observation?site-text=site", "Observation?site-text:exact=site {n}", "Observation?site-text:missing=true", "Patient?marital=D", "Patient?marital:missing=true", "Patient?marital:not=D", "Patient?_sort=marital",
			"Observation?patient.marital=D", "Patient?_has:Observation:patient:site-text=site",
		}},
	}
}

// linkFeatures go from one resource to another.
func linkFeatures() []feature {
	return []feature{
		{"chain", []string{
			"Observation?subject:Patient.family={family}", "Observation?patient.address-city={secret}", "Observation?subject:Patient.phone=555-000{n}", "Observation?patient.identifier={nricsystem}|{nric}", "Observation?subject:Patient.birthdate=ge1980",
			"Observation?encounter.date=2018", "Observation?has-member.code={code}", "Observation?has-member.date=lt2030", "Observation?has-member._id={Observation}", "DiagnosticReport?result.code={code}", "Condition?evidence-detail:Observation.code={code}",
			"Condition?encounter.status=finished", "Encounter?part-of.status=finished", "Encounter?location.name=Place", "Encounter?location.near=1.3|103.8|5|km", "MedicationRequest?medication.code={code}", "MedicationRequest?requester:Practitioner.name=Nell",
			"AllergyIntolerance?recorder:Practitioner.name=Named", "AllergyIntolerance?patient.address-city={secret}", "Immunization?location.name=Place", "List?item:Observation.code={code}", "List?item:Encounter.status=finished",
			"QuestionnaireResponse?questionnaire.title=Asked", "Patient?link:Patient.family={family}", "Patient?organization.name=clinic", "Patient?general-practitioner:Organization.name=clinic-b", "EpisodeOfCare?patient.family={family}",
		}},
		{"chain, no type named", []string{
			"Observation?subject.family={family}", "Observation?subject.name=place", "Observation?performer.name=Nell", "List?item.code={code}", "List?item.status=final", "MedicationRequest?requester.name=Nell", "Condition?evidence-detail.code={code}",
			"Patient?general-practitioner.name=clinic", "AllergyIntolerance?recorder.name=Named", "DiagnosticReport?subject.address-city={secret}",
		}},
		{"chain, deep", []string{
			"Observation?encounter.patient.address-city={secret}", "Observation?has-member.encounter.status=finished", "Observation?has-member:Observation.subject:Patient.address-city={secret}", "DiagnosticReport?result.has-member.code={code}",
			"DiagnosticReport?result.encounter.part-of.status=finished", "Encounter?part-of.part-of.status=finished", "Condition?encounter.part-of.patient.family={family}", "List?item:Observation.encounter.patient.phone=555-0001", "Observation?patient.general-practitioner:Organization.name=clinic",
		}},
		{"chain with a modifier", []string{
			"Observation?subject:Patient.family:contains=amily", "Observation?patient.address:missing=false", "Observation?patient.phone:missing=true", "Observation?has-member.code:not={code}", "Encounter?part-of.status:not=planned", "Condition?patient.gender:not=male",
			"Observation?has-member.encounter:missing=false", "AllergyIntolerance?recorder:Practitioner.name:exact=Named", "Condition?evidence-detail:Observation.code:in=http://example.org/ValueSet/some",
		}},
		{"has", []string{
			"Patient?_has:Observation:patient:code={code}", "Patient?_has:Observation:subject:date=gt2010", "Patient?_has:Condition:patient:code={code}", "Patient?_has:List:subject:status=current", "Patient?_has:Consent:patient:status=inactive", "Patient?_has:Consent:patient:status=active",
			"Patient?_has:AuditEvent:patient:subtype=read", "Patient?_has:Task:patient:status=requested", "Patient?_has:Communication:patient:status:not=unknown", "Patient?_has:Group:member:type=person", "Patient?_has:Provenance:patient:recorded=gt2020", "Patient?_has:EpisodeOfCare:patient:organization=Organization/clinic-b",
			"Patient?_has:AllergyIntolerance:patient:recorder=Practitioner/dr-n", "Patient?_has:Immunization:patient:performer=Practitioner/dr-n", "Patient?_has:Patient:link:family={family}", "Patient?_has:MedicationRequest:patient:authoredon=gt2010",
			"Observation?_has:Observation:has-member:code={code}", "Observation?_has:DiagnosticReport:result:status=final", "Observation?_has:List:item:status=current", "Observation?_has:Condition:evidence-detail:code={code}", "Observation?_has:Provenance:target:recorded=gt2020",
			"Encounter?_has:Observation:encounter:code={code}", "Encounter?_has:Encounter:part-of:status=finished",
			"Practitioner?_has:Observation:performer:code={code}", "Practitioner?_has:AllergyIntolerance:recorder:criticality=high", "Practitioner?_has:MedicationRequest:requester:status=active", "Practitioner?_has:Immunization:performer:status=completed",
			"Organization?_has:Patient:general-practitioner:gender=female", "Organization?_has:EpisodeOfCare:organization:status=active", "Organization?_has:Encounter:service-provider:status=finished", "Organization?_has:Consent:actor:status=active",
			"Location?_has:Encounter:location:status=finished", "Location?_has:Immunization:location:status=completed", "Medication?_has:MedicationRequest:medication:status=active", "Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed",
		}},
		{"has, negated or missing", []string{
			"Patient?_has:Observation:patient:code:not={code}", "Patient?_has:Observation:patient:encounter:missing=true", "Observation?_has:Observation:has-member:encounter:missing=false", "Practitioner?_has:AllergyIntolerance:recorder:date:missing=false",
			"Location?_has:Encounter:location:status:not=planned",
		}},
		{"has, nested", []string{
			"Patient?_has:Encounter:patient:_has:Observation:encounter:code={code}", "Encounter?_has:Observation:encounter:_has:DiagnosticReport:result:status=final", "Practitioner?_has:Observation:performer:_has:List:item:status=current",
			"Location?_has:Encounter:location:_has:Condition:encounter:code={code}", "Patient?_has:Observation:patient:has-member.code={code}", "Patient?_has:Encounter:patient:part-of.status=finished", "Organization?_has:Patient:general-practitioner:_has:Observation:patient:code={code}",
			"Patient?_has:Observation:patient:encounter.location.name=Place",
		}},
		{"chain into has", []string{
			"Observation?patient._has:Condition:patient:code={code}", "Observation?encounter._has:DiagnosticReport:encounter:status=final", "Condition?encounter._has:Observation:encounter:code={code}", "AllergyIntolerance?patient._has:Observation:patient:code={code}",
			"Observation?has-member._has:List:item:status=current", "Encounter?location._has:Encounter:location:status=finished",
		}},
		{"list", []string{"Observation?_list={List}", "Encounter?_list={List}", "Patient?_list={List}", "Observation?_list={List}&code={code}", "Observation?patient._list={List}"}},
		{"include", []string{
			"Observation?_include=Observation:subject", "Observation?_include=Observation:has-member", "Observation?_include=Observation:encounter&_include=Observation:performer", "Observation?_include=Observation:has-member:Observation", "Observation?_include=Observation:subject:Patient&_count=3",
			"DiagnosticReport?_include=DiagnosticReport:result", "List?_include=List:item", "List?_include=List:item:Encounter", "Encounter?_include=Encounter:part-of", "Condition?_include=Condition:evidence-detail", "Patient?_include=Patient:link", "Patient?_include=Patient:general-practitioner",
			"AllergyIntolerance?_include=AllergyIntolerance:recorder", "AllergyIntolerance?_include=AllergyIntolerance:patient", "Immunization?_include=Immunization:performer", "QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire", "MedicationRequest?_include=MedicationRequest:medication",
		}},
		{"revinclude", []string{
			"Patient?_revinclude=Observation:subject", "Patient?_revinclude=Observation:patient&_revinclude=Condition:patient", "Patient?_revinclude=Consent:patient", "Patient?_revinclude=AuditEvent:patient", "Patient?_revinclude=Task:patient", "Patient?_revinclude=Group:member", "Patient?_revinclude=Provenance:patient", "Patient?_revinclude=Patient:link",
			"Patient?_revinclude=AllergyIntolerance:patient", "Observation?_revinclude=Observation:has-member", "Observation?_revinclude=DiagnosticReport:result", "Observation?_revinclude=List:item", "Observation?_revinclude=Provenance:target", "Encounter?_revinclude=Observation:encounter", "Encounter?_revinclude=Encounter:part-of",
			"Practitioner?_revinclude=Observation:performer", "Practitioner?_revinclude=AllergyIntolerance:recorder", "Organization?_revinclude=Patient:general-practitioner", "Organization?_revinclude=EpisodeOfCare:organization", "Organization?_revinclude=Consent:actor", "Location?_revinclude=Encounter:location", "Medication?_revinclude=MedicationRequest:medication",
		}},
		{"include, iterated", []string{
			"DiagnosticReport?_include=DiagnosticReport:result&_include:iterate=Observation:has-member&_include:iterate=Observation:subject", "Encounter?_include:iterate=Encounter:part-of", "Observation?_include:iterate=Observation:has-member", "Practitioner?_revinclude=Observation:performer&_include:iterate=Observation:subject",
			"Organization?_revinclude=Patient:general-practitioner&_revinclude:iterate=Observation:patient", "Location?_revinclude=Encounter:location&_revinclude:iterate=Observation:encounter&_revinclude:iterate=DiagnosticReport:result", "Patient?_revinclude=List:subject&_include:iterate=List:item",
		}},
		{"include of all", []string{
			"Observation?_include=*&_count=5", "Observation?_include=Observation:*", "List?_include=*", "Patient?_revinclude=*", "Practitioner?_revinclude=*&_count=2", "Observation?_revinclude=*&_count=4", "Organization?_revinclude=*", "Patient?_include=*&_revinclude=*&_count=3", "AllergyIntolerance?_include=*",
		}},
		{"compartment", []string{
			"Patient/{patient}/Observation?code={code}", "Patient/{patient}/Observation?code:not={code}", "Patient/{patient}/List?item:Observation.code={code}", "Patient/{patient}/Condition?_include=Condition:evidence-detail", "Encounter/{Encounter}/Observation?", "Encounter/{Encounter}/Condition?code:not={code}", "Encounter/{Encounter}/DiagnosticReport?_include=DiagnosticReport:result",
			"Practitioner/dr-n/Observation?", "Practitioner/dr-n/AllergyIntolerance?", "Practitioner/dr-n/MedicationRequest?_total=accurate", "Patient/{patient}/Observation?_has:List:item:status=current",
		}},
	}
}

// answerFeatures say how to answer.
func answerFeatures() []feature {
	return []feature{
		{"sort", []string{
			"Observation?_sort=date", "Observation?_sort=-date&_count=3", "Observation?_sort=code,-date&_count=4", "Observation?_sort=value-quantity,-_id&_count=3", "Observation?_sort=-value-quantity", "Observation?_sort=patient,date&_count=5", "Observation?_sort=encounter,-code", "Observation?_sort=_source,-date", "Observation?_sort=-identifier",
			"Observation?_sort=status,-code,date,value-quantity&_count=4", "Patient?_sort=family,-given", "Patient?_sort=address-city", "Patient?_sort=-address-city,birthdate", "Patient?_sort=phone,-birthdate&_count=2", "Patient?_sort=general-practitioner,_id", "Patient?_sort=-_lastUpdated&_count=2", "AllergyIntolerance?_sort=date,code&_count=2", "AllergyIntolerance?_sort=-date,_id&_count=2",
			"AllergyIntolerance?_sort=recorder,-code", "Immunization?_sort=-date,lot-number&_count=2", "Immunization?_sort=location", "Encounter?_sort=-date&_count=3", "Encounter?_sort=part-of,-date", "RiskAssessment?_sort=-probability&_count=2", "RiskAssessment?_sort=probability", "ValueSet?_sort=-url", "Condition?_sort=-recorded-date,code&_count=3", "MedicationRequest?_sort=authoredon&_count=2",
		}},
		{"total", []string{
			"Observation?_total=none&_count=2", "Observation?_total=estimate&_count=2", "Observation?_total=accurate&_count=2", "Observation?code:not={code}&_total=accurate&_count=1", "Observation?patient.address-city={secret}&_total=accurate&_count=0", "Patient?_has:Observation:patient:code={code}&_total=estimate&_count=0",
			"Observation?_count=0", "Patient?_count=0&address:missing=true", "Observation?_summary=count", "Patient?_summary=count&_content={secret}", "Condition?_summary=count&code={code}", "AllergyIntolerance?_summary=count&recorder:missing=false", "Encounter?_total=accurate&_sort=-date&_count=2", "Patient?_total=estimate&_count=1&_sort=family",
			"Observation?_count=1000&_total=accurate", "DiagnosticReport?result.code={code}&_summary=count", "List?_total=estimate&_count=1",
		}},
		{"summary", []string{
			"Patient?_summary=true", "Patient?_summary=text", "Patient?_summary=data", "Patient?_summary=false", "Observation?_summary=true&_count=3", "Observation?_summary=data&_count=3", "AllergyIntolerance?_summary=text", "AllergyIntolerance?_summary=data", "AllergyIntolerance?_summary=true", "Condition?_summary=text&_count=3", "Immunization?_summary=true",
		}},
		{"elements", []string{
			"Patient?_elements=address,telecom,generalPractitioner", "Patient?_elements=text,maritalStatus", "Observation?_elements=status,code&_count=3", "AllergyIntolerance?_elements=note,recorder,text", "Immunization?_elements=performer,note", "Patient?_elements=name&_revinclude=Observation:patient&_count=2",
		}},
		{"contained", []string{
			"Medication?_contained=true", "Medication?_contained=true&code={code}", "Medication?_contained=both&code={code}", "Medication?_contained=true&_containedType=contained", "Medication?_contained=true&_containedType=container&code:not={code}", "MedicationRequest?_contained=both&_count=4", "Practitioner?_contained=true",
			"Medication?_contained=true&_count=2&_total=accurate", "Observation?_contained=true",
		}},
		{"system", []string{
			"?_type=Observation,Condition&_count=4", "?_type=Observation,Condition,Patient&_lastUpdated=gt2020-01-01&_count=5", "?_type=Patient,AllergyIntolerance&_content={secret}", "?_type=Observation,Encounter&_sort=-_lastUpdated&_count=5", "?_type=Observation,DiagnosticReport&code={code}&_sort=date&_count=3", "?_type=Patient,Practitioner&_id={patient},dr-n,{Observation}",
			"?_type=Observation,Condition,Encounter,List&_total=accurate&_count=2", "?_type=Observation,Condition&_summary=count", "?_type=Observation,Condition&_tag=t1", "?_type=Observation,Encounter&_list={List}", "?_type=Consent,Observation&_count=3", "?_id={Observation}&_type=Observation,Consent,AuditEvent,Task", "?_type=Patient&_has:Observation:patient:code={code}",
			"?_type=List,DiagnosticReport&_include=*&_count=2", "?_type=Observation,Condition&_security=R", "?_lastUpdated=gt2020-01-01&_count=3", "?_lastUpdated=gt2020-01-01&_count=1&_total=accurate", "?_id={patient}", "?_id={Observation}",
		}},
		{"refused", []string{
			"Patient?_explain=true", "Observation?code={code}&_explain=1", "Observation?_list=$current-problems", "Observation?nickname={secret}", "Patient?address:above=x", "Observation?_query=everything", "Observation?subject.nickname=x", "Patient?_has:Observation:nickname:code=x",
			"Observation?_cursor=AAAA", "Observation?_filter=code", "Observation?_source:below=urn:uuid:lab", "Observation?code:in=http://example.org/ValueSet/none",
		}},
	}
}

// farConditions are conditions of writes that lead elsewhere.
func farConditions() []string {
	return []string{
		"patient.family={family}", "patient.address-city={secret}", "subject:Patient.identifier={nricsystem}|{nric}", "encounter.part-of.status=finished", "has-member.code={code}", "_has:List:item:status=current",
		"_has:Observation:has-member:code={code}", "patient._has:Condition:patient:code={code}", "_filter=patient.phone eq %22555-000{n}%22", "identifier=n{n}&_content=Family", "_list={List}", "code:not={code}&patient.phone:missing=false",
	}
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// fill puts values at the placeholders of a query.
func (g *worldMaker) fill(query string) string {
	return placeholder.ReplaceAllStringFunc(query, func(p string) string {
		switch name := p[1 : len(p)-1]; name {
		case "code":
			return fmt.Sprintf("c%d", g.rand.IntN(5))
		case "codes":
			return worldCodes
		case "act":
			return actCode
		case "secret":
			return hiddenWord
		case "word":
			return g.word()
		case "day":
			return g.day()
		case "n":
			return fmt.Sprint(g.rand.IntN(4))
		case "patient":
			return g.anyPatient()
		case "family":
			return "Family" + g.anyPatient()[1:]
		case "nricsystem":
			return nric
		case "nric":
			return g.patients[g.rand.IntN(len(g.patients))].nric()
		case "seen": // of one whom the callers see in full
			return g.ofPosture(open).nric()
		case "base":
			return worldBase + "/fhir"
		default:
			return g.anyID(name)
		}
	})
}

func (g *worldMaker) ofPosture(as posture) worldPatient {
	for _, p := range g.patients {
		if p.posture == as {
			return p
		}
	}
	return worldPatient{}
}

// anyID is the id of something of the type, visible or hidden; none when there is
// nothing.
func (g *worldMaker) anyID(kind string) string {
	if g.rand.IntN(2) == 0 && len(g.shown[kind]) > 0 {
		return g.anyShown(kind)
	}
	var ids []string
	for _, id := range g.ids {
		if k, id, _ := strings.Cut(id, "/"); k == kind {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return "none"
	}
	return ids[g.rand.IntN(len(ids))]
}

// featureRequests ask every query once, and some more of them combined: two
// queries of one type together, with another order, another page or another
// total.
func (g *worldMaker) featureRequests(mixed int) []request {
	var out []request
	byType := map[string][]string{}
	for _, f := range features() {
		for _, q := range f.queries {
			r := g.phrased(g.fill(q))
			r.feature = f.name
			out = append(out, r)
			if kind, query, ok := strings.Cut(q, "?"); ok && f.name != "refused" && kind != "" && !strings.Contains(kind, "/") {
				byType[kind] = append(byType[kind], query)
			}
		}
	}
	for range mixed {
		r := g.phrased(g.mixed(byType))
		r.feature = "mixed"
		out = append(out, r)
	}
	return out
}

// mixed is a query of several that may go together.
func (g *worldMaker) mixed(byType map[string][]string) string {
	kinds := []string{"Patient", "Observation", "Observation", "Encounter", "Condition", "AllergyIntolerance", "Immunization", "List", "DiagnosticReport", "MedicationRequest", "Practitioner"}
	kind := kinds[g.rand.IntN(len(kinds))]
	all := byType[kind]
	parts := []string{g.fill(all[g.rand.IntN(len(all))]), g.fill(all[g.rand.IntN(len(all))])}
	more := []string{"_total=accurate", "_count=2", "_count=3", "_sort=-_lastUpdated", "_sort=_id", "_summary=true", "_elements=id", "_lastUpdated=gt2020-01-01"}
	parts = append(parts, more[g.rand.IntN(len(more))])
	var kept []string
	given := map[string]bool{}
	for _, part := range strings.Split(strings.Join(parts, "&"), "&") {
		name, _, _ := strings.Cut(part, "=")
		if once := strings.HasPrefix(name, "_"); once && given[name] {
			continue
		}
		given[name] = true
		kept = append(kept, part)
	}
	return kind + "?" + strings.Join(kept, "&")
}

// phrased is the query by GET, by POST, or as one of a batch.
func (g *worldMaker) phrased(query string) request {
	path, params, _ := strings.Cut(query, "?")
	params = escaped(params)
	switch g.rand.IntN(8) {
	case 0:
		if !strings.Contains(path, "/") {
			return request{method: http.MethodPost, path: strings.TrimPrefix(path+"/_search", "/"), body: []byte(params), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
		}
	case 1:
		entry := object{"request": object{"method": "GET", "url": path + "?" + params}}
		return send(http.MethodPost, "", mustJSON(object{"resourceType": "Bundle", "type": "batch", "entry": []any{entry, entry}}))
	}
	return get(path + "?" + params)
}

// escaped is the query with its values as a URL has them.
func escaped(params string) string {
	var out []string
	for _, p := range strings.Split(params, "&") {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		value, _ = url.QueryUnescape(strings.ReplaceAll(value, "+", "%2B"))
		out = append(out, name+"="+url.QueryEscape(value))
	}
	return strings.Join(out, "&")
}
