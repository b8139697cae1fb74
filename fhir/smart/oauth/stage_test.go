package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/argon2"

	"vitrine/consent"
	"vitrine/consent/basic"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/rest"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/fhir/smart/token"
	"vitrine/fhir/validate"
	"vitrine/store/embedded"
)

const (
	origin   = "https://nehr.example"
	fhirBase = origin + "/fhir"
	appURI   = "https://app.example/back"
	ownName  = "urn:uuid:8ad8d8c6-7a5f-4d5e-8bd3-0b6a2c9a3e11"
	password = "correct horse battery"
	nric     = "https://fhir.synapxe.sg/NamingSystem/nric"
	roleCode = `[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]`
)

// stage is a whole server with a clock of its own: the authorization server, the
// porch, the gate, and the embedded store.
type stage struct {
	testing.TB
	door     *gate.Gate
	keys     *token.Keys
	accounts *oauth.Accounts
	handler  http.Handler
	now      time.Time
	dir      string
	// origin is its base URL, world all servers by their hosts.
	origin string
	world  map[string]http.Handler
	// secrets are those of the second factors, by account.
	secrets map[string]string
}

// registry is the gate in the words of the authorization server.
type registry struct{ *gate.Gate }

func (r registry) Client(ctx context.Context, id string, now time.Time) (smart.Client, error) {
	c, err := r.Gate.Client(ctx, id, now)
	if errors.Is(err, gate.ErrNotFound) {
		err = oauth.ErrUnknown
	}
	return c, err
}

func (r registry) Admit(ctx context.Context, t *smart.Token, now time.Time) error {
	caller, reason := rest.CallerOf(t)
	err := r.Gate.Admit(ctx, &caller, reason, now)
	if refused := (*gate.Refused)(nil); errors.As(err, &refused) {
		return oauth.ErrRefused
	}
	return err
}

func (r registry) Note(ctx context.Context, e oauth.Event) error { return r.Gate.Note(ctx, &e) }

// newStage builds the server and puts on it clinics A and B, a doctor who works
// at both and one at A alone, and the patients p and q, of whom A cares for p;
// and the apps of both clinics and of patients.
func newStage(t testing.TB, with func(*oauth.Config)) *stage {
	t.Helper()
	return newStageAt(t, origin, with)
}

func newStageAt(t testing.TB, origin string, with func(*oauth.Config)) *stage {
	t.Helper()
	s := &stage{
		TB: t, now: time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC), dir: t.TempDir(), secrets: map[string]string{},
		origin: origin, world: map[string]http.Handler{},
	}
	base := origin + "/fhir"
	porch := s.wire()
	tools, err := loadTools()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.OpenKeys(s.dir)
	s.keys = keys
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.Config{Keys: keys, OwnIssuer: ownName, Server: base, Audience: []string{base}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if s.accounts, err = oauth.OpenAccounts(s.dir); err != nil {
		t.Fatal(err)
	}
	cfg := oauth.Config{
		BaseURL: origin, Keys: keys, Registry: registry{s.door}, State: s.door, Verifier: verifier,
		Accounts: s.accounts, Now: func() time.Time { return s.now }, SessionLife: time.Hour,
		Known:         func(t fhir.ResourceType) bool { return tools.Definitions.Resource(string(t)) != nil },
		SystemPurpose: consent.Treatment.Coding(), RegulatorPurpose: consent.AuditReview.Coding(),
	}
	var served http.Handler
	cfg.Porch = inner{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { served.ServeHTTP(w, r) })}
	if with != nil {
		with(&cfg)
	}
	auth, err := oauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served = porch(verifier, auth)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, oauth.Root+"/") {
			auth.Handler().ServeHTTP(w, r)
			return
		}
		served.ServeHTTP(w, r)
	})
	s.world[strings.TrimPrefix(origin, "https://")] = s.handler
	s.furnish()
	return s
}

// loadTools are the parts that know FHIR, made once for all tests.
var (
	loadTools = sync.OnceValues(func() (gate.Tools, error) { return makeTools(fhirBase) })
	idpTools  = sync.OnceValues(func() (gate.Tools, error) { return makeTools(idpBase) })
)

func makeTools(base string) (gate.Tools, error) {
	definitions, err := r4.Load()
	if err != nil {
		return gate.Tools{}, err
	}
	indexer, err := search.NewIndexer(definitions, base)
	if err != nil {
		return gate.Tools{}, err
	}
	set, err := basic.New(basic.Default())
	if err != nil {
		return gate.Tools{}, err
	}
	terms, err := r4.LoadTerms()
	return gate.Tools{
		Definitions: definitions, Indexer: indexer, Parser: indexer.Parser(), Validator: validate.New(definitions),
		Compartments: compartment.New(definitions), Basic: set, Terms: search.NewShipped(terms), Codes: terms,
	}, err
}

// wire builds the gate on a store of its own, and returns how its porch is made.
func (s *stage) wire() func(*token.Verifier, *oauth.Server) http.Handler {
	base := s.origin + "/fhir"
	load := loadTools
	if s.origin != origin {
		load = idpTools
	}
	tools, err := load()
	if err != nil {
		s.Fatal(err)
	}
	db, err := embedded.Open(s.TempDir(), embedded.Options{Indexer: tools.Indexer, Definitions: tools.Definitions, CacheSize: 4 << 20})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.Error(err)
		}
	})
	s.door = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example"}, tools, db)
	return func(v *token.Verifier, auth *oauth.Server) http.Handler {
		porch, err := rest.New(rest.Config{
			BaseURL: base, Now: func() time.Time { return s.now },
			Authorization: &rest.Authorization{SMART: auth.Configuration(), OpenID: auth.OpenID()},
		}, rest.Tools{Definitions: tools.Definitions, Parser: tools.Parser}, s.door, v)
		if err != nil {
			s.Fatal(err)
		}
		return porch.Handler()
	}
}

// RoundTrip takes a request to the server it is for.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ok := s.world[r.URL.Host]
	if !ok {
		return nil, errors.New("no such host")
	}
	return inner{h}.RoundTrip(r)
}

// inner carries requests to a handler without a network.
type inner struct{ http.Handler }

func (i inner) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header = r.Header.Clone()
	w := httptest.NewRecorder()
	i.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *stage) furnish() {
	s.Helper()
	for _, o := range []string{"a", "b"} {
		s.put("Organization", o, `"active":true,"name":"Clinic `+strings.ToUpper(o)+`"`)
	}
	for _, d := range []struct{ role, holder, org string }{{"a1", "tan", "a"}, {"b1", "tan", "b"}, {"a2", "lim", "a"}} {
		s.put("Practitioner", d.holder, `"active":true,"name":[{"text":"Dr `+d.holder+`"}],"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/mcr","value":"M-`+d.holder+`"}]`)
		s.put("PractitionerRole", d.role, `"active":true,"practitioner":{"reference":"Practitioner/`+d.holder+`"},"organization":{"reference":"Organization/`+d.org+`"},"code":`+roleCode)
	}
	for id, number := range map[string]string{"p": "S1234567D", "q": "S7654321F"} {
		s.put("Patient", id, `"active":true,"name":[{"family":"Koh","given":["<b>`+id+`"]},{"text":"Koh Ah `+id+`"}],"birthDate":"1980-02-03","gender":"female","identifier":[{"system":"`+nric+`","value":"`+number+`"}]`)
	}
	s.put("EpisodeOfCare", "e-p", `"status":"active","patient":{"reference":"Patient/p"},"managingOrganization":{"reference":"Organization/a"}`)
	for _, c := range []smart.Client{
		{ID: "app-a", Name: "App <of> A", Device: "app-a", Organization: "a", Scope: "openid fhirUser launch launch/patient offline_access patient/*.rs user/*.rs"},
		{ID: "app-b", Name: "App of B", Device: "app-b", Organization: "b", Scope: "openid fhirUser launch/patient patient/*.rs user/*.rs"},
		{ID: "app-p", Name: "App of patients", Device: "app-p", Scope: "openid fhirUser launch/patient patient/*.rs"},
	} {
		c.State, c.Read, c.RedirectURIs = smart.ClientActive, true, []string{appURI}
		text, err := c.Resource()
		if err != nil {
			s.Fatal(err)
		}
		s.store("Device", c.Device, string(text))
	}
}

func (s *stage) put(t fhir.ResourceType, id, members string) {
	s.Helper()
	s.store(t, id, `{"resourceType":"`+string(t)+`","id":"`+id+`",`+members+`}`)
}

// store stores a resource as the custodian does.
func (s *stage) store(t fhir.ResourceType, id, text string) {
	s.Helper()
	tape := new(fhir.Tape)
	if err := tape.Parse([]byte(text), fhir.Limits{}); err != nil {
		s.Fatalf("%v: %s", err, text)
	}
	_, err := s.door.Update(s.Context(), &gate.Request{
		Now: s.now, ID: "r", Interaction: gate.Interaction{Code: "update", Letter: 'u', Write: true}, Type: t, Method: http.MethodPut,
		Caller: consent.Caller{Kind: consent.Custodian, ByHand: true, Issuer: ownName, Subject: "jobs", Client: "import", Purpose: consent.SystemAdministration, Scopes: smart.ParseScopes("system/*.cruds")},
	}, t, id, gate.Content{Tape: tape}, "")
	if err != nil {
		s.Fatalf("put %s/%s: %v", t, id, err)
	}
}

// account makes an account, with a second factor or without. Its hash is cheap.
func (s *stage) account(name, user string, second bool) {
	s.Helper()
	one := oauth.Account{Name: name, User: user, Password: cheapHash()}
	if second {
		one.TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
		s.secrets[name] = one.TOTP
	}
	all, err := s.accounts.All()
	if err != nil {
		s.Fatal(err)
	}
	text, err := json.Marshal(append(all, one))
	if err != nil {
		s.Fatal(err)
	}
	temp := filepath.Join(s.dir, "accounts.new")
	if err := errors.Join(os.WriteFile(temp, text, 0o600), os.Rename(temp, filepath.Join(s.dir, oauth.AccountsFile))); err != nil {
		s.Fatal(err)
	}
}

// cheapHash is a hash of the password that costs nearly nothing.
func cheapHash() string {
	salt, b64 := make([]byte, 16), base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=64,t=1,p=1$" + b64(salt) + "$" + b64(argon2.IDKey([]byte(password), salt, 1, 64, 1, 32))
}

// code is the code of the account's second factor now.
func (s *stage) code(name string) string {
	s.Helper()
	code, err := totp.GenerateCode(s.secrets[name], s.now)
	if err != nil {
		s.Fatal(err)
	}
	return code
}

// browser is a browser of its own: cookies, and redirects followed as far as
// they stay here.
type browser struct {
	*stage
	client *http.Client
	header http.Header
}

func (s *stage) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	return &browser{stage: s, header: http.Header{}, client: &http.Client{
		Jar: jar, Transport: s,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if s.world[r.URL.Host] == nil {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

// page is what a browser shows.
type page struct {
	status int
	at     *url.URL
	header http.Header
	body   string
	// end is where the app is called back, nil as long as it is not.
	end url.Values
}

func (b *browser) open(address string) page {
	b.Helper()
	return b.send(http.MethodGet, address, nil)
}

func (b *browser) send(method, address string, form url.Values) page {
	b.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.origin + address
	}
	r, err := http.NewRequestWithContext(b.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	for k, v := range b.header {
		r.Header[k] = v
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	p := page{status: resp.StatusCode, at: resp.Request.URL, header: resp.Header, body: string(body)}
	if location, err := resp.Location(); err == nil && strings.HasPrefix(location.String(), appURI) {
		p.end = location.Query()
	}
	return p
}

// ask begins an authorization as an app does.
func (b *browser) ask(client, scope string, more ...string) page {
	b.Helper()
	sum := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {appURI}, "scope": {scope}, "state": {"state-of-the-app"},
		"aud": {fhirBase}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return b.open("/auth/authorize?" + q.Encode())
}

// fill sends the form of the page whose action ends so, with the fields given; a
// field given empty is left out.
func (b *browser) fill(p page, action string, fields ...string) page {
	b.Helper()
	address, form, ok := formIn(p.body, action)
	if !ok {
		b.Fatalf("no form for %s on %s (%d):\n%s", action, p.at, p.status, p.body)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Del(fields[i])
		if fields[i+1] != "" {
			form.Set(fields[i], fields[i+1])
		}
	}
	return b.send(http.MethodPost, p.at.Scheme+"://"+p.at.Host+address, form)
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)">(.*?)</form>`)
	inputPattern = regexp.MustCompile(`<input ([^>]*)>`)
	attrPattern  = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
)

// formIn finds a form and what a browser would send of it untouched.
func formIn(body, action string) (address string, fields url.Values, ok bool) {
	for _, m := range formPattern.FindAllStringSubmatch(body, -1) {
		if !strings.HasSuffix(m[1], action) {
			continue
		}
		fields = url.Values{}
		for _, in := range inputPattern.FindAllStringSubmatch(m[2], -1) {
			attr := map[string]string{}
			for _, a := range attrPattern.FindAllStringSubmatch(in[1], -1) {
				attr[a[1]] = html.UnescapeString(a[2])
			}
			_, checked := attr["checked"]
			if t := attr["type"]; t != "radio" && t != "checkbox" || checked {
				fields.Add(attr["name"], attr["value"])
			}
		}
		return m[1], fields, true
	}
	return "", nil, false
}

// signIn fills in the form of the sign-in.
func (b *browser) signIn(p page, name string) page {
	b.Helper()
	code := ""
	if b.secrets[name] != "" {
		code = b.code(name)
	}
	return b.fill(p, "/sign-in", "name", name, "password", password, "code", code)
}

// wants fails unless the page has the status and shows the texts.
func (b *browser) wants(p page, status int, texts ...string) page {
	b.Helper()
	if p.status != status {
		b.Fatalf("%s: status %d, want %d\n%s", p.at, p.status, status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			b.Fatalf("%s does not show %q:\n%s", p.at, text, p.body)
		}
	}
	return p
}

// lacks fails when the page shows one of the texts.
func (b *browser) lacks(p page, texts ...string) page {
	b.Helper()
	for _, text := range texts {
		if strings.Contains(p.body, text) {
			b.Fatalf("%s shows %q:\n%s", p.at, text, p.body)
		}
	}
	return p
}

// granted is what a code that came back stands for.
type granted struct {
	Kind, User, Organization, Patient, Scope, ACR, Account string
	AuthTime                                               time.Time
}

// payload are the claims of a token.
func payload(t testing.TB, token string) (set map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (b *browser) granted(p page) granted {
	b.Helper()
	code := p.end.Get("code")
	if code == "" || p.end.Get("state") != "state-of-the-app" || p.end.Get("iss") != fhirBase {
		b.Fatalf("%s (%d) ends with %v, want a code, the state and the issuer\n%s", p.at, p.status, p.end, p.body)
	}
	sum := sha256.Sum256([]byte(code))
	text, err := b.door.Recall(b.Context(), "code/"+base64.RawURLEncoding.EncodeToString(sum[:]), b.now)
	if err != nil || text == nil {
		b.Fatalf("the code is not kept: %v", err)
	}
	var kept struct{ Authorization granted }
	if err := json.Unmarshal(text, &kept); err != nil {
		b.Fatal(err)
	}
	return kept.Authorization
}

// hashed is how the server keeps a name or a secret.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
