// Package smart owns the vocabulary of SMART App Launch 2.2 and IHE IUA: the
// scopes a token grants and how they are narrowed, what a verified token says and
// the names of its claims, and the registration of a client in a Device. It does not verify anything, which is smart/token's, and it does not decide
// what a caller may see, which is consent's.
package smart

import (
	"time"

	"vitrine/fhir"
)

// Token is what a verified access token says. The zero value says nothing and
// grants nothing.
type Token struct {
	// Grant names the authorization that the token was issued under, which may be
	// revoked with all its tokens; empty for others.
	Grant string
	// ByHand says that the operator made it with the key in the data directory, and
	// vouches for its client.
	ByHand bool
	// ID is jti; empty when the issuer gave none.
	ID string
	// Issuer is iss: the server itself or a configured issuer.
	Issuer string
	// Subject is sub.
	Subject string
	// Client is client_id (RFC 9068 §2.2).
	Client string
	// Scopes are the scopes granted.
	Scopes Scopes
	// Expires is exp; the token counts for nothing from then on.
	Expires time.Time
	// Kind is one of the Kind constants.
	Kind string
	// User is fhirUser as a relative reference, such as "PractitionerRole/x";
	// empty when nobody stands behind the client.
	User string
	// Organization is the id of the one organisation acted for
	// (extensions.ihe_iua.subject_organization_id); empty when none was named.
	Organization string
	// Patient is the id of the launch patient; empty when none was chosen.
	Patient string
	// Purposes are all purposes of use that were claimed, in their order. That
	// there must be exactly one is the gate's rule.
	Purposes []fhir.Coding
	// Roles are the codes of subject_role. They are the issuer's word only: the
	// directory says who holds a role.
	Roles []fhir.Coding
	// ACR is the authentication context class (OpenID Connect Core §2).
	ACR string
	// AuthTime is when the user was last authenticated; zero when not said.
	AuthTime time.Time
	// SubjectName is subject_name, for the patient's view of who looked. It is
	// never logged.
	SubjectName string
}

// The kinds of caller a token can stand for.
const (
	KindPractitioner   = "practitioner"
	KindSystem         = "system"
	KindPatient        = "patient"
	KindRepresentative = "representative"
	KindRegulator      = "regulator"
	KindCustodian      = "custodian"
)

// KindOfUser is the kind that the type of fhirUser implies: a client with
// nobody behind it is a system. ok is false for a type that names no caller
// (SMART App Launch 2.2, scopes-and-launch-context.html#scopes-for-requesting-identity-data;
// Person is left out, because it says nothing about the capacity).
func KindOfUser(t fhir.ResourceType) (kind string, ok bool) {
	switch t {
	case "":
		return KindSystem, true
	case "Practitioner", "PractitionerRole":
		return KindPractitioner, true
	case "Patient":
		return KindPatient, true
	case "RelatedPerson":
		return KindRepresentative, true
	default:
		return "", false
	}
}

// Vouched reports whether a kind needs an issuer that is trusted to vouch for
// it, because nothing else in the token implies it.
func Vouched(kind string) bool {
	return kind == KindRegulator || kind == KindCustodian
}
