package fhir

// EachReference calls yield for every Reference anywhere in the resource,
// contained resources included, in document order, until it returns false. obj
// is the Reference, ref its reference string or None, identifier its identifier
// object or None; not both are None.
//
// A Reference is known by its shape alone (R4 references.html#Reference): an
// object with a string "reference", whatever else it has; or one with an object
// "identifier" and besides it nothing but a string "type", "display", "id",
// "extension" and their companions ("_display"). So a few elements that are not
// References come along: the uris Immunization.education.reference,
// DetectedIssue.reference and Expression.reference, and elements that hold
// nothing but a business identifier. No Reference is missed.
func EachReference(t *Tape, yield func(obj, ref, identifier Node) bool) {
	for n := range Node(len(t.nodes)) { //nolint:gosec // within Limits.Nodes
		if t.nodes[n].kind != Object {
			continue
		}
		if ref, identifier := t.reference(n); ref != None || identifier != None {
			if !yield(n, ref, identifier) {
				return
			}
		}
	}
}

func (t *Tape) reference(obj Node) (ref, identifier Node) {
	ref, identifier = None, None
	only := true
	for n := t.First(obj); n != None; n = t.Next(n) {
		kind := t.nodes[n].kind
		switch string(t.Key(n)) {
		case "reference":
			if kind == String {
				ref = n
			} else {
				only = false
			}
		case "identifier":
			if kind == Object {
				identifier = n
			}
		case "type":
			only = only && kind == String
		case "id", "extension", "display", "_id", "_reference", "_type", "_display":
		default:
			only = false
		}
	}
	if ref == None && !only {
		identifier = None
	}
	return ref, identifier
}
