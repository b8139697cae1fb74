package smart

// Configuration is what a client is told of an authorization server: the document
// at .well-known/smart-configuration (SMART App Launch 2.2,
// conformance.html#using-well-known) and, with the members of OpenID Connect
// Discovery and RFC 8414, that at .well-known/openid-configuration.
type Configuration struct {
	Issuer                string   `json:"issuer,omitempty"`
	JWKSURI               string   `json:"jwks_uri,omitempty"`
	AuthorizationEndpoint string   `json:"authorization_endpoint,omitempty"`
	TokenEndpoint         string   `json:"token_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint,omitempty"`
	RevocationEndpoint    string   `json:"revocation_endpoint,omitempty"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported,omitempty"`
	ResponseModes         []string `json:"response_modes_supported,omitempty"`
	Scopes                []string `json:"scopes_supported,omitempty"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	AuthAlgorithms        []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	// How a client proves itself where tokens are looked at and taken back: left
	// unsaid it would be by a secret (RFC 8414 §2).
	RevocationMethods       []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionMethods    []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`

	CodeChallengeMethods []string `json:"code_challenge_methods_supported"`
	// Capabilities are SMART's own; OpenID's document does not have them.
	Capabilities []string `json:"capabilities,omitempty"`

	SubjectTypes      []string `json:"subject_types_supported,omitempty"`
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported,omitempty"`
	Claims            []string `json:"claims_supported,omitempty"`
	Prompts           []string `json:"prompt_values_supported,omitempty"`
	IssParameter      bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
	RequestParameter  *bool    `json:"request_parameter_supported,omitempty"`
	RequestURI        *bool    `json:"request_uri_parameter_supported,omitempty"`
}
