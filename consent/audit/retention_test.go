package audit

import (
	"errors"
	"testing"
	"time"
)

// TestClasses: every kind has a class, and what is done under a grant, or is not
// known, is kept longest.
func TestClasses(t *testing.T) {
	for kind := Kind(0); kind < 64; kind++ {
		e := Event{Kind: kind}
		want := ClassOverride
		switch kind { //nolint:exhaustive // the others are overrides
		case KindRest:
			want = ClassAccess
		case KindAuthentication, KindAuditUse, KindExport, KindNotice:
			want = ClassSecurity
		case KindConsentChange, KindDirective, KindRoleChange, KindOnboarding, KindDecision:
			want = ClassRights
		}
		if got := e.Class(); got != want {
			t.Errorf("kind %d: %v, want %v", kind, got, want)
		}
		e.Grant = "urn:uuid:x"
		if got := e.Class(); got != ClassOverride {
			t.Errorf("kind %d under a grant: %v", kind, got)
		}
	}
}

func TestRetention(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "break-glass=21,rights=21,security=7,access=7",
		"access=10":               "break-glass=21,rights=21,security=7,access=10",
		"access=6, break-glass=7": "break-glass=7,rights=21,security=7,access=6",
		"security=2,rights=30":    "break-glass=21,rights=30,security=2,access=7",
	} {
		r, err := ParseRetention(text)
		if err != nil || r.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, r, err, want)
		}
		if again, err := ParseRetention(r.String()); err != nil || again != r {
			t.Errorf("%q does not read itself: %v, %v", text, again, err)
		}
	}
	for _, text := range []string{"access=5", "access=0", "access=-1", "access", "acces=7", "access=7,access=8", "break-glass=6", "security=1", "access=9999", "access=7y", ","} {
		if r, err := ParseRetention(text); !errors.Is(err, ErrRetention) {
			t.Errorf("%q: got %v, %v", text, r, err)
		}
	}
}

func TestRetentionIsOver(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	r := DefaultRetention()
	record := func(e Event) []byte { return e.AppendBinary(nil) }
	seven := now.AddDate(-7, 0, 0)
	for _, one := range []struct {
		what   string
		record []byte
		over   bool
	}{
		{"an access of seven years ago", record(Event{Kind: KindRest, Recorded: seven.Add(-time.Second)}), true},
		{"one of a second less", record(Event{Kind: KindRest, Recorded: seven.Add(time.Second)}), false},
		{"one under a grant", record(Event{Kind: KindRest, Recorded: seven.Add(-time.Second), Grant: "urn:uuid:x"}), false},
		{"a change of Consent", record(Event{Kind: KindConsentChange, Recorded: seven.AddDate(-13, 0, 0)}), false},
		{"one of long ago", record(Event{Kind: KindConsentChange, Recorded: seven.AddDate(-15, 0, 0)}), true},
		{"one of no time", record(Event{Kind: KindRest}), false},
		{"what cannot be read", []byte("?"), false},
		{"nothing", nil, false},
	} {
		if got := r.Over(one.record, now); got != one.over {
			t.Errorf("%s: %t", one.what, got)
		}
	}
	if (Retention{}).Over(record(Event{Kind: KindRest, Recorded: seven.AddDate(-90, 0, 0)}), now) {
		t.Error("the zero value lets something go")
	}
}
