package rest

import (
	"slices"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// TestDeclaredParametersAreUnderstood holds the CapabilityStatement against the
// parser: what is declared is known to it, and what is not declared is refused.
func TestDeclaredParametersAreUnderstood(t *testing.T) {
	definitions, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	indexer, err := search.NewIndexer(definitions, "https://nehr.example/fhir")
	if err != nil {
		t.Fatal(err)
	}
	values := map[r4.ParamKind]string{
		r4.ParamNumber: "1", r4.ParamDate: "2026-01-02", r4.ParamString: "a", r4.ParamToken: "a", r4.ParamReference: "Patient/p",
		r4.ParamQuantity: "1", r4.ParamURI: "urn:x", r4.ParamComposite: "a$1", r4.ParamSpecial: "a",
	}
	declared := 0
	for _, typ := range definitions.Resources() {
		supported := indexer.Parser().Supported(typ.Resource())
		for _, p := range typ.Params() {
			_, refusal := indexer.Parser().Parse(typ.Resource(), []search.Pair{{Name: p.Code, Value: values[p.Kind]}}, false)
			known := refusal == nil || refusal.Issues[0].Code != fhir.CodeNotSupported
			if is := slices.Contains(supported, p); known != is {
				t.Errorf("%s?%s (%s): known to the parser %v, declared %v", typ.Name, p.Code, p.Kind, known, is)
			}
			if known {
				declared++
			}
		}
	}
	if declared < 1400 {
		t.Errorf("%d parameters declared", declared)
	}
}
