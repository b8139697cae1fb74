package consent

import "time"

// Client is what the directory says of a client. The zero value was not looked
// up and is refused.
type Client uint8

// The states of a client.
const (
	ClientUnknown Client = iota
	// ClientUnlisted: no Device carries the client's id.
	ClientUnlisted
	// ClientListed: an active Device carries it, and no registration.
	ClientListed
	// ClientPending: it is registered, and onboarding has not ended.
	ClientPending
	// ClientActive: it is registered and onboarded.
	ClientActive
	// ClientSuspended: it is registered, or on file in a Device, and not active now.
	ClientSuspended
	// ClientEnded: it is registered, and will never be let in again.
	ClientEnded
	// ClientUnreadable: a Device carries it whose registration cannot be read whole.
	ClientUnreadable
	// ClientSeveral: several Devices carry it.
	ClientSeveral
)

// Capabilities are what a client or an organisation was onboarded for. The zero
// value is nothing.
type Capabilities struct {
	Read, Contribute bool
	// Audit is a client's of the regulator, which has no other.
	Audit bool
}

// has reports whether what is asked is among them. The letter counts: who validates
// what it will contribute does not read the record for it.
func (c Capabilities) has(ask Ask) bool {
	switch ask.Letter {
	case 'r', 's':
		return c.Read
	case 'c', 'u', 'd':
		return c.Contribute
	default:
		return c.Read && c.Contribute
	}
}

// onboarded is gate G1 of DOSSIER §7.4 (S16).
func (p Policy) onboarded(c *Caller, s *Standing, ask Ask) Verdict {
	if v := p.known(c, s); !v.Admitted {
		return v
	}
	switch {
	case s.Client == ClientActive && s.ClientMay.Audit != (c.Kind == Regulator):
		return refuse(RefusedClient, "client-not-for-kind")
	case s.Client == ClientActive && c.Kind != Regulator && !s.ClientMay.has(ask):
		return refuse(RefusedClient, "client-"+lacking(ask))
	case c.Organization != "" && !s.OrganizationMay.has(ask):
		return refuse(RefusedClient, "organization-"+lacking(ask))
	default:
		return Verdict{Admitted: true}
	}
}

// lacking names the capability that is missing for what was asked.
func lacking(ask Ask) string {
	if ask.Letter == 'r' || ask.Letter == 's' {
		return "not-reading"
	}
	return "not-contributing"
}

// known is G1 but for what is asked: who comes through which client for which
// organisation. The custodian whom the operator sent is never kept out, or nobody
// could let anybody in.
func (p Policy) known(c *Caller, s *Standing) Verdict {
	if c.Kind == Nobody {
		return refuse(RefusedClient, "unknown-caller")
	}
	if !c.ByHand || c.Kind != Custodian {
		if reason := p.clientRefused(c, s); reason != "" {
			return refuse(RefusedClient, reason)
		}
	}
	switch {
	case c.Organization == "" && c.Kind.IsProvider():
		return refuse(RefusedClient, "organization-missing")
	case c.Organization != "" && !s.OrganizationActive:
		return refuse(RefusedClient, "organization-not-onboarded")
	default:
		return Verdict{Admitted: true}
	}
}

// clientRefused is why a client is not let in; empty when it is. The operator's
// own hand vouches for a client that is not registered.
func (p Policy) clientRefused(c *Caller, s *Standing) string {
	switch s.Client {
	case ClientUnknown:
		return "client-unknown"
	case ClientUnlisted:
		if c.ByHand && !p.ClientsListed {
			return ""
		}
		return "client-unlisted"
	case ClientListed:
		if c.ByHand {
			return ""
		}
		return "client-unregistered"
	case ClientPending:
		return "client-pending"
	case ClientActive:
		return bound(c, s)
	case ClientSuspended:
		return "client-suspended"
	case ClientEnded:
		return "client-ended"
	case ClientUnreadable:
		return "client-unreadable"
	case ClientSeveral:
		return "client-several"
	default:
		return "client-unknown"
	}
}

// bound is why a client may not act for the caller's organisation; empty when it
// may. One that is bound to an organisation acts for it and its parts, and no
// provider comes through one that is bound to none.
func bound(c *Caller, s *Standing) string {
	switch {
	case s.ClientOrganization == "" && c.Kind.IsProvider():
		return "client-unbound"
	case s.ClientOrganization == "" || c.Organization == "":
		return ""
	}
	d := c.distance(s.ClientOrganization)
	if d == distanceNowhere || d > distanceSelf && c.LineageBroken {
		return "client-elsewhere"
	}
	return ""
}

// Welcome reports whether a caller would be let in with some request or other: the
// gates that depend on the caller alone, but for the scope. What directives say
// is Standing.Blocked.
func (p Policy) Welcome(c *Caller, s *Standing, now time.Time) Verdict {
	if c == nil || s == nil {
		return refuse(RefusedClient, "unknown-caller")
	}
	v := p.onboarded(c, s, Ask{Letter: 'c', Write: true})
	if !v.Admitted && c.Kind != System {
		v = p.onboarded(c, s, Ask{Letter: 'r'})
	}
	switch {
	case !v.Admitted:
		return v
	case s.Blocked:
		return refuse(RefusedBlocked, "directive")
	}
	if v := p.inRole(c, &s.Role, Ask{Write: true}, now); !v.Admitted {
		return v
	}
	return purposed(c)
}
