package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What Inferno's groups do not ask.

// An authorization request with something wrong with it comes to nothing: on a page
// of ours while it is not known whether the address may be believed, at the app
// with an error else.
func TestAuthorizationRequestsThatComeToNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	nobody := s.account(t, "nobody", "Patient/q", false)
	const scope = "launch/patient patient/*.rs"
	for name, c := range map[string]struct {
		more []string
		code string // at the app; empty for a page of ours
	}{
		"a client that is not there":       {[]string{"client_id", "none"}, ""},
		"no client":                        {[]string{"client_id", ""}, ""},
		"a back end":                       {[]string{"client_id", "connector-a"}, ""},
		"another's redirect":               {[]string{"redirect_uri", redirectA}, ""},
		"no redirect":                      {[]string{"redirect_uri", ""}, ""},
		"a longer path":                    {[]string{"redirect_uri", redirectP + "/x"}, ""},
		"a dot path":                       {[]string{"redirect_uri", redirectP + "/../back"}, ""},
		"another port":                     {[]string{"redirect_uri", "http://127.0.0.1:7778/back"}, ""},
		"another scheme":                   {[]string{"redirect_uri", "https://127.0.0.1:7777/back"}, ""},
		"a user before the host":           {[]string{"redirect_uri", "http://127.0.0.1:7777@evil.example/back"}, ""},
		"a query":                          {[]string{"redirect_uri", redirectP + "?x=y"}, ""},
		"a fragment":                       {[]string{"redirect_uri", redirectP + "#x"}, ""},
		"other case":                       {[]string{"redirect_uri", "HTTP://127.0.0.1:7777/back"}, ""},
		"escaped":                          {[]string{"redirect_uri", "http://127.0.0.1:7777/%62ack"}, ""},
		"no PKCE":                          {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"PKCE downgrade to plain":          {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"PKCE of no method, that is plain": {[]string{"code_challenge_method", ""}, "invalid_request"},
		"a short challenge":                {[]string{"code_challenge", "abc"}, "invalid_request"},
		"aud elsewhere":                    {[]string{"aud", "https://evil.example/fhir"}, "invalid_request"},
		"no aud":                           {[]string{"aud", ""}, "invalid_request"},
		"no state":                         {[]string{"state", ""}, "invalid_request"},
		"implicit":                         {[]string{"response_type", "token"}, "unsupported_response_type"},
		"hybrid":                           {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		"fragment mode":                    {[]string{"response_mode", "fragment"}, "invalid_request"},
		"a request object":                 {[]string{"request", "x.y.z"}, "request_not_supported"},
		"a request elsewhere":              {[]string{"request_uri", "https://evil.example/"}, "request_uri_not_supported"},
		"scopes of others":                 {[]string{"scope", "system/*.rs user/*.rs"}, "invalid_scope"},
		"a launch that is not known":       {[]string{"launch", "x"}, "invalid_scope"},
		"no sign-in without asking":        {[]string{"prompt", "none"}, "login_required"},
	} {
		l := s.authorize("app-p", redirectP, scope, c.more...)
		shown, left := nobody.open(t, l.address())
		switch {
		case c.code == "" && (left != nil || shown.status < 400 || shown.status > 499 || shown.form("password") != nil):
			t.Errorf("%s: left for %v, or the page goes on", name, left)
		case c.code != "" && (left == nil || left.Query().Get("error") != c.code || left.Query().Get("code") != "" || left.Query().Get("iss") != s.base || left.Query().Get("state") != l.asked.Get("state")):
			t.Errorf("%s: %v, want %s", name, left, c.code)
		}
	}
	twice := s.authorize("app-p", redirectP, scope).address()
	for _, more := range []string{"&redirect_uri=" + url.QueryEscape("https://evil.example/"), "&client_id=app-a", "&state=x"} {
		if shown, left := nobody.open(t, twice+more); left != nil || shown.form("password") != nil {
			t.Errorf("%s a second time: %v", more, left)
		}
	}
	if _, left := nobody.open(t, twice+"&scope=openid"); left == nil || left.Query().Get("error") != "invalid_request" {
		t.Errorf("scope a second time: %v", left)
	}
	l := s.authorize("app-p", redirectP, scope)
	token, a := l.exchange(t, l.received(t, nobody.through(t, l.address(), nil)))
	checkedExchange(t, token, a) // the one beside them
}

// A code opens nothing for who did not ask for it, and once alone for who did.
func TestCodes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	q := s.account(t, "quentin", "Patient/q", false)
	fresh := func() (*launching, string) {
		l := s.authorize("app-p", redirectP, "launch/patient patient/*.rs")
		return l, l.received(t, q.through(t, l.address(), nil))
	}
	for name, c := range map[string]struct {
		more []string
		code string
	}{
		"no verifier":        {[]string{"code_verifier", ""}, "invalid_grant"},
		"another verifier":   {[]string{"code_verifier", strings.Repeat("v", 50)}, "invalid_grant"},
		"the challenge":      {[]string{"code_verifier", "challenge"}, "invalid_grant"},
		"another redirect":   {[]string{"redirect_uri", redirectA}, "invalid_grant"},
		"no redirect":        {[]string{"redirect_uri", ""}, "invalid_request"},
		"another client":     {[]string{"client_id", "app-a"}, "invalid_grant"},
		"a client with keys": {[]string{"client_id", "connector-a"}, "invalid_client"},
		"no client":          {[]string{"client_id", ""}, "invalid_request"},
		"a secret":           {[]string{"client_secret", "x"}, "invalid_client"},
	} {
		l, code := fresh()
		if c.more[1] == "challenge" {
			c.more[1] = challenge(l.verifier)
		}
		if got, a := l.exchange(t, code, c.more...); a.status < 400 || got.Error != c.code || got.AccessToken != "" {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.code)
		}
		if strings.Contains(name, "verifier") || name == "the challenge" {
			if got, a := l.exchange(t, code); a.status != http.StatusBadRequest || got.AccessToken != "" {
				t.Errorf("%s: one may try again: %d", name, a.status)
			}
		}
	}
	l, code := fresh()
	token, a := l.exchange(t, code)
	checkedExchange(t, token, a)
	s.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusOK)
	if got, a := l.exchange(t, code); a.status != http.StatusBadRequest || got.Error != "invalid_grant" || got.AccessToken != "" {
		t.Errorf("code replay: %d %s", a.status, a.body)
	}
	s.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusUnauthorized).hides(t, "Lowe")
	if got, a := l.exchange(t, "none"); a.status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Errorf("no such code: %d %s", a.status, a.body)
	}
}

// A request belongs to the browser that made it, and a form to the session it was
// shown in.
func TestPagesBelongToTheirBrowser(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	q, r := s.account(t, "quentin", "Patient/q", false), s.account(t, "rosa", "Patient/r", false)
	l := s.authorize("app-p", redirectP, "launch/patient patient/*.rs")
	shown, _ := q.open(t, l.address())
	if stolen, left := r.open(t, shown.address.String()); left != nil || stolen.form("password") != nil || stolen.status < 400 {
		t.Errorf("another browser was let in: %v", left)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
	} {
		if got := shown.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if csp := shown.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
	if shown.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages of other origins may read the sign-in page")
	}
	// Across origins no form is taken, whatever cookies a browser sends along.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shown.address.String(), strings.NewReader(url.Values{"name": {q.name}, "password": {q.password}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := q.browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a form from elsewhere: %d", resp.StatusCode)
	}
	agree, left := q.submit(t, shown, "password", url.Values{"name": {q.name}, "password": {q.password}})
	if left != nil || agree.form("decision") == nil {
		t.Fatalf("want the page to agree on: %v", left)
	}
	form := url.Values{"decision": {"allow"}, "token": {"x"}}
	if bad, left := q.submit(t, agree, "decision", form); left != nil || bad.status != http.StatusForbidden {
		t.Errorf("a forged form was taken: %v", left)
	}
	if _, left := q.submit(t, agree, "decision", url.Values{"decision": {"deny"}}); left == nil || left.Query().Get("error") != "access_denied" || left.Query().Get("code") != "" {
		t.Errorf("denied: %v", left)
	}
	if again, left := q.submit(t, agree, "decision", url.Values{"decision": {"allow"}}); left != nil || again.status < 400 {
		t.Errorf("a request that was answered was answered again: %v", left)
	}
}

// An access token is for this server and for nothing else; an id_token is none.
func TestTokensAtTheWrongDoor(t *testing.T) {
	t.Parallel()
	s, other := newStage(t), start(t, t.TempDir()+"/data")
	q := s.account(t, "quentin", "Patient/q", false)
	l := s.authorize("app-p", redirectP, "launch/patient openid fhirUser patient/*.rs")
	token, _ := l.exchange(t, l.received(t, q.through(t, l.address(), nil)))
	s.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusOK)
	other.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusUnauthorized)
	s.do(t, token.IDToken, get("Patient/q")).want(t, http.StatusUnauthorized).hides(t, "Lowe")
	header, body := claims(t, token.AccessToken)
	if header["typ"] != "at+jwt" || header["alg"] != "ES384" || text(body, "aud", 0) != s.base || body["sub"] != "Patient/q" {
		t.Errorf("%v %v", header, body)
	}
	for _, bad := range []string{token.AccessToken[:len(token.AccessToken)-6] + "AAAAAA", strings.Replace(token.AccessToken, ".", ".e30.", 1), "x"} {
		s.do(t, bad, get("Patient/q")).want(t, http.StatusUnauthorized).hides(t, "Lowe")
	}
}

// Scenario 92: a token for one patient sees nobody else, and wildcards come to what
// the app is registered for.
func TestScenario92LaunchIsOnePatient(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a1 := s.account(t, "a1", "PractitionerRole/a1", false)
	l := s.authorize("app-a", redirectA, "launch/patient patient/*.cruds system/*.rs user/Nothing.rs")
	token, a := l.exchange(t, l.received(t, a1.through(t, l.address(), url.Values{"number": {"S1234567D"}, "patient": {"q"}})))
	checkedExchange(t, token, a)
	if token.Patient != "q" || token.Scope != "launch/patient patient/*.rs" {
		t.Errorf("granted %+v", token)
	}
	s.full(t, token.AccessToken, "q")
	none := s.do(t, token.AccessToken, get("Patient/none")).want(t, http.StatusNotFound)
	same(t, "another patient", none, s.do(t, token.AccessToken, get("Patient/r")))
	for _, ask := range []string{"Patient?name=Lowe", "Observation?patient=r", "Patient?_has:Observation:patient:code=x", "Observation?subject:Patient.name=Lowe"} {
		for _, id := range s.do(t, token.AccessToken, get(ask)).want(t, http.StatusOK).ids(t) {
			if strings.HasSuffix(id, "/r") || strings.HasSuffix(id, "-r") {
				t.Errorf("%s shows %s", ask, id)
			}
		}
	}
	s.post(t, token.AccessToken, observation("q", "")).want(t, http.StatusForbidden)
}

// Scenario 91: a token that is not good is refused in the same words whomever it
// asks for. What is tried in vain at the token endpoint is in TestCodes,
// TestAuthorizationRequestsThatComeToNothing and TestAssertionsThatProveNothing.
func TestScenario91BadTokensTellNothing(t *testing.T) {
	t.Parallel()
	s, other := newStage(t), start(t, t.TempDir()+"/data")
	good := s.a1
	_, body := claims(t, good)
	forged := newSigner(t, "ES384")
	short := s.doctor(t, "a1", "a", "--ttl", "1s")
	for s.do(t, short, get("Patient/q")).status == http.StatusOK { //nolint:revive // until its second is over
	}
	foreign := object{}
	for name, value := range body {
		foreign[name] = value
	}
	foreign["iss"] = "https://elsewhere.example"
	for name, token := range map[string]string{
		"expired":     short,
		"wrong aud":   s.token(t, "--kind", "practitioner", "--user", "PractitionerRole/a1", "--org", "Organization/a", "--base-url", "https://elsewhere.example"),
		"alg none":    b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + b64(encode(t, body)) + ".",
		"forged":      forged.sign(t, object{"alg": "ES384", "kid": "x", "typ": "at+jwt"}, body),
		"foreign iss": forged.sign(t, object{"alg": "ES384", "kid": forged.kid, "typ": "at+jwt"}, foreign),
		"another's":   other.doctor(t, "a1", "a"),
		"no token":    "x",
	} {
		none := s.do(t, token, get("Patient/none"))
		if none.status != http.StatusUnauthorized || none.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v", name, none.status, none.header)
		}
		for _, id := range []string{"p", "q"} {
			same(t, name, none, s.do(t, token, get("Patient/"+id)).hides(t, "Lowe"))
		}
	}
	s.do(t, good, get("Patient/q")).want(t, http.StatusOK)
}

// A registration that is deleted lets nobody in, and what is deleted beside it does
// no harm.
func TestADeletedRegistrationIsGone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	feed, _ := s.feed.backend(t, s.server, "feed-b", "system/Device.cud", nil)
	own := instance(s.cast, s.post(t, feed.AccessToken, object{"resourceType": "Device", "status": "active"}).want(t, http.StatusCreated))
	s.do(t, feed.AccessToken, request{method: http.MethodDelete, path: own}).want(t, http.StatusNoContent)
	doctor, _ := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
	s.full(t, doctor.AccessToken, "q")
	for _, id := range s.do(t, s.root, get("Device?identifier=connector-a")).want(t, http.StatusOK).ids(t) {
		s.do(t, s.root, request{method: http.MethodDelete, path: id}).want(t, http.StatusNoContent)
	}
	s.do(t, doctor.AccessToken, get("Patient/q")).want(t, http.StatusForbidden).hides(t, secret)
	s.put(t, organization("spare", ""))
	s.do(t, s.root, request{method: http.MethodDelete, path: "Organization/spare"}).want(t, http.StatusNoContent)
}

// What a registration is cut down to bounds the tokens that are out, from the next
// request on.
func TestANarrowedRegistrationBitesAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	q := s.account(t, "quentin", "Patient/q", false)
	l := s.authorize("app-p", redirectP, "launch/patient patient/*.rs")
	token, _ := l.exchange(t, l.received(t, q.through(t, l.address(), nil)))
	s.do(t, token.AccessToken, get("Observation?patient=q")).want(t, http.StatusOK)
	app := object{"client_name": "App of patients", "redirect_uris": []any{redirectP}, "capabilities": []any{"read"}, "scope": "launch/patient patient/Patient.rs"}
	s.admin(t, http.MethodPut, "clients/app-p", app, http.StatusOK)
	s.do(t, token.AccessToken, get("Observation?patient=q")).want(t, http.StatusForbidden).hides(t, "o-q")
	s.do(t, token.AccessToken, get("Patient/q")).want(t, http.StatusOK)
	_, a := s.form(t, "introspect", url.Values{"client_id": {"app-p"}, "token": {token.AccessToken}})
	if got := text(decode(t, a.body), "scope"); got != "launch/patient patient/Patient.rs" {
		t.Errorf("introspection says %q", got)
	}
}
