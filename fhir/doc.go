// Package fhir owns what every part of the server means by a resource: its
// types, ids, versions and references, the envelope of exact bytes in which it
// is stored and sent, and the tape, one parsed reading of such bytes. It does
// not know the shape of any R4 type, which is r4's; nor what is valid, which is
// validate's; nor HTTP, which is rest's.
package fhir
