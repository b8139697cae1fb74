package smart

// The names of claims (RFC 9068, SMART App Launch 2.2, IHE IUA ITI-71).
const (
	ClaimIssuer    = "iss"
	ClaimSubject   = "sub"
	ClaimAudience  = "aud"
	ClaimExpires   = "exp"
	ClaimNotBefore = "nbf"
	ClaimIssuedAt  = "iat"
	ClaimID        = "jti"
	ClaimClient    = "client_id"
	ClaimScope     = "scope"
	ClaimUser      = "fhirUser"
	ClaimPatient   = "patient"
	ClaimACR       = "acr"
	ClaimAuthTime  = "auth_time"

	ClaimExtensions = "extensions"
	// ExtensionIUA holds the claims of IHE IUA.
	ExtensionIUA = "ihe_iua"
	// ExtensionB2B names who stands behind a client (HL7 FAST UDAP Security).
	ExtensionB2B = "hl7-b2b"
	// ExtensionVitrine holds this server's own claims.
	ExtensionVitrine = "vitrine"

	ClaimPurposes     = "purpose_of_use"
	ClaimOrganization = "subject_organization_id"
	ClaimRoles        = "subject_role"
	ClaimSubjectName  = "subject_name"
	// ClaimKind is extensions.vitrine.kind.
	ClaimKind = "kind"
	// ClaimGrant is extensions.vitrine.grant.
	ClaimGrant = "grant"
)
