package gate

import (
	"context"

	"vitrine/consent"
	"vitrine/fhir"
)

// Access answers Patient/$access: the level of a caller for whom the patient is
// there, and whether breaking the glass is open (ACCESS §3).
func (g *Gate) Access(ctx context.Context, req *Request, patient string) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	u, err := v.instance(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if !fhir.ValidID(patient) {
		return Released{}, v.denied(ctx, ErrNotFound, consent.ReasonAbsent, nil)
	}
	d, err := u.Decide(ctx, patient)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if d.Level == consent.None {
		return Released{}, v.absent(ctx, u, "Patient", patient, ErrNotFound)
	}
	out := Released{total: -1, access: Access{
		Level: d.Level.Code(), BreakGlass: v.caller.Kind == consent.Practitioner && d.Level == consent.Basic,
	}}
	events, err := v.concerning(ctx, u, []string{patient})
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}
