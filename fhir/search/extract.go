package search

import (
	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// extractor says how entries are made of a value. The zero value makes none.
type extractor uint8

const (
	extractNone extractor = iota
	extractCode
	extractPlainToken // no system can be asked for
	extractBoolean
	extractCoding
	extractConcept
	extractIdentifier
	extractContact
	extractString
	extractName
	extractAddress
	extractMoment
	extractInstant
	extractPeriod
	extractTiming
	extractReference
	extractResource
	extractCanonical
	extractURI
	extractNumber
	extractQuantity
	extractMoney
	extractRange
	extractNumberRange // of a number, its unit left out
	extractPosition
	extractPresence // nothing of it can be compared
	extractComposite
	extractComputed
)

// extractorFor is how a parameter of a kind takes values of a type (R4
// search.html, the table of each kind); extractNone when it does not.
func extractorFor(kind r4.ParamKind, typ string) extractor {
	switch kind {
	case r4.ParamToken:
		return tokenExtractor(typ)
	case r4.ParamString:
		switch typ {
		case "HumanName":
			return extractName
		case "Address":
			return extractAddress
		case "string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid":
			return extractString
		case "CodeableConcept":
			return extractConcept // the genetics extensions: a string over a concept
		}
	case r4.ParamDate:
		switch typ {
		case "date", "dateTime":
			return extractMoment
		case "instant":
			return extractInstant
		case "Period":
			return extractPeriod
		case "Timing":
			return extractTiming
		}
	case r4.ParamReference:
		switch typ {
		case "Reference":
			return extractReference
		case "canonical", "uri", "url", "oid", "uuid":
			return extractCanonical
		case "Resource":
			return extractResource
		}
	case r4.ParamURI:
		switch typ {
		case "uri", "url", "oid", "uuid":
			return extractURI
		case "canonical":
			return extractCanonical
		}
	case r4.ParamNumber, r4.ParamQuantity:
		return quantityExtractor(kind, typ)
	case r4.ParamSpecial:
		if typ == "Location.position" {
			return extractPosition
		}
	case r4.ParamComposite:
	}
	return extractNone
}

func tokenExtractor(typ string) extractor {
	switch typ {
	case "Coding":
		return extractCoding
	case "CodeableConcept":
		return extractConcept
	case "Identifier":
		return extractIdentifier
	case "ContactPoint":
		return extractContact
	case "boolean":
		return extractBoolean
	case "code":
		return extractCode
	case "id", "string", "markdown", "uri", "url", "canonical", "oid", "uuid":
		return extractPlainToken
	}
	return extractNone
}

func quantityExtractor(kind r4.ParamKind, typ string) extractor {
	switch typ {
	case "decimal", "integer", "positiveInt", "unsignedInt":
		if kind == r4.ParamNumber {
			return extractNumber
		}
	case "Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity":
		return extractQuantity
	case "Money":
		return extractMoney
	case "Range":
		if kind == r4.ParamNumber {
			return extractNumberRange
		}
		return extractRange
	case "SampledData":
		return extractPresence
	}
	return extractNone
}

// extract makes the entries of one value. An object that gives none, such as a
// concept that is text alone, is there all the same, for :missing.
func (w *walker) extract(a *action, n fhir.Node, index int) {
	before := w.out.Len()
	w.value(a, n, index)
	if w.out.Len() == before && w.parts == nil && w.tape.Kind(n) == fhir.Object && w.tape.First(n) != fhir.None && w.presents(a, n) {
		at := w.out.begin(tagPresent)
		w.out.commit(a.param, at)
	}
	if w.parts == nil && a.refers {
		if w.says {
			w.repeat(before)
		}
		w.link(a.param)
	}
}

// presents reports whether a value is one of the parameter's though it has nothing
// to compare. A reference to another type is not.
func (w *walker) presents(a *action, n fhir.Node) bool {
	switch a.extract { //nolint:exhaustive // the others are
	case extractComposite, extractComputed, extractResource:
		return false
	case extractReference:
		literal := w.field(n, "reference", 0)
		return a.resolves == "" || len(literal) > 0 && w.pointsTo(a, n, literal)
	}
	return true
}

func (w *walker) value(a *action, n fhir.Node, index int) {
	switch a.extract {
	case extractCode, extractPlainToken, extractBoolean, extractCoding, extractConcept, extractIdentifier,
		extractContact, extractComputed:
		w.token(a, n)
	case extractString:
		w.addName(a, w.text(n, 0), a.person)
	case extractName:
		w.name(a, n)
	case extractAddress:
		w.address(a, n)
	case extractMoment, extractInstant, extractPeriod, extractTiming:
		w.moment(a, n)
	case extractReference:
		w.reference(a, n)
	case extractResource:
		w.inline(a, n)
	case extractCanonical:
		w.canonical(a, w.text(n, 0))
	case extractURI:
		w.uri(a, w.text(n, 0))
	case extractPosition:
		w.position(a, n)
	case extractNumber:
		w.number(a, n)
	case extractNumberRange:
		w.numberRange(a, n)
	case extractQuantity, extractMoney, extractRange:
		w.quantity(a, n)
	case extractComposite:
		w.joined(a, n, index)
	case extractNone, extractPresence:
	}
}

func (w *walker) token(a *action, n fhir.Node) {
	switch a.extract { //nolint:exhaustive // the others are no tokens
	case extractCode:
		code := w.text(n, 0)
		var system string
		if a.codes != nil {
			system, _ = a.codes.System(code)
		}
		w.texts[1] = append(w.texts[1][:0], system...)
		w.out.addToken(a.param, nil, w.texts[1], code, true)
	case extractPlainToken:
		w.out.addToken(a.param, nil, nil, w.text(n, 0), false)
	case extractBoolean:
		if k := w.tape.Kind(n); k == fhir.True || k == fhir.False {
			w.out.addToken(a.param, nil, nil, w.tape.Raw(n), false)
		}
	case extractCoding:
		w.out.addToken(a.param, nil, w.field(n, "system", 0), w.field(n, "code", 1), true)
	case extractConcept:
		list := w.tape.Field(n, "coding")
		for c := w.tape.First(list); c != fhir.None; c = w.tape.Next(c) {
			w.out.addToken(a.param, nil, w.field(c, "system", 0), w.field(c, "code", 1), true)
		}
	case extractIdentifier:
		w.identifier(a, n)
	case extractContact:
		w.out.addToken(a.param, nil, nil, w.field(n, "value", 1), false)
	case extractComputed:
		w.computed(a)
	}
}

// computed adds the booleans that an expression computes.
func (w *walker) computed(a *action) {
	out, err := a.computed.Run(&fhirpath.Scope{Tape: w.tape})
	if err != nil {
		return // there is no value to find it by
	}
	for _, v := range out {
		if _, ok := v.Bool(); ok {
			w.out.addToken(a.param, nil, nil, []byte(v.Text()), false)
		}
	}
}

// addName adds a text, and its single words when it is part of a name.
func (w *walker) addName(a *action, s []byte, words bool) {
	w.out.addText(a.param, s)
	if words {
		w.out.addWords(a.param, s)
	}
}

// name adds every part of a HumanName (R4 datatypes.html#HumanName).
func (w *walker) name(a *action, n fhir.Node) {
	for c := w.tape.First(n); c != fhir.None; c = w.tape.Next(c) {
		switch string(w.tape.Key(c)) {
		case "family":
			w.addName(a, w.text(c, 0), true)
		case "text":
			w.addName(a, w.text(c, 0), false)
		case "given", "prefix", "suffix":
			w.list(a, c)
		}
	}
}

// address adds every part of an Address (R4 datatypes.html#Address).
func (w *walker) address(a *action, n fhir.Node) {
	for c := w.tape.First(n); c != fhir.None; c = w.tape.Next(c) {
		switch string(w.tape.Key(c)) {
		case "text", "city", "district", "state", "postalCode", "country":
			w.addName(a, w.text(c, 0), false)
		case "line":
			w.list(a, c)
		}
	}
}

// list adds the strings of an array.
func (w *walker) list(a *action, array fhir.Node) {
	for c := w.tape.First(array); c != fhir.None; c = w.tape.Next(c) {
		w.addName(a, w.text(c, 0), false)
	}
}

// uri adds a uri as it is (R4 search.html#uri).
func (w *walker) uri(a *action, s []byte) {
	if !legible(s) {
		return
	}
	at := w.out.begin(tagURI)
	w.out.buf = appendPart(w.out.buf, s)
	w.out.commit(a.param, at)
}
