package consent

// Authority is by what right somebody acts for a patient. The zero value is none.
type Authority uint8

// The kinds of authority that the registry knows.
const (
	AuthorityNone Authority = iota
	// AuthorityFamily is a relative's whom the patient let act.
	AuthorityFamily
	// AuthorityAttorney is that of the donee of a lasting power of attorney.
	AuthorityAttorney
	// AuthorityDeputy is that of a deputy whom a court appointed.
	AuthorityDeputy
	// AuthoritySupport is that of somebody of the patient's support network.
	AuthoritySupport
)

// ParseAuthority reads the code of a kind of authority; ok is false for every other
// word.
func ParseAuthority(code string) (a Authority, ok bool) {
	for a = AuthorityFamily; a <= AuthoritySupport; a++ {
		if a.String() == code {
			return a, true
		}
	}
	return AuthorityNone, false
}

// String is the code of the kind.
func (a Authority) String() string {
	switch a {
	case AuthorityFamily:
		return "family"
	case AuthorityAttorney:
		return "power-of-attorney"
	case AuthorityDeputy:
		return "deputy"
	case AuthoritySupport:
		return "support-network"
	case AuthorityNone:
		return "none"
	default:
		return "none"
	}
}

// Purpose is the one purpose that the authority is for (DOSSIER §7.4); none for
// none.
func (a Authority) Purpose() Purpose {
	switch a {
	case AuthorityFamily:
		return FamilyRequest
	case AuthorityAttorney, AuthorityDeputy:
		return PowerOfAttorney
	case AuthoritySupport:
		return SupportNetwork
	case AuthorityNone:
		return PurposeNone
	default:
		return PurposeNone
	}
}

// Delegate is somebody who may act for a patient.
type Delegate struct {
	// User is "RelatedPerson/r".
	User      string
	Authority Authority
}

// acts reports whether it is the caller, who comes for what the authority is for.
func (r Delegate) acts(c *Caller) bool {
	return r.User != "" && r.User == c.User && r.Authority != AuthorityNone && r.Authority.Purpose() == c.Purpose
}
