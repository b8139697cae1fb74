package consent

import (
	"time"

	"vitrine/fhir"
)

// Period is a span of time; a zero bound is open. Both ends belong to it.
type Period struct {
	From, Until time.Time
}

// Contains reports whether now lies within p.
func (p Period) Contains(now time.Time) bool {
	return (p.From.IsZero() || !now.Before(p.From)) && (p.Until.IsZero() || !now.After(p.Until))
}

// singapore is the zone in which a date without a time is meant.
func singapore() *time.Location { return time.FixedZone("SGT", 8*60*60) }

// ReadPeriod reads a Period element (R4 datatypes.html#Period). Both ends
// belong to it; a partial date means the whole of that day, month or year in
// Singapore. None is the open period. ok is false when a bound is not a
// dateTime, was left out with an excuse, or the end comes before the start.
func ReadPeriod(t *fhir.Tape, n fhir.Node) (p Period, ok bool) {
	if n == fhir.None {
		return Period{}, true
	}
	if t.Kind(n) != fhir.Object || t.Field(n, "modifierExtension") != fhir.None {
		return Period{}, false
	}
	from, fromOK := readBound(t, n, "start", "_start")
	until, untilOK := readBound(t, n, "end", "_end")
	p = Period{From: from.low, Until: until.high}
	backward := !p.From.IsZero() && !p.Until.IsZero() && p.Until.Before(p.From)
	return p, fromOK && untilOK && !backward
}

type bounds struct{ low, high time.Time }

func readBound(t *fhir.Tape, period fhir.Node, name, sibling string) (bounds, bool) {
	n := t.Field(period, name)
	if n == fhir.None {
		return bounds{}, t.Field(period, sibling) == fhir.None
	}
	if t.Kind(n) != fhir.String {
		return bounds{}, false
	}
	return expand(t.Text(n))
}

// expand is the span a dateTime stands for (R4 datatypes.html#dateTime).
func expand(s string) (bounds, bool) {
	layout, years, months, days := "", 0, 0, 0
	switch len(s) {
	case len("2006"):
		layout, years = "2006", 1
	case len("2006-01"):
		layout, months = "2006-01", 1
	case len("2006-01-02"):
		layout, days = "2006-01-02", 1
	default:
		return expandInstant(s)
	}
	low, err := time.ParseInLocation(layout, s, singapore())
	if err != nil {
		return bounds{}, false
	}
	return bounds{low, low.AddDate(years, months, days).Add(-1)}, true
}

func expandInstant(s string) (bounds, bool) {
	const seconds = len("2006-01-02T15:04:05")
	low, err := time.Parse(time.RFC3339, s)
	if err != nil || len(s) <= seconds || s[seconds] == ',' {
		return bounds{}, false
	}
	if s[seconds] == '.' {
		return bounds{low, low}, true
	}
	return bounds{low, low.Add(time.Second - 1)}, true
}
