// Package oauth owns the built-in authorization server: SMART App Launch 2.2 with
// OpenID Connect, backend services, introspection and revocation, one grant a
// file, and the pages on which people sign in and agree. It does not know what a
// record holds: who is registered, in which role, and which patients there are to
// choose from, it asks through the small interfaces of Config. Local accounts it
// keeps in a file of the data directory, everything else in State; it signs nothing
// itself, which is smart/token's.
package oauth
