package validate

import (
	"strings"

	"vitrine/fhir/r4"
)

// longestName is longer than any name of R4.
const longestName = 64

// presentable says that a name may be repeated in a report: it looks like the
// name of an element, and not like a value that strayed into its place.
func presentable(name []byte) bool {
	if len(name) == 0 || len(name) > longestName {
		return false
	}
	for _, c := range name {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// suggestElement is the end of a sentence that names the element that may have
// been meant.
func suggestElement(name string, typ *r4.Type) string {
	bare := strings.TrimPrefix(name, "_")
	best, least := "", 3
	for i := range typ.Elements {
		e := &typ.Elements[i]
		if e.Choice == bare {
			return "; " + bare + "[x] takes its type into its name, for instance " + e.Name
		}
		if d := distance(bare, e.Name, least); d < least && d < len(bare) {
			best, least = e.Name, d
		}
	}
	if best == "" || best == bare {
		return ""
	}
	return "; did you mean \"" + best + "\"?"
}

func (w *walker) suggestType(name []byte) string {
	if !presentable(name) {
		return ""
	}
	best, least := "", 3
	for _, t := range w.v.defs.Resources() {
		if d := distance(string(name), t.Name, least); d < least && d < len(name) {
			best, least = t.Name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean \"" + best + "\"?"
}

// distance is the number of letters to change, add or leave out to get from a to
// b, whatever their case; limit or more when it is not below limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > longestName || len(b) > longestName {
		return limit
	}
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := i
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(row)-1], limit)
}
