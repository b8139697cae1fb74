package oauth

// issuing is what the keys will be able to do.
type issuing interface {
	MintID(claims map[string]any) (string, error)
	JWKS() []byte
}
