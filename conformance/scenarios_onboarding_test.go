package conformance

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Scenarios 31 to 36: who is let in at all, with clients that are onboarded and
// tokens of the authorization server and of another issuer.

// foreign is an issuer elsewhere, whose tokens the server trusts.
type foreign struct {
	*signer
	url string
}

// newForeign makes an issuer, and the flag that trusts it.
func newForeign(t *testing.T, kinds string) (*foreign, string) {
	t.Helper()
	f := &foreign{signer: newSigner(t, "ES384"), url: "https://idp.example"}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, encode(t, f.jwks()), 0o600); err != nil {
		t.Fatal(err)
	}
	return f, "--issuer=" + f.url + " jwks=" + keys + kinds
}

// token is an access token for a client, with the claims beside those that every
// one has (RFC 9068, IHE IUA).
func (f *foreign) token(t *testing.T, s *server, client string, claims, iua object) string {
	t.Helper()
	now := time.Now()
	all := object{
		"iss": f.url, "aud": s.self() + "/fhir", "client_id": client, "sub": "somebody", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "extensions": object{"ihe_iua": iua},
	}
	for name, value := range claims {
		all[name] = value
	}
	return f.sign(t, object{"alg": f.alg, "kid": f.kid, "typ": "at+jwt"}, all)
}

// treating is what IHE IUA's claims say of somebody who treats for an organisation.
func treating(org string) object {
	return object{"purpose_of_use": []any{object{"system": actReason, "code": "TREAT"}}, "subject_organization_id": "Organization/" + org}
}

// doctorAt is a doctor's token, in a role at an organisation.
func (f *foreign) doctorAt(t *testing.T, s *server, client, user, org string) string {
	t.Helper()
	return f.token(t, s, client, object{"scope": "user/*.cruds", "fhirUser": user}, treating(org))
}

func (f *foreign) systemOf(t *testing.T, s *server, client, org string) string {
	t.Helper()
	return f.token(t, s, client, object{"scope": "system/*.cruds"}, treating(org))
}

// refused fails unless the caller is turned away with the code, whoever is asked
// about, and the same every time.
func (c *cast) refused(t *testing.T, token, code string) {
	t.Helper()
	first := c.do(t, token, get("Patient/none")).want(t, http.StatusForbidden)
	if got := text(decode(t, first.body), "issue", 0, "details", "coding", 0, "code"); got != code {
		t.Errorf("refused with %q, want %q: %s", got, code, first.body)
	}
	for _, ask := range []string{"Patient/q", "Patient/p", "AllergyIntolerance?patient=p", "Condition?patient=q", "Patient?name=Lowe"} {
		same(t, ask, first, c.do(t, token, get(ask)).hides(t, secret))
	}
}

// became fails unless the reasons are on record, each at least once.
func (c *cast) became(t *testing.T, reasons ...string) {
	t.Helper()
	var found []string
	for _, e := range c.events(t, "outcome=4") {
		found = append(found, text(e, "outcomeDesc"))
	}
	for _, want := range reasons {
		if !slices.Contains(found, want) {
			t.Errorf("%s is not on record among %v", want, found)
		}
	}
}

// A visit for an employer's or an insurer's examination is no care.
func TestScenario31ExaminationsAreNoCare(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, without(person("x"), "generalPractitioner"))
	c.put(t, condition("x", "c-x"))
	visit := object{
		"resourceType": "Encounter", "id": "visit", "status": "in-progress", "class": object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
		"subject": ref("Patient/x"), "serviceProvider": ref("Organization/a"),
	}
	for name, code := range map[string]object{
		"type":       concept("https://vitrine.example/CodeSystem/nehr-visit", "employment-examination"),
		"reasonCode": concept("http://hl7.org/fhir/sid/icd-10", "Z02.6"),
	} {
		c.put(t, with(visit, name, []any{code}))
		c.nothing(t, c.a1, "x")
	}
	c.put(t, with(visit, "serviceType", concept("https://vitrine.example/CodeSystem/nehr-purpose", "INSURANCE")))
	c.nothing(t, c.a1, "x")
	c.put(t, visit)
	if ids := c.do(t, c.a1, get("Condition?patient=x")).want(t, http.StatusOK).ids(t); len(ids) != 1 {
		t.Errorf("a visit to be treated shows %v", ids)
	}
}

// Reception and billing have no part in care, nor has a profession that the
// deployment does not list.
func TestScenario32RolesTakePartInCare(t *testing.T) {
	t.Parallel()
	idp, flag := newForeign(t, "")
	s := newStage(t, flag, "--role=http://terminology.hl7.org/CodeSystem/practitioner-role|doctor")
	for _, code := range []string{"receptionist", "ict", "nurse"} {
		s.put(t, role("desk", "dr-a", "a", code))
		s.refused(t, idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/desk", "a"), "forbidden-role")
		if got, a := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/desk", "Organization/a", treat)); got.AccessToken != "" {
			t.Errorf("%s got a token: %d %s", code, a.status, a.body)
		}
	}
	s.put(t, without(role("desk", "dr-a", "a", ""), "code"))
	s.refused(t, idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/desk", "a"), "forbidden-role")
	s.put(t, role("desk", "dr-a", "a", "doctor"))
	s.full(t, idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/desk", "a"), "q")
	s.became(t, "role-not-eligible")
}

// A role that ends at ten is gone at ten: for the token of 9:59, and for what
// would renew it. Roles that the clinic's own system keeps are no different.
func TestScenario33RoleEndsInMidToken(t *testing.T) {
	t.Parallel()
	idp, flag := newForeign(t, "")
	s := newStage(t, flag, "--refresh-for=practitioner,patient")
	a1 := s.account(t, "a1", "PractitionerRole/a1", false)
	l := s.authorize("app-a", redirectA, "launch/patient offline_access patient/*.rs")
	app, a := l.exchange(t, l.received(t, a1.through(t, l.address(), url.Values{"number": {"S1234567D"}, "patient": {"q"}})))
	checkedExchange(t, app, a)
	refresh := func() (tokenAnswer, answer) {
		return s.form(t, "token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {app.RefreshToken}, "client_id": {"app-a"}})
	}
	s.full(t, app.AccessToken, "q")
	elsewhere := idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/a1", "a")
	s.full(t, elsewhere, "q")

	lasting := func(end time.Time) {
		s.put(t, with(role("a1", "dr-a", "a", "doctor"), "period", object{"end": end.UTC().Format(time.RFC3339)}))
	}
	lasting(time.Now().Add(time.Hour))
	if renewed, a := refresh(); renewed.AccessToken == "" {
		t.Errorf("the role still lasts, and was not renewed: %d %s", a.status, a.body)
	} else {
		app = renewed
		s.full(t, app.AccessToken, "q")
	}
	lasting(time.Now().Add(-time.Minute))
	s.refused(t, app.AccessToken, "forbidden-role")
	s.refused(t, elsewhere, "forbidden-role")
	if renewed, a := refresh(); a.status != http.StatusBadRequest || renewed.AccessToken != "" {
		t.Errorf("a role that has ended was renewed: %d %s", a.status, a.body)
	}

	// The clinic's own system keeps the roles of its own people.
	backend := idp.systemOf(t, s.server, "connector-a", "a")
	mine := without(role("", "dr-c", "a", "nurse"), "id")
	made := instance(s.cast, s.post(t, backend, mine).want(t, http.StatusCreated))
	nurse := idp.doctorAt(t, s.server, "connector-a", made, "a")
	s.full(t, nurse, "q")
	update := func(token string, o object) answer {
		return s.do(t, token, send(http.MethodPut, made, encode(t, with(o, "id", made[len("PractitionerRole/"):]))))
	}
	update(idp.systemOf(t, s.server, "feed-b", "b"), mine).want(t, http.StatusNotFound)
	s.do(t, backend, send(http.MethodPut, "PractitionerRole/b1", encode(t, role("b1", "dr-a", "a", "doctor")))).want(t, http.StatusNotFound)
	update(backend, with(mine, "active", false)).want(t, http.StatusOK)
	s.refused(t, nurse, "forbidden-role")
	s.became(t, "role-ended", "role-inactive")
}

// A token names one organisation, and the role must be there.
func TestScenario34RolesAtTwoOrganisations(t *testing.T) {
	t.Parallel()
	idp, flag := newForeign(t, "")
	s := newStage(t, flag)
	s.onboard(t, object{"client_id": "connector-b", "client_name": "Connector of clinic B", "organization": "Organization/b", "capabilities": []any{"read"}, "scope": "user/*.cruds"})
	s.put(t, with(role("a1-at-b", "dr-a", "b", "doctor"), "period", object{"end": "2026-01-01"}))
	s.full(t, idp.doctorAt(t, s.server, "connector-a", "Practitioner/dr-a", "a"), "q")
	for _, user := range []string{"Practitioner/dr-a", "PractitionerRole/a1-at-b", "PractitionerRole/a1"} {
		s.refused(t, idp.doctorAt(t, s.server, "connector-b", user, "b"), "forbidden-role")
	}
	s.refused(t, idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/a1-at-b", "a"), "forbidden-role")
	s.refused(t, idp.doctorAt(t, s.server, "connector-a", "Practitioner/dr-a", "b"), "forbidden-client") // the client is clinic A's
	s.put(t, role("a1-at-b", "dr-a", "b", "doctor"))
	s.full(t, idp.doctorAt(t, s.server, "connector-b", "Practitioner/dr-a", "b"), "q")
}

// Nobody comes through a client that is not onboarded for it, whoever issued the
// token, from the next request on.
func TestScenario35ClientsAreOnboarded(t *testing.T) {
	t.Parallel()
	idp, flag := newForeign(t, " kinds=custodian,regulator")
	s := newStage(t, flag)
	contribute := func(token string, want int) {
		t.Helper()
		s.post(t, token, without(condition("q", ""), "id")).want(t, want)
	}
	s.refused(t, idp.doctorAt(t, s.server, "unknown", "PractitionerRole/a1", "a"), "forbidden-client")
	contribute(idp.systemOf(t, s.server, "unknown", "a"), http.StatusForbidden)

	s.admin(t, http.MethodPost, "clients", object{"client_id": "new-a", "client_name": "New", "organization": "Organization/a", "capabilities": []any{"contribute"}, "scope": "user/*.cruds system/*.cud"}, http.StatusCreated)
	doctor, backend := idp.doctorAt(t, s.server, "new-a", "PractitionerRole/a1", "a"), idp.systemOf(t, s.server, "new-a", "a")
	s.refused(t, doctor, "forbidden-client")
	contribute(backend, http.StatusForbidden)
	step := func(action string) { s.admin(t, http.MethodPost, "clients/new-a/"+action, nil, http.StatusOK) }
	step("activate")
	s.refused(t, doctor, "forbidden-client")
	contribute(doctor, http.StatusCreated)
	contribute(backend, http.StatusCreated)
	s.admin(t, http.MethodPut, "clients/new-a", object{"client_name": "New", "organization": "Organization/a", "capabilities": []any{"read"}, "scope": "user/*.cruds system/*.cud"}, http.StatusOK)
	s.full(t, doctor, "q")
	contribute(doctor, http.StatusForbidden)
	step("suspend")
	s.refused(t, doctor, "forbidden-client")
	step("activate")
	s.full(t, doctor, "q")

	s.admin(t, http.MethodPut, "organizations/a", object{"state": "active", "capabilities": []any{"contribute"}}, http.StatusOK)
	s.refused(t, doctor, "forbidden-client")
	contribute(idp.systemOf(t, s.server, "connector-a", "a"), http.StatusCreated)
	s.admin(t, http.MethodPut, "organizations/a", object{"state": "suspended", "capabilities": []any{"contribute", "read"}}, http.StatusOK)
	contribute(idp.systemOf(t, s.server, "connector-a", "a"), http.StatusForbidden)
	s.admin(t, http.MethodPut, "organizations/a", object{"state": "active", "capabilities": []any{"contribute", "read"}}, http.StatusOK)
	s.full(t, doctor, "q")

	// Another issuer's custodian needs a client too; the operator's own never does.
	custodian := idp.token(t, s.server, "unknown", object{"scope": "system/*.cruds"}, object{"purpose_of_use": []any{object{"system": actReason, "code": "HSYSADMIN"}}})
	s.do(t, custodian, get("Organization/a")).want(t, http.StatusForbidden)
	step("end")
	s.refused(t, doctor, "forbidden-client")
	s.do(t, s.root, request{method: http.MethodPost, path: s.server.root + "/admin/clients/new-a/activate"}).want(t, http.StatusConflict)
	s.full(t, s.a1, "q")
	s.full(t, s.appQ, "q")
	s.became(t, "client-unlisted", "client-pending", "client-not-reading", "client-not-contributing", "client-suspended", "organization-not-reading", "organization-not-onboarded", "client-ended")
	if changes := s.events(t, "subtype="+url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110137")); len(changes) < 15 {
		t.Errorf("%d changes of onboarding are on record", len(changes))
	}
}

// What another issuer grants opens no more than the client is registered for.
func TestTokensOfOthersAreBoundByTheRegistration(t *testing.T) {
	t.Parallel()
	idp, flag := newForeign(t, "")
	s := newStage(t, flag)
	s.onboard(t, object{
		"client_id": "narrow-a", "client_name": "Narrow", "organization": "Organization/a", "capabilities": []any{"contribute", "read"},
		"scope": "user/Patient.rs user/Observation.rs?code=none",
	})
	wide := idp.doctorAt(t, s.server, "narrow-a", "PractitionerRole/a1", "a")
	s.do(t, wide, get("Patient/q")).want(t, http.StatusOK)
	s.do(t, wide, get("Condition?patient=q")).want(t, http.StatusForbidden)
	s.do(t, wide, get("Observation/o-q")).want(t, http.StatusNotFound).hides(t, secret)
	if found := s.do(t, wide, get("Observation?patient=q")).want(t, http.StatusOK).ids(t); len(found) != 0 {
		t.Errorf("found %v beyond what the client is registered for", found)
	}
	s.post(t, wide, without(condition("q", ""), "id")).want(t, http.StatusForbidden)
	s.full(t, idp.doctorAt(t, s.server, "connector-a", "PractitionerRole/a1", "a"), "q")
}
