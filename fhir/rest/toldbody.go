package rest

import (
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/consent/plain"
	"vitrine/fhir"
)

// parameters is a Parameters resource under construction (R4 parameters.html).
type parameters struct {
	out   text
	fresh bool // nothing stands in the list that was opened last
}

// list opens a list of parameters or parts.
func (p *parameters) list(name string) {
	p.out = p.out.raw(`"` + name + `":[`)
	p.fresh = true
}

// begin opens one; value closes it.
func (p *parameters) begin(name string) {
	if !p.fresh {
		p.out = p.out.raw(",")
	}
	p.fresh = false
	p.out = p.out.raw(`{"name":"` + name + `",`)
}

// group opens one that has parts; end closes it.
func (p *parameters) group(name string) {
	p.begin(name)
	p.list("part")
}

func (p *parameters) end() {
	p.out = p.out.raw("]}")
	p.fresh = false
}

func (p *parameters) text(name, value string) {
	if value != "" {
		p.begin(name)
		p.out = p.out.raw(`"valueString":`).quote(value).raw("}")
	}
}

func (p *parameters) flag(name string, value bool) {
	p.begin(name)
	p.out = p.out.raw(`"valueBoolean":` + strconv.FormatBool(value) + "}")
}

func (p *parameters) number(name string, value int) {
	p.begin(name)
	p.out = p.out.raw(`"valueInteger":` + strconv.Itoa(value) + "}")
}

func (p *parameters) instant(name string, value time.Time) {
	p.begin(name)
	p.out = text(fhir.AppendInstant(p.out.raw(`"valueInstant":"`), value)).raw(`"}`)
}

// concept is a code with the words for it.
func (p *parameters) concept(name string, c fhir.Coding, words string) {
	p.begin(name)
	p.out = p.out.raw(`"valueCodeableConcept":{`)
	if c.Code != "" {
		p.out = p.out.raw(`"coding":[{"system":`).quote(c.System).raw(`,"code":`).quote(c.Code).raw("}]")
		if words != "" {
			p.out = p.out.raw(",")
		}
	}
	if words != "" {
		p.out = p.out.raw(`"text":`).quote(words)
	}
	p.out = p.out.raw("}}")
}

// reference refers to something, with what it is called.
func (p *parameters) reference(name, to, display string) {
	p.begin(name)
	p.out = p.out.raw(`"valueReference":{"reference":`).quote(to)
	if display != "" {
		p.out = p.out.raw(`,"display":`).quote(display)
	}
	p.out = p.out.raw("}}")
}

// opened is a Parameters resource; closed ends it.
func opened(dst []byte) parameters {
	p := parameters{out: text(dst).raw(`{"resourceType":"Parameters",`)}
	p.list("parameter")
	return p
}

// closed ends the resource. R4 has no empty lists.
func (p *parameters) closed() []byte {
	if p.fresh {
		const empty = `,"parameter":[`
		return append(p.out[:len(p.out)-len(empty)], '}')
	}
	return p.out.raw("]}")
}

// appendVisits appends the answer to $access-history.
func (s *Server) appendVisits(dst []byte, a *answer) []byte {
	p := opened(dst)
	for _, v := range a.released.Visits() {
		p.visit("access", &v, a.speaker)
	}
	if cursor := a.released.Next(); cursor != "" {
		p.begin("next")
		p.out = p.out.raw(`"valueUri":`).quote(s.link(a, cursor)).raw("}")
	}
	return p.closed()
}

// visit is one access, or several told as one.
func (p *parameters) visit(name string, v *plain.Visit, speak *plain.Speaker) {
	p.group(name)
	p.text("summary", speak.Summary(v))
	p.instant("when", v.Until)
	if v.Count > 1 {
		p.instant("since", v.From)
	}
	p.number("count", v.Count)
	p.concept("who", fhir.Coding{System: systemWho, Code: v.Who.Code()}, speak.By(v))
	if v.Organization != "" {
		p.reference("organization", "Organization/"+v.Organization, v.Name)
	}
	p.text("profession", speak.Profession(v))
	p.concept("did", fhir.Coding{System: systemDeed, Code: string(v.Did)}, "")
	p.concept("purpose", v.Purpose.Coding(), speak.Purpose(v.Purpose))
	for _, t := range v.Data {
		p.concept("data", fhir.Coding{System: systemTypes, Code: string(t)}, speak.Type(t))
	}
	p.flag("whole", v.Whole)
	p.flag("emergency", v.Emergency)
	p.flag("refused", v.Refused)
	if !v.Refused && v.Did == plain.DeedLooked {
		p.concept("view", fhir.Coding{System: consent.SystemView, Code: v.Level.Code()}, speak.View(v.Level))
	}
	p.end()
}

// appendOutlook appends the answer to $simulate.
func (s *Server) appendOutlook(dst []byte, a *answer) []byte {
	p, o := opened(dst), a.released.Outlook()
	for i := range o.Then {
		one := &o.Then[i]
		p.group("organization")
		p.reference("who", "Organization/"+one.Organization, one.Name)
		p.flag("registered", one.Registered)
		p.sight("now", &o.Now[i], false, a.speaker)
		p.sight("then", one, true, a.speaker)
		if !one.Glass.IsZero() {
			p.instant("emergency-until", one.Glass)
		}
		p.end()
	}
	if o.More {
		p.flag("more", true)
	}
	p.group("consent")
	p.flag("in-doubt", o.Doubtful)
	if !o.Doubtful {
		p.text("otherwise", a.speaker.Base(o.Base))
	}
	for _, r := range o.Rules {
		p.text("rule", a.speaker.Rule(r))
	}
	p.end()
	return p.closed()
}

// sight is what an organisation can see.
func (p *parameters) sight(name string, one *plain.Sight, then bool, speak *plain.Speaker) {
	p.group(name)
	p.text("summary", speak.Sees(one, then))
	for _, part := range one.Parts {
		p.part(&part, speak)
	}
	p.end()
}

// part is what is seen of one kind of data, or of all that is not named.
func (p *parameters) part(part *plain.Part, speak *plain.Speaker) {
	p.group("sees")
	switch {
	case part.Label != "":
		p.text("label", part.Label)
	case part.Type != "":
		p.concept("data", fhir.Coding{System: systemTypes, Code: string(part.Type)}, speak.Type(part.Type))
	default:
		p.concept("data", fhir.Coding{}, speak.Rest())
	}
	if part.Purpose != consent.PurposeNone {
		p.concept("purpose", part.Purpose.Coding(), speak.Purpose(part.Purpose))
	}
	p.concept("view", fhir.Coding{System: consent.SystemView, Code: plain.SightCode(part.Edition)}, "")
	p.end()
}

// appendExplanation appends the answer to $explain.
func (s *Server) appendExplanation(dst []byte, a *answer) []byte {
	p, e := opened(dst), a.released.Explanation()
	p.reference("event", e.Event, "")
	p.visit("access", &e.Visit, a.speaker)
	p.concept("because", fhir.Coding{System: systemBecause, Code: string(e.Why)}, a.speaker.Reason(e.Why))
	p.text("reason", e.Code)
	p.text("grant", e.Grant)
	p.text("basic-set", e.BasicSet)
	for i := range e.Consulted {
		c := &e.Consulted[i]
		p.group("consent")
		if c.Reference != "" {
			p.reference("version", c.Reference, "")
		}
		for _, said := range a.speaker.Decided(c) {
			p.text("decided", said)
		}
		for _, rule := range c.By {
			p.text("place", rule.Rule.Place)
		}
		for _, part := range c.Parts {
			p.part(&part, a.speaker)
		}
		p.end()
	}
	if e.Again {
		p.flag("reproduced", e.Same)
	}
	for _, u := range e.Unsaid {
		p.concept("not-on-record", fhir.Coding{System: systemUnsaid, Code: string(u)}, a.speaker.Missing(u))
	}
	return p.closed()
}
