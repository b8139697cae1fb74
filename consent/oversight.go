package consent

import "time"

// Oversight is what the regulator wants to look at: where breaking the glass is out
// of the ordinary, and from how much of anything an alert is raised. Fill puts the
// defaults where nothing was chosen.
type Oversight struct {
	// EncounterWithin is how long after an override begins the patient is expected to
	// have been seen at the organisation.
	EncounterWithin time.Duration
	// Repeated is how many overrides by one person, or of one patient, in a period are
	// not yet repeated ones.
	Repeated int
	// Hours are when overrides are ordinary.
	Hours Hours
	// OverridesByPerson and OverridesByOrganization are from how many overrides in a
	// day an alert is raised.
	OverridesByPerson, OverridesByOrganization int
	// Sweep is from how many patients who are not there, or not one's own, asked about
	// in an hour by one user of one client.
	Sweep int
	// Claims is from how many requests in a day that say there is an emergency and
	// have no grant, by one user of one client.
	Claims int
}

// AlertMost bounds from how much an alert can be raised: no more is counted.
const AlertMost = 5000

// Defaults of Oversight.
const (
	defaultEncounterWithin         = 72 * time.Hour
	defaultRepeated                = 3
	defaultHoursFrom               = 8 * time.Hour
	defaultHoursUntil              = 20 * time.Hour
	defaultOverridesByPerson       = 5
	defaultOverridesByOrganization = 25
	defaultSweep                   = 100
	defaultClaims                  = 10
)

// Fill puts the defaults where nothing was chosen.
func (o *Oversight) Fill() {
	if o.EncounterWithin <= 0 {
		o.EncounterWithin = defaultEncounterWithin
	}
	if o.Hours.Zone == nil {
		o.Hours = Hours{defaultHoursFrom, defaultHoursUntil, singapore()}
	}
	for _, one := range []struct {
		at    *int
		usual int
	}{
		{&o.Repeated, defaultRepeated},
		{&o.OverridesByPerson, defaultOverridesByPerson},
		{&o.OverridesByOrganization, defaultOverridesByOrganization},
		{&o.Sweep, defaultSweep},
		{&o.Claims, defaultClaims},
	} {
		if *one.at <= 0 {
			*one.at = one.usual
		}
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
