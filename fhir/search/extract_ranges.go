package search

import (
	"vitrine/fhir"
)

// momentAt reads the time n; ok is false when it is none.
func (w *walker) momentAt(n fhir.Node) (moment, bool) {
	s := w.text(n, 0)
	if s == nil {
		return moment{}, false
	}
	return parseMoment(s, w.zone)
}

func (w *walker) moment(a *action, n fhir.Node) {
	var m moment
	var ok bool
	switch a.extract { //nolint:exhaustive // the others are no times
	case extractMoment:
		m, ok = w.momentAt(n)
	case extractInstant:
		// an instant is a point (R4 search.html#date)
		if m, ok = w.momentAt(n); ok {
			m.high = m.low
		}
	case extractPeriod:
		m, ok = w.period(n)
	case extractTiming:
		m, ok = w.timing(n)
	}
	if ok {
		w.out.addRange(a.param, tagMoment, nil, m.low, m.high, dayWidth)
	}
}

// period is the range of a Period, open where an end is missing; ok is false
// when an end is there but no time, or both are missing.
func (w *walker) period(n fhir.Node) (m moment, ok bool) {
	start, end := w.tape.Field(n, "start"), w.tape.Field(n, "end")
	m = moment{beforeAll, afterAll}
	if start != fhir.None {
		s, ok := w.momentAt(start)
		if !ok {
			return m, false
		}
		m.low = s.low
	}
	if end != fhir.None {
		e, ok := w.momentAt(end)
		if !ok {
			return m, false
		}
		m.high = e.high
	}
	return m, start != fhir.None || end != fhir.None
}

// timing is the outer limits of a Timing (R4 search.html#date).
func (w *walker) timing(n fhir.Node) (m moment, ok bool) {
	m, ok = w.period(w.tape.Field(w.tape.Field(n, "repeat"), "boundsPeriod"))
	if !ok {
		m = moment{afterAll, beforeAll}
	}
	events := w.tape.Field(n, "event")
	for c := w.tape.First(events); c != fhir.None; c = w.tape.Next(c) {
		if e, valid := w.momentAt(c); valid {
			m = moment{min(m.low, e.low), max(m.high, e.high)}
			ok = true
		}
	}
	return m, ok
}

// numberAt are the keys of the number n.
func (w *walker) numberAt(n fhir.Node) (low, high uint64, ok bool) {
	if w.tape.Kind(n) != fhir.Number {
		return 0, 0, false
	}
	s, ok := parseNumber(w.tape.Raw(n))
	if !ok {
		return 0, 0, false
	}
	low, high = s.decimal().bounds()
	return low, high, true
}

func (w *walker) number(a *action, n fhir.Node) {
	if low, high, ok := w.numberAt(n); ok {
		w.out.addRange(a.param, tagNumber, nil, low, high, 1)
	}
}

// quantity adds a Quantity, Money or Range, with its unit in every form it may
// be asked for (R4 search.html#quantity).
func (w *walker) quantity(a *action, n fhir.Node) {
	var low, high uint64
	var ok bool
	unit := n
	switch a.extract { //nolint:exhaustive // the others are no quantities
	case extractRange:
		low, high, unit, ok = w.limits(n)
	default:
		low, high, ok = w.compared(n)
	}
	if !ok || low > high {
		return
	}
	w.out.addRange(a.param, tagValue, nil, low, high, 1)
	if a.extract == extractMoney {
		w.unit(a.param, []byte(currencies), w.field(unit, "currency", 1), nil, low, high)
		return
	}
	w.unit(a.param, w.field(unit, "system", 0), w.field(unit, "code", 1), w.field(unit, "unit", 2), low, high)
}

// currencies is the system of Money.currency.
const currencies = "urn:iso:std:iso:4217"

// compared is the value of a Quantity as its comparator widens it.
func (w *walker) compared(n fhir.Node) (low, high uint64, ok bool) {
	low, high, ok = w.numberAt(w.tape.Field(n, "value"))
	comparator := w.tape.Field(n, "comparator")
	if !ok || comparator == fhir.None {
		return low, high, ok
	}
	switch string(w.text(comparator, 0)) {
	case "<":
		return beforeAll, low - 1, true
	case "<=":
		return beforeAll, high, true
	case ">":
		return high + 1, afterAll, true
	case ">=":
		return low, afterAll, true
	}
	return 0, 0, false
}

// limits are the ends of a Range, open where one is missing. A Range whose ends
// have different units is no range.
func (w *walker) limits(n fhir.Node) (low, high uint64, unit fhir.Node, ok bool) {
	from, to := w.tape.Field(n, "low"), w.tape.Field(n, "high")
	low, high, unit = beforeAll, afterAll, from
	if from != fhir.None {
		if low, _, ok = w.numberAt(w.tape.Field(from, "value")); !ok {
			return 0, 0, unit, false
		}
	}
	if to == fhir.None {
		return low, high, unit, ok
	}
	if _, high, ok = w.numberAt(w.tape.Field(to, "value")); !ok {
		return 0, 0, unit, false
	}
	if from == fhir.None {
		return low, high, to, true
	}
	same := string(w.field(from, "code", 0)) == string(w.field(to, "code", 1)) &&
		string(w.field(from, "unit", 0)) == string(w.field(to, "unit", 1))
	return low, high, unit, same
}

// unit adds a quantity under its system and code, and under its code and its
// unit alone.
func (w *walker) unit(p Param, system, code, unit []byte, low, high uint64) {
	if legible(code) && legible(system) {
		w.out.addRange(p, tagSystemCode, func(dst []byte) []byte {
			return append(appendSystemCode(dst, system, code), 0)
		}, low, high, 1)
	}
	if legible(code) {
		w.out.addRange(p, tagUnit, func(dst []byte) []byte { return append(appendPart(dst, code), 0) }, low, high, 1)
	}
	if legible(unit) && string(unit) != string(code) {
		w.out.addRange(p, tagUnit, func(dst []byte) []byte { return append(appendPart(dst, unit), 0) }, low, high, 1)
	}
}
