package validate

import "vitrine/fhir/r4"

// wrongWord says what would be right when the decoded string is not of the
// primitive type (R4 datatypes.html#primitive).
func wrongWord(p r4.Primitive, b []byte) string {
	ok, right := true, ""
	switch p { //nolint:exhaustive // the others need no check of their own here
	case r4.PrimitiveCode:
		ok, right = isCode(b), "a code: no white space around it, single spaces within"
	case r4.PrimitiveID:
		ok, right = isID(b), "an id: 1 to 64 letters, digits, - and ."
	case r4.PrimitiveURI, r4.PrimitiveURL, r4.PrimitiveCanonical:
		ok, right = isURI(b), "a URI without white space"
	case r4.PrimitiveOID:
		ok, right = isOID(b), "an OID such as urn:oid:1.2.3"
	case r4.PrimitiveUUID:
		ok, right = isUUID(b), "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
	case r4.PrimitiveDate:
		ok, right = isDate(b), "a date: YYYY, YYYY-MM or YYYY-MM-DD"
	case r4.PrimitiveDateTime:
		ok, right = isDateTime(b), "a date, or a date and time with a zone: YYYY-MM-DDThh:mm:ss+zz:zz"
	case r4.PrimitiveInstant:
		ok, right = isInstant(b), "an instant: YYYY-MM-DDThh:mm:ss.sss+zz:zz"
	case r4.PrimitiveTime:
		ok, right = isTime(b), "a time: hh:mm:ss"
	}
	if ok {
		return ""
	}
	return right
}

func isCode(b []byte) bool {
	space := true // as if one stood before
	for _, c := range b {
		white := c <= ' '
		if white && (space || c != ' ') {
			return false
		}
		space = white
	}
	return !space
}

func isID(b []byte) bool {
	for _, c := range b {
		if c != '-' && c != '.' && (!base64Letter(c) || c == '+' || c == '/') {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}

func isURI(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

func isOID(b []byte) bool {
	const prefix = "urn:oid:"
	if len(b) <= len(prefix) || string(b[:len(prefix)]) != prefix {
		return false
	}
	b = b[len(prefix):]
	if b[0] > '2' {
		return false
	}
	arcs, digits, zero := 0, 0, false
	for _, c := range b {
		switch {
		case c == '.' && digits > 0:
			arcs, digits, zero = arcs+1, 0, false
		case c >= '0' && c <= '9' && !zero:
			zero = c == '0' && digits == 0
			digits++
		default:
			return false
		}
	}
	return arcs > 0 && digits > 0
}

func isUUID(b []byte) bool {
	const prefix = "urn:uuid:"
	if len(b) != len(prefix)+36 || string(b[:len(prefix)]) != prefix {
		return false
	}
	for i, c := range b[len(prefix):] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}
