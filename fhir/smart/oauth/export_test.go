package oauth

// PagePolicy is the policy of a page whose form may end at the redirect URI.
func PagePolicy(redirectURI string) string { return policy(redirectURI) }
