package search

import (
	"math"
	"time"
)

// singapore is where values without a time zone are understood to be.
func singapore() *time.Location { return time.FixedZone("SGT", 8*60*60) }

// key maps a time, in microseconds, to a key that keeps its order.
func momentKey(micros int64) uint64 { return uint64(micros) ^ midKey }

// The keys before and after all times: the ends of open periods.
const (
	beforeAll = uint64(0)
	afterAll  = uint64(math.MaxUint64)
)

// dayWidth is the greatest extent of a range that is filed as narrow.
const dayWidth = uint64(24 * time.Hour / time.Microsecond)

// moment is a FHIR date, dateTime or instant: the first and last microsecond
// that its precision implies.
type moment struct {
	low, high uint64
}

// parseMoment reads yyyy[-mm[-dd[Thh:mm[:ss[.f…]][zone]]]]. What has no zone is
// understood in the zone given. ok is false for what is no such time.
func parseMoment(s []byte, zone *time.Location) (m moment, ok bool) {
	c := clockReader{s: s, month: 1, day: 1}
	if !c.read() {
		return moment{}, false
	}
	if c.hasOffset {
		zone = time.UTC
	}
	at := func(year, month, day, minute, second int) int64 {
		t := time.Date(year, time.Month(month), day, c.hour, minute, second, 0, zone)
		return t.UnixMicro() - int64(c.offset)*60*1e6
	}
	start := at(c.year, c.month, c.day, c.minute, c.second) + int64(c.micros)
	var end int64
	switch c.precision {
	case precisionYear:
		end = at(c.year+1, 1, 1, 0, 0)
	case precisionMonth:
		end = at(c.year, c.month+1, 1, 0, 0)
	case precisionDay:
		end = at(c.year, c.month, c.day+1, 0, 0)
	case precisionMinute:
		end = at(c.year, c.month, c.day, c.minute+1, 0)
	case precisionSecond:
		end = start + int64(c.unit)
	}
	return moment{momentKey(start), momentKey(end - 1)}, true
}

// Span is the stretch of time that a date or time stands for: from is in it, until
// is not. ok is false for what is no such time.
func (p *Parser) Span(s string) (from, until time.Time, ok bool) {
	m, ok := parseMoment([]byte(s), p.zone)
	if !ok {
		return time.Time{}, time.Time{}, false
	}
	return MomentOf(m.low).UTC(), MomentOf(m.high).Add(time.Microsecond).UTC(), true
}

type precision uint8

const (
	precisionYear precision = iota
	precisionMonth
	precisionDay
	precisionMinute
	precisionSecond
)

// clockReader takes a time apart.
type clockReader struct {
	s         []byte
	precision precision

	year, month, day     int
	hour, minute, second int
	micros, unit         int // the fraction, and what its last digit stands for
	offset               int // minutes east of UTC
	hasOffset            bool
}

func (c *clockReader) read() bool {
	if !c.number(4, &c.year) || c.year == 0 {
		return false
	}
	if len(c.s) == 0 {
		return true
	}
	c.precision = precisionMonth
	if !c.byte('-') || !c.number(2, &c.month) || c.month < 1 || c.month > 12 {
		return false
	}
	if len(c.s) == 0 {
		return true
	}
	c.precision = precisionDay
	if !c.byte('-') || !c.number(2, &c.day) || c.day < 1 || c.day > daysIn(c.year, c.month) {
		return false
	}
	return len(c.s) == 0 || c.byte('T') && c.time() && c.zone()
}

func (c *clockReader) time() bool {
	c.precision = precisionMinute
	if !c.number(2, &c.hour) || c.hour > 23 || !c.byte(':') || !c.number(2, &c.minute) || c.minute > 59 {
		return false
	}
	if len(c.s) == 0 || c.s[0] != ':' {
		return true
	}
	c.precision, c.unit = precisionSecond, 1e6
	c.s = c.s[1:]
	if !c.number(2, &c.second) || c.second > 60 {
		return false
	}
	if len(c.s) == 0 || c.s[0] != '.' {
		return true
	}
	c.s = c.s[1:]
	digits := 0
	for ; len(c.s) > 0 && isDigit(c.s[0]); c.s = c.s[1:] {
		digits++
		if c.unit > 1 {
			c.unit /= 10
			c.micros += int(c.s[0]-'0') * c.unit
		}
	}
	return digits > 0
}

func (c *clockReader) zone() bool {
	switch {
	case len(c.s) == 0:
		return true
	case c.s[0] == 'Z':
		c.hasOffset = true
		return len(c.s) == 1
	case c.s[0] != '+' && c.s[0] != '-':
		return false
	}
	sign := 1
	if c.s[0] == '-' {
		sign = -1
	}
	c.s = c.s[1:]
	var hours, minutes int
	ok := c.number(2, &hours) && c.byte(':') && c.number(2, &minutes) && hours <= 14 && minutes <= 59
	c.offset, c.hasOffset = sign*(hours*60+minutes), true
	return ok && len(c.s) == 0
}

func (c *clockReader) byte(b byte) bool {
	if len(c.s) == 0 || c.s[0] != b {
		return false
	}
	c.s = c.s[1:]
	return true
}

func (c *clockReader) number(digits int, into *int) bool {
	if len(c.s) < digits {
		return false
	}
	n := 0
	for _, b := range c.s[:digits] {
		if !isDigit(b) {
			return false
		}
		n = n*10 + int(b-'0')
	}
	*into, c.s = n, c.s[digits:]
	return true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
