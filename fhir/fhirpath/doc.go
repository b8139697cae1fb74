// Package fhirpath owns the FHIRPath language over the tape: reading an
// expression, checking it against R4's types, and evaluating it within a budget.
// It does not own what an expression is for: search parameters are search's,
// invariants validate's, patches patch's. What units mean is units'.
package fhirpath
