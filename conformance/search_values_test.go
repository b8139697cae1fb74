package conformance

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir/r4"
)

// probe is two values of a parameter, how each is asked for, and further queries.
type probe struct {
	a, b       any
	askA, askB string
	rows       []probeRow
}

// probeRow is a query by the parameter: what follows its name, and what it finds
// of a, which has the one value, b, which has the other, and n, which has neither.
type probeRow struct{ modifier, value, want string }

// probeOf are the values of a parameter of a kind at an element of a type; nil
// when nothing of the type can be compared.
func (s samples) probeOf(kind r4.ParamKind, l leaf) *probe {
	if !slices.Contains(comparedBy(kind), l.typ.Name) {
		return nil
	}
	switch kind {
	case r4.ParamToken:
		return tokenProbe(l)
	case r4.ParamString:
		return stringProbe(l)
	case r4.ParamReference:
		return referenceProbe(l)
	case r4.ParamURI:
		return uriProbe()
	case r4.ParamDate:
		return dateProbe(l)
	case r4.ParamNumber:
		return numberProbe(l)
	case r4.ParamQuantity:
		return quantityProbe(l)
	case r4.ParamSpecial:
		return positionProbe()
	case r4.ParamComposite:
	}
	return nil
}

// comparedBy are the types of which a parameter of a kind compares values (R4
// search.html, the table of each kind).
func comparedBy(kind r4.ParamKind) []string {
	switch kind {
	case r4.ParamToken:
		return []string{"boolean", "code", "Coding", "CodeableConcept", "Identifier", "ContactPoint", "string", "uri", "url", "canonical", "id"}
	case r4.ParamString:
		return []string{"string", "markdown", "HumanName", "Address"}
	case r4.ParamReference:
		return []string{"Reference", "canonical", "uri"}
	case r4.ParamURI:
		return []string{"uri", "url", "canonical"}
	case r4.ParamDate:
		return []string{"date", "dateTime", "instant", "Period", "Timing"}
	case r4.ParamNumber:
		return []string{"integer", "decimal", "positiveInt", "unsignedInt", "Range"}
	case r4.ParamQuantity:
		return []string{"Quantity", "Age", "Duration", "Money", "Range"}
	case r4.ParamSpecial:
		return []string{"Location.position"}
	case r4.ParamComposite:
	}
	return nil
}

// The systems and codes of probes that are bound to nothing: one code is below
// another, and in a value set that the other probe's is not in.
const (
	probeSystem = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	probeCodeA  = "ACUTE"
	probeCodeB  = "EHCPOL"
	probeAbove  = "IMP"
	probeSet    = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
)

func tokenProbe(l leaf) *probe {
	switch l.typ.Name {
	case "boolean":
		return tokens(true, false, "true", "false", "")
	case "Identifier":
		return identifierProbe()
	case "ContactPoint":
		p := tokens(object{"value": "+65 1"}, object{"value": "+65 2"}, "+65 1", "+65 2", "")
		for _, o := range []any{p.a, p.b} {
			if contact, ok := o.(object); ok {
				contact["system"] = "phone"
			}
		}
		return p
	case "code", "Coding", "CodeableConcept":
		return codeProbe(l)
	case "uri", "url", "canonical":
		return tokens("http://a.test/x", "http://b.test/x", "http://a.test/x", "http://b.test/x", "")
	}
	return tokens("va", "vb", "va", "vb", "")
}

func identifierProbe() *probe {
	numbered := func(v string) object {
		return object{
			"system": "http://id.test/" + v, "value": "No-" + v,
			"type": object{"coding": []any{object{"system": "http://type.test", "code": "T" + v}}, "text": "kind " + v},
		}
	}
	p := tokens(numbered("a"), numbered("b"), "No-a", "No-b", "http://id.test/a")
	p.rows = append(
		p.rows, probeRow{":of-type", "http://type.test|Ta|No-a", "a"}, probeRow{":of-type", "http://type.test|Ta|No-b", ""},
		probeRow{":text", "kind a", "a"},
	)
	return p
}

// tokens are the rows of every token; system is that of a alone, or of both.
func tokens(a, b any, askA, askB, system string) *probe {
	p := &probe{a: a, b: b, askA: askA, askB: askB, rows: []probeRow{
		{"", askA, "a"},
		{"", askB, "b"},
		{"", askA + "," + askB, "ab"},
		{"", strings.ToUpper(askA), "a"},
		{"", askA + "x", ""},
		{":not", askA, "bn"},
		{":not", askA + "," + askB, "n"},
	}}
	if system != "" {
		p.rows = append(p.rows, probeRow{"", system + "|" + askA, "a"}, probeRow{"", "http://none.test|" + askA, ""}, probeRow{"", "|" + askA, ""})
	}
	return p
}

// codeProbe has codes, of the value set when one binds.
func codeProbe(l leaf) *probe {
	system, a, b := probeSystem, probeCodeA, probeCodeB
	if s, code := bound(l.element, 0); code != "" {
		system, a = s, code
		if _, b = bound(l.element, 1); b == "" {
			return nil
		}
	} else if l.typ.Name == "code" {
		system, a, b = "", "en", "de"
		if l.element.Binding != nil && strings.Contains(l.element.Binding.URL, "mimetypes") {
			a, b = "text/plain", "image/png"
		}
	}
	wrap := func(code, text string) any {
		switch l.typ.Name {
		case "code":
			return code
		case "Coding":
			return object{"system": system, "code": code, "display": text}
		default:
			return object{"coding": []any{object{"system": system, "code": code}}, "text": text}
		}
	}
	p := tokens(wrap(a, "alpha beta"), wrap(b, "gamma"), a, b, system)
	if system == "" {
		return p
	}
	p.rows = append(p.rows, probeRow{":below", system + "|" + b, "b"}, probeRow{":above", system + "|" + a, "a"})
	if l.typ.Name != "code" {
		p.rows = append(p.rows, probeRow{":text", "alph", "a"}, probeRow{":text", "beta", "a"}, probeRow{":text", "lpha", ""})
	}
	if system != probeSystem {
		if l.element.Binding != nil {
			p.rows = append(p.rows, probeRow{":in", l.element.Binding.URL, "ab"}, probeRow{":not-in", l.element.Binding.URL, "n"})
		}
		return p
	}
	p.rows = append(
		p.rows, probeRow{":below", system + "|" + probeAbove, "a"}, probeRow{":above", system + "|" + probeAbove, ""},
		probeRow{":in", probeSet, "a"}, probeRow{":not-in", probeSet, "bn"},
	)
	return p
}

func stringProbe(l leaf) *probe {
	const a, b = "Zoë-Alpha  Beta", "Gamma"
	wrap := func(v string) any {
		switch l.typ.Name {
		case "HumanName":
			return object{"text": v}
		case "Address":
			return object{"city": v}
		}
		return v
	}
	return &probe{a: wrap(a), b: wrap(b), askA: "zoealpha", askB: "gamma", rows: []probeRow{
		{"", "zoealpha", "a"},
		{"", "ZOÉ-ALPHA beta", "a"},
		{"", "gam", "b"},
		{"", "zoe,gamma", "ab"},
		{"", "lpha", ""},
		{":exact", a, "a"},
		{":exact", "Zoe-Alpha Beta", ""},
		{":exact", "Gamma", "b"},
		{":contains", "pha b", "a"},
		{":contains", "AMM", "b"},
		{":contains", "zz", ""},
	}}
}

func referenceProbe(l leaf) *probe {
	if l.typ.Name == "Reference" {
		return literalProbe(l)
	}
	const a, b = "http://a.test/c/x|1.2.3", "http://b.test/c/x|1.2.3"
	return &probe{a: a, b: b, askA: a, askB: b, rows: []probeRow{
		{"", "http://a.test/c/x", "a"},
		{"", `http://a.test/c/x\|1.2.3`, "a"},
		{"", b, "b"},
		{"", a + "," + b, "ab"},
		{"", "http://a.test/c/x|1.2", ""},
		{":below", "http://a.test/c/x|1.2", "a"},
		{":below", "http://a.test/c", "a"},
		{":below", "http://a.test/c/x|1.20", ""},
		{":above", "http://b.test/c/x|1.2.3.4", "b"},
		{":above", "http://b.test/c/x/y", "b"},
		{":above", "http://b.test/c/x|1", ""},
	}}
}

// literalProbe refers to two resources of a type that the element may refer to.
func literalProbe(l leaf) *probe {
	target := "Basic"
	if last := l.steps[len(l.steps)-1]; last.refs != "" {
		target = last.refs
	} else if len(l.element.Targets) > 0 {
		target = string(l.element.Targets[0])
	}
	wrap := func(v string) object {
		return object{"reference": target + "/" + v, "identifier": object{"system": "http://id.test", "value": "no-" + v}}
	}
	return &probe{a: wrap("va"), b: wrap("vb"), askA: target + "/va", askB: target + "/vb", rows: []probeRow{
		{"", target + "/va", "a"},
		{"", "vb", "b"},
		{"", "va,vb", "ab"},
		{"", "{base}/" + target + "/va", "a"},
		{"", "http://other.test/" + target + "/va", ""},
		{":" + target, "va", "a"},
		{":" + target, "vc", ""},
		{":identifier", "http://id.test|no-vb", "b"},
		{":identifier", "no-va", "a"},
		{":identifier", "http://other.test|no-va", ""},
	}}
}

func uriProbe() *probe {
	a, b := "http://a.test/x/y", "http://b.test/x/y"
	return &probe{a: a, b: b, askA: a, askB: b, rows: []probeRow{
		{"", a, "a"},
		{"", b, "b"},
		{"", a + "," + b, "ab"},
		{"", "http://a.test/x", ""},
		{":below", "http://a.test/x", "a"},
		{":below", "http://a.test/x/", "a"},
		{":below", "http://a.test/", "a"},
		{":below", "http://b.test/x/y", "b"},
		{":below", "http://a.test/x/y/z", ""},
		{":above", "http://a.test/x/y/z", "a"},
		{":above", "http://b.test/x/y", "b"},
		{":above", "http://a.test/x", ""},
	}}
}

func dateProbe(l leaf) *probe {
	const a, b = "2020-05-10", "2021-06-11"
	wrap := func(day string) any {
		switch l.typ.Name {
		case "Period":
			return object{"start": day + "T08:00:00+08:00", "end": day + "T09:00:00+08:00"}
		case "Timing":
			return object{"event": []any{day + "T08:00:00+08:00", day + "T09:00:00+08:00"}}
		case "dateTime", "instant":
			return day + "T08:30:00+08:00"
		}
		return day
	}
	return &probe{a: wrap(a), b: wrap(b), askA: a, askB: b, rows: append(comparisons(a, b, "2020-12-01"),
		probeRow{"", "2020", "a"}, probeRow{"", "2021-06", "b"}, probeRow{"", a + "T23:30:00Z", ""}, probeRow{"", "ne2020", "b"})}
}

// comparisons has every prefix for two values and one between them.
func comparisons(a, b, between string) []probeRow {
	return []probeRow{
		{"", a, "a"},
		{"", b, "b"},
		{"", a + "," + b, "ab"},
		{"", between, ""},
		{"", "eq" + a, "a"},
		{"", "ne" + a, "b"},
		{"", "ne" + between, "ab"},
		{"", "gt" + between, "b"},
		{"", "lt" + between, "a"},
		{"", "ge" + b, "b"},
		{"", "le" + a, "a"},
		{"", "ge" + between, "b"},
		{"", "le" + between, "a"},
		{"", "sa" + between, "b"},
		{"", "sa" + b, ""},
		{"", "eb" + between, "a"},
		{"", "eb" + a, ""},
		{"", "ap" + a, "a"},
		{"", "ap" + b, "b"},
		{"", "gt" + b, ""},
		{"", "lt" + a, ""},
	}
}

func numberProbe(l leaf) *probe {
	rows := append(comparisons("3", "7", "5"), probeRow{"", "3.0", "a"}, probeRow{"", "7e0", "b"}, probeRow{"", "3.1", ""})
	if l.typ.Name == "Range" {
		one := func(v int) object { return object{"low": object{"value": v}, "high": object{"value": v}} }
		return &probe{a: one(3), b: one(7), askA: "3", askB: "7", rows: rows}
	}
	return &probe{a: 3, b: 7, askA: "3", askB: "7", rows: rows}
}

func quantityProbe(l leaf) *probe {
	const ucum = "http://unitsofmeasure.org"
	code, other, factor := "mg", "ug", 1000
	if l.typ.Name == "Age" || l.typ.Name == "Duration" {
		code, other, factor = "h", "min", 60
	}
	wrap := func(v int) any {
		quantity := object{"value": v, "unit": "unit of " + code, "system": ucum, "code": code}
		switch l.typ.Name {
		case "Money":
			return object{"value": v, "currency": "SGD"}
		case "Range":
			return object{"low": quantity, "high": quantity}
		}
		return quantity
	}
	p := &probe{a: wrap(3), b: wrap(7), askA: "3", askB: "7", rows: comparisons("3", "7", "5")}
	switch l.typ.Name {
	case "Money":
		p.rows = append(p.rows, probeRow{"", "3||SGD", "a"}, probeRow{"", "3|urn:iso:std:iso:4217|SGD", "a"}, probeRow{"", "3||USD", ""})
		return p
	}
	p.rows = append(
		p.rows, probeRow{"", "3|" + ucum + "|" + code, "a"}, probeRow{"", "3||" + code, "a"}, probeRow{"", "7||unit of " + code, "b"},
		probeRow{"", fmt.Sprintf("%d|%s|%s", 3*factor, ucum, other), "a"}, probeRow{"", fmt.Sprintf("gt%d|%s|%s", 5*factor, ucum, other), "b"},
		probeRow{"", "3|" + ucum + "|m", ""}, probeRow{"", "3|http://other.test|" + code, ""},
	)
	return p
}

func positionProbe() *probe {
	place := func(latitude, longitude float64) object { return object{"latitude": latitude, "longitude": longitude} }
	return &probe{a: place(1.3, 103.8), b: place(-17, -179.99), rows: []probeRow{
		{"", "1.3|103.8|1|km", "a"},
		{"", "1.31|103.8|2", "a"},
		{"", "1.4|103.8|1|km", ""},
		{"", "1.31|103.8|1|[mi_i]", "a"},
		{"", "-17|179.99|5|km", "b"},
		{"", "-17|179.99|1000|m", ""},
		{"", "1.3|103.8", "a"},
	}}
}
