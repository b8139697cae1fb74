package validate

// advice is a rule that asks for a narrative as a good practice. Hardly a resource
// that a machine wrote has one, so nobody is told.
const advice = "dom-6"
