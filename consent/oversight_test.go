package consent_test

import (
	"testing"
	"time"

	"vitrine/consent"
)

func TestHours(t *testing.T) {
	var o consent.Oversight
	o.Fill()
	for at, want := range map[string]bool{
		"2026-09-01T08:00:00+08:00": true, // a Tuesday
		"2026-09-01T07:59:59+08:00": false,
		"2026-09-01T19:59:59+08:00": true,
		"2026-09-01T20:00:00+08:00": false,
		"2026-09-01T02:00:00Z":      true,
		"2026-09-04T11:59:00Z":      true,
		"2026-09-05T10:00:00+08:00": false, // a Saturday
		"2026-09-06T10:00:00+08:00": false,
		"2026-09-06T23:30:00Z":      false, // Monday, half past seven
		"2026-09-07T00:30:00Z":      true,
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Hours.Include(moment); got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
	noon := time.Date(2026, 9, 1, 20, 0, 0, 0, time.UTC)
	if got := o.Hours.Day(noon); got != "2026-09-02" {
		t.Errorf("the day of %v is %s", noon, got)
	}
	if got := o.Hours.Midnight(noon); !got.Equal(time.Date(2026, 9, 1, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("its midnight is %v", got)
	}
	if (consent.Hours{}).Include(noon) {
		t.Error("no hours at all include noon")
	}
}
