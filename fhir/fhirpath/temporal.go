package fhirpath

import (
	"bytes"
	"time"

	"vitrine/fhir"
)

// precision is how far a date or time is told. Fractions of a second are of the
// same precision as seconds (FHIRPath 2.0 §6.1.1).
type precision uint8

const (
	toYear precision = iota + 1
	toMonth
	toDay
	toHour
	toMinute
	toSecond
)

// noZone stands for the zone of a time that has none.
const noZone int16 = 1 << 14

// maxTemporal bounds what is read as a date or time.
const maxTemporal = 40

// temporal reads a date, dateTime or time from how it is written. A dateTime may
// be written as a date is.
func temporal(s []byte, sys System) (v Value, ok bool) {
	if len(s) > maxTemporal {
		return v, false
	}
	v = Value{Node: fhir.None, sys: sys, zone: noZone, text: s}
	r := clockReader{s: s}
	if sys == SystemTime {
		v.prec = r.clock(&v)
		return v, v.prec > 0 && len(r.s) == 0
	}
	if !r.date(&v) {
		return v, false
	}
	if sys == SystemDateTime && r.take('T') {
		if len(r.s) == 0 {
			v.text = s[:len(s)-1]
			return v, true
		}
		if p := r.clock(&v); v.prec == toDay && p > 0 {
			v.prec, ok = p, r.zone(&v)
			return v, ok && len(r.s) == 0
		}
		return v, false
	}
	return v, len(r.s) == 0
}

// clockReader takes a date or time apart from its left.
type clockReader struct{ s []byte }

func (r *clockReader) take(c byte) bool {
	if len(r.s) == 0 || r.s[0] != c {
		return false
	}
	r.s = r.s[1:]
	return true
}

func (r *clockReader) number(digits int) (n int, ok bool) {
	if len(r.s) < digits {
		return 0, false
	}
	for _, c := range r.s[:digits] {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	r.s = r.s[digits:]
	return n, true
}

// date reads YYYY-MM-DD as far as it goes into v.
func (r *clockReader) date(v *Value) (ok bool) {
	month, day := 1, 1
	year, ok := r.number(4)
	if v.prec = toYear; ok && r.take('-') {
		month, ok = r.number(2)
		if v.prec = toMonth; ok && r.take('-') {
			day, ok = r.number(2)
			v.prec = toDay
		}
	}
	if !ok || year == 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return false
	}
	v.num = secondOf(year, month, day)
	return true
}

// clock reads hh:mm:ss.fff as far as it goes, and adds it to v; 0 when it is none.
func (r *clockReader) clock(v *Value) precision {
	p := toHour
	for _, unit := range [...]struct{ most, seconds int }{{23, 3600}, {59, 60}, {60, 1}} {
		if p > toHour && !r.take(':') {
			return p - 1
		}
		n, ok := r.number(2)
		if !ok || n > unit.most {
			return 0
		}
		v.num += int64(n * unit.seconds)
		p++
	}
	if r.take('.') {
		scale := uint32(1e9)
		for len(r.s) > 0 && isDigit(r.s[0]) {
			scale /= 10
			v.nanos += uint32(r.s[0]-'0') * scale
			r.s = r.s[1:]
		}
		if scale == 1e9 {
			return 0
		}
	}
	return toSecond
}

func (r *clockReader) zone(v *Value) bool {
	if len(r.s) == 0 {
		return true
	}
	if r.take('Z') {
		v.zone = 0
		return true
	}
	sign := 1
	if r.s[0] == '-' {
		sign = -1
	} else if r.s[0] != '+' {
		return false
	}
	r.s = r.s[1:]
	h, ok := r.number(2)
	if !ok || !r.take(':') {
		return false
	}
	m, ok := r.number(2)
	v.zone = int16(sign * (h*60 + m)) //nolint:gosec // 99:99 at most
	return ok && m < 60 && h*60+m <= 14*60
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// secondOf is midnight of a day of the calendar, in seconds since 1970.
func secondOf(year, month, day int) int64 {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()
}

// wall is the wall clock of v as if it were in UTC.
func (v *Value) wall() time.Time { return time.Unix(v.num, int64(v.nanos)).UTC() }

// cut is the wall clock of v told no further than p, in seconds; fractions of
// the second are left out.
func (v *Value) cut(p precision) int64 {
	if p >= v.prec {
		return v.num
	}
	t := v.wall()
	y, m, d := t.Date()
	switch p {
	case toYear:
		return secondOf(y, 1, 1)
	case toMonth:
		return secondOf(y, int(m), 1)
	case toDay:
		return secondOf(y, int(m), d)
	case toHour:
		return v.num - int64(t.Minute()*60+t.Second())
	case toMinute:
		return v.num - int64(t.Second())
	case toSecond:
	}
	return v.num
}

// The zones that there are, in seconds.
const (
	eastmost = 14 * 3600
	westmost = -12 * 3600
)

// compareTemporal orders two dates or dateTimes, or two times; known is false
// where the precision, or a zone that is not told, leaves it open.
func compareTemporal(a, b Value) (order int, known bool) {
	if a.prec >= toHour && b.prec >= toHour {
		switch {
		case a.zone != noZone && b.zone != noZone:
			a.num -= int64(a.zone) * 60
			b.num -= int64(b.zone) * 60
		case a.zone != noZone:
			return compareZoned(a, b)
		case b.zone != noZone:
			order, known = compareZoned(b, a)
			return -order, known
		}
	}
	p := min(a.prec, b.prec)
	x, y := a.cut(p), b.cut(p)
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	case a.prec != b.prec:
		return 0, false
	case a.nanos < b.nanos:
		return -1, true
	case a.nanos > b.nanos:
		return 1, true
	}
	return 0, true
}

// compareZoned orders a time with a zone and one without.
func compareZoned(a, b Value) (order int, known bool) {
	utc := a.num - int64(a.zone)*60
	switch {
	case utc+3600 < b.num-eastmost:
		return -1, true
	case utc-3600 > b.num-westmost:
		return 1, true
	}
	return 0, false
}

// rewritten is v at another wall clock, and so written anew.
func (v Value) rewritten(t time.Time) (Value, bool) {
	if y := t.Year(); y < 1 || y > 9999 {
		return v, false
	}
	v.num, v.nanos = t.Unix(), uint32(t.Nanosecond()) //nolint:gosec // below 1e9
	v.text = v.write(fractionDigits(v.text, v.nanos))
	return v, true
}

// fractionDigits is how many digits of a second are written, as many as before
// or as are needed.
func fractionDigits(old []byte, nanos uint32) int {
	digits := 0
	if i := bytes.IndexByte(old, '.'); i >= 0 {
		for _, c := range old[i+1:] {
			if !isDigit(c) {
				break
			}
			digits++
		}
	}
	need := 9
	for need > 0 && nanos%10 == 0 {
		nanos /= 10
		need--
	}
	if need > digits && need <= 3 {
		return 3
	}
	return max(need, min(digits, 9))
}

// write is how a date or time is written.
func (v *Value) write(digits int) []byte {
	t := v.wall()
	if v.sys == SystemTime {
		return appendClock(nil, t, v.prec, digits)
	}
	layout := "2006-01-02"
	if v.prec < toDay {
		layout = layout[:1+3*v.prec]
	}
	out := t.AppendFormat(nil, layout)
	if v.prec <= toDay {
		return out
	}
	out = appendClock(append(out, 'T'), t, v.prec, digits)
	return appendZone(out, v.zone)
}

func appendClock(out []byte, t time.Time, p precision, digits int) []byte {
	const layout = "15:04:05.000000000"
	switch {
	case p == toHour:
		return t.AppendFormat(out, layout[:2])
	case p == toMinute:
		return t.AppendFormat(out, layout[:5])
	case digits > 0:
		return t.AppendFormat(out, layout[:9+digits])
	}
	return t.AppendFormat(out, layout[:8])
}

func appendZone(out []byte, zone int16) []byte {
	switch {
	case zone == noZone:
		return out
	case zone == 0:
		return append(out, 'Z')
	case zone < 0:
		out, zone = append(out, '-'), -zone
	default:
		out = append(out, '+')
	}
	h, m := byte(zone/60), byte(zone%60) //nolint:gosec // both are below 60
	return append(out, '0'+h/10, '0'+h%10, ':', '0'+m/10, '0'+m%10)
}

// moment is a time of the clock as a value of the type.
func moment(t time.Time, sys System) Value {
	_, offset := t.Zone()
	wall := t.Add(time.Duration(offset) * time.Second).UTC().Truncate(time.Millisecond)
	v := Value{Node: fhir.None, sys: sys, prec: toSecond, zone: int16(offset / 60)} //nolint:gosec // zones are small
	digits := 3
	switch sys { //nolint:exhaustive // there are three
	case SystemDate:
		v.prec, v.zone, digits = toDay, noZone, 0
		wall = wall.Truncate(24 * time.Hour)
	case SystemTime:
		v.zone = noZone
		wall = time.Unix(0, 0).UTC().Add(wall.Sub(wall.Truncate(24 * time.Hour)))
	}
	v.num, v.nanos = wall.Unix(), uint32(wall.Nanosecond()) //nolint:gosec // below 1e9
	v.text = v.write(digits)
	return v
}
