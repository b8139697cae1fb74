package consent

import "time"

// Oversight is what the regulator wants to look at: where breaking the glass is out
// of the ordinary. Fill puts the defaults where nothing was chosen.
type Oversight struct {
	// EncounterWithin is how long after an override begins the patient is expected to
	// have been seen at the organisation.
	EncounterWithin time.Duration
	// Repeated is how many overrides by one person, or of one patient, in a period are
	// not yet repeated ones.
	Repeated int
	// Hours are when overrides are ordinary.
	Hours Hours
}

// Defaults of Oversight.
const (
	defaultEncounterWithin = 72 * time.Hour
	defaultRepeated        = 3
	defaultHoursFrom       = 8 * time.Hour
	defaultHoursUntil      = 20 * time.Hour
)

// Fill puts the defaults where nothing was chosen.
func (o *Oversight) Fill() {
	if o.EncounterWithin <= 0 {
		o.EncounterWithin = defaultEncounterWithin
	}
	if o.Hours.Zone == nil {
		o.Hours = Hours{defaultHoursFrom, defaultHoursUntil, singapore()}
	}
	if o.Repeated <= 0 {
		o.Repeated = defaultRepeated
	}
}

// Hours are the working hours of the days from Monday to Friday, counted from
// midnight in a zone. The zero value has none.
type Hours struct {
	From, Until time.Duration
	Zone        *time.Location
}

// Include reports whether a moment is within working hours.
func (h Hours) Include(at time.Time) bool {
	if h.Zone == nil {
		return false
	}
	at = at.In(h.Zone)
	switch at.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	case time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday:
	}
	since := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	return since >= h.From && since < h.Until
}

// Day is the day of a moment, as it is where the hours are.
func (h Hours) Day(at time.Time) string {
	if h.Zone != nil {
		at = at.In(h.Zone)
	}
	return at.Format(time.DateOnly)
}

// Midnight is when the day of a moment began.
func (h Hours) Midnight(at time.Time) time.Time {
	if h.Zone != nil {
		at = at.In(h.Zone)
	}
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())
}
