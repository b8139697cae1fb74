package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// source is what the package holds of the definitions.
type source struct {
	structures   map[string]*structure // by type name, base definitions only
	valueSets    map[string]*valueSet  // by URL
	codeSystems  map[string]*codeSystem
	params       []searchParam
	compartments []compartment
}

type structure struct {
	Type           string
	Kind           string
	Derivation     string
	Abstract       bool
	BaseDefinition string
	Snapshot       struct{ Element []element }
}

type element struct {
	Path             string
	Representation   []string
	Min              int
	Max              string
	Type             []elementType
	ContentReference string
	Constraint       []constraint
	IsSummary        bool
	IsModifier       bool
	Binding          struct{ Strength, ValueSet string }
}

type elementType struct {
	Code          string
	TargetProfile []string
	Extension     []struct{ URL, ValueURL string }
}

type constraint struct{ Key, Severity, Expression string }

type valueSet struct {
	URL     string
	Version string
	Compose struct{ Include, Exclude []include }
}

type include struct {
	System   string
	Concept  []concept
	Filter   []struct{ Property, Op, Value string }
	ValueSet []string
}

type codeSystem struct {
	URL     string
	Content string
	Concept []concept
}

type concept struct {
	Code     string
	Concept  []concept
	Property []struct{ Code, ValueCode string }
}

type searchParam struct {
	URL, Name, Code, Type, Expression string
	Base, Target                      []string
	Component                         []struct{ Definition, Expression string }
}

type compartment struct {
	URL, Code string
	Resource  []struct {
		Code  string
		Param []string
	}
}

// readPackage reads every definition of R4 itself; profiles, logical models and
// examples are left out.
func readPackage(dir string) (*source, error) {
	s := &source{
		structures:  make(map[string]*structure),
		valueSets:   make(map[string]*valueSet),
		codeSystems: make(map[string]*codeSystem),
	}
	err := each(dir, "StructureDefinition", func(d *structure) {
		if d.Derivation != "constraint" && d.Kind != "logical" {
			s.structures[d.Type] = d
		}
	})
	if err != nil {
		return nil, err
	}
	if err := each(dir, "ValueSet", func(d *valueSet) { s.valueSets[d.URL] = d }); err != nil {
		return nil, err
	}
	if err := each(dir, "CodeSystem", func(d *codeSystem) { s.codeSystems[d.URL] = d }); err != nil {
		return nil, err
	}
	if err := each(dir, "SearchParameter", func(d *searchParam) { s.params = append(s.params, *d) }); err != nil {
		return nil, err
	}
	return s, each(dir, "CompartmentDefinition", func(d *compartment) {
		if !strings.HasSuffix(d.URL, "/example") {
			s.compartments = append(s.compartments, *d)
		}
	})
}

// each decodes the files of one definition type, in the order of their names.
func each[T any](dir, resourceType string, take func(*T)) error {
	names, err := filepath.Glob(filepath.Join(dir, resourceType+"-*.json"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("no %s in the package", resourceType)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		d := new(T)
		if err := json.Unmarshal(data, d); err != nil {
			return fmt.Errorf("read %s: %w", filepath.Base(name), err)
		}
		take(d)
	}
	return nil
}
