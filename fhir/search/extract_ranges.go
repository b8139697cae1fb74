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

// numberAt is the number n.
func (w *walker) numberAt(n fhir.Node) (s significand, ok bool) {
	if w.tape.Kind(n) != fhir.Number {
		return significand{}, false
	}
	return parseNumber(w.tape.Raw(n))
}

func (w *walker) number(a *action, n fhir.Node) {
	if s, ok := w.numberAt(n); ok {
		low, high := s.decimal().bounds()
		w.out.addRange(a.param, tagNumber, nil, low, high, 1)
	}
}

// numberRange adds a Range as the numbers from its low to its high end.
func (w *walker) numberRange(a *action, n fhir.Node) {
	if m, _, ok := w.limits(n); ok {
		low, high := m.keys(nil)
		w.out.addRange(a.param, tagNumber, nil, low, high, 1)
	}
}

// amount is how much a Quantity or Range says: open where an end is missing.
type amount struct{ from, to end }

// end is one end of an amount, with the number itself or without.
type end struct {
	number        significand
	there, beyond bool
}

// keys are the ends in a unit; nil for the numbers as they are.
func (m *amount) keys(u *unit) (low, high uint64) {
	low, high = beforeAll, afterAll
	if m.from.there {
		exact, after := u.decimal(m.from.number).bounds()
		if low = exact; m.from.beyond {
			low = after + 1
		}
	}
	if m.to.there {
		before, exact := u.decimal(m.to.number).bounds()
		if high = exact; m.to.beyond {
			high = before - 1
		}
	}
	return low, high
}

// quantity adds a Quantity, Money or Range, with its unit in every form it may
// be asked for (R4 search.html#quantity).
func (w *walker) quantity(a *action, n fhir.Node) {
	var m amount
	var ok bool
	unit := n
	switch a.extract { //nolint:exhaustive // the others are no quantities
	case extractRange:
		m, unit, ok = w.limits(n)
	default:
		m, ok = w.compared(n)
	}
	low, high := m.keys(nil)
	if !ok || low > high {
		return
	}
	w.out.addRange(a.param, tagValue, nil, low, high, 1)
	if a.extract == extractMoney {
		w.unit(a.param, []byte(currencies), w.field(unit, "currency", 1), nil, &m)
		return
	}
	w.unit(a.param, w.field(unit, "system", 0), w.field(unit, "code", 1), w.field(unit, "unit", 2), &m)
}

// currencies is the system of Money.currency.
const currencies = "urn:iso:std:iso:4217"

// compared is the value of a Quantity as its comparator widens it.
func (w *walker) compared(n fhir.Node) (m amount, ok bool) {
	s, ok := w.numberAt(w.tape.Field(n, "value"))
	m = amount{end{s, true, false}, end{s, true, false}}
	comparator := w.tape.Field(n, "comparator")
	if !ok || comparator == fhir.None {
		return m, ok
	}
	switch string(w.text(comparator, 0)) {
	case "<":
		return amount{to: end{s, true, true}}, true
	case "<=":
		return amount{to: m.to}, true
	case ">":
		return amount{from: end{s, true, true}}, true
	case ">=":
		return amount{from: m.from}, true
	}
	return m, false
}

// limits are the ends of a Range. A Range whose ends have different units is no
// range.
func (w *walker) limits(n fhir.Node) (m amount, unit fhir.Node, ok bool) {
	from, to := w.tape.Field(n, "low"), w.tape.Field(n, "high")
	unit = from
	if from != fhir.None {
		m.from.there = true
		if m.from.number, ok = w.numberAt(w.tape.Field(from, "value")); !ok {
			return m, unit, false
		}
	}
	if to == fhir.None {
		return m, unit, ok
	}
	m.to.there = true
	if m.to.number, ok = w.numberAt(w.tape.Field(to, "value")); !ok {
		return m, unit, false
	}
	if from == fhir.None {
		return m, to, true
	}
	same := string(w.field(from, "code", 0)) == string(w.field(to, "code", 1)) &&
		string(w.field(from, "unit", 0)) == string(w.field(to, "unit", 1))
	return m, unit, same
}

// unit adds a quantity under its system and code, in base units where UCUM has
// them, and under its code and its unit alone.
func (w *walker) unit(p Param, system, code, unit []byte, m *amount) {
	low, high := m.keys(nil)
	if legible(code) && legible(system) {
		base, from, to := code, low, high
		if u := w.unitOf(system, code); u != nil {
			base = u.base
			from, to = m.keys(u)
		}
		w.out.addRange(p, tagSystemCode, func(dst []byte) []byte {
			return append(appendSystemCode(dst, system, base), 0)
		}, from, to, 1)
	}
	if legible(code) {
		w.out.addRange(p, tagUnit, func(dst []byte) []byte { return append(appendPart(dst, code), 0) }, low, high, 1)
	}
	if legible(unit) && string(unit) != string(code) {
		w.out.addRange(p, tagUnit, func(dst []byte) []byte { return append(appendPart(dst, unit), 0) }, low, high, 1)
	}
}
