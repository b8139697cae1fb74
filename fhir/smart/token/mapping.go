package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// Mapping says where an issuer that does not write the claims of SMART and IHE IUA
// has what they say. A claim is named by its path, its parts divided by "/", as
// "realm/roles"; "~1" stands for a "/" in a name and "~0" for a "~" (RFC 6901 §3).
// Empty fields leave a claim where it is by itself. What is not there is never
// made up, but for what the operator states here.
type Mapping struct {
	// Client is the claim that has client_id, such as "azp".
	Client string
	// User is the claim that has fhirUser: a reference, as there.
	User string
	// Organization is the claim that has the organisation acted for: its id or a
	// reference.
	Organization string
	// Patient is the claim that has the launch patient: its id or a reference.
	Patient string
	// Scope is the claim that has the scopes: a text as in the claim scope, or a
	// list of them.
	Scope string
	// Purpose is the claim that has the purposes of use: codings, or texts, of
	// which SYSTEM|CODE is one and CODE one of PurposeSystem.
	Purpose string
	// PurposeSystem is the code system of a purpose that names none; without it
	// such a one is refused.
	PurposeSystem string
	// PurposeDefault is the purpose of tokens that state none; the zero value for
	// none.
	PurposeDefault fhir.Coding
	// Audience are the names by which the issuer's tokens are for this server, in
	// place of its own.
	Audience []string
}

// places are the claims of an issuer, by their paths.
type places struct {
	client, user, organization, patient, scope, purpose []string
	// plain says that scope, organization and purpose are where SMART and IHE IUA
	// have them, and written as there.
	plainScope, plainOrganization, plainPurpose bool

	purposeSystem  string
	purposeDefault fhir.Coding
	audience       []string
}

// usual are the places of SMART App Launch and IHE IUA.
func usual() places {
	iua := []string{smart.ClaimExtensions, smart.ExtensionIUA}
	return places{
		client: []string{smart.ClaimClient}, user: []string{smart.ClaimUser}, patient: []string{smart.ClaimPatient}, scope: []string{smart.ClaimScope},
		organization: append(iua[:2:2], smart.ClaimOrganization), purpose: append(iua[:2:2], smart.ClaimPurposes),
		plainScope: true, plainOrganization: true, plainPurpose: true,
	}
}

// places checks the mapping.
func (m *Mapping) places() (places, error) {
	p := usual()
	for _, one := range []struct {
		name, path string
		to         *[]string
		plain      *bool
	}{
		{"client", m.Client, &p.client, nil},
		{"user", m.User, &p.user, nil},
		{"organization", m.Organization, &p.organization, &p.plainOrganization},
		{"patient", m.Patient, &p.patient, nil},
		{"scope", m.Scope, &p.scope, &p.plainScope},
		{"purpose", m.Purpose, &p.purpose, &p.plainPurpose},
	} {
		if one.path == "" {
			continue
		}
		parts, err := parsePath(one.path)
		if err != nil {
			return places{}, fmt.Errorf("the claim for %s: %w", one.name, err)
		}
		*one.to = parts
		if one.plain != nil {
			*one.plain = false
		}
	}
	if d := m.PurposeDefault; (d.System == "") != (d.Code == "") {
		return places{}, errors.New("the purpose by default: want a system and a code")
	}
	if slices.Contains(m.Audience, "") {
		return places{}, errors.New("an audience without a name")
	}
	p.purposeSystem, p.purposeDefault, p.audience = m.PurposeSystem, m.PurposeDefault, slices.Clone(m.Audience)
	return p, nil
}

// pathDepth is how deep a claim may lie.
const pathDepth = 6

var errPath = errors.New("want the names of claims, divided by /, with ~1 for a / and ~0 for a ~ in a name")

func parsePath(s string) ([]string, error) {
	parts := strings.Split(s, "/")
	if len(parts) > pathDepth {
		return nil, errPath
	}
	for i, part := range parts {
		rest := strings.NewReplacer("~0", "", "~1", "").Replace(part)
		if part == "" || strings.Contains(rest, "~") {
			return nil, errPath
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// at is the object in which a path ends and the name there; fhir.None when there
// is no such object.
func (r *reader) at(path []string) (parent fhir.Node, name string) {
	parent = r.root
	for _, part := range path[:len(path)-1] {
		if parent = r.member(parent, part); parent == fhir.None {
			break
		}
	}
	return parent, path[len(path)-1]
}

// textAt is a claim that, when it is there, must be a string.
func (r *reader) textAt(path []string) string {
	parent, name := r.at(path)
	if parent == fhir.None {
		return ""
	}
	return r.optional(parent, name)
}

// scopes are the claim of that name in its plain form, and elsewhere a list of
// scopes as well. There must be some.
func (r *reader) scopes(p *places) smart.Scopes {
	parent, name := r.at(p.scope)
	if parent == fhir.None {
		r.bad = true
		return smart.Scopes{}
	}
	var text string
	if n := r.tape.Field(parent, name); !p.plainScope && r.tape.Kind(n) == fhir.Array {
		all := r.texts(parent, name)
		for _, one := range all {
			r.bad = r.bad || one == "" || strings.ContainsAny(one, " \t\r\n")
		}
		text = strings.Join(all, " ")
	} else {
		text = r.optional(parent, name)
	}
	r.bad = r.bad || text == ""
	return smart.ParseScopes(text)
}

// organization is the id of the organisation acted for; empty for none.
func (r *reader) organization(p *places) string {
	s := r.textAt(p.organization)
	if s == "" || !p.plainOrganization && fhir.ValidID(s) {
		return s
	}
	return r.local(s, "Organization").ID
}

// purposes are those that are stated, or the one that the operator does.
func (r *reader) purposes(p *places) []fhir.Coding {
	parent, name := r.at(p.purpose)
	var all []fhir.Coding
	if parent != fhir.None {
		switch n := r.tape.Field(parent, name); {
		case p.plainPurpose:
			all = r.codings(parent, name)
		case r.tape.Kind(n) == fhir.String, r.tape.Kind(n) == fhir.Array && r.tape.Kind(r.tape.First(n)) == fhir.String:
			all = r.written(p, r.texts(parent, name))
		default:
			all = r.codings(parent, name)
		}
	}
	if all == nil && !r.bad && p.purposeDefault != (fhir.Coding{}) && (parent == fhir.None || r.tape.Field(parent, name) == fhir.None) {
		return []fhir.Coding{p.purposeDefault}
	}
	return all
}

// written reads purposes that are texts.
func (r *reader) written(p *places, texts []string) []fhir.Coding {
	var all []fhir.Coding
	for _, s := range texts {
		system, code, ok := strings.Cut(s, "|")
		if !ok {
			system, code = p.purposeSystem, s
		}
		r.bad = r.bad || system == "" || code == ""
		all = append(all, fhir.Coding{System: system, Code: code})
	}
	return all
}
