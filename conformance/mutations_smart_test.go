package conformance

// smartMutations break the authorization server, and what is asked of those whom it
// let in.
func smartMutations() []mutation {
	const (
		codes    = "TestCodes"
		requests = "TestAuthorizationRequestsThatComeToNothing"
		backends = "TestScenario36SystemsNeverRead"
		pages    = "TestPagesBelongToTheirBrowser"
		apps     = "TestInfernoStandaloneLaunch"
		ends     = "TestNothingOutlivesItsEnd"
	)
	return []mutation{
		{name: "smart: a code needs no verifier", test: codes, edits: []edit{{"fhir/smart/oauth/code.go", "case !matches(verifier, c.Challenge):", "case len(verifier) < 0:"}}},
		{name: "smart: a code is good twice", test: codes, edits: []edit{{"fhir/smart/oauth/code.go", "case c.Used:", "case false:"}}},
		{name: "smart: a code that comes twice takes nothing back", test: codes, edits: []edit{{"fhir/smart/oauth/code.go", "return c.Authorization.revoke(m, x.now)", "return nil"}}},
		{name: "smart: a code is anybody's", test: codes, edits: []edit{{"fhir/smart/oauth/code.go", "case !found || c.Authorization.Client != p.client.ID:", "case !found:"}}},
		{name: "smart: PKCE may be left out", test: requests, edits: []edit{{"fhir/smart/oauth/authorize.go", `case f.get("code_challenge_method") != "S256" || !isChallenge(to.Challenge):`, "case false:"}}},
		{name: "smart: what begins like a redirect URI is one", test: requests, edits: []edit{{
			"fhir/smart/oauth/authorize.go", `!slices.Contains(client.RedirectURIs, f.get("redirect_uri"))`,
			`len(client.RedirectURIs) == 0 || !strings.HasPrefix(f.get("redirect_uri"), client.RedirectURIs[0])`,
		}}},
		{name: "smart: aud is anybody's", test: requests, edits: []edit{{"fhir/smart/oauth/authorize.go", `case !s.isBase(f.get("aud")):`, "case false:"}}},
		{name: "smart: a request is every browser's", test: pages, edits: []edit{{"fhir/smart/oauth/authorization.go", `browser == "" || browser != q.Browser`, `browser == "-"`}}},
		{name: "smart: a form needs no token", test: pages, edits: []edit{{"fhir/smart/oauth/people.go", "!sameToken(v.r.PostForm.Get(fieldToken), v.login.CSRF)", "false"}}},
		{name: "smart: a refresh token is good twice", test: apps, edits: []edit{{"fhir/smart/oauth/refresh.go", "case f.Current != hashed(old):", "case false:"}}},
		{name: "smart: a refresh widens", test: apps, edits: []edit{{"fhir/smart/oauth/refresh.go", "if !smart.Within(asked, a.Scope) {", "if false {"}}},
		{name: "smart: a launch is good twice", test: "TestInfernoEHRLaunch", edits: []edit{{"fhir/smart/oauth/authorization.go", "m.Forget(q.LaunchKey)", `m.Forget("none")`}}},
		{name: "smart: an assertion is good twice", test: "TestAssertionsThatProveNothing", edits: []edit{{"fhir/smart/oauth/token.go", `return m.Keep(key, []byte("1"), p.assertion.Expires.Add(time.Second))`, "return nil"}}},
		{name: "smart: a system is granted reading", test: backends, edits: []edit{{"fhir/smart/oauth/clientcredentials.go", `smart.KeepLetters(c.Scope, "system", "cud")`, `smart.KeepLetters(c.Scope, "system", "cruds")`}}},
		{name: "smart: a connector acts for anybody's staff", test: backends, edits: []edit{{"fhir/smart/oauth/b2b.go", "c.Organization == organization && boundTo(&p.client, c)", "c.Organization != \"\""}}},
		{name: "smart: a connector chooses the purpose", test: backends, edits: []edit{{"fhir/smart/oauth/b2b.go", "case !slices.Contains(role.Purposes, purpose):", "case false:"}}},
		{name: "smart: what was revoked goes on", test: ends, edits: []edit{{"consent/gate/revoked.go", "case void:", "case void && ctx == nil:"}}},
		{name: "smart: a suspended client goes on", test: ends, edits: []edit{{"consent/onboarding.go", "\t\treturn \"client-suspended\"", "\t\treturn \"\""}}},
		{name: "smart: scopes of an app are what it asks for", test: "TestScenario92LaunchIsOnePatient", edits: []edit{{"fhir/smart/oauth/authorize.go", "smart.Narrow(asked, client.Scope)", "asked"}}},
	}
}
