// Package fhirpath owns the FHIRPath language over the tape: reading an
// expression, checking that it uses only what is implemented, and evaluating it.
// It does not own what an expression is for: search parameters are search's,
// invariants validate's, patches patch's.
package fhirpath
