package gate

import (
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// never is a period that holds no moment: what a period that cannot be read
// amounts to, wherever having one opens something.
func never() consent.Period {
	return consent.Period{From: time.Unix(1, 0), Until: time.Unix(0, 0)}
}

// period reads a Period; an absent one is open at both ends. Both ends belong
// to it, and a partial date means the whole of it in Singapore (DOSSIER §7.5).
func period(t *fhir.Tape, n fhir.Node) consent.Period {
	if t.Kind(n) == fhir.Invalid {
		return consent.Period{}
	}
	var p consent.Period
	if start := t.Field(n, "start"); start != fhir.None {
		low, _, ok := span(t.Text(start))
		if !ok {
			return never()
		}
		p.From = low
	}
	if end := t.Field(n, "end"); end != fhir.None {
		_, high, ok := span(t.Text(end))
		if !ok {
			return never()
		}
		p.Until = high
	}
	return p
}

// span is the first and the last moment a dateTime can mean.
func span(s string) (low, high time.Time, ok bool) {
	singapore := time.FixedZone("+08:00", 8*60*60)
	switch len(s) {
	case len("2006"):
		return until(s, "2006", singapore, func(t time.Time) time.Time { return t.AddDate(1, 0, 0) })
	case len("2006-01"):
		return until(s, "2006-01", singapore, func(t time.Time) time.Time { return t.AddDate(0, 1, 0) })
	case len("2006-01-02"):
		return until(s, "2006-01-02", singapore, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) })
	}
	at, err := fhir.ParseInstant(s)
	if err != nil {
		return low, high, false
	}
	return at, at, true
}

func until(s, layout string, zone *time.Location, next func(time.Time) time.Time) (low, high time.Time, ok bool) {
	low, err := time.ParseInLocation(layout, s, zone)
	if err != nil {
		return low, high, false
	}
	return low, next(low).Add(-time.Nanosecond), true
}
