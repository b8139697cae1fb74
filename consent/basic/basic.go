// Package basic owns the basic set: which types and which of their elements are
// released whatever the patient restricts, and the making of the basic edition
// of a resource. It does not decide who is shown it, which is consent's.
package basic

import "vitrine/fhir"

// Set is a basic set, ready for use. It is safe for concurrent use.
type Set struct{ cfg Config }

// Config is a named and versioned basic set.
type Config struct {
	// Name and Version are recorded with every access.
	Name, Version string
}

// Default is the set of DOSSIER §7.6.
func Default() Config { return Config{Name: "nehr-basic", Version: "1"} }

// New returns the set of a configuration.
func New(cfg Config) (*Set, error) { return &Set{cfg}, nil }

// Version is the name and the version of the set, such as "nehr-basic/1".
func (s *Set) Version() string { return s.cfg.Name + "/" + s.cfg.Version }

// Edition appends the basic edition of the resource to dst, without
// meta.versionId and meta.lastUpdated. ok is false for a type that has none.
func (s *Set) Edition(t *fhir.Tape, dst []byte) (out []byte, ok bool) { return dst, false }
