// Package mongo owns the store in a MongoDB replica set or sharded cluster. It
// decides nothing, which is consent's, and understands no query, which is
// fhir/search's.
package mongo
