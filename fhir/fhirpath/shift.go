package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// shift moves a date or time by a quantity of time (FHIRPath 2.0 §6.7). What is
// finer than the date is told counts as far as it makes up whole steps of it.
func shift(at, by *Value, back bool) (v Value, ok bool, err error) {
	word := string(by.text)
	if by.num == 0 && calendarUnit(word) == "" {
		if word = calendarOf(word); word == "" {
			return v, false, fail("no time can be added that is no quantity of time, or a mean month or year")
		}
	}
	word = calendarUnit(word)
	n := new(apd.Decimal).Set(by.dec)
	if word != "second" {
		by.dec.Modf(n, new(apd.Decimal))
	}
	if back {
		n.Neg(n)
	}
	if at.sys == SystemTime && (word == "year" || word == "month" || word == "week" || word == "day") {
		return v, false, fail("a time of day has no days")
	}
	return shiftBy(at, n, word)
}

// calendarOf is the unit of the calendar that is as long as one of UCUM.
func calendarOf(code string) string {
	switch code {
	case "wk":
		return "week"
	case "d":
		return "day"
	case "h":
		return "hour"
	case "min":
		return "minute"
	case "s":
		return "second"
	case "ms":
		return "millisecond"
	}
	return ""
}

// maxShift bounds by how much a date can be moved and still be one.
const maxShift = 4e14

func shiftBy(at *Value, n *apd.Decimal, word string) (v Value, ok bool, err error) {
	ctx := reckoning()
	if word == "second" {
		word = "millisecond"
		if _, err := ctx.Mul(n, n, apd.New(1000, 0)); err != nil {
			return v, false, nil //nolint:nilerr // it is too much for any date
		}
	}
	whole := new(apd.Decimal)
	n.Modf(whole, new(apd.Decimal))
	count, err := whole.Int64()
	if err != nil || count > maxShift || count < -maxShift {
		return v, false, nil //nolint:nilerr // it is too much for any date
	}
	if word == "week" {
		count, word = count*7, "day"
	}
	count, word = coarser(at, count, word)
	t := at.wall()
	switch word {
	case "year":
		t = addMonths(t, 12*count)
	case "month":
		t = addMonths(t, count)
	case "day":
		t = time.Unix(at.num+86400*count, int64(at.nanos)).UTC()
	case "hour":
		t = time.Unix(at.num+3600*count, int64(at.nanos)).UTC()
	case "minute":
		t = time.Unix(at.num+60*count, int64(at.nanos)).UTC()
	case "millisecond":
		t = time.Unix(at.num+count/1000, int64(at.nanos)+count%1000*1e6).UTC()
	}
	if at.sys == SystemTime {
		const day = 86400
		t = time.Unix((t.Unix()%day+day)%day, int64(t.Nanosecond())).UTC()
	}
	v, ok = at.rewritten(t)
	return v, ok, nil
}

// coarser brings a count of units to the precision of a date, cut off towards
// nothing.
func coarser(at *Value, count int64, word string) (int64, string) {
	for _, step := range [...]struct {
		word   string
		from   precision // and coarser, the word is too fine
		each   int64
		bigger string
	}{
		{"millisecond", toMinute, 1000, "second"},
		{"second", toMinute, 60, "minute"},
		{"minute", toHour, 60, "hour"},
		{"hour", toDay, 24, "day"},
		{"day", toMonth, 30, "month"},
		{"month", toYear, 12, "year"},
	} {
		switch {
		case word != step.word || at.prec > step.from:
		case word == "day" && at.prec == toYear:
			count, word = count/365, "year"
		default:
			count, word = count/step.each, step.bigger
		}
	}
	return count, word
}

// addMonths keeps the day as far as the month has it.
func addMonths(t time.Time, months int64) time.Time {
	if months > 12*10000 || months < -12*10000 {
		return time.Time{}.AddDate(-1, 0, 0)
	}
	y, m, d := t.Date()
	total := int64(y)*12 + int64(m) - 1 + months
	year, month := int(total/12), int(total%12)+1
	if total < 12 {
		return time.Time{}.AddDate(-1, 0, 0)
	}
	return time.Date(year, time.Month(month), min(d, daysIn(year, month)), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
