package oauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// The values of the decision.
const decisionAllow = "allow"

// showAgreement says in plain words what the app would get.
func (v *visit) showAgreement() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	client, c, ok, err := v.chosen()
	if !ok || err != nil {
		return err
	}
	if v.choice.Patient == "" && v.wantsPatient() && c.Kind == smart.KindPractitioner {
		return v.to(v.step(pathPatient))
	}
	page := view{
		Title: "Let this app use the health record?", App: client.Name, Owner: owner(client), Person: c.Person,
		Capacity: c, Record: v.whose(c), Lasts: v.lasts(c), Seal: v.choice.seal(),
	}
	page.Required, page.Optional = sentences(v.offered(c))
	v.show(http.StatusOK, pageAgree, page)
	return nil
}

// offered is what may be agreed to: of what was asked for, what would not come to
// nothing for this kind of caller.
func (v *visit) offered(c Capacity) string {
	return smart.WithoutScopes(v.request.Scope, func(one string) bool {
		switch one {
		case smart.ScopeOffline, smart.ScopeOnline:
			return !v.refreshes(c.Kind)
		case smart.ScopeLaunchEncounter:
			return v.request.Launch == nil || v.request.Launch.Encounter == ""
		default:
			return false
		}
	})
}

// owner says whose the app is.
func owner(client smart.Client) string {
	switch {
	case client.Organization == "":
		return "An app for patients and those who act for them, of no healthcare organisation"
	case client.Owner == "":
		return "An app of a healthcare organisation"
	default:
		return "An app of " + client.Owner
	}
}

// whose says whose record the app would see.
func (v *visit) whose(c Capacity) string {
	switch {
	case c.Kind == smart.KindPatient:
		return "Your own"
	case c.Kind == smart.KindRepresentative:
		return c.Title
	case v.choice.PatientName != "":
		return v.choice.PatientName
	case v.choice.Patient != "":
		return "The patient that is open in the system you came from"
	default:
		return "Patients who are registered with your organisation, each as far as you may see it yourself"
	}
}

// lasts says for how long.
func (v *visit) lasts(c Capacity) []string {
	out := []string{"The app gets in for " + plainly(v.cfg.TokenLife) + "."}
	switch scope := v.offered(c); {
	case smart.HasScope(scope, smart.ScopeOffline):
		out = append(out, "It may then go on without asking you again, for "+plainly(v.cfg.RefreshLife)+".")
	case smart.HasScope(scope, smart.ScopeOnline):
		out = append(out, "It may then go on without asking you again, for as long as you stay signed in here.")
	}
	return out
}

// plainly is a length of time in words.
func plainly(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.size && (d%unit.size == 0 || unit.size == time.Minute) {
			n := int(d / unit.size)
			if n == 1 {
				return "1 " + unit.name
			}
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than a minute"
}

// agree takes the decision, and sends the browser back to the app with it.
func (v *visit) agree() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	if v.field(fieldDecision) != decisionAllow {
		return v.declined(codeDenied)
	}
	_, c, ok, err := v.chosen()
	if !ok || err != nil {
		return err
	}
	if v.choice.Patient == "" && v.wantsPatient() {
		return v.to(v.step(pathChoose))
	}
	if !sameToken(v.field(fieldSeal), v.choice.seal()) { // another window chose anew: nobody agreed to that
		return v.to(v.step(pathAgree))
	}
	location, err := v.grant(v.r.Context(), v.r, v.handle, decision{
		Login: *v.login, Session: v.session, Capacity: c, Patient: v.choice.Patient, Scope: ticked(v.offered(c), v.r.PostForm[fieldScope]),
	})
	if err != nil {
		return err
	}
	return v.to(location)
}

// ticked is what was asked for without what was not ticked. What was not asked
// for cannot be ticked.
func ticked(asked string, ticks []string) string {
	var out []string
	for one := range strings.FieldsSeq(asked) {
		if required(one) || slices.Contains(ticks, one) {
			out = append(out, one)
		}
	}
	return strings.Join(out, " ")
}

// required reports whether the app is of no use without the scope: who uses it,
// and about whom. Everything else may be left out.
func required(scope string) bool {
	switch scope {
	case smart.ScopeOpenID, smart.ScopeUser, smart.ScopeProfile, smart.ScopeLaunch, smart.ScopeLaunchPatient, smart.ScopeLaunchEncounter:
		return true
	default:
		return false
	}
}

// sentence is a scope in plain words.
type sentence struct{ Scope, Text string }

// sentences are the scopes in plain words, those that may be left out apart.
func sentences(asked string) (must, may []sentence) {
	said := map[string]bool{}
	for one := range strings.FieldsSeq(asked) {
		s := sentence{one, inWords(one)}
		if !required(one) {
			may = append(may, s)
			continue
		}
		if !said[s.Text] {
			must = append(must, s)
		}
		said[s.Text] = true
	}
	return must, may
}

func inWords(scope string) string {
	switch scope {
	case smart.ScopeOpenID, smart.ScopeUser, smart.ScopeProfile:
		return "Know who you are."
	case smart.ScopeLaunch:
		return "Know what is open in the system you came from."
	case smart.ScopeLaunchPatient:
		return "Know which patient this is about."
	case smart.ScopeLaunchEncounter:
		return "Know which visit this is about."
	case smart.ScopeOffline:
		return "Go on when you are not using it."
	case smart.ScopeOnline:
		return "Go on as long as you use it."
	default:
		return resourceWords(scope)
	}
}

// resourceWords says what a scope of resources lets the app do.
func resourceWords(scope string) string {
	whose, rest, _ := strings.Cut(scope, "/")
	name, query, narrowed := strings.Cut(rest, "?")
	typ, letters, _ := strings.Cut(name, ".")
	text := deeds(letters) + " " + things(typ)
	switch whose {
	case "patient":
		text += " in this one record"
	case "user":
		text += " that you may see yourself"
	}
	if narrowed {
		text += ", only where " + query
	}
	return text + "."
}

// deeds are the letters of a scope as a verb.
func deeds(letters string) string {
	switch letters {
	case "read":
		letters = "rs"
	case "write":
		letters = "cud"
	case "*":
		letters = "cruds"
	}
	var words []string
	for _, d := range []struct{ any, word string }{{"rs", "see"}, {"c", "add"}, {"u", "change"}, {"d", "delete"}} {
		if strings.ContainsAny(letters, d.any) {
			words = append(words, d.word)
		}
	}
	switch len(words) {
	case 0:
		return "Use"
	case 1:
	default:
		words = append(words[:len(words)-2], words[len(words)-2]+" and "+words[len(words)-1])
	}
	text := strings.Join(words, ", ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// things is a type of resource as people call it; the ones not here are called by
// their own name.
func things(typ string) string {
	words := map[string]string{
		"*": "everything", "Patient": "name, date of birth and other particulars", "AllergyIntolerance": "allergies",
		"Condition": "conditions and diagnoses", "Observation": "measurements and test results", "MedicationRequest": "prescriptions",
		"MedicationStatement": "medicines taken", "MedicationDispense": "medicines handed out", "Immunization": "vaccinations",
		"Procedure": "operations and procedures", "Encounter": "visits", "DiagnosticReport": "reports of tests", "DocumentReference": "documents",
		"CarePlan": "care plans", "CareTeam": "care teams", "Consent": "consents and restrictions", "AuditEvent": "the list of who looked",
		"Practitioner": "doctors, nurses and others who give care", "PractitionerRole": "where they work", "Organization": "organisations",
		"RelatedPerson": "relatives and representatives", "EpisodeOfCare": "registrations with care providers", "Coverage": "insurance",
	}
	if text, ok := words[typ]; ok {
		return text
	}
	if !spelled(typ) {
		return "something this page has no words for"
	}
	var out []byte
	for i := range len(typ) {
		if c := typ[i]; c >= 'A' && c <= 'Z' {
			if i > 0 {
				out = append(out, ' ')
			}
			c += 'a' - 'A'
			out = append(out, c)
			continue
		}
		out = append(out, typ[i])
	}
	return "resources of the kind " + string(out)
}

func spelled(typ string) bool {
	return fhir.ValidID(typ) && !strings.ContainsAny(typ, "-.0123456789")
}
