package restriction

import (
	"vitrine/consent"
	"vitrine/fhir"
)

const rootPath = "Consent.provision"

// rules reads policyRule and the provisions (R4 consent.html, DOSSIER §1.6).
// The base effect is policyRule's or, without one, the root provision's. A root
// of the opposite type is an exception in itself.
func (r *reader) rules(root fhir.Node) consent.Restriction {
	provision := r.tape.Field(root, "provision")
	base, byPolicy := r.policy(root)
	effect, typed := r.effect(provision, rootPath)
	switch {
	case !byPolicy && !typed:
		r.doubt(provision, "Consent.policyRule", fhir.CodeRequired, "policyRule (OPTIN, OPTINR, OPTOUT or OPTOUTE) or a type on the root provision must be there")
		return consent.Restriction{}
	case !byPolicy:
		base = effect
	case !typed:
		effect = base
	}
	if provision == fhir.None {
		return consent.Restriction{Base: base}
	}
	if effect != base {
		return r.oppositeRoot(provision, base, effect)
	}
	return r.plainRoot(provision, base, byPolicy)
}

// policy reads policyRule; given is false when there is none.
func (r *reader) policy(root fhir.Node) (e consent.Effect, given bool) {
	n := r.tape.Field(root, "policyRule")
	if n == fhir.None {
		return consent.Deny, false
	}
	permits, denies, unknown := false, false, false
	r.codings(n, func(c fhir.Coding) {
		switch c {
		case fhir.Coding{System: systemActCode, Code: "OPTIN"}, fhir.Coding{System: systemActCode, Code: "OPTINR"}:
			permits = true
		case fhir.Coding{System: systemActCode, Code: "OPTOUT"}, fhir.Coding{System: systemActCode, Code: "OPTOUTE"}:
			denies = true
		default:
			unknown = true
		}
	})
	if permits == denies || unknown {
		r.doubt(n, "Consent.policyRule", fhir.CodeCodeInvalid, "policyRule must be one of OPTIN, OPTINR, OPTOUT and OPTOUTE of v3-ActCode")
	}
	if permits && !denies {
		return consent.Permit, true
	}
	return consent.Deny, true
}

// plainRoot reads a root provision that states the base effect. It holds for
// everybody and everything: were it confined, nothing would say what holds for
// the rest.
func (r *reader) plainRoot(provision fhir.Node, base consent.Effect, byPolicy bool) consent.Restriction {
	c := r.conditions(provision, rootPath, base)
	for _, confined := range []struct {
		name string
		yes  bool
	}{
		{"actor", len(c.rule.Actors) > 0},
		{"class", len(c.rule.Types) > 0},
		{"securityLabel", len(c.rule.Labels) > 0},
		{"purpose", c.rule.Purpose != consent.PurposeNone && c.rule.Purpose != consent.Treatment},
	} {
		if confined.yes {
			r.doubt(r.tape.Field(provision, confined.name), rootPath+"."+confined.name, fhir.CodeBusinessRule,
				"a root provision of the base's own type holds for everybody and everything; name exceptions in nested provisions of the opposite type")
		}
	}
	out := consent.Restriction{Base: base, Period: c.rule.Period}
	if !c.reading {
		if byPolicy {
			r.doubt(r.tape.Field(provision, "action"), rootPath+".action", fhir.CodeBusinessRule, "the root provision must be about access, use or disclose")
		}
		out.Inert = true
	}
	out.Rules = r.nested(provision, base)
	return out
}

// oppositeRoot reads a root provision that is an exception to policyRule, as in
// R4's example notOrg. Its period is the exception's own.
func (r *reader) oppositeRoot(provision fhir.Node, base, effect consent.Effect) consent.Restriction {
	out := consent.Restriction{Base: base}
	c := r.conditions(provision, rootPath, effect)
	if !c.confined() {
		r.doubt(provision, rootPath+".type", fhir.CodeBusinessRule, "a root provision that contradicts policyRule must say for whom or for what")
	}
	c.rule.Except = r.nested(provision, effect)
	if c.reading {
		out.Rules = []consent.Rule{c.rule}
	}
	return out
}

// nested reads the exceptions to a provision whose effect is parent.
func (r *reader) nested(provision fhir.Node, parent consent.Effect) []consent.Rule {
	var rules []consent.Rule
	r.bounded(r.tape.Field(provision, "provision"), rootPath+".provision", "nested provisions", &r.nestings, rulesMost, func(n fhir.Node, path string) {
		effect, typed := r.effect(n, path)
		if !typed {
			if r.tape.Field(n, "type") == fhir.None {
				r.doubt(n, path+".type", fhir.CodeRequired, "a nested provision must have a type")
			}
			return
		}
		if deeper := r.tape.Field(n, "provision"); deeper != fhir.None {
			r.doubt(deeper, path+".provision", fhir.CodeNotSupported, "provisions may be nested one level deep")
		}
		c := r.conditions(n, path, effect)
		if effect == parent {
			// A permit for breaking the glass documents what the law says anyway.
			if effect != consent.Permit || c.rule.Purpose != consent.BreakGlass {
				r.doubt(n, path+".type", fhir.CodeBusinessRule, "a nested provision must be of the type opposite to its parent's")
			}
			return
		}
		if !c.confined() && c.rule.Period == (consent.Period{}) {
			r.doubt(n, path, fhir.CodeBusinessRule, "a nested provision must say for whom, for what or when; this one contradicts its parent")
		}
		if c.reading {
			rules = append(rules, c.rule)
		}
	})
	return rules
}
