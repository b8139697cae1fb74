package fhir

import "time"

// ResourceType is the name of a FHIR resource type, such as "Patient". The
// zero value names no type.
type ResourceType string

// Resource is the envelope: the exact bytes of one version of a resource as
// they are stored and sent, plus what the server must know about them without
// parsing again.
type Resource struct {
	Type    ResourceType
	ID      string
	Version string // meta.versionId
	// Updated is meta.lastUpdated, in UTC with millisecond precision.
	Updated time.Time
	// JSON is the resource as it is sent, with id, meta.versionId and
	// meta.lastUpdated in place. It is shared and must not be changed.
	JSON []byte
	// Deleted marks a version that records a deletion; JSON is then empty.
	Deleted bool
}

// Coding is a code with the system that defines it. Two codings are the same
// only when both parts are.
type Coding struct {
	System string
	Code   string
}

// Identifier is a business identifier (R4 datatypes.html#Identifier).
type Identifier struct {
	System string
	Value  string
}
