// Package patch owns changes to a part of a resource: JSON Patch (RFC 6902) and
// FHIRPath Patch (R4 fhirpatch.html), read from what a client sent and made on
// the bytes of the resource, of which everything that is not addressed stays as
// it was. It does not own who may change what, which is consent/gate's, nor
// whether a valid resource comes out, which is validate's.
package patch
