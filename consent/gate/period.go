package gate

import (
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// period reads a Period of the directory. One that cannot be read holds no
// moment: having it opens nothing.
func period(t *fhir.Tape, n fhir.Node) consent.Period {
	p, ok := consent.ReadPeriod(t, n)
	if !ok {
		return consent.Period{From: time.Unix(1, 0), Until: time.Unix(0, 0)}
	}
	return p
}
