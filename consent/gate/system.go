package gate

import (
	"context"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// admitted is a type that a search may look through, and whether it may do so in
// the record of the launch patient alone.
type admitted struct {
	name     fhir.ResourceType
	confined bool
}

// admitSearch passes a search through the gates that depend on the caller alone,
// once for each type. A type that is named and not open is refused as a search of
// that type is; where none is named, what is not open is left out.
func (v *visit) admitSearch(ctx context.Context, q *search.Query) ([]admitted, error) {
	if q.Type != "" {
		if err := v.admit(ctx, v.req.Interaction, q.Type); err != nil {
			return nil, err
		}
		return []admitted{{q.Type, v.caller.Confined}}, nil
	}
	if !namesTypes(q) {
		return v.admitAny(ctx, q.Types)
	}
	types := make([]admitted, 0, len(q.Types))
	for _, t := range q.Types {
		if err := v.admit(ctx, v.req.Interaction, t); err != nil {
			return nil, err
		}
		types = append(types, admitted{t, v.caller.Confined})
	}
	return types, nil
}

// namesTypes reports whether the types of a query are those it names, and not
// all there are.
func namesTypes(q *search.Query) bool {
	return strings.HasPrefix(q.Self, "_type=") || strings.Contains(q.Self, "&_type=")
}

// admitAny are those of the types that are open. When none is, the search is
// refused as one of the first type is.
func (v *visit) admitAny(ctx context.Context, all []fhir.ResourceType) ([]admitted, error) {
	var types []admitted
	for _, t := range all {
		verdict, err := v.verdict(ctx, v.req.Interaction, t)
		if err != nil {
			return nil, v.g.failed(ctx, err)
		}
		if verdict.Admitted {
			types = append(types, admitted{t, verdict.Confined})
		}
	}
	if len(types) == 0 && len(all) > 0 {
		return nil, v.admit(ctx, v.req.Interaction, all[0])
	}
	return types, nil
}

// verdict is the outcome of the gates that depend on the caller alone.
func (v *visit) verdict(ctx context.Context, in Interaction, t fhir.ResourceType) (consent.Verdict, error) {
	blocked, err := v.blocked(ctx, in, t)
	if err != nil {
		return consent.Verdict{}, err
	}
	stand := v.stand
	stand.Blocked = blocked
	ask := consent.Ask{Letter: in.Letter, Type: t, Write: in.Write}
	if o := v.opens(in.Letter, t); !o.narrowed || in.sifts() {
		ask.Open = &consent.Opening{OK: o.ok, Confined: o.confined}
	}
	return v.g.cfg.Policy.Admit(&v.caller, &stand, ask, v.now), nil
}
