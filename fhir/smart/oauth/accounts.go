package oauth

// Accounts are the people who sign in here, for development and small sites.
type Accounts struct{}
