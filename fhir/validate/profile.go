package validate

// Profile is a compiled profile.
type Profile struct{}

// profiles is the second pass: the profiles that the resource claims, and those
// that are claimed for it.
func (r *reporter) profiles(*How) {}
