package basic

import (
	"errors"
	"fmt"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
)

// ErrConfig says that a configuration is not of the form that New describes.
var ErrConfig = errors.New("basic set")

// Config is a named and versioned basic set. It is prescribed by regulation,
// and therefore not part of the code.
type Config struct {
	// Name and Version are recorded with every access.
	Name, Version string
	// IdentifierSystems are the systems whose identifiers are released: those
	// of NRIC and FIN.
	IdentifierSystems []string
	// RaceExtensions are the URLs of the extensions that say race.
	RaceExtensions []string
	// Elements are the paths that are released of each type, below the resource;
	// ":" and a data type at the end stand for all of that type that carries
	// meaning. "?unless=name" releases a path only where the sibling of that
	// name has no code.
	Elements map[fhir.ResourceType][]string
}

// Default is the set of DOSSIER §7.6. What says where, by whom or why the
// patient was seen is not in it.
func Default() Config {
	return Config{
		Name: "nehr-basic", Version: "1",
		IdentifierSystems: []string{ // the spellings that are seen, DOSSIER §6.1
			"https://fhir.synapxe.sg/NamingSystem/nric", "https://fhir.synapxe.sg/NamingSystem/fin", "https://fhir.synapxe.sg/identifier/nric-fin",
			"http://synapxe.sg/fhir/identifier/nric", consent.Canon + "/NamingSystem/nric",
		},
		RaceExtensions: []string{
			"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
			"https://fhir.synapxe.sg/StructureDefinition/ext-ethnicity",
			consent.Canon + "/StructureDefinition/race",
		},
		Elements: map[fhir.ResourceType][]string{
			"Patient": {"identifier:Identifier", "name:HumanName", "gender", "birthDate", "extension:Race"},
			"AllergyIntolerance": {
				"clinicalStatus:CodeableConcept", "verificationStatus:CodeableConcept", "type", "category", "criticality",
				"code:CodeableConcept", "patient:Reference", "onsetDateTime", "onsetAge:Quantity", "onsetPeriod:Period",
				"onsetRange:Range", "onsetString", "lastOccurrence",
				"reaction.substance:CodeableConcept", "reaction.manifestation:CodeableConcept",
				"reaction.description?unless=manifestation",
				"reaction.onset", "reaction.severity", "reaction.exposureRoute:CodeableConcept",
			},
			"Immunization": {
				"status", "statusReason:CodeableConcept", "vaccineCode:CodeableConcept", "patient:Reference",
				"occurrenceDateTime", "occurrenceString", "primarySource", "lotNumber", "expirationDate", "manufacturer.display",
				"site:CodeableConcept", "route:CodeableConcept", "doseQuantity:Quantity", "reaction.date", "reaction.reported",
				"protocolApplied.series", "protocolApplied.targetDisease:CodeableConcept",
				"protocolApplied.doseNumberPositiveInt", "protocolApplied.doseNumberString",
				"protocolApplied.seriesDosesPositiveInt", "protocolApplied.seriesDosesString",
			},
		},
	}
}

// elements are the released members of an object; nil is a primitive.
type elements map[string]*element

type element struct {
	sub elements
	// keep chooses among the objects of the element; nil keeps all.
	keep func(s *Set, t *fhir.Tape, n fhir.Node) bool
	// fallback keeps all when keep chose none.
	fallback bool
	// unless names the sibling whose codes make this element superfluous.
	unless string
}

// New returns the set of a configuration. Only Patient, AllergyIntolerance and
// Immunization can have a basic edition.
func New(cfg Config) (*Set, error) {
	if cfg.Name == "" || cfg.Version == "" {
		return nil, fmt.Errorf("%w: name and version are needed", ErrConfig)
	}
	s := &Set{cfg: cfg, types: make(map[string]elements, len(cfg.Elements))}
	for typ, paths := range cfg.Elements {
		switch typ {
		case "Patient", "AllergyIntolerance", "Immunization":
		default:
			return nil, fmt.Errorf("%w: %s has no basic edition", ErrConfig, typ)
		}
		tree := elements{}
		for _, p := range paths {
			if err := tree.add(p); err != nil {
				return nil, err
			}
		}
		s.types[string(typ)] = tree
	}
	return s, nil
}

// add puts a path into the tree.
func (e elements) add(path string) error {
	names, unless, _ := strings.Cut(path, "?unless=")
	names, datatype, typed := strings.Cut(names, ":")
	steps := strings.Split(names, ".")
	for _, step := range steps[:len(steps)-1] {
		if e[step] == nil {
			e[step] = &element{sub: elements{}}
		}
		if e[step].sub == nil {
			return fmt.Errorf("%w: %s: part of it is released whole", ErrConfig, path)
		}
		e = e[step].sub
	}
	last := &element{unless: unless}
	if typed {
		var ok bool
		if last, ok = datatypes(datatype); !ok {
			return fmt.Errorf("%w: %s: unknown data type", ErrConfig, path)
		}
		last.unless = unless
	}
	name := steps[len(steps)-1]
	if name == "" || e[name] != nil {
		return fmt.Errorf("%w: %s: empty or twice", ErrConfig, path)
	}
	e[name] = last
	return nil
}

// datatypes says what of a data type carries meaning. Ids, extensions,
// assigners and the display of references are left behind.
func datatypes(name string) (*element, bool) {
	leaves := func(names ...string) elements {
		out := make(elements, len(names))
		for _, n := range names {
			out[n] = &element{}
		}
		return out
	}
	quantity := leaves("value", "comparator", "unit", "system", "code")
	identifier := &element{sub: leaves("use", "system", "value"), keep: (*Set).releasedIdentifier}
	switch name {
	case "CodeableConcept":
		sub := leaves("text")
		sub["coding"] = &element{sub: leaves("system", "version", "code", "display", "userSelected")}
		return &element{sub: sub}, true
	case "Quantity":
		return &element{sub: quantity}, true
	case "Range":
		return &element{sub: elements{"low": {sub: quantity}, "high": {sub: quantity}}}, true
	case "Period":
		return &element{sub: leaves("start", "end")}, true
	case "Identifier":
		return identifier, true
	case "HumanName":
		return &element{sub: leaves("use", "text", "family", "given", "prefix", "suffix"), keep: (*Set).currentName, fallback: true}, true
	case "Reference":
		sub := leaves("reference", "type")
		sub["identifier"] = identifier
		return &element{sub: sub}, true
	case "Race":
		return raceElement(leaves), true
	default:
		return nil, false
	}
}

// raceElement is the extension that says race, with the parts it is made of.
func raceElement(leaves func(...string) elements) *element {
	value := func() elements {
		sub := leaves("url", "valueString", "valueCode")
		sub["valueCoding"] = &element{sub: leaves("system", "version", "code", "display")}
		concept := leaves("text")
		concept["coding"] = sub["valueCoding"]
		sub["valueCodeableConcept"] = &element{sub: concept}
		return sub
	}
	top := value()
	top["extension"] = &element{sub: value(), keep: (*Set).racePart}
	return &element{sub: top, keep: (*Set).race}
}
