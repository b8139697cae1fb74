package consent_test

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// TestScenarios runs the worlds of testdata/consent (its README has the form).
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../testdata/consent/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("scenario files: %v, %v", files, err)
	}
	for _, file := range files {
		if filepath.Base(file) == "consents.txt" {
			continue // consent/restriction's
		}
		t.Run(filepath.Base(file), func(t *testing.T) { runScenarios(t, file) })
	}
}

func runScenarios(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := world{t: t, facts: map[string]*consent.Facts{}, callers: map[string]*consent.Caller{}, orgs: map[string][]string{}, broken: map[string]bool{}}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		w.at = file + ":" + strconv.Itoa(n)
		text := lines.Text()
		if i := strings.Index(text, "# "); i >= 0 {
			text = text[:i]
		}
		if words := strings.Fields(strings.TrimSuffix(text, "#")); len(words) > 0 {
			w.run(words[0], words[1:])
		}
	}
	if lines.Err() != nil || w.asked == 0 {
		t.Fatalf("%s: %v, %d questions", file, lines.Err(), w.asked)
	}
}

// world is what the lines read so far have said.
type world struct {
	t       *testing.T
	at      string
	now     time.Time
	policy  consent.Policy
	facts   map[string]*consent.Facts
	callers map[string]*consent.Caller
	orgs    map[string][]string
	broken  map[string]bool
	last    *consent.Restriction
	asked   int
}

func (w *world) run(verb string, args []string) {
	switch verb {
	case "at":
		w.now = w.time(args[0])
	case "org":
		w.orgs[args[0]] = slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "<" })
	case "broken":
		w.broken[args[0]] = true
	case "policy":
		w.policy.RelationWaived = args[0] == "relation-waived"
	case "caller":
		w.caller(args[0], args[1], args[2:])
	case "patient":
		w.facts[args[0]] = &consent.Facts{Patient: args[0], Exists: true}
	case "register":
		w.fact(args[0]).Registrations = append(w.fact(args[0]).Registrations, consent.Registration{Organization: args[1], Period: w.period(args[2:])})
	case "represent":
		authority, ok := consent.ParseAuthority(args[2])
		if !ok {
			w.t.Fatalf("no authority: %s", args[2])
		}
		w.fact(args[0]).Representatives = append(w.fact(args[0]).Representatives, consent.Delegate{User: args[1], Authority: authority})
	case "unreadable":
		w.fact(args[0]).Unreadable = true
	case "lift":
		w.fact(args[0]).Restrictions, w.fact(args[0]).Grants = nil, nil
	case "consent":
		w.consent(args[0], args[1], args[2], args[3:])
	case "rule":
		w.last.Rules = append(w.last.Rules, w.rule(args))
	case "except":
		r := &w.last.Rules[len(w.last.Rules)-1]
		r.Except = append(r.Except, w.rule(args))
	case "grant":
		w.grant(args)
	case "level":
		w.level(args[0], args[1], args[2], args[3])
	case "sees":
		w.sees(args[0], args[1], args[2], args[3], args[4:])
	default:
		w.t.Fatalf("%s: unknown word %q", w.at, verb)
	}
}

func (w *world) fact(p string) *consent.Facts {
	if f := w.facts[p]; f != nil {
		return f
	}
	w.t.Fatalf("%s: no patient %q", w.at, p)
	return nil
}

func (w *world) caller(name, kind string, options []string) {
	k, ok := consent.ParseKind(kind)
	if !ok {
		w.t.Fatalf("%s: kind %q", w.at, kind)
	}
	c := &consent.Caller{Kind: k, Purpose: map[consent.Kind]consent.Purpose{
		consent.Practitioner: consent.Treatment, consent.System: consent.Treatment, consent.Patient: consent.PatientRequest,
		consent.Representative: consent.FamilyRequest, consent.Regulator: consent.AuditReview, consent.Custodian: consent.SystemAdministration,
	}[k]}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "org":
			c.Organization, c.Lineage, c.LineageBroken = value, w.orgs[value], w.broken[value]
		case "person":
			c.Practitioner = "Practitioner/" + value
		case "role":
			c.Role = "PractitionerRole/" + value
		case "client":
			c.Client = value
		case "user":
			c.User = value
		case "patient":
			c.Patient = value
		case "confined":
			c.Confined = true
		case "purpose":
			c.Purpose = w.purpose(value)
		default:
			w.t.Fatalf("%s: option %q", w.at, o)
		}
	}
	w.callers[name] = c
}

func (w *world) purpose(code string) consent.Purpose {
	for _, system := range []string{consent.SystemActReason, consent.SystemPurpose} {
		if p, ok := consent.ParsePurpose(fhir.Coding{System: system, Code: code}); ok {
			return p
		}
	}
	if code != "" {
		w.t.Fatalf("%s: purpose %q", w.at, code)
	}
	return consent.PurposeNone
}

func (w *world) consent(patient, name, base string, options []string) {
	r := consent.Restriction{Version: [1]string{"Consent/" + name + "/_history/1"}, Period: w.period(options)}
	switch base {
	case "permit":
		r.Base = consent.Permit
	case "deny":
	case "malformed":
		r.Malformed = true
	case "inert":
		r.Inert = true
	default:
		w.t.Fatalf("%s: base %q", w.at, base)
	}
	f := w.fact(patient)
	f.Restrictions = append(f.Restrictions, r)
	w.last = &f.Restrictions[len(f.Restrictions)-1]
}

func (w *world) rule(args []string) consent.Rule {
	u := consent.Rule{Period: w.period(args[1:])}
	if args[0] == "permit" {
		u.Effect = consent.Permit
	}
	for _, o := range args[1:] {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "org":
			u.Actors = append(u.Actors, consent.Actor{Organization: value})
		case "person":
			u.Actors = append(u.Actors, consent.Actor{Practitioner: "Practitioner/" + value})
		case "role":
			u.Actors = append(u.Actors, consent.Actor{Role: "PractitionerRole/" + value})
		case "types":
			for s := range strings.SplitSeq(value, ",") {
				u.Types = append(u.Types, fhir.ResourceType(s))
			}
		case "labels":
			u.Labels = strings.Split(value, ",")
		case "purpose":
			u.Purpose = w.purpose(value)
		case "from", "until":
		default:
			w.t.Fatalf("%s: option %q", w.at, o)
		}
	}
	return u
}

func (w *world) grant(args []string) {
	c, p := w.callers[args[2]], w.period(args[3:])
	w.fact(args[0]).Grants = append(w.fact(args[0]).Grants, consent.Grant{
		ID: args[1], Patient: args[0], User: c.Practitioner, Organization: c.Organization, Client: c.Client, From: p.From, Until: p.Until,
	})
}

func (w *world) level(caller, patient, want, reason string) {
	w.asked++
	d := w.decide(caller, patient)
	if got := levelWord(d.Level); got != want || d.Reason != reason {
		w.t.Errorf("%s: %s sees %s at %s (%s), want %s (%s)", w.at, caller, patient, got, d.Reason, want, reason)
	}
}

func (w *world) sees(caller, patient, typ, want string, options []string) {
	w.asked++
	var labels []string
	for _, o := range options {
		labels = strings.Split(strings.TrimPrefix(o, "labels="), ",")
	}
	d := w.decide(caller, patient)
	got := [...]string{"none", "full", "basic"}[d.Edition(fhir.ResourceType(typ), labels)]
	if got != want {
		w.t.Errorf("%s: %s sees %s of %s %v as %s, want %s", w.at, caller, typ, patient, labels, got, want)
	}
}

func (w *world) decide(caller, patient string) consent.Decision {
	c := w.callers[caller]
	if c == nil {
		w.t.Fatalf("%s: no caller %q", w.at, caller)
	}
	return consent.Decide(w.policy, c, w.facts[patient], w.now)
}

func (w *world) period(options []string) (p consent.Period) {
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "from":
			p.From = w.time(value)
		case "until":
			p.Until = w.time(value)
		}
	}
	return p
}

func (w *world) time(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	return v
}

func levelWord(l consent.Level) string {
	return [...]string{"none", "basic", "full", "self"}[l]
}
