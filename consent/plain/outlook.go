package plain

import (
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// Outlook is what a Consent would change, told before it is on file.
type Outlook struct {
	// Now and Then are what is so without it and what would be so with it, for the
	// same organisations in the same order.
	Now, Then []Sight
	// More says that there are more organisations than are told of.
	More bool
	// Base is what holds where no rule does, and Rules are what the Consent says.
	// Doubtful says that its meaning is in doubt.
	Base     consent.Effect
	Rules    []Saying
	Doubtful bool
}

// Sight is what one organisation can see.
type Sight struct {
	// Organization is the id, and Name what it is called.
	Organization, Name string
	// Registered says that it cares for the patient now.
	Registered bool
	// Parts are the kinds of data that rules single out, with what is seen of each,
	// and last the rest, whose Type is empty.
	Parts []Part
	// Glass is until when somebody there has broken the glass; zero for nobody.
	Glass time.Time
}

// Part is what is seen of a kind of data: for a purpose, where that makes a
// difference.
type Part struct {
	Type fhir.ResourceType
	// Label is a security label, "system|code"; empty for what has none.
	Label   string
	Edition consent.Edition
	// Purpose is what it must be for; none for any that is care.
	Purpose consent.Purpose
}

// Saying is a rule, with the names of those whom it names.
type Saying struct {
	Rule  *consent.Rule
	Names map[string]string
}

// Sees says in a sentence or more what an organisation can see: as it is now or, then,
// as it would be with the Consent.
func (s *Speaker) Sees(one *Sight, then bool) string {
	when := "outlook.now"
	if then {
		when = "outlook.then"
	}
	return s.say(func(w *words) string {
		organization := one.Name
		if organization == "" {
			organization = w.put("organisation.none")
		}
		text := w.put(when, "{sentence}", w.sees(organization, one.Parts))
		if !one.Glass.IsZero() {
			text += w.put("glass.now", "{until}", moment(one.Glass))
		}
		return text
	})
}

func (w *words) sees(organization string, parts []Part) string {
	key := "sees." + sightOf(parts)
	var items []string
	if key == "sees.some" {
		for _, p := range parts {
			items = append(items, w.part(&p))
		}
	}
	return w.put(key, "{organisation}", organization, "{list}", w.list(items))
}

// part is one item of what is seen.
func (w *words) part(p *Part) string {
	data := w.put("type.rest")
	switch {
	case p.Label != "":
		data = w.put("rule.labels", "{list}", code(p.Label))
	case p.Type != "":
		data = w.typ(p.Type)
	}
	text := w.put("sees.item", "{data}", data, "{sight}", w.put("sight."+SightCode(p.Edition)))
	if p.Purpose != consent.PurposeNone {
		text += w.put("rule.purpose", "{purpose}", w.purpose(p.Purpose))
	}
	return text
}

// sightOf is full, basic or none when the parts come to that, and some otherwise.
func sightOf(parts []Part) string {
	rest := slices.IndexFunc(parts, func(p Part) bool { return p.Type == "" && p.Label == "" && p.Purpose == consent.PurposeNone })
	if rest < 0 {
		return "none"
	}
	whole := SightCode(parts[rest].Edition)
	for _, p := range parts {
		one := SightCode(p.Edition)
		within := whole == "basic" && one == "none" && !isBasic(p.Type) // the basic set has none of it
		if one != whole && !within {
			return "some"
		}
	}
	return whole
}

// isBasic reports whether the type is of the basic set.
func isBasic(t fhir.ResourceType) bool {
	return t == "Patient" || t == "AllergyIntolerance" || t == "Immunization"
}

// SightCode is an edition as a code: full, basic or none.
func SightCode(e consent.Edition) string {
	switch e {
	case consent.EditionFull:
		return "full"
	case consent.EditionBasic:
		return "basic"
	default:
		return "none"
	}
}

// Base says what holds where no rule does.
func (s *Speaker) Base(e consent.Effect) string {
	return s.say(func(w *words) string { return w.base(e) })
}

func (w *words) base(e consent.Effect) string {
	if e == consent.Permit {
		return w.put("base.permit")
	}
	return w.put("base.deny")
}

// Rule says what a rule says.
func (s *Speaker) Rule(one Saying) string {
	return s.say(func(w *words) string { return w.rule(one) + w.put("rule.end") })
}

func (w *words) rule(one Saying) string {
	u := one.Rule
	whom := w.put("rule.anyone")
	if len(u.Actors) > 0 {
		all := make([]string, len(u.Actors))
		for i, a := range u.Actors {
			if all[i] = one.Names[a.Reference()]; all[i] == "" {
				all[i] = a.Reference()
			}
		}
		whom = w.list(all)
	}
	var what []string
	if len(u.Types) > 0 {
		what = append(what, w.put("rule.types", "{list}", w.types(u.Types)))
	}
	if len(u.Labels) > 0 {
		codes := make([]string, len(u.Labels))
		for i, l := range u.Labels {
			codes[i] = code(l)
		}
		what = append(what, w.put("rule.labels", "{list}", w.list(codes)))
	}
	if len(what) == 0 {
		what = []string{w.put("rule.all")}
	}
	key := "rule.deny"
	if u.Effect == consent.Permit {
		key = "rule.permit"
	}
	text := w.put(key, "{whom}", whom, "{what}", w.list(what)) + w.limits(u)
	if len(u.Except) > 0 {
		all := make([]string, len(u.Except))
		for i := range u.Except {
			all[i] = w.rule(Saying{&u.Except[i], one.Names})
		}
		text += w.put("rule.except", "{list}", w.list(all))
	}
	return text
}

// limits are what a rule is for, and when.
func (w *words) limits(u *consent.Rule) (text string) {
	if u.Purpose != consent.PurposeNone {
		text += w.put("rule.purpose", "{purpose}", w.purpose(u.Purpose))
	}
	if !u.Period.From.IsZero() {
		text += w.put("rule.from", "{from}", moment(u.Period.From))
	}
	if !u.Period.Until.IsZero() {
		text += w.put("rule.until", "{until}", moment(u.Period.Until))
	}
	return text
}

// code is a label without its system.
func code(label string) string {
	for i := len(label) - 1; i >= 0; i-- {
		if label[i] == '|' {
			return label[i+1:]
		}
	}
	return label
}

// moment is a time as people here read it.
func moment(t time.Time) string { return here(t).Format("2 January 2006, 15:04") }

// here is the same moment on the clocks of Singapore.
func here(t time.Time) time.Time { return t.In(time.FixedZone("", 8*60*60)) }
