package smart

// DiscoveryPath is where the discovery document stands below the FHIR base
// (SMART App Launch 2.2, conformance.html#using-well-known).
const DiscoveryPath = "/.well-known/smart-configuration"

// The capabilities of SMART App Launch 2.2 (conformance.html#capabilities)
// that this server knows of.
const (
	CapabilityLaunchEHR              = "launch-ehr"
	CapabilityLaunchStandalone       = "launch-standalone"
	CapabilityClientPublic           = "client-public"
	CapabilityClientAsymmetric       = "client-confidential-asymmetric"
	CapabilityOpenIDConnect          = "sso-openid-connect"
	CapabilityContextPatient         = "context-ehr-patient"
	CapabilityContextEncounter       = "context-ehr-encounter"
	CapabilityContextPatientSelected = "context-standalone-patient"
	CapabilityPermissionPatient      = "permission-patient"
	CapabilityPermissionUser         = "permission-user"
	CapabilityPermissionV1           = "permission-v1"
	CapabilityPermissionV2           = "permission-v2"
	CapabilityAuthorizePost          = "authorize-post"
)

// ResourceServerCapabilities are what a server without an authorization server
// of its own can promise: which scopes it understands.
func ResourceServerCapabilities() []string {
	return []string{CapabilityPermissionPatient, CapabilityPermissionUser, CapabilityPermissionV1, CapabilityPermissionV2}
}
