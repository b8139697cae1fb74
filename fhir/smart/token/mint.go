package token

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// Claims are what a token of the server's own is to say. Empty fields are left
// out of it.
type Claims struct {
	ID       string
	Issuer   string
	Subject  string
	Client   string
	Audience []string
	Scope    string
	// IssuedAt, NotBefore and Expires are written in whole seconds.
	IssuedAt, NotBefore, Expires time.Time
	// User is fhirUser, such as "PractitionerRole/x".
	User string
	// Patient is the id of the launch patient.
	Patient string
	// Organization is "Organization/ID" or a URI.
	Organization string
	Purposes     []fhir.Coding
	Roles        []fhir.Coding
	// Kind is extensions.vitrine.kind; only needed where User does not imply it.
	Kind        string
	ACR         string
	AuthTime    time.Time
	SubjectName string
	// Grant is extensions.vitrine.grant: the authorization it is issued under.
	Grant string
}

// Mint signs the claims with the key for access tokens, as a token of type at+jwt
// (RFC 9068 §2.1).
func (k *Keys) Mint(c Claims) (string, error) {
	payload, err := json.Marshal(c.set())
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	r := k.ring()
	return r.signing.sign(payload, jwa.ES384, typeAccessToken)
}

// MintID signs claims with the key for id_tokens (OpenID Connect Core §2): by
// algorithm, key and type it is no access token.
func (k *Keys) MintID(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("mint id_token: %w", err)
	}
	r, err := k.complete()
	if err != nil {
		return "", fmt.Errorf("mint id_token: %w", err)
	}
	return r.identity.sign(payload, jwa.RS256, typeIDToken)
}

// sign makes a JWS in its compact form.
func (k *ownKey) sign(payload []byte, algorithm jwa.SignatureAlgorithm, typ string) (string, error) {
	h := jws.NewHeaders()
	for name, value := range map[string]string{jws.TypeKey: typ, jws.KeyIDKey: k.id} {
		if err := h.Set(name, value); err != nil {
			return "", fmt.Errorf("mint token: %w", err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(algorithm, k.private, jws.WithProtectedHeaders(h)))
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return string(signed), nil
}

// set is the claims set as it is written.
func (c Claims) set() map[string]any {
	set := map[string]any{}
	put(set, smart.ClaimID, c.ID)
	put(set, smart.ClaimIssuer, c.Issuer)
	put(set, smart.ClaimSubject, c.Subject)
	put(set, smart.ClaimClient, c.Client)
	put(set, smart.ClaimScope, c.Scope)
	put(set, smart.ClaimUser, c.User)
	put(set, smart.ClaimPatient, c.Patient)
	put(set, smart.ClaimACR, c.ACR)
	putTime(set, smart.ClaimIssuedAt, c.IssuedAt)
	putTime(set, smart.ClaimNotBefore, c.NotBefore)
	putTime(set, smart.ClaimExpires, c.Expires)
	putTime(set, smart.ClaimAuthTime, c.AuthTime)
	if len(c.Audience) > 0 {
		set[smart.ClaimAudience] = c.Audience
	}
	iua := map[string]any{}
	put(iua, smart.ClaimOrganization, c.Organization)
	put(iua, smart.ClaimSubjectName, c.SubjectName)
	putCodings(iua, smart.ClaimPurposes, c.Purposes)
	putCodings(iua, smart.ClaimRoles, c.Roles)
	own := map[string]any{}
	put(own, smart.ClaimKind, c.Kind)
	put(own, smart.ClaimGrant, c.Grant)
	extensions := map[string]any{}
	putObject(extensions, smart.ExtensionIUA, iua)
	putObject(extensions, smart.ExtensionVitrine, own)
	putObject(set, smart.ClaimExtensions, extensions)
	return set
}

func put(set map[string]any, name, value string) {
	if value != "" {
		set[name] = value
	}
}

func putTime(set map[string]any, name string, t time.Time) {
	if !t.IsZero() {
		set[name] = t.Unix()
	}
}

func putObject(set map[string]any, name string, object map[string]any) {
	if len(object) > 0 {
		set[name] = object
	}
}

func putCodings(set map[string]any, name string, codings []fhir.Coding) {
	if len(codings) == 0 {
		return
	}
	list := make([]map[string]string, len(codings))
	for i, c := range codings {
		list[i] = map[string]string{memberSystem: c.System, memberCode: c.Code}
	}
	set[name] = list
}

// The members of a coding in a claim (IHE IUA ITI-71).
const (
	memberSystem = "system"
	memberCode   = "code"
)
