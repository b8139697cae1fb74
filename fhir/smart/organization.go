package smart

import "vitrine/fhir"

// ExtensionOnboarding says in an Organization how far its onboarding has come and
// what it was onboarded for.
const ExtensionOnboarding = Canon + "/StructureDefinition/nehr-onboarding"

// Onboarding is how far the onboarding of an organisation has come. The zero value
// is let do nothing.
type Onboarding struct {
	State ClientState
	// Contribute and Read are what it was onboarded for.
	Contribute, Read bool
}

// ReadOnboarding reads the onboarding of an Organization. Without the extension
// Organization.active decides, and the organisation both contributes and reads;
// one that cannot be read whole lets do nothing.
func ReadOnboarding(t *fhir.Tape) Onboarding {
	root := t.Root()
	r := registrationReader{tape: t}
	extended := false
	each(t, t.Field(root, "extension"), func(n fhir.Node) {
		if t.Text(t.Field(n, "url")) != ExtensionOnboarding {
			return
		}
		if extended {
			r.fail(MemberState, "there are two")
		}
		extended = true
		r.parts(n)
	})
	if active := t.Field(root, "active"); active != fhir.None && t.Kind(active) != fhir.True {
		return Onboarding{State: ClientSuspended}
	}
	c := &r.client
	switch {
	case !extended:
		return Onboarding{State: ClientActive, Contribute: true, Read: true}
	case r.err != nil, c.Regulator, len(c.RedirectURIs) > 0, c.LaunchURL+c.JWKS+c.JWKSURL+c.Scope != "":
		return Onboarding{}
	default:
		return Onboarding{State: c.State, Contribute: c.Contribute, Read: c.Read}
	}
}
