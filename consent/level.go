package consent

// Level is how much of one patient's record exists for one caller at one
// moment. Levels are ordered; the zero value is None.
type Level uint8

// The levels of ACCESS §1.
const (
	// None: every answer is the answer for a patient who was never here.
	None Level = iota
	// Basic: the basic editions of Patient, AllergyIntolerance and Immunization.
	Basic
	// Full: everything in the patient's compartment.
	Full
	// Self: everything of one's own, one's Consents and one's access history.
	Self
)

// Code is the level in SystemView.
func (l Level) Code() string {
	switch l {
	case Basic:
		return "basic"
	case Full:
		return "full"
	case Self:
		return "self"
	case None:
		return "none"
	default:
		return "none"
	}
}

// Edition is one of the two forms in which a resource is kept. The zero value
// is no edition.
type Edition uint8

// The editions. Every resource has the full one; only the types of the basic
// set, and AuditEvent (whose basic edition is what the patient may read), have
// both.
const (
	EditionFull Edition = iota + 1
	EditionBasic
)
