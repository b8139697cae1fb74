// Package compartment owns the answer to whom a resource belongs, and to which
// search parameters put a resource into a compartment. It does not link
// identifiers to patients, follow references or look anything up, which is the
// gate's.
package compartment

import (
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Owners are whom a resource belongs to, as far as the resource itself tells.
type Owners struct {
	// Patients are the ids of the patients it refers to, sorted.
	Patients []string
	// Self says that the resource is a Patient, which belongs to itself: to the
	// id it is stored under, which may differ from the one it came with.
	Self bool
	// Identifiers are logical references to patients, yet to be linked. All of
	// them must be, or the resource is quarantined. One without a value stands for
	// a patient who is referred to in a way that cannot be followed: in words
	// alone, on another server, by a contained Patient without an identifier.
	// Nothing links it, so the resource stays in quarantine, whoever else it
	// belongs to.
	Identifiers []fhir.Identifier
	// Inherits are the resources whose owners it shares: Provenance.target,
	// Binary.securityContext.
	Inherits []fhir.Reference
	// MayBeShared says that its type is directory or definition, so that it is
	// everybody's if it belongs to no patient.
	MayBeShared bool
	// MayBeSharedByCustodian says the same if the custodian contributed it.
	MayBeSharedByCustodian bool
}

// None says that the resource names nobody it could belong to.
func (o *Owners) None() bool {
	return !o.Self && len(o.Patients)+len(o.Identifiers)+len(o.Inherits) == 0
}

// Compartments tells owners. It is safe for concurrent use.
type Compartments struct {
	defs *r4.Definitions
}

// New makes Compartments of the definitions.
func New(d *r4.Definitions) *Compartments { return &Compartments{defs: d} }

// Params are the codes of the search parameters by which a resource of the type
// is in the compartment, exactly as the CompartmentDefinition has them; "{def}"
// stands for the resource the compartment is of. nil when the type is never in
// it.
func (c *Compartments) Params(compartment, resourceType string) []string {
	def := c.defs.Compartment(compartment)
	if def == nil {
		return nil
	}
	codes, _ := def.Params(fhir.ResourceType(resourceType))
	return codes
}

// Of is whom the resource on the tape belongs to; base is the server's FHIR base
// URL. A resource belongs to every patient it refers to, wherever in it the
// Reference stands, but for Patient.link: that two records are linked must not
// open one to those who may see the other.
func (c *Compartments) Of(t *fhir.Tape, base string) Owners {
	name := t.Text(t.Field(t.Root(), "resourceType"))
	f := finder{
		t: t, base: base, typ: c.defs.Resource(name), defs: c.defs,
		owners: Owners{Self: name == "Patient", MayBeShared: shared(name), MayBeSharedByCustodian: sharedByCustodian(name)},
	}
	f.inheritFrom(name)
	f.object(t.Root(), f.typ, nil)
	f.subjects()
	slices.Sort(f.owners.Patients)
	f.owners.Patients = slices.Compact(f.owners.Patients)
	slices.SortFunc(f.owners.Identifiers, compareIdentifiers)
	f.owners.Identifiers = slices.Compact(f.owners.Identifiers)
	return f.owners
}

// shared types are directory and definitions (ARCHITECTURE §5): they are about
// no patient.
func shared(name string) bool {
	switch name {
	case "Endpoint", "HealthcareService", "InsurancePlan", "Location", "Organization", "OrganizationAffiliation",
		"Practitioner", "PractitionerRole":
		return true
	case "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "ExampleScenario", "GraphDefinition",
		"ImplementationGuide", "MessageDefinition", "NamingSystem", "OperationDefinition", "SearchParameter",
		"StructureDefinition", "StructureMap", "TerminologyCapabilities", "TestScript", "ValueSet":
		return true
	case "ActivityDefinition", "CatalogEntry", "ChargeItemDefinition", "DeviceDefinition", "EffectEvidenceSynthesis",
		"EventDefinition", "Evidence", "EvidenceVariable", "Library", "Measure", "ObservationDefinition", "PlanDefinition",
		"Questionnaire", "ResearchDefinition", "ResearchElementDefinition", "RiskEvidenceSynthesis", "SpecimenDefinition":
		return true
	case "MedicinalProduct", "MedicinalProductAuthorization", "MedicinalProductContraindication",
		"MedicinalProductIndication", "MedicinalProductIngredient", "MedicinalProductInteraction",
		"MedicinalProductManufactured", "MedicinalProductPackaged", "MedicinalProductPharmaceutical",
		"MedicinalProductUndesirableEffect", "SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein",
		"SubstanceReferenceInformation", "SubstanceSourceMaterial", "SubstanceSpecification":
		return true
	}
	return false
}

// sharedByCustodian types are catalogue entries when the custodian keeps them,
// and parts of a patient's record when a clinic contributes them.
func sharedByCustodian(name string) bool {
	switch name {
	case "Medication", "MedicationKnowledge", "Substance":
		return true
	}
	return false
}
