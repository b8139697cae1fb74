package plain

import "time"

// Opened tells the patient that the glass was broken, and nothing about by whom or
// why.
func (s *Speaker) Opened() string { return s.word("notice.opened") }

// FirstAccess tells that an organisation looked at the record for the first time, on
// the day that it was here; what it looked at is not told. The name may be empty.
func (s *Speaker) FirstAccess(organization string, at time.Time) string {
	return s.say(func(w *words) string {
		if organization == "" {
			organization = w.put("notice.unnamed")
		}
		return w.put("notice.first", "{organisation}", organization, "{date}", day(at))
	})
}

// day is the day of a moment as people here read it.
func day(t time.Time) string { return here(t).Format("2 January 2006") }
