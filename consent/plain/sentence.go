package plain

import (
	"strconv"

	"vitrine/consent"
	"vitrine/fhir"
)

// professions are the words for role codes, whatever their system.
//
//nolint:gochecknoglobals // a table that never changes
var professions = map[string]string{
	"doctor": "doctor", "158965000": "doctor", "309343006": "doctor", "59058001": "doctor", "62247001": "doctor", "208D00000X": "doctor", "207Q00000X": "doctor", "207R00000X": "doctor",
	"nurse": "nurse", "106292003": "nurse", "224535009": "nurse", "163W00000X": "nurse", "163WE0003X": "nurse", "309453006": "midwife",
	"pharmacist": "pharmacist", "46255001": "pharmacist", "183500000X": "pharmacist", "106289002": "dentist", "36682004": "physio", "80546007": "occupation",
	"397897005": "paramedic", "146L00000X": "paramedic", "207P00000X": "erphysician", "emergency": "emergency",
}

// profession is the word for the first of the roles that has one.
func (w *words) profession(roles []fhir.Coding) string {
	for _, c := range roles {
		if word := professions[c.Code]; word != "" {
			return w.put("role." + word)
		}
	}
	return w.put("role.none")
}

// who is in which capacity, and for which organisation, somebody came.
func (w *words) who(v *Visit) string {
	organization := v.Name
	if organization == "" && (v.Who == WhoProfessional || v.Who == WhoSystem) {
		organization = w.put("organisation.none")
	}
	switch v.Who {
	case WhoYou:
		return w.put("who.you")
	case WhoPatient:
		return w.put("who.patient")
	case WhoRepresentative:
		return w.put(representing(v.Purpose))
	case WhoProfessional:
		return w.put("who.professional", "{role}", w.profession(v.Roles), "{organisation}", organization)
	case WhoSystem:
		return w.put("who.system", "{organisation}", organization)
	case WhoMinistry:
		return w.put("who.ministry")
	case WhoKeeper:
		return w.put("who.keeper")
	case WhoUnknown:
		return w.put("who.unknown")
	default:
		return w.put("who.unknown")
	}
}

// representing says by what right somebody acts: the purpose goes with it.
func representing(p consent.Purpose) string {
	switch p { //nolint:exhaustive // the others are no right
	case consent.FamilyRequest:
		return "who.family"
	case consent.PowerOfAttorney:
		return "who.attorney"
	case consent.SupportNetwork:
		return "who.support"
	default:
		return "who.representative"
	}
}

// types are the words for kinds of data.
func (w *words) types(types []fhir.ResourceType) string {
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = w.typ(t)
	}
	return w.list(all)
}

func (w *words) typ(t fhir.ResourceType) string {
	if key := "type." + string(t); w.has(key) || english[key] != "" {
		return w.put(key)
	}
	return w.put("type.other", "{type}", string(t))
}

func (w *words) data(v *Visit) string {
	switch {
	case v.Whole:
		return w.put("what.whole")
	case len(v.Data) > 0:
		return w.put("what.list", "{list}", w.types(v.Data))
	default:
		return w.put("what.some")
	}
}

// some is the kinds of data alone.
func (w *words) some(v *Visit) string {
	if len(v.Data) == 0 {
		return w.put("what.something")
	}
	return w.types(v.Data)
}

// why is what it was for, where that is worth a word.
func (w *words) why(v *Visit) string {
	if v.Emergency {
		return w.put("why.glass")
	}
	key := "why." + v.Purpose.String()
	if _, ok := english[key]; !ok || v.Who != WhoProfessional && v.Who != WhoSystem {
		return ""
	}
	return w.put(key)
}

// Summary tells a visit in a sentence or two.
func (s *Speaker) Summary(v *Visit) string {
	return s.say(func(w *words) string {
		who := w.who(v)
		if v.Refused {
			return w.put(refusedAs(v.Did), "{who}", who, "{data}", w.data(v))
		}
		text := w.put("deed."+string(v.Did), "{who}", who, "{whom}", lowered(who, v.Who), "{data}", w.data(v), "{list}", w.some(v), "{why}", w.why(v))
		if v.Level == consent.Basic && v.Did == DeedLooked {
			text += w.put("also.basic")
		}
		if v.Count > 1 {
			text += w.put("also.several", "{count}", strconv.Itoa(v.Count))
		}
		return text
	})
}

// lowered is who as it stands within a sentence: only the article that begins the
// words of professionals is changed.
func lowered(who string, w Who) string {
	if w == WhoProfessional && len(who) > 2 && who[0] == 'A' && (who[1] == ' ' || who[1:3] == "n ") {
		return "a" + who[1:]
	}
	return who
}

func refusedAs(d Deed) string {
	switch d {
	case DeedLooked:
		return "refused.looked"
	case DeedAdded, DeedChanged, DeedDeleted, DeedDecided:
		return "refused.added"
	case DeedOpened:
		return "refused.opened"
	case DeedOther, DeedClosed, DeedHistory, DeedSought, DeedExported, DeedReviewed, DeedNotified, DeedAsked:
		return "refused.other"
	default:
		return "refused.other"
	}
}

// By is in which capacity somebody came.
func (s *Speaker) By(v *Visit) string { return s.say(func(w *words) string { return w.who(v) }) }

// Profession is the word for a professional's role; empty for everybody else.
func (s *Speaker) Profession(v *Visit) string {
	if v.Who != WhoProfessional {
		return ""
	}
	return s.say(func(w *words) string { return w.profession(v.Roles) })
}

// Purpose is what an access was for.
func (s *Speaker) Purpose(p consent.Purpose) string {
	return s.say(func(w *words) string { return w.purpose(p) })
}

func (w *words) purpose(p consent.Purpose) string {
	code := p.String()
	switch _, ok := english["purpose."+code]; {
	case p == consent.PurposeNone:
		return w.put("purpose.none")
	case !ok:
		return w.put("purpose.other")
	default:
		return w.put("purpose." + code)
	}
}

// Type is a kind of data.
func (s *Speaker) Type(t fhir.ResourceType) string {
	return s.say(func(w *words) string { return w.typ(t) })
}

// Rest is all kinds of data that were not named.
func (s *Speaker) Rest() string { return s.word("type.rest") }

// View is the level at which a record was seen.
func (s *Speaker) View(l consent.Level) string { return s.word("level." + l.Code()) }
