package fhir

import (
	"errors"
	"time"
)

// ErrInstant says that a text is not an instant.
var ErrInstant = errors.New("an instant is written YYYY-MM-DDThh:mm:ss.sssZ or with an offset such as +08:00")

const instantLayout = "2006-01-02T15:04:05.000Z"

// AppendInstant appends t as an instant in UTC with milliseconds, such as
// 2026-11-22T09:30:00.000Z. Texts of this form sort as the times do.
func AppendInstant(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, instantLayout)
}

// FormatInstant is t in the form of AppendInstant.
func FormatInstant(t time.Time) string { return t.UTC().Format(instantLayout) }

// ParseInstant reads an instant (R4 datatypes.html#instant): seconds and offset
// must be there, fractions may be, and second 60 is the start of the next
// minute. The result is in UTC with what precision the text has, down to
// nanoseconds. It fails with ErrInstant.
func ParseInstant(s string) (time.Time, error) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) {
		return time.Time{}, ErrInstant
	}
	for i, c := range []byte(shape) {
		if ok := s[i] == c; c == '0' && !digit(s[i]) || c != '0' && !ok {
			return time.Time{}, ErrInstant
		}
	}
	leap := s[17:19] == "60"
	if leap {
		s = s[:17] + "59" + s[19:]
	}
	// time reads the rest: it knows the length of months and takes only Z or
	// ±hh:mm, but also a comma for the point.
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || s[19] == ',' || s[:4] == "0000" {
		return time.Time{}, ErrInstant
	}
	if _, offset := t.Zone(); max(offset, -offset) > 14*60*60 {
		return time.Time{}, ErrInstant
	}
	if leap {
		t = t.Add(time.Second)
	}
	return t.UTC(), nil
}
