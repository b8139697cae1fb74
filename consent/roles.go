package consent

import "vitrine/fhir"

// The code systems of the default role lists.
const (
	systemPractitionerRole = "http://terminology.hl7.org/CodeSystem/practitioner-role"
	systemSNOMED           = "http://snomed.info/sct"
	systemNUCC             = "http://nucc.org/provider-taxonomy"
	// SystemRole holds #emergency, for roles that no other system names.
	SystemRole = Canon + "/CodeSystem/nehr-role"
)

// defaultRoles take part in care. Reception, billing, research, teaching and
// technical roles are not among them, and a role without a code is refused.
//
//nolint:gochecknoglobals // a table that never changes
var defaultRoles = [...]fhir.Coding{
	{System: systemPractitionerRole, Code: "doctor"},
	{System: systemPractitionerRole, Code: "nurse"},
	{System: systemPractitionerRole, Code: "pharmacist"},
	{System: systemSNOMED, Code: "158965000"}, // medical practitioner
	{System: systemSNOMED, Code: "309343006"}, // physician
	{System: systemSNOMED, Code: "59058001"},  // general physician
	{System: systemSNOMED, Code: "62247001"},  // family medicine specialist
	{System: systemSNOMED, Code: "106289002"}, // dentist
	{System: systemSNOMED, Code: "106292003"}, // professional nurse
	{System: systemSNOMED, Code: "224535009"}, // registered nurse
	{System: systemSNOMED, Code: "309453006"}, // registered midwife
	{System: systemSNOMED, Code: "46255001"},  // pharmacist
	{System: systemSNOMED, Code: "36682004"},  // physiotherapist
	{System: systemSNOMED, Code: "80546007"},  // occupational therapist
	{System: systemSNOMED, Code: "397897005"}, // paramedic
	{System: systemNUCC, Code: "208D00000X"},  // general practice
	{System: systemNUCC, Code: "207Q00000X"},  // family medicine
	{System: systemNUCC, Code: "207R00000X"},  // internal medicine
	{System: systemNUCC, Code: "207P00000X"},  // emergency medicine
	{System: systemNUCC, Code: "163W00000X"},  // registered nurse
	{System: systemNUCC, Code: "163WE0003X"},  // registered nurse, emergency
	{System: systemNUCC, Code: "183500000X"},  // pharmacist
	{System: systemNUCC, Code: "146L00000X"},  // paramedic
	{System: SystemRole, Code: emergencyRole},
}

const emergencyRole = "emergency"

// defaultEmergencyRoles are those of emergency departments and ambulances.
//
//nolint:gochecknoglobals // a table that never changes
var defaultEmergencyRoles = [...]fhir.Coding{
	{System: systemSNOMED, Code: "397897005"}, // paramedic
	{System: systemNUCC, Code: "207P00000X"},  // emergency medicine
	{System: systemNUCC, Code: "163WE0003X"},  // registered nurse, emergency
	{System: systemNUCC, Code: "146L00000X"},  // paramedic
	{System: SystemRole, Code: emergencyRole},
}
