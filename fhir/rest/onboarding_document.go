package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// metadataFault says what is wrong with the metadata of a client or an
// organisation (RFC 7591 §3.2.2). It repeats nothing of them.
type metadataFault struct{ code, text string }

// Error implements error.
func (f *metadataFault) Error() string { return f.text }

func badMember(member, reason string) error {
	code := "invalid_client_metadata"
	if member == smart.MemberRedirects {
		code = "invalid_redirect_uri"
	}
	return &metadataFault{code, member + ": " + reason}
}

// asMetadata turns what is wrong with a registration into what is answered.
func asMetadata(err error) error {
	if wrong := (*smart.RegistrationError)(nil); errors.As(err, &wrong) {
		return badMember(wrong.Member, wrong.Reason)
	}
	return err
}

// clientDocument is a client in the words of RFC 7591 §2 and our own.
type clientDocument struct {
	ID           string          `json:"client_id"`
	Name         string          `json:"client_name"`
	State        string          `json:"state"`
	Organization string          `json:"organization,omitempty"`
	Capabilities []string        `json:"capabilities"`
	Redirects    []string        `json:"redirect_uris"`
	Launch       string          `json:"launch_uri,omitempty"`
	JWKS         json.RawMessage `json:"jwks,omitempty"`
	JWKSURL      string          `json:"jwks_uri,omitempty"`
	Scope        string          `json:"scope,omitempty"`
	// Fault is only ever sent.
	Fault string `json:"fault,omitempty"`
}

func documentOf(r *gate.Registration) clientDocument {
	d := clientDocument{
		ID: r.ID, Name: r.Name, State: r.State.String(), Capabilities: r.Capabilities(), Redirects: slices.Clone(r.RedirectURIs),
		Launch: r.LaunchURL, JWKSURL: r.JWKSURL, Scope: r.Scope, Fault: r.Fault,
	}
	if r.Fault != "" {
		d.State = "unreadable"
	}
	if r.Organization != "" {
		d.Organization = "Organization/" + r.Organization
	}
	if r.JWKS != "" {
		d.JWKS = json.RawMessage(r.JWKS)
	}
	if d.Redirects == nil {
		d.Redirects = []string{}
	}
	return d
}

// metadata reads the members of a body; the first fault counts.
type metadata struct {
	tape *fhir.Tape
	err  error
	// stated are the members there were.
	stated []string
}

// read takes each member to with, which reports whether there is such a member.
func (m *metadata) read(with func(name string, value fhir.Node) bool) error {
	t := m.tape
	for n := t.First(t.Root()); n != fhir.None; n = t.Next(n) {
		name := string(t.Key(n))
		if !with(name, n) && m.err == nil {
			m.err = &metadataFault{"invalid_client_metadata", "a member is not one of this interface: " + strings.Join(clientMembers(), ", ") + " are"}
		}
		m.stated = append(m.stated, name)
	}
	return m.err
}

func clientMembers() []string {
	return []string{
		smart.MemberID, smart.MemberName, smart.MemberState, smart.MemberOrganization, smart.MemberCapabilities,
		smart.MemberRedirects, smart.MemberLaunch, smart.MemberJWKS, smart.MemberJWKSURL, smart.MemberScope,
	}
}

// states reports whether the body said a state.
func (m *metadata) states() bool { return slices.Contains(m.stated, smart.MemberState) }

func (m *metadata) fail(member, reason string) {
	if m.err == nil {
		m.err = badMember(member, reason)
	}
}

func (m *metadata) text(member string, n fhir.Node) string {
	if m.tape.Kind(n) != fhir.String {
		m.fail(member, "want a string")
	}
	return m.tape.Text(n)
}

func (m *metadata) texts(member string, n fhir.Node) []string {
	if m.tape.Kind(n) != fhir.Array {
		m.fail(member, "want a list of strings")
		return nil
	}
	var list []string
	for one := m.tape.First(n); one != fhir.None; one = m.tape.Next(one) {
		list = append(list, m.text(member, one))
	}
	return list
}

func (m *metadata) organization(n fhir.Node) string {
	return strings.TrimPrefix(m.text(smart.MemberOrganization, n), "Organization/")
}

func (m *metadata) state(n fhir.Node) smart.ClientState {
	state, ok := smart.ParseClientState(m.text(smart.MemberState, n))
	if !ok {
		m.fail(smart.MemberState, "want one of pending, active, suspended, ended")
	}
	return state
}

func (m *metadata) keys(n fhir.Node) string {
	var set bytes.Buffer
	if m.tape.Kind(n) != fhir.Object || json.Compact(&set, m.tape.Raw(n)) != nil {
		m.fail(smart.MemberJWKS, "want a JSON Web Key Set")
	}
	return set.String()
}

// client reads a whole client.
func (m *metadata) client() (smart.Client, error) {
	var c smart.Client
	err := m.read(func(name string, n fhir.Node) bool {
		switch name {
		case smart.MemberID:
			c.ID = m.text(name, n)
		case smart.MemberName:
			c.Name = m.text(name, n)
		case smart.MemberState:
			c.State = m.state(n)
		case smart.MemberOrganization:
			c.Organization = m.organization(n)
		case smart.MemberCapabilities:
			for _, word := range m.texts(name, n) {
				if !c.Grant(word) {
					m.fail(name, "want read, contribute, both, or audit alone")
				}
			}
		case smart.MemberRedirects:
			c.RedirectURIs = m.texts(name, n)
		case smart.MemberLaunch:
			c.LaunchURL = m.text(name, n)
		case smart.MemberJWKS:
			c.JWKS = m.keys(n)
		case smart.MemberJWKSURL:
			c.JWKSURL = m.text(name, n)
		case smart.MemberScope:
			c.Scope = m.text(name, n)
		default:
			return false
		}
		return true
	})
	return c, err
}

// rotation reads a new key set, or where it is kept, into a client.
func (m *metadata) rotation(c *smart.Client) error {
	c.JWKS, c.JWKSURL = "", ""
	err := m.read(func(name string, n fhir.Node) bool {
		switch name {
		case smart.MemberJWKS:
			c.JWKS = m.keys(n)
		case smart.MemberJWKSURL:
			c.JWKSURL = m.text(name, n)
		default:
			return false
		}
		return true
	})
	if err == nil && c.JWKS == "" && c.JWKSURL == "" {
		err = badMember(smart.MemberJWKS, "want jwks or jwks_uri")
	}
	return err
}

// onboarding reads the onboarding of an organisation.
func (m *metadata) onboarding() (o smart.Onboarding, err error) {
	var c smart.Client
	err = m.read(func(name string, n fhir.Node) bool {
		switch name {
		case smart.MemberState:
			c.State = m.state(n)
		case smart.MemberCapabilities:
			for _, word := range m.texts(name, n) {
				if !c.Grant(word) || c.Regulator {
					m.fail(name, "want read, contribute, or both")
				}
			}
		case "organization", "organization_name": // as they are sent
		default:
			return false
		}
		return true
	})
	if err == nil && (!m.states() || !slices.Contains(m.stated, smart.MemberCapabilities)) {
		err = &metadataFault{"invalid_client_metadata", "want both state and capabilities"}
	}
	return smart.Onboarding{State: c.State, Contribute: c.Contribute, Read: c.Read}, err
}
