package search

import "vitrine/fhir/r4"

// Modifiers are the modifiers that parameters of a kind take, in the order in
// which they are told (R4 search.html#modifiers). A reference also takes the name
// of each type that it may point to.
func Modifiers(k r4.ParamKind) []string {
	switch k {
	case r4.ParamString:
		return []string{"missing", "exact", "contains"}
	case r4.ParamToken:
		return []string{"missing", "text", "not", "in", "not-in", "above", "below", "of-type"}
	case r4.ParamReference:
		return []string{"missing", "identifier", "above", "below"}
	case r4.ParamURI:
		return []string{"missing", "above", "below"}
	case r4.ParamNumber, r4.ParamDate, r4.ParamQuantity, r4.ParamComposite:
		return []string{"missing"}
	case r4.ParamSpecial:
	}
	return nil
}
