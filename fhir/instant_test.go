package fhir

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseInstant(t *testing.T) {
	at := func(nanos int) time.Time { return time.Date(2026, 11, 22, 9, 30, 0, nanos, time.UTC) }
	for s, want := range map[string]time.Time{
		"2026-11-22T09:30:00Z":                at(0),
		"2026-11-22T09:30:00.5Z":              at(500_000_000),
		"2026-11-22T17:30:00.120+08:00":       at(120_000_000),
		"2026-11-22T00:00:00.123456789-09:30": at(123_456_789),
		"2026-11-22T09:29:60Z":                at(0),
		"2024-02-29T23:30:00-14:00":           time.Date(2024, 3, 1, 13, 30, 0, 0, time.UTC),
	} {
		got, err := ParseInstant(s)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ParseInstant(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestParseInstantRefuses(t *testing.T) {
	for _, s := range []string{
		"", "2026", "2026-11-22", "2026-11-22T09:30Z", "2026-11-22T09:30:00", "2026-11-22T09:30:00.Z", "2026-11-22T09:30:00,5Z", "2026-11-22 09:30:00Z",
		"2026-11-22t09:30:00Z", "2026-11-22T09:30:00z", "2026-11-22T9:30:00Z", "2026-13-22T09:30:00Z", "2026-02-29T09:30:00Z", "2026-11-22T24:00:00Z",
		"2026-11-22T09:60:00Z", "2026-11-22T09:30:61Z", "0000-01-01T00:00:00Z", "2026-11-22T09:30:00+15:00", "2026-11-22T09:30:00+0800",
		"2026-11-22T09:30:00+14:01", "2026-11-22T09:30:00Z ", " 2026-11-22T09:30:00Z", "+2026-11-22T09:30:00Z", "2026-11-22T09:30:00ZZ",
	} {
		if got, err := ParseInstant(s); !errors.Is(err, ErrInstant) || !got.IsZero() {
			t.Errorf("ParseInstant(%q) = %v, %v", s, got, err)
		}
	}
}

func TestInstantsKeepMillisecondsAndOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) time.Time {
			zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, name+" zone")*60)
			return time.Unix(rapid.Int64Range(-62e9, 253e9).Draw(t, name), rapid.Int64Range(0, 1e9-1).Draw(t, name+" nanos")).In(zone)
		}
		a, b := draw("a"), draw("b")
		text := FormatInstant(a)
		if appended := string(AppendInstant([]byte("x"), a)); appended != "x"+text {
			t.Fatalf("AppendInstant = %q, FormatInstant = %q", appended, text)
		}
		got, err := ParseInstant(text)
		if want := a.Truncate(time.Millisecond); err != nil || !got.Equal(want) {
			t.Fatalf("%v became %q became %v, %v", a, text, got, err)
		}
		if a.Before(b) && text > FormatInstant(b) {
			t.Fatalf("%v is before %v, but %q after %q", a, b, text, FormatInstant(b))
		}
	})
}
