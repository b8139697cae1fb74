package consent_test

import (
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
)

func TestPurposesAreKnownBySystemAndCodeExactly(t *testing.T) {
	for _, c := range []fhir.Coding{
		{},
		{Code: "TREAT"},
		{System: consent.SystemActReason},
		{System: consent.SystemActReason, Code: "treat"},
		{System: consent.SystemActReason, Code: "TREAT "},
		{System: consent.SystemPurpose, Code: "TREAT"},
		{System: consent.SystemActReason, Code: "EMPLOYMENT"},
		{System: consent.SystemActReason + "/", Code: "TREAT"},
	} {
		if p, ok := consent.ParsePurpose(c); ok || p != consent.PurposeNone {
			t.Errorf("%v was read as %v", c, p)
		}
	}
	p, ok := consent.ParsePurpose(fhir.Coding{System: consent.SystemActReason, Code: "TREAT"})
	if !ok || p != consent.Treatment || p.Coding() != (fhir.Coding{System: consent.SystemActReason, Code: "TREAT"}) {
		t.Errorf("TREAT was read as %v, %v", p, ok)
	}
}

// TestPurposeAllowLists goes through every code there is for every caller.
func TestPurposeAllowLists(t *testing.T) {
	allowed := map[string]string{
		"TREAT": "practitioner system", "COC": "practitioner system", "ETREAT": "practitioner system", "ERTREAT": "practitioner system",
		"BTG": "practitioner", "PATRQT": "patient",
		"FAMRQT": "representative", "PWATRNY": "representative", "SUPNWK": "representative",
		"AUDIT": "regulator", "HSYSADMIN": "custodian",
	}
	seen := 0
	for p := range consent.Purpose(255) {
		who := ""
		for k := consent.Nobody; k <= consent.Custodian+1; k++ {
			if p.AllowedFor(k) {
				who += " " + k.String()
			}
		}
		if want := allowed[p.String()]; who != "" && who[1:] != want || who == "" && want != "" {
			t.Errorf("%s is allowed to%s, want %s", p, who, want)
		}
		if who != "" {
			seen++
		}
		if p.Excluded() && who != "" {
			t.Errorf("%s is excluded and allowed to%s", p, who)
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d purposes are allowed to somebody, want %d", seen, len(allowed))
	}
}

func TestExcludedPurposes(t *testing.T) {
	for code, want := range map[string]bool{
		"HPAYMT": true, "COVERAGE": true, "ELIGDTRM": true, "CLMATTCH": true, "REMITADV": true, "MEMADMIN": true,
		"HMARKT": true, "HRESCH": true, "CLINTRCHPC": true, "EMPLOYMENT": true, "INSURANCE": true,
		"TREAT": false, "BTG": false, "HOPERAT": false, "PUBHLTH": false, "PATRQT": false, "AUDIT": false,
	} {
		p, ok := consent.ParsePurpose(fhir.Coding{System: consent.SystemActReason, Code: code})
		if !ok {
			p, ok = consent.ParsePurpose(fhir.Coding{System: consent.SystemPurpose, Code: code})
		}
		if !ok || p.Excluded() != want {
			t.Errorf("%s: known %v, excluded %v, want %v", code, ok, p.Excluded(), want)
		}
	}
}
