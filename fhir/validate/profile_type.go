package validate

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// typed holds the type of a value, and the profiles of it, against those that are
// allowed; false when it is of none.
func (k *shaper) typed(s spot, sh *shape) bool {
	i := slices.IndexFunc(sh.kinds, func(t typing) bool { return isOf(s.typ, t.name) })
	if i < 0 {
		names := make([]string, len(sh.kinds))
		for j := range names {
			names[j] = sh.kinds[j].name
		}
		k.wrong(s.at(), fhir.CodeStructure, sh.title()+" must be of type "+strings.Join(names, " or "))
		return false
	}
	t := &sh.kinds[i]
	if s.typ.Name == "Reference" {
		k.referred(s, t)
	}
	if len(t.profiles) > 0 {
		k.oneOf(s, t.profiles)
	}
	return true
}

// isOf says that a type is the one of that name, or one made from it.
func isOf(t *r4.Type, name string) bool {
	for ; t != nil; t = t.Base {
		if t.Name == name {
			return true
		}
	}
	return false
}

// oneOf holds a value against profiles, to one of which it must keep.
func (k *shaper) oneOf(s spot, profiles []string) {
	if len(profiles) == 1 {
		switch p, known := k.profile(s.typ, profiles[0]); {
		case p != nil:
			k.keeps(s, p)
		case !known:
			k.untold(profiles[0])
		default:
			k.wrong(s.at(), fhir.CodeBusinessRule, "must keep to "+profiles[0]+", which "+k.useless(profiles[0]))
		}
		return
	}
	doubt := ""
	for _, canonical := range profiles {
		switch p, known := k.profile(s.typ, canonical); {
		case !known:
			doubt = canonical
		case p != nil && k.fits(s, p):
			return
		}
	}
	if doubt != "" {
		k.untold(doubt)
		return
	}
	k.wrong(s.at(), fhir.CodeStructure, "must keep to one of "+strings.Join(profiles, " or "))
}

// untold says once that a profile is not here.
func (k *shaper) untold(canonical string) {
	k.say(fhir.SeverityInformation, k.t.Root(), "", fhir.CodeInformational, "not checked: "+canonical+" is not on this server")
}

// profile finds a profile for a value of a type. That of a type of R4 itself asks
// nothing of such a value, and cannot be kept by another: it is then nil.
func (k *shaper) profile(t *r4.Type, canonical string) (p *Profile, known bool) {
	url, _, _ := strings.Cut(canonical, "|")
	if name, ok := strings.CutPrefix(url, coreCanon); ok {
		if core := k.defs.Type(name); core != nil {
			if t != nil && !isOf(t, name) {
				return nil, true
			}
			return &Profile{URL: url, Type: core}, true
		}
	}
	if p := builtIn(k.defs, canonical); p != nil {
		return p, true
	}
	if k.how.Profiles == nil {
		return nil, false
	}
	return k.how.Profiles(canonical)
}
