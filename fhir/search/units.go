package search

// metresIn is how many metres a unit of length is.
func metresIn(unit string) (float64, bool) {
	switch unit {
	case "km":
		return 1000, true
	case "m":
		return 1, true
	case "mi":
		return 1609.344, true
	}
	return 0, false
}
