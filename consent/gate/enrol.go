package gate

import (
	"context"
	"errors"
	"net/http"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// enrols holds a Device of the custodian against the rules of onboarding (S16): a
// registration is right, names a client that no other Device names, and goes from
// state to state in their order. What is not the custodian's registers nobody.
func (w *writing) enrols(ctx context.Context, d *draft, prior *store.Found) error {
	before, err := w.registered(prior)
	if err != nil {
		return err
	}
	now, err := smart.ReadClient(d.tape, w.g.cfg.BaseURL)
	var wrong *smart.RegistrationError
	switch {
	case errors.As(err, &wrong):
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "the registration of the client cannot be read: "+wrong.Error(), "Device.extension")
	case err != nil && before != nil:
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "the registration of a client is not taken away: end it, or delete the Device", "Device.extension")
	case err != nil: // no registration
	case before != nil && before.ID != now.ID:
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "a client keeps its id: register another", "Device.identifier")
	case before != nil && !before.State.Becomes(now.State):
		return invalid(http.StatusConflict, fhir.CodeBusinessRule, "a client that is "+before.State.String()+" does not become "+now.State.String(), "Device.extension")
	}
	return w.soleDevice(ctx, d)
}

// onboards reports whether a write says what a client or an organisation is let do.
func onboards(d *draft) bool {
	return d.contributor == "" && (d.typ == "Device" || d.typ == "Organization") && smart.Extended(d.tape)
}

// onboarded holds an Organization of the custodian against the rules of onboarding.
func (w *writing) onboarded(d *draft, prior *store.Found) error {
	if fault := smart.OnboardingFault(d.tape); fault != "" {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "the onboarding of the organisation cannot be read: "+fault, "Organization.extension")
	}
	if prior == nil || prior.Deleted {
		return nil
	}
	now := smart.ReadOnboarding(d.tape).State
	return w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		if before := smart.ReadOnboarding(t).State; before == smart.ClientEnded && now != before {
			return invalid(http.StatusConflict, fhir.CodeBusinessRule, "an organisation that is ended does not become "+now.String(), "Organization.extension")
		}
		return nil
	})
}

// registered is the registration in the version before; nil when there was none
// that could be read.
func (w *writing) registered(prior *store.Found) (before *smart.Client, err error) {
	if prior == nil || prior.Deleted {
		return nil, nil //nolint:nilnil // there was none, and that is no error
	}
	err = w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		if c, err := smart.ReadClient(t, w.g.cfg.BaseURL); err == nil {
			before = &c
		}
		return nil
	})
	return before, err
}

// soleDevice refuses a Device that names a client whom another names already: of
// two, none would count.
func (w *writing) soleDevice(ctx context.Context, d *draft) error {
	var clients []string
	elements(d.tape, d.tape.Root(), "identifier", func(n fhir.Node) {
		if d.tape.Text(d.tape.Field(n, "system")) == consent.SystemClient {
			clients = append(clients, d.tape.Text(d.tape.Field(n, "value")))
		}
	})
	for _, id := range clients {
		if id == "" {
			continue
		}
		taken := false
		named := []search.Clause{w.g.coded("Device", "identifier", fhir.Coding{System: consent.SystemClient, Code: id})}
		err := w.each(ctx, "Device", named, func(f store.Found, _ *fhir.Tape) error {
			taken = taken || f.Contributor == "" && f.ID != d.id
			return nil
		})
		if err != nil {
			return err
		}
		if taken {
			return invalid(http.StatusConflict, fhir.CodeDuplicate, "another registration has this client_id", "Device.identifier")
		}
	}
	return nil
}
