package gate_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
)

// TestClaimIsLoggedOnce: a request that says there is an emergency is one line of the
// log, however many patients it finds of whom the basic set alone is there.
func TestClaimIsLoggedOnce(t *testing.T) {
	w := newClinics(t, nil)
	for i := range 5 {
		id := fmt.Sprint("x", i)
		w.put("Patient", id, `"gender":"female"`)
		w.register(id, "A")
		w.put("Consent", "c"+id, consentOf(id, optOut, closed))
	}
	var log bytes.Buffer
	w.gate = gate.New(gate.Config{
		BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, w.tools, w.store)
	c := doctor("A")
	c.Purpose = consent.BreakGlass
	for n := 1; n <= 2; n++ {
		if got := w.sees(c, "Patient", "gender=female"); strings.Count(got, "x") != 5 {
			t.Fatalf("found %s", got)
		}
		if got := strings.Count(log.String(), "btg-without-grant"); got != n {
			t.Errorf("%d lines after %d requests:\n%s", got, n, log.String())
		}
	}
}
