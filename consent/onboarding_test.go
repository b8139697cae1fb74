package consent_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
)

// registered is a doctor of organisation a, who comes through a client that is
// registered for a.
func registered() (*consent.Caller, *consent.Standing) {
	c, s := doctor()
	c.ByHand, c.Lineage = false, []string{"a", "group"}
	s.Client, s.ClientOrganization, s.ClientMay = consent.ClientActive, "a", consent.Capabilities{Read: true, Contribute: true}
	return c, s
}

func TestTheStateOfAClientDecides(t *testing.T) {
	read, write := consent.Ask{Letter: 'r', Type: "Condition"}, consent.Ask{Letter: 'c', Type: "Condition", Write: true}
	byHand := func(c *consent.Caller, s *consent.Standing) { c.ByHand = true }
	state := func(state consent.Client) func(*consent.Caller, *consent.Standing) {
		return func(_ *consent.Caller, s *consent.Standing) { s.Client = state }
	}
	both := func(a, b func(*consent.Caller, *consent.Standing)) func(*consent.Caller, *consent.Standing) {
		return func(c *consent.Caller, s *consent.Standing) { a(c, s); b(c, s) }
	}
	for name, row := range map[string]struct {
		change           func(*consent.Caller, *consent.Standing)
		reading, writing string // the reason of the refusal; empty when admitted
		listed           bool
	}{
		"active":                        {change: state(consent.ClientActive)},
		"pending":                       {change: state(consent.ClientPending), reading: "client-pending"},
		"suspended":                     {change: state(consent.ClientSuspended), reading: "client-suspended"},
		"ended":                         {change: state(consent.ClientEnded), reading: "client-ended"},
		"unreadable":                    {change: state(consent.ClientUnreadable), reading: "client-unreadable"},
		"two of one id":                 {change: state(consent.ClientSeveral), reading: "client-several"},
		"a state there is not":          {change: state(99), reading: "client-unknown"},
		"unlisted":                      {change: state(consent.ClientUnlisted), reading: "client-unlisted"},
		"unlisted, by hand":             {change: both(state(consent.ClientUnlisted), byHand)},
		"unlisted, by hand, all listed": {change: both(state(consent.ClientUnlisted), byHand), reading: "client-unlisted", listed: true},
		"a Device without registration": {change: state(consent.ClientListed), reading: "client-unregistered"},
		"such a Device, by hand":        {change: both(state(consent.ClientListed), byHand)},
		"such a Device, all listed":     {change: both(state(consent.ClientListed), byHand), listed: true},
		"suspended, by hand":            {change: both(state(consent.ClientSuspended), byHand), reading: "client-suspended"},
		"bound to none":                 {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientOrganization = "" }, reading: "client-unbound"},
		"bound to none, by hand":        {change: both(byHand, func(_ *consent.Caller, s *consent.Standing) { s.ClientOrganization = "" }), reading: "client-unbound"},
		"bound to another":              {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientOrganization = "b" }, reading: "client-elsewhere"},
		"bound to what a is part of":    {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientOrganization = "group" }},
		"bound to what a may be part of": {change: func(c *consent.Caller, s *consent.Standing) {
			s.ClientOrganization, c.LineageBroken = "group", true
		}, reading: "client-elsewhere"},
		"bound to a, whatever that is part of":   {change: func(c *consent.Caller, _ *consent.Standing) { c.LineageBroken = true }},
		"contributing alone":                     {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientMay.Read = false }, reading: "client-not-reading", writing: "-"},
		"reading alone":                          {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientMay.Contribute = false }, reading: "-", writing: "client-not-contributing"},
		"neither":                                {change: func(_ *consent.Caller, s *consent.Standing) { s.ClientMay = consent.Capabilities{} }, reading: "client-not-reading", writing: "client-not-contributing"},
		"an organisation that contributes alone": {change: func(_ *consent.Caller, s *consent.Standing) { s.OrganizationMay.Read = false }, reading: "organization-not-reading", writing: "-"},
		"an organisation that reads alone":       {change: func(_ *consent.Caller, s *consent.Standing) { s.OrganizationMay.Contribute = false }, reading: "-", writing: "organization-not-contributing"},
	} {
		c, s := registered()
		row.change(c, s)
		if row.writing == "" {
			row.writing = row.reading
		}
		p := consent.Policy{ClientsListed: row.listed}
		for _, ask := range []struct {
			consent.Ask
			reason string
		}{{read, row.reading}, {write, row.writing}} {
			want := consent.Verdict{Admitted: true}
			if ask.reason != "" && ask.reason != "-" {
				want = consent.Verdict{Refusal: consent.RefusedClient, Reason: ask.reason}
			}
			if diff := cmp.Diff(want, p.Admit(c, s, ask.Ask, noon)); diff != "" {
				t.Errorf("%s, %c (-want +got):\n%s", name, ask.Letter, diff)
			}
		}
		admitted := p.Admit(c, s, read, noon).Admitted || p.Admit(c, s, write, noon).Admitted
		if got := p.Welcome(c, s, noon); got.Admitted != admitted {
			t.Errorf("%s: a token is worth issuing: %v, and let in: %v", name, got, admitted)
		}
	}
}

func TestTheOperatorsCustodianIsNeverKeptOut(t *testing.T) {
	for state := consent.ClientUnknown; state <= consent.ClientSeveral; state++ {
		c, s := registered()
		c.Kind, c.Organization, c.Purpose, s.Client = consent.Custodian, "", consent.SystemAdministration, state
		ask := consent.Ask{Letter: 'u', Type: "Device", Write: true}
		byIssuer := (consent.Policy{}).Admit(c, s, ask, noon)
		if byIssuer.Admitted != (state == consent.ClientActive) {
			t.Errorf("state %d, another's token: %+v", state, byIssuer)
		}
		c.ByHand = true
		if v := (consent.Policy{ClientsListed: true}).Admit(c, s, ask, noon); !v.Admitted {
			t.Errorf("state %d, by hand: %+v", state, v)
		}
	}
}

// TestNobodyComesThroughAClientThatIsNotOnboarded holds Admit against the rule as
// it stands in S16, said again in other words.
func TestNobodyComesThroughAClientThatIsNotOnboarded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := registered()
		organizations := rapid.SampledFrom([]string{"", "a", "b", "group"})
		capabilities := func(name string) consent.Capabilities {
			return consent.Capabilities{Read: rapid.Bool().Draw(t, name+" reads"), Contribute: rapid.Bool().Draw(t, name+" contributes")}
		}
		c.ByHand, c.LineageBroken = rapid.Bool().Draw(t, "by hand"), rapid.Bool().Draw(t, "broken")
		s.Client = consent.Client(rapid.IntRange(0, 10).Draw(t, "state"))
		s.ClientOrganization, s.ClientMay, s.OrganizationMay = organizations.Draw(t, "bound to"), capabilities("client"), capabilities("organisation")
		s.OrganizationActive = rapid.Bool().Draw(t, "onboarded")
		ask := consent.Ask{Letter: rapid.SampledFrom([]byte("crud")).Draw(t, "letter"), Type: "Condition"}
		ask.Write = ask.Letter != 'r'
		p := consent.Policy{ClientsListed: rapid.Bool().Draw(t, "all listed")}

		within := s.ClientOrganization == "a" || s.ClientOrganization == "group" && !c.LineageBroken
		may := func(m consent.Capabilities) bool { return ask.Write && m.Contribute || !ask.Write && m.Read }
		client := s.Client == consent.ClientActive && within && may(s.ClientMay) ||
			c.ByHand && (s.Client == consent.ClientListed || s.Client == consent.ClientUnlisted && !p.ClientsListed)
		want := client && s.OrganizationActive && may(s.OrganizationMay)

		v := p.Admit(c, s, ask, noon)
		if v.Admitted != want || !want && (v.Refusal != consent.RefusedClient || v.Reason == "") {
			t.Fatalf("got %+v, want it admitted: %v", v, want)
		}
	})
}
