package conformance

import (
	"net/http"
	"net/url"
	"testing"

	"vitrine/store/mongo/mongotest"
)

// TestTwoServersOneAuthorization: what one server issued is redeemed, used up and
// taken back at another, with the next request.
func TestTwoServersOneAuthorization(t *testing.T) {
	t.Parallel()
	flags := []string{"--store", mongotest.Server(t), "--store-database", mongotest.Database(t), "--base-url", worldBase}
	data := t.TempDir() + "/data"
	first := start(t, data, flags...)
	first.public = worldBase
	s := stageOn(t, castOn(t, first))
	two := start(t, data, flags...)
	two.public = worldBase
	q := s.account(t, "quentin", "Patient/q", false)
	for round, at := range [][2]*server{{first, two}, {two, first}} {
		here, there := at[0], at[1]
		q.server = here
		q.fresh(t)
		l := here.authorize("app-p", redirectP, "launch/patient offline_access patient/*.rs")
		code := l.received(t, q.through(t, l.address(), nil))
		elsewhere := *l
		elsewhere.server = there
		token, a := elsewhere.exchange(t, code)
		checkedExchange(t, token, a)
		here.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusOK)
		there.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusOK)
		if got, a := l.exchange(t, code); a.status != http.StatusBadRequest || got.AccessToken != "" {
			t.Errorf("round %d: the code is good twice: %d", round, a.status)
		}
		there.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusUnauthorized).hides(t, "Lowe")
		here.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusUnauthorized).hides(t, "Lowe")

		v := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Condition.c"}, "client_assertion_type": {assertionType}, "client_assertion": {s.connector.assertion(t, here, "connector-a", nil)}}
		if got, a := here.form(t, "token", v); a.status != http.StatusOK || got.AccessToken == "" {
			t.Fatalf("round %d: %d %s", round, a.status, a.body)
		}
		if got, a := there.form(t, "token", v); a.status != http.StatusUnauthorized || got.AccessToken != "" {
			t.Errorf("round %d: an assertion is good twice: %d", round, a.status)
		}
		doctor, _ := s.connector.backend(t, here, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
		for _, one := range at {
			one.do(t, doctor.AccessToken, get("Patient/q")).want(t, http.StatusOK)
		}
		s.admin(t, http.MethodPost, "clients/connector-a/suspend", nil, http.StatusOK)
		for _, one := range at {
			one.do(t, doctor.AccessToken, get("Patient/q")).want(t, http.StatusForbidden).hides(t, "Lowe")
		}
		s.admin(t, http.MethodPost, "clients/connector-a/activate", nil, http.StatusOK)
		for _, one := range at {
			one.do(t, doctor.AccessToken, get("Patient/q")).want(t, http.StatusOK)
		}
	}
}
