package smart

import (
	"errors"

	"vitrine/fhir"
)

// Canon is the canonical base of the codes and extensions this server defines
// itself.
const Canon = "https://vitrine.example"

// Where the registration of a client stands in a Device.
const (
	// SystemClient names client ids in Device.identifier.
	SystemClient = Canon + "/NamingSystem/client"
	// ExtensionClient holds what R4 has no element for; its parts are named below.
	ExtensionClient = Canon + "/StructureDefinition/nehr-client"
)

// The parts of ExtensionClient.
const (
	partState      = "state"
	partCapability = "capability"
	partRedirect   = "redirect"
	partLaunch     = "launch"
	partJWKS       = "jwks"
	partJWKSURL    = "jwks-url"
	partScope      = "scope"

	capabilityRead       = "read"
	capabilityContribute = "contribute"
	capabilityAudit      = "audit"

	statusActive   = "active"
	statusInactive = "inactive"
	nameFriendly   = "user-friendly-name"
)

// ErrNoRegistration says that the Device bears no registration. It may name a
// client all the same, as one that the operator listed by hand.
var ErrNoRegistration = errors.New("not the registration of a client")

// RegistrationError says what is wrong with a registration. It repeats nothing
// of it.
type RegistrationError struct {
	// Member is the member at fault, as RFC 7591 §2 or this server's own interface
	// names it.
	Member string
	Reason string
}

// Error implements error.
func (e *RegistrationError) Error() string { return e.Member + ": " + e.Reason }

// The members of a registration, as an interface names them.
const (
	MemberID           = "client_id"
	MemberName         = "client_name"
	MemberState        = "state"
	MemberOrganization = "organization"
	MemberCapabilities = "capabilities"
	MemberRedirects    = "redirect_uris"
	MemberLaunch       = "launch_uri"
	MemberJWKS         = "jwks"
	MemberJWKSURL      = "jwks_uri"
	MemberScope        = "scope"
)

func wrong(member, reason string) error { return &RegistrationError{member, reason} }

// ParseClientState reads the code of a state; ok is false for every other word.
func ParseClientState(s string) (state ClientState, ok bool) {
	for state = ClientPending; state <= ClientEnded; state++ {
		if state.String() == s {
			return state, true
		}
	}
	return ClientPending, false
}

// String is the code of the state.
func (s ClientState) String() string {
	switch s {
	case ClientPending:
		return "pending"
	case ClientActive:
		return statusActive
	case ClientSuspended:
		return "suspended"
	case ClientEnded:
		return "ended"
	default:
		return "unknown"
	}
}

// Becomes reports whether onboarding may go from one state to another: what is
// ended stays so, and nothing becomes pending again.
func (s ClientState) Becomes(next ClientState) bool {
	switch {
	case s == next:
		return true
	case s == ClientEnded, next == ClientPending, s > ClientEnded, next > ClientEnded:
		return false
	default:
		return s != ClientPending || next != ClientSuspended
	}
}

// Extended reports whether the resource bears a registration or an onboarding,
// readable or not.
func Extended(t *fhir.Tape) bool {
	found := false
	each(t, t.Field(t.Root(), "extension"), func(n fhir.Node) {
		url := t.Text(t.Field(n, "url"))
		found = found || url == ExtensionClient || url == ExtensionOnboarding
	})
	return found
}

// ReadClient reads the registration in a Device on the server whose FHIR base is
// base. It is read whole or not at all: what is in doubt must not be let do
// anything. The errors are ErrNoRegistration and a *RegistrationError.
func ReadClient(t *fhir.Tape, base string) (Client, error) {
	r := registrationReader{tape: t, base: base}
	root := t.Root()
	extension := fhir.None
	each(t, t.Field(root, "extension"), func(n fhir.Node) {
		if t.Text(t.Field(n, "url")) == ExtensionClient {
			if extension != fhir.None {
				r.fail(MemberState, "there are two registrations in one Device")
			}
			extension = n
		}
	})
	if extension == fhir.None {
		return Client{}, ErrNoRegistration
	}
	for _, name := range []string{"modifierExtension", "implicitRules", "patient"} {
		if t.Field(root, name) != fhir.None {
			r.fail(MemberState, "the Device has "+name)
		}
	}
	r.client.Device = t.Text(t.Field(root, "id"))
	r.identity(root)
	r.owner(root)
	r.parts(extension)
	if active := t.Text(t.Field(root, "status")) == statusActive; active != (r.client.State == ClientActive) {
		r.fail(MemberState, "Device.status must be active exactly when the state is")
	}
	if r.err == nil {
		r.err = r.client.Check()
	}
	if r.err != nil {
		return Client{}, r.err
	}
	return r.client, nil
}

// registrationReader reads a Device; the first fault counts.
type registrationReader struct {
	tape   *fhir.Tape
	base   string
	client Client
	stated bool
	err    error
}

func (r *registrationReader) fail(member, reason string) {
	if r.err == nil {
		r.err = wrong(member, reason)
	}
}

// identity reads the one client id and the name.
func (r *registrationReader) identity(root fhir.Node) {
	t := r.tape
	each(t, t.Field(root, "identifier"), func(n fhir.Node) {
		if t.Text(t.Field(n, "system")) != SystemClient {
			return
		}
		if r.client.ID != "" {
			r.fail(MemberID, "there are two in one Device")
		}
		r.client.ID = t.Text(t.Field(n, "value"))
	})
	each(t, t.Field(root, "deviceName"), func(n fhir.Node) {
		if r.client.Name == "" && t.Text(t.Field(n, "type")) == nameFriendly {
			r.client.Name = t.Text(t.Field(n, "name"))
		}
	})
}

// owner reads the organisation that the client is bound to.
func (r *registrationReader) owner(root fhir.Node) {
	owner := r.tape.Field(root, "owner")
	if owner == fhir.None {
		return
	}
	ref := fhir.ParseReference(r.tape.Text(r.tape.Field(owner, "reference")), r.base)
	if ref.Form != fhir.RefLocal || ref.Type != "Organization" || ref.Version != "" {
		r.fail(MemberOrganization, "want a reference to an Organization of this server")
		return
	}
	r.client.Organization = ref.ID
}

// parts reads the extension.
func (r *registrationReader) parts(extension fhir.Node) {
	t := r.tape
	for m := t.First(extension); m != fhir.None; m = t.Next(m) {
		if key := string(t.Key(m)); key != "url" && key != "extension" {
			r.fail(MemberState, "the extension has members that are not understood")
		}
	}
	each(t, t.Field(extension, "extension"), func(n fhir.Node) {
		name := t.Text(t.Field(n, "url"))
		value, ok := r.value(n, name)
		if !ok {
			r.fail(MemberState, "the extension has parts that are not understood")
			return
		}
		r.part(name, value)
	})
	if !r.stated {
		r.fail(MemberState, "it is missing")
	}
}

// valueOf is the member in which a part has its value.
func valueOf(part string) string {
	switch part {
	case partState, partCapability:
		return "valueCode"
	case partRedirect:
		return "valueUri"
	case partLaunch, partJWKSURL:
		return "valueUrl"
	case partJWKS, partScope:
		return "valueString"
	default:
		return ""
	}
}

// value is that of a part that has nothing else.
func (r *registrationReader) value(part fhir.Node, name string) (value string, ok bool) {
	t := r.tape
	members := 0
	for m := t.First(part); m != fhir.None; m = t.Next(m) {
		members++
	}
	n := t.Field(part, valueOf(name))
	value = t.Text(n)
	return value, members == 2 && t.Kind(n) == fhir.String && value != ""
}

func (r *registrationReader) part(name, value string) {
	c := &r.client
	once := func(member string, to *string) {
		if *to != "" {
			r.fail(member, "there are two")
		}
		*to = value
	}
	switch name {
	case partState:
		state, ok := ParseClientState(value)
		if !ok || r.stated {
			r.fail(MemberState, "want one of pending, active, suspended, ended")
		}
		c.State, r.stated = state, true
	case partCapability:
		if !c.Grant(value) {
			r.fail(MemberCapabilities, "want read, contribute, both, or audit alone")
		}
	case partRedirect:
		c.RedirectURIs = append(c.RedirectURIs, value)
	case partLaunch:
		once(MemberLaunch, &c.LaunchURL)
	case partJWKS:
		once(MemberJWKS, &c.JWKS)
	case partJWKSURL:
		once(MemberJWKSURL, &c.JWKSURL)
	case partScope:
		once(MemberScope, &c.Scope)
	}
}

// Grant adds a capability; ok is false for a word that is none, and for one that
// it has.
func (c *Client) Grant(capability string) (ok bool) {
	switch {
	case capability == capabilityRead && !c.Read:
		c.Read = true
	case capability == capabilityContribute && !c.Contribute:
		c.Contribute = true
	case capability == capabilityAudit && !c.Regulator:
		c.Regulator = true
	default:
		return false
	}
	return true
}

// Capabilities are the words for what it was onboarded for.
func (c *Client) Capabilities() []string {
	words := []string{}
	if c.Read {
		words = append(words, capabilityRead)
	}
	if c.Contribute {
		words = append(words, capabilityContribute)
	}
	if c.Regulator {
		words = append(words, capabilityAudit)
	}
	return words
}

// each calls with for every element of an array.
func each(t *fhir.Tape, list fhir.Node, with func(fhir.Node)) {
	if t.Kind(list) != fhir.Array {
		return
	}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		with(n)
	}
}
