package plain

import "vitrine/consent"

// Because is the reason of a decision, as far as it can be told. The zero value is
// that it cannot.
type Because string

// The reasons; each is its own code.
const (
	BecauseUnknown      Because = "unknown"
	BecauseOwn          Because = "own"
	BecauseActs         Because = "acts"
	BecauseKeeper       Because = "keeper"
	BecauseMinistry     Because = "ministry"
	BecauseContributed  Because = "contributed"
	BecauseUnrestricted Because = "unrestricted"
	BecausePermitted    Because = "permitted"
	BecauseRestricted   Because = "restricted"
	BecausePartly       Because = "partly"
	BecauseMalformed    Because = "malformed"
	BecauseUnreadable   Because = "unreadable"
	BecauseGlass        Because = "glass"
	BecauseOpening      Because = "opening"
	BecauseUnrelated    Because = "unrelated"
	BecauseUnauthorised Because = "unauthorised"
	BecauseHidden       Because = "hidden"
	BecauseCaller       Because = "caller"
)

// Unsaid is something that bore on a decision and is not in the record of it.
type Unsaid string

// What may be missing.
const (
	UnsaidRegistration Unsaid = "registration"
	UnsaidLineage      Unsaid = "lineage"
	UnsaidDifferent    Unsaid = "different"
	UnsaidLabels       Unsaid = "labels"
	UnsaidConsents     Unsaid = "consents"
)

// Explanation is why an access was decided as it was.
type Explanation struct {
	// Event is "AuditEvent/x", and Visit what it tells of.
	Event string
	Visit Visit
	// Code is the internal reason, for the custodian alone.
	Code string
	Why  Because
	// Consulted are the Consents that were in force, as they were.
	Consulted []Consulted
	// Grant is the URN of the break-glass grant, for the custodian alone.
	Grant string
	// BasicSet is the version of the basic set that decided; empty when it did not.
	BasicSet string
	// Again says that the decision was worked out again, from nothing but what is on
	// record, and Same that it came out the same.
	Again, Same bool
	Unsaid      []Unsaid
}

// Consulted is a Consent version that was in force.
type Consulted struct {
	// Reference is "Consent/c/_history/2"; empty where the reader may not know it.
	Reference string
	// Gone says that the version is not on file any longer, and Doubtful that its
	// meaning was in doubt.
	Gone, Doubtful bool
	Base           consent.Effect
	// By are the rules that decided; none where Base did.
	By []Saying
	// Parts are what it left of each kind of data that the access was about; the one
	// without a type is the record at large.
	Parts []Part
}

// Reason says why.
func (s *Speaker) Reason(b Because) string {
	if b == "" {
		b = BecauseUnknown
	}
	return s.word("because." + string(b))
}

// Missing says what is not on record.
func (s *Speaker) Missing(u Unsaid) string { return s.word("unsaid." + string(u)) }

// Decided says what a Consent had to do with it, a sentence for each rule that decided.
func (s *Speaker) Decided(c *Consulted) []string {
	name := func(w *words) string {
		if c.Reference == "" {
			return w.put("by.one")
		}
		return c.Reference
	}
	one := func(build func(*words) string) []string { return []string{s.say(build)} }
	switch {
	case c.Gone:
		return one(func(w *words) string { return w.put("by.gone") })
	case c.Doubtful:
		return one(func(w *words) string { return w.put("by.malformed", "{consent}", name(w)) })
	case c.Reference == "":
		return one(func(w *words) string { return w.put("by.other") })
	case len(c.By) == 0:
		return one(func(w *words) string { return w.put("by.base", "{consent}", name(w), "{base}", w.base(c.Base)) })
	}
	all := make([]string, len(c.By))
	for i, rule := range c.By {
		all[i] = s.say(func(w *words) string {
			return w.put("by.rule", "{consent}", name(w), "{place}", rule.Rule.Place, "{rule}", w.rule(rule)) + w.put("rule.end")
		})
	}
	return all
}
