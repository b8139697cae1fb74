package smart_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// keySet is a set with one public key.
const keySet = `{"keys":[{"kty":"EC","crv":"P-384","kid":"k1","use":"sig","alg":"ES384",` +
	`"x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",` +
	`"y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`

// connector is a registration with everything in it.
func connector() smart.Client {
	return smart.Client{
		ID: "emr-a", Name: "Connector of clinic A", Device: "d1", State: smart.ClientActive, Organization: "a", Read: true, Contribute: true,
		RedirectURIs: []string{"https://emr.example/cb?tenant=1", "http://127.0.0.1:8080/cb", "http://[::1]/cb", "com.example.app:/signed-in"},
		LaunchURL:    "https://emr.example/launch", JWKS: keySet,
		Scope: "openid fhirUser launch launch/patient offline_access user/*.cruds system/*.cu",
	}
}

func tapeOf(tb testing.TB, text string) *fhir.Tape {
	tb.Helper()
	t := new(fhir.Tape)
	if err := t.Parse([]byte(text), fhir.Limits{}); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	return t
}

func TestARegistrationIsReadBackAsItWasWritten(t *testing.T) {
	states := []smart.ClientState{smart.ClientPending, smart.ClientActive, smart.ClientSuspended, smart.ClientEnded}
	rapid.Check(t, func(t *rapid.T) {
		c := smart.Client{
			ID: rapid.StringMatching(`[A-Za-z0-9.~:/@+_-]{1,40}`).Draw(t, "id"), Name: rapid.StringMatching(`[\pL<>&"\\ -]{0,40}x`).Draw(t, "name"),
			Device: "d", State: rapid.SampledFrom(states).Draw(t, "state"), Organization: rapid.SampledFrom([]string{"", "a"}).Draw(t, "organization"),
			Read: rapid.Bool().Draw(t, "read"), Contribute: rapid.Bool().Draw(t, "contribute"),
			RedirectURIs: rapid.SampledFrom([][]string{nil, {"https://a.example/"}, connector().RedirectURIs}).Draw(t, "redirects"),
			LaunchURL:    rapid.SampledFrom([]string{"", "https://a.example/launch?x=1"}).Draw(t, "launch"),
			Scope:        rapid.SampledFrom([]string{"", "user/*.rs", "patient/*.rs openid"}).Draw(t, "scope"),
		}
		switch rapid.IntRange(0, 2).Draw(t, "keys") {
		case 1:
			c.JWKS = keySet
		case 2:
			c.JWKSURL = "https://a.example/jwks"
		}
		text, err := c.Resource()
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		tape := new(fhir.Tape)
		if err := tape.Parse(text, fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		got, err := smart.ReadClient(tape, "https://nehr.example/fhir")
		if diff := cmp.Diff(c, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// TestARegistrationIsReadWholeOrNotAtAll damages one that can be read.
func TestARegistrationIsReadWholeOrNotAtAll(t *testing.T) {
	c := connector()
	whole, err := c.Resource()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := smart.ReadClient(tapeOf(t, string(whole)), ""); err != nil {
		t.Fatalf("the one that can be read: %v", err)
	}
	for name, row := range map[string]struct{ old, new, member string }{
		"another state":               {`"valueCode":"active"`, `"valueCode":"approved"`, smart.MemberState},
		"a state in capitals":         {`"valueCode":"active"`, `"valueCode":"Active"`, smart.MemberState},
		"status says otherwise":       {`"status":"active"`, `"status":"inactive"`, smart.MemberState},
		"no status":                   {`"status":"active",`, ``, smart.MemberState},
		"no state":                    {`{"url":"state","valueCode":"active"},`, ``, smart.MemberState},
		"two states":                  {`{"url":"state","valueCode":"active"}`, `{"url":"state","valueCode":"active"},{"url":"state","valueCode":"active"}`, smart.MemberState},
		"a state that is a string":    {`"valueCode":"active"`, `"valueString":"active"`, smart.MemberState},
		"an unknown part":             {`{"url":"state",`, `{"url":"sudo","valueCode":"x"},{"url":"state",`, smart.MemberState},
		"a part with an id":           {`{"url":"state",`, `{"id":"x","url":"state",`, smart.MemberState},
		"a part with more":            {`{"url":"state",`, `{"extension":[],"url":"state",`, smart.MemberState},
		"an unknown capability":       {`"valueCode":"read"`, `"valueCode":"admin"`, smart.MemberCapabilities},
		"a capability twice":          {`"valueCode":"read"`, `"valueCode":"contribute"`, smart.MemberCapabilities},
		"a modifier":                  {`"status":`, `"modifierExtension":[{"url":"x","valueCode":"y"}],"status":`, smart.MemberState},
		"a patient":                   {`"status":`, `"patient":{"reference":"Patient/p"},"status":`, smart.MemberState},
		"another owner":               {`Organization/a`, `Practitioner/a`, smart.MemberOrganization},
		"an owner elsewhere":          {`Organization/a`, `https://other.example/Organization/a`, smart.MemberOrganization},
		"an owner without reference":  {`{"reference":"Organization/a"}`, `{"display":"a"}`, smart.MemberOrganization},
		"no id":                       {`"value":"emr-a"`, `"value":""`, smart.MemberID},
		"two ids":                     {`"identifier":[`, `"identifier":[{"system":"` + smart.SystemClient + `","value":"x"},`, smart.MemberID},
		"no name":                     {`"type":"user-friendly-name"`, `"type":"other"`, smart.MemberName},
		"a redirect to http":          {`https://emr.example/cb?tenant=1`, `http://emr.example/cb`, smart.MemberRedirects},
		"keys twice":                  {`{"url":"scope"`, `{"url":"jwks-url","valueUrl":"https://a.example/j"},{"url":"scope"`, smart.MemberJWKSURL},
		"a scope that grants nothing": {`user/*.cruds`, `user/*.sudo`, smart.MemberScope},
		"two registrations": {
			`"extension":[{"url":"` + smart.ExtensionClient + `"`,
			`"extension":[{"url":"` + smart.ExtensionClient + `","extension":[{"url":"state","valueCode":"active"}]},{"url":"` + smart.ExtensionClient + `"`, smart.MemberState,
		},
	} {
		text := strings.Replace(string(whole), row.old, row.new, 1)
		if text == string(whole) {
			t.Fatalf("%s: nothing was changed in %s", name, whole)
		}
		got, err := smart.ReadClient(tapeOf(t, text), "https://nehr.example/fhir")
		var wrong *smart.RegistrationError
		if !errors.As(err, &wrong) || wrong.Member != row.member {
			t.Errorf("%s: got %v, want %s to be at fault", name, err, row.member)
		}
		if diff := cmp.Diff(smart.Client{}, got); diff != "" {
			t.Errorf("%s: something was read: %s", name, diff)
		}
	}
	if _, err := smart.ReadClient(tapeOf(t, `{"resourceType":"Device","status":"active"}`), ""); !errors.Is(err, smart.ErrNoRegistration) {
		t.Errorf("a Device without: got %v", err)
	}
}

func TestWhereAnAuthorizationMayEnd(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://app.example/cb":             true,
		"https://app.example":                true,
		"https://app.example:8443/cb?x=1":    true,
		"http://localhost/cb":                true,
		"http://localhost:3000/cb":           true,
		"http://127.0.0.1:3000/cb":           true,
		"http://[::1]:3000/cb":               true,
		"com.example.app:/cb":                true,
		"com.example.app:/":                  true,
		"http://app.example/cb":              false,
		"http://127.0.0.1.app.example/cb":    false,
		"http://localhost.app.example/cb":    false,
		"http://0.0.0.0/cb":                  false,
		"https://app.example/cb#":            false,
		"https://app.example/cb#x":           false,
		"https://user@app.example/cb":        false,
		"https://user:secret@app.example/cb": false,
		"https://*.app.example/cb":           false,
		"https://app.example/*":              false,
		"https:///cb":                        false,
		"https:app.example/cb":               false,
		"https://:8443/cb":                   false,
		"//app.example/cb":                   false,
		"/cb":                                false,
		"":                                   false,
		"HTTPS://app.example/cb":             false,
		"https://APP.example/cb":             false,
		"https://app.example\\@evil.example": false,
		"https://app.example/a b":            false,
		"https://app.example/\n":             false,
		"https://äpp.example/":               false,
		"https://app.example/cb?code=1":      false,
		"https://app.example/cb?state=1":     false,
		"https://app.example/cb?iss=1":       false,
		"https://app.example/cb?a=%zz":       false,
		"myapp:/cb":                          false,
		"myapp://cb":                         false,
		"com.example.app://cb":               false,
		"com.example.app:cb":                 false,
		"javascript:alert(1)":                false,
		"data:text/html,x":                   false,
		"file:///etc/passwd":                 false,
		"com.example.app:/cb#x":              false,
	} {
		c := connector()
		c.RedirectURIs = []string{uri}
		if err := c.Check(); (err == nil) != want {
			t.Errorf("%q: got %v, want it taken: %v", uri, err, want)
		}
	}
}

func TestKeySetsArePublicAndUsable(t *testing.T) {
	const rsa = `{"kty":"RSA","kid":"r","e":"AQAB","n":"`
	long := strings.Repeat("A", 342)
	for set, want := range map[string]bool{
		keySet:                            true,
		`{"keys":[` + rsa + long + `"}]}`: true,
		`{"keys":[` + rsa + long + `","alg":"RS256"}]}`:        false, // nothing to authenticate with
		`{"keys":[` + rsa + long + `","use":"enc"}]}`:          false,
		`{"keys":[` + rsa + long[:170] + `"}]}`:                false,
		`{"keys":[` + rsa + long + `","d":"AQAB"}]}`:           false,
		`{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}`:    false,
		strings.Replace(keySet, `"kid":"k1",`, ``, 1):          false,
		strings.Replace(keySet, `P-384`, `P-256`, 1):           false,
		strings.Replace(keySet, `"x":"AA`, `"x":"`, 1):         false,
		`{"keys":[` + rsa + long + `"},` + rsa + long + `"}]}`: false,
		`{"keys":[]}`: false, `{}`: false, `[]`: false, `null`: false, `{"keys":{}}`: false, `x`: false,
	} {
		c := connector()
		c.JWKS = set
		if err := c.Check(); (err == nil) != want {
			t.Errorf("%s: got %v, want it taken: %v", set, err, want)
		}
	}
}

func TestWhatIsEndedStaysEnded(t *testing.T) {
	var got []string
	all := []smart.ClientState{smart.ClientPending, smart.ClientActive, smart.ClientSuspended, smart.ClientEnded}
	for _, from := range all {
		for _, to := range all {
			if from != to && from.Becomes(to) {
				got = append(got, from.String()+" "+to.String())
			}
		}
	}
	want := []string{"pending active", "pending ended", "active suspended", "active ended", "suspended active", "suspended ended"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnboardingOfOrganisations(t *testing.T) {
	extension := func(parts string) string {
		return `,"extension":[{"url":"` + smart.ExtensionOnboarding + `","extension":[` + parts + `]}]`
	}
	both := smart.Onboarding{State: smart.ClientActive, Contribute: true, Read: true}
	for members, want := range map[string]smart.Onboarding{
		``:                both,
		`,"active":true`:  both,
		`,"active":false`: {State: smart.ClientSuspended},
		`,"active":"no"`:  {State: smart.ClientSuspended},
		extension(`{"url":"state","valueCode":"active"},{"url":"capability","valueCode":"contribute"}`):      {State: smart.ClientActive, Contribute: true},
		extension(`{"url":"state","valueCode":"suspended"},{"url":"capability","valueCode":"read"}`):         {State: smart.ClientSuspended, Read: true},
		extension(`{"url":"state","valueCode":"active"}`) + `,"active":false`:                                {State: smart.ClientSuspended},
		extension(`{"url":"capability","valueCode":"read"}`):                                                 {},
		extension(`{"url":"state","valueCode":"active"},{"url":"capability","valueCode":"all"}`):             {},
		extension(`{"url":"state","valueCode":"active"},{"url":"scope","valueString":"system/*.cruds"}`):     {},
		extension(`{"url":"state","valueCode":"active"},{"url":"redirect","valueUri":"https://a.example/"}`): {},
	} {
		got := smart.ReadOnboarding(tapeOf(t, `{"resourceType":"Organization","id":"a"`+members+`}`))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", members, diff)
		}
	}
}

func FuzzReadClient(f *testing.F) {
	c := connector()
	whole, err := c.Resource()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(whole))
	f.Fuzz(func(t *testing.T, text string) {
		tape := new(fhir.Tape)
		if tape.Parse([]byte(text), fhir.Limits{}) != nil {
			return
		}
		c, err := smart.ReadClient(tape, "https://nehr.example/fhir")
		if err != nil {
			if diff := cmp.Diff(smart.Client{}, c); diff != "" {
				t.Errorf("something was read of what cannot be read: %s", diff)
			}
			return
		}
		if err := c.Check(); err != nil {
			t.Errorf("what was read is not right: %v", err)
		}
	})
}
