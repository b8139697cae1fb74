package smart

import (
	"encoding/json"

	"vitrine/fhir"
)

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
		if t.Text(t.Field(n, "url")) == ExtensionOnboarding {
			extended = true
			r.parts(n)
		}
	})
	switch active := t.Field(root, "active"); {
	case active != fhir.None && t.Kind(active) != fhir.True:
		return Onboarding{State: ClientSuspended}
	case !extended:
		return Onboarding{State: ClientActive, Contribute: true, Read: true}
	case OnboardingFault(t) != "":
		return Onboarding{}
	default:
		return Onboarding{State: r.client.State, Contribute: r.client.Contribute, Read: r.client.Read}
	}
}

// OnboardingFault is what is wrong with the onboarding in an Organization; empty
// for nothing.
func OnboardingFault(t *fhir.Tape) string {
	found := 0
	fault := ""
	each(t, t.Field(t.Root(), "extension"), func(n fhir.Node) {
		if t.Text(t.Field(n, "url")) != ExtensionOnboarding {
			return
		}
		found++
		r := registrationReader{tape: t}
		r.parts(n)
		c := &r.client
		switch {
		case found > 1:
			fault = "there are two"
		case r.err != nil:
			fault = r.err.Error()
		case c.Regulator, len(c.RedirectURIs) > 0, c.LaunchURL+c.JWKS+c.JWKSURL+c.Scope != "":
			fault = "it has parts of the registration of a client"
		}
	})
	return fault
}

// WithOnboarding is the Organization with this onboarding in place of the one it
// had; all else is as it was.
func WithOnboarding(t *fhir.Tape, o Onboarding) ([]byte, error) {
	c := Client{Contribute: o.Contribute, Read: o.Read}
	parts := []extensionPart{{URL: partState, ValueCode: o.State.String()}}
	for _, word := range c.Capabilities() {
		parts = append(parts, extensionPart{URL: partCapability, ValueCode: word})
	}
	own, err := json.Marshal(clientExtension{URL: ExtensionOnboarding, Extension: parts})
	if err != nil {
		return nil, err
	}
	out := []byte(`{"extension":[`)
	each(t, t.Field(t.Root(), "extension"), func(n fhir.Node) {
		if t.Text(t.Field(n, "url")) != ExtensionOnboarding {
			out = append(append(out, t.Raw(n)...), ',')
		}
	})
	out = append(append(out, own...), ']')
	for m := t.First(t.Root()); m != fhir.None; m = t.Next(m) {
		if key := t.Key(m); string(key) != "extension" {
			out = append(fhir.AppendString(append(out, ','), string(key)), ':')
			out = append(out, t.Raw(m)...)
		}
	}
	return append(out, '}'), nil
}
