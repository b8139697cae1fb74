package validate

// isDate: YYYY, YYYY-MM or YYYY-MM-DD, a day that exists (R4
// datatypes.html#date).
func isDate(b []byte) bool {
	switch len(b) {
	case 4:
		return year(b)
	case 7:
		return year(b) && b[4] == '-' && within(b[5:7], 1, 12)
	case 10:
		return day(b)
	default:
		return false
	}
}

// isDateTime: a date, or a day with a time and its zone (R4
// datatypes.html#dateTime).
func isDateTime(b []byte) bool { return len(b) <= 10 && isDate(b) || isInstant(b) }

// isInstant: a day with a time to the second at least, and its zone (R4
// datatypes.html#instant).
func isInstant(b []byte) bool {
	if len(b) < len("2006-01-02T15:04:05Z") || !day(b[:10]) || b[10] != 'T' {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return isTime(b[11 : len(b)-1])
	}
	z := b[len(b)-6:]
	if (z[0] != '+' && z[0] != '-') || z[3] != ':' || !within(z[1:3], 0, 14) || !within(z[4:6], 0, 59) {
		return false
	}
	if z[1] == '1' && z[2] == '4' && (z[4] != '0' || z[5] != '0') {
		return false
	}
	return isTime(b[11 : len(b)-6])
}

// isTime: hh:mm:ss and a fraction (R4 datatypes.html#time). A leap second is
// allowed.
func isTime(b []byte) bool {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' || !within(b[:2], 0, 23) || !within(b[3:5], 0, 59) || !within(b[6:8], 0, 60) {
		return false
	}
	fraction := b[8:]
	if len(fraction) == 0 {
		return true
	}
	for _, c := range fraction[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return fraction[0] == '.' && len(fraction) > 1
}

// day: YYYY-MM-DD in the calendar.
func day(b []byte) bool {
	if !year(b) || b[4] != '-' || b[7] != '-' || !within(b[5:7], 1, 12) {
		return false
	}
	y := int(b[0]-'0')*1000 + int(b[1]-'0')*100 + int(b[2]-'0')*10 + int(b[3]-'0')
	last := 31
	switch month := int(b[5]-'0')*10 + int(b[6]-'0'); month {
	case 4, 6, 9, 11:
		last = 30
	case 2:
		last = 28
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			last = 29
		}
	}
	return within(b[8:10], 1, last)
}

// year: four digits, not 0000.
func year(b []byte) bool {
	for _, c := range b[:4] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return string(b[:4]) != "0000"
}

// within: two digits that make a number from low to high.
func within(b []byte, low, high int) bool {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return false
	}
	n := int(b[0]-'0')*10 + int(b[1]-'0')
	return n >= low && n <= high
}
