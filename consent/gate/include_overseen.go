package gate

import (
	"context"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// With what the regulator finds come those whom it names, and nothing else
// (DOSSIER §3.5): people in their capacities, organisations and machines, and
// patients as no more than their numbers.

// leads reports whether references are followed to resources of the type.
func (in *inclusion) leads(t fhir.ResourceType) bool {
	switch {
	case in.masks(t):
		return true
	case in.open.of(t) == typeClosed:
		return false
	case in.caller.Kind == consent.Regulator:
		return t != "RelatedPerson" && slices.Contains(parties(), t) || t == "Task" || t == auditEvents
	default:
		return true
	}
}

// masks reports whether of resources of the type no more is told than whose they
// are. The regulator, who may ask by a patient's number, is told the number.
func (in *inclusion) masks(t fhir.ResourceType) bool {
	return in.caller.Kind == consent.Regulator && t == "Patient"
}

// masked includes patients, each as the identifiers of the basic set.
func (in *inclusion) masked(ctx context.Context, ids []string) error {
	u := consent.OfPatients(ids, nil, func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Basic}, nil
	})
	for some := range slices.Chunk(ids, includeBatch) {
		found, err := in.byID(ctx, u, "Patient", some)
		if err != nil {
			return err
		}
		for _, id := range some {
			f, ok := found[id]
			if !ok {
				continue
			}
			if f.JSON, err = in.g.mask(f); err != nil {
				return err
			}
			if !in.add(f) {
				return nil
			}
		}
	}
	return nil
}

// mask leaves of a Patient its id and its identifiers.
func (g *Gate) mask(f store.Found) (out []byte, err error) {
	err = g.parsed(f, func(f store.Found, t *fhir.Tape) error {
		out = append(out, `{"resourceType":"Patient"`...)
		for _, name := range [...]string{"id", "meta", "identifier"} {
			if n := t.Field(t.Root(), name); n != fhir.None {
				out = append(append(append(out, `,"`...), name...), `":`...)
				out = append(out, t.Raw(n)...)
			}
		}
		out = append(out, '}')
		return nil
	})
	return out, err
}
