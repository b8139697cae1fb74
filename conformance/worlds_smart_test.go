package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"
)

// smartWorlds is a pair of worlds whose callers came through the authorization
// server.
type smartWorlds struct {
	*pair
	g         *worldMaker
	connector *signer
	doctor    *someone
	patient   *someone
	daughter  *someone
}

// TestTwoWorldsOfSMART compares two worlds as TestTwoWorlds does, for callers with
// tokens of every kind that the authorization server issues, and compares what the
// authorization server itself says to them: launches, pages, tokens.
func TestTwoWorldsOfSMART(t *testing.T) {
	t.Parallel()
	g := newWorldMaker(1)
	base := t.TempDir() + "/base"
	s := start(t, base, "--base-url", worldBase)
	g.load(t, s, g.directory())
	g.indexed(t, s)
	w := &smartWorlds{g: g, connector: newSigner(t, "ES384")}
	stage := &stage{cast: &cast{server: s, root: s.custodian(t)}}
	for _, client := range []object{
		{"client_id": "connector-a", "client_name": "Connector of clinic A", "organization": "Organization/clinic-a", "jwks": w.connector.jwks(), "capabilities": []any{"contribute", "read"}, "scope": "system/*.cud user/*.cruds"},
		{"client_id": "app-a", "client_name": "App of clinic A", "organization": "Organization/clinic-a", "redirect_uris": []any{redirectA}, "capabilities": []any{"read", "contribute"}, "scope": "openid fhirUser launch launch/patient patient/*.cruds user/*.cruds"},
		{"client_id": "app-p", "client_name": "App of patients", "redirect_uris": []any{redirectP}, "capabilities": []any{"read", "contribute"}, "scope": "openid fhirUser launch/patient patient/*.cruds"},
	} {
		stage.onboard(t, client)
	}
	w.doctor = s.account(t, "doctor", "PractitionerRole/role-a", false)
	w.patient = s.account(t, "patient", "Patient/"+bystander.id, false)
	w.daughter = s.account(t, "daughter", "RelatedPerson/daughter", false)
	g.load(t, s, g.visible())
	hidden := g.hidden()
	s.stop(t)
	one, two := twin(t, base, "one"), twin(t, base, "two")
	one.public, two.public = worldBase, worldBase
	since := time.Now()
	g.load(t, one, hidden)
	g.disturb(t, one)
	w.pair = &pair{t: t, one: one, two: two, since: since, used: tallies{}, written: writeTallies{}}
	t.Run("tokens", w.tokens)
	t.Run("endpoints", w.endpoints)
	t.Logf("%d request pairs", w.count)
	if w.count < 500 && !t.Failed() {
		t.Errorf("%d request pairs, want 500 or more", w.count)
	}
}

// at lets a person act in one of the worlds, with a new browser.
func (w *smartWorlds) at(t *testing.T, s *server, p *someone) *someone {
	t.Helper()
	there := &someone{server: s, name: p.name, password: p.password}
	there.fresh(t)
	return there
}

// tokens compares what callers with tokens of every kind are told.
func (w *smartWorlds) tokens(t *testing.T) {
	w.t = t
	w.other = caller{name: "another patient", token: w.one.patient(t, bystander.id)}
	oneIn := number(t, envOneIn, 12)
	all := w.g.requests(caller{mixed: 60})
	mine := w.g.requests(caller{mixed: 20, sees: withoutAccesses})
	for i, c := range w.callers(t) {
		asks := all
		if c.sees != nil {
			asks = mine
		}
		for k, r := range asks {
			if (k+i)%oneIn == 0 && (c.sees == nil || c.sees(r)) {
				w.compare(c, r)
			}
		}
	}
}

// callers have a token each, of one world; it is good in the other, whose keys are
// the same.
func (w *smartWorlds) callers(t *testing.T) []caller {
	t.Helper()
	restricted, whole := w.g.ofPosture(optedOut).id, w.g.ofPosture(open).id
	launch := func(name, patient, scope string) caller {
		_, a := w.one.form(t, "launch", url.Values{"client_id": {"app-a"}, "patient": {patient}}, "Bearer", w.emr(t, w.one))
		l := w.one.authorize("app-a", redirectA, "launch "+scope, "launch", text(decode(t, a.body), "launch"))
		return w.through(t, name, l, w.doctor, nil)
	}
	patient := w.through(t, "a patient's app", w.one.authorize("app-p", redirectP, "launch/patient patient/*.rs"), w.patient, nil)
	daughter := w.through(t, "a representative's app", w.one.authorize("app-p", redirectP, "launch/patient patient/*.rs"), w.daughter, nil)
	patient.sees, daughter.sees = withoutAccesses, withoutAccesses
	return []caller{
		{name: "a back end for a doctor", token: w.emr(t, w.one)},
		launch("an app launched on a restricted patient", restricted, "patient/*.rs"),
		launch("an app launched on an open patient", whole, "patient/*.rs"),
		launch("an app of the doctor", whole, "user/*.rs"),
		launch("an app with narrow scopes", whole, "user/Patient.rs user/Observation.rs patient/Encounter.rs"),
		launch("an app with scopes narrowed by a search", whole, "user/Patient.rs user/Observation.rs?status=final user/Encounter.rs"),
		w.through(t, "a standalone app", w.one.authorize("app-a", redirectA, "launch/patient patient/*.rs"), w.doctor, w.named(whole)),
		patient, daughter,
	}
}

// emr is a token of the connector for the doctor.
func (w *smartWorlds) emr(t *testing.T, s *server) string {
	t.Helper()
	got, a := w.connector.backend(t, s, "connector-a", "user/*.rs", actingFor("PractitionerRole/role-a", "Organization/clinic-a", treat))
	if a.status != http.StatusOK {
		t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return got.AccessToken
}

// named is what the doctor types to find a patient, and whom of those found.
func (w *smartWorlds) named(id string) url.Values {
	for _, p := range w.g.patients {
		if p.id == id {
			return url.Values{"number": {p.nric()}, "patient": {id}}
		}
	}
	return nil
}

func (w *smartWorlds) through(t *testing.T, name string, l *launching, p *someone, want url.Values) caller {
	t.Helper()
	token, a := l.exchange(t, l.received(t, w.at(t, l.server, p).through(t, l.address(), want)))
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", name, a.status, a.body)
	}
	return caller{name: name, token: token.AccessToken}
}

var secretPattern = regexp.MustCompile(`[A-Za-z0-9_-]{43}\b|eyJ[A-Za-z0-9_.-]+|"(exp|iat)":\d+`)

// endpoints compares what the authorization server says itself.
func (w *smartWorlds) endpoints(t *testing.T) {
	w.t = t
	worlds := [2]*server{w.one, w.two}
	same := func(what string, told [2]string) {
		t.Helper()
		w.count++
		for i := range told {
			told[i] = secretPattern.ReplaceAllString(told[i], "SECRET")
		}
		if told[0] != told[1] {
			t.Errorf("%s\n--- with hidden data\n%.1500s\n--- without\n%.1500s", what, told[0], told[1])
		}
	}
	ids := []string{"none"}
	for _, p := range w.g.patients {
		ids = append(ids, p.id)
	}
	for _, id := range ids {
		var launches, pages, tokens [2]string
		for i, s := range worlds {
			_, a := s.form(t, "launch", url.Values{"client_id": {"app-a"}, "patient": {id}}, "Bearer", w.emr(t, s))
			launches[i] = a.normal()
			doctor := w.at(t, s, w.doctor)
			l := s.authorize("app-a", redirectA, "launch openid fhirUser patient/*.rs", "launch", text(decode(t, a.body), "launch"))
			code := l.received(t, doctor.through(t, l.address(), nil))
			pages[i] = shownTo(doctor)
			token, a := l.exchange(t, code)
			tokens[i] = a.normal()
			_, a = s.form(t, "introspect", url.Values{"client_id": {"app-a"}, "token": {token.AccessToken}})
			tokens[i] += a.normal()
		}
		same("the launch of "+id, launches)
		same("the pages of "+id, pages)
		same("the token of "+id, tokens)
	}
	for _, p := range w.g.patients {
		var found, picked [2]string
		for i, s := range worlds {
			doctor := w.at(t, s, w.doctor)
			l := s.authorize("app-a", redirectA, "launch/patient patient/*.rs")
			_ = doctor.through(t, l.address(), nil) // as far as the picker
			picker := doctor.seen[len(doctor.seen)-1]
			_, _ = doctor.submit(t, picker, "number", url.Values{"number": {p.nric()}})
			_, _ = doctor.submit(t, picker, "number", url.Values{"name": {"a"}, "birth-date": {text(w.g.person(p, false), "birthDate")}})
			found[i] = shownTo(doctor)
			doctor.seen = nil
			_, left := doctor.submit(t, picker, "number", url.Values{"patient": {p.id}})
			picked[i] = fmt.Sprint(shownTo(doctor), left)
		}
		same("looking for "+p.id, found)
		same("picking "+p.id, picked)
	}
}

// shownTo is all that a person was shown.
func shownTo(p *someone) (out string) {
	for _, s := range p.seen {
		out += fmt.Sprintln(s.status, s.address.Path, s.text)
	}
	return out
}
