package conformance

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238, as every authenticator app has it
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// someone is a person at a browser: it keeps cookies, follows redirects within the
// server, fills in forms, and stops where it would leave for an app.
type someone struct {
	*server
	browser        *http.Client
	name, password string
	// totp is the secret of the second factor; empty for none.
	totp string
	// seen are the pages it was shown.
	seen []*screen
}

// screen is what a browser shows.
type screen struct {
	address *url.URL
	status  int
	header  http.Header
	text    string
	root    *html.Node
}

// account makes an account and returns who signs in with it.
func (s *server) account(t *testing.T, name, user string, totp bool) *someone {
	t.Helper()
	p := &someone{server: s, name: name, password: "correct horse " + rand.Text()}
	p.fresh(t)
	args := []string{"account", "add", "--data", s.data, name, "--user", user, "--password-stdin"}
	if !totp {
		args = append(args, "--totp=off")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(p.password + "\n")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("account add: %v\n%s%s", err, &out, &errs)
	}
	if totp {
		for word := range strings.FieldsSeq(out.String()) {
			if u, err := url.Parse(word); err == nil && u.Scheme == "otpauth" {
				p.totp = u.Query().Get("secret")
			}
		}
		if p.totp == "" {
			t.Fatalf("account add printed no second factor:\n%s", &out)
		}
	}
	return p
}

// fresh is another browser.
func (p *someone) fresh(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// code is the second factor at a moment (RFC 6238).
func (p *someone) code(t *testing.T, at time.Time) string {
	t.Helper()
	if p.totp == "" {
		return ""
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.totp)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30)
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// open goes to an address and on to wherever the server sends it. It returns the
// last page, or, with a nil page, the address of the app it would leave for.
func (p *someone) open(t *testing.T, address string) (*screen, *url.URL) {
	t.Helper()
	return p.load(t, http.MethodGet, address, nil)
}

func (p *someone) load(t *testing.T, method, address string, form url.Values) (*screen, *url.URL) {
	t.Helper()
	for range 10 {
		var body io.Reader = http.NoBody
		if form != nil {
			body = strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(t.Context(), method, address, body)
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", p.root)
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		resp, err := p.browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusFound {
			root, err := html.Parse(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			shown := &screen{address: req.URL, status: resp.StatusCode, header: resp.Header, text: string(text), root: root}
			p.seen = append(p.seen, shown)
			return shown, nil
		}
		next, err := req.URL.Parse(strings.Replace(resp.Header.Get("Location"), p.self()+"/", p.root+"/", 1))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(next.String(), p.root+"/") {
			return nil, next
		}
		method, address, form = http.MethodGet, next.String(), nil
	}
	t.Fatal("sent in circles")
	return nil, nil
}

// submit sends the form that has a field of that name, with what it holds and what
// is filled in.
func (p *someone) submit(t *testing.T, on *screen, field string, fill url.Values) (*screen, *url.URL) {
	t.Helper()
	form := on.form(field)
	if form == nil {
		t.Fatalf("no form with %q on %s:\n%s", field, on.address.Path, on.text)
	}
	values := url.Values{}
	each(form, func(n *html.Node) {
		name, typ := attr(n, "name"), attr(n, "type")
		if n.Data != "input" || name == "" {
			return
		}
		if typ == "checkbox" && !hasAttr(n, "checked") || typ == "radio" && (values.Has(name) || fill.Has(name)) {
			return
		}
		values.Add(name, attr(n, "value"))
	})
	for name, all := range fill {
		values[name] = all
	}
	to, err := on.address.Parse(strings.Replace(attr(form, "action"), p.self()+"/", p.root+"/", 1))
	if err != nil {
		t.Fatal(err)
	}
	return p.load(t, http.MethodPost, to.String(), values)
}

// through goes through all pages from an address to the app: it signs in, takes
// the capacity and the patient it is told, and allows.
func (p *someone) through(t *testing.T, address string, want url.Values) *url.URL {
	t.Helper()
	shown, left := p.open(t, address)
	for range 8 {
		if left != nil {
			return left
		}
		switch {
		case shown.form("password") != nil:
			shown, left = p.submit(t, shown, "password", url.Values{"name": {p.name}, "password": {p.password}, "code": {p.code(t, time.Now())}})
			if left == nil && shown.form("password") != nil {
				t.Fatalf("the sign-in did not hold:\n%s", shown.text)
			}
		case shown.form("capacity") != nil:
			shown, left = p.submit(t, shown, "capacity", only(want, "capacity"))
		case shown.form("patient") != nil:
			shown, left = p.submit(t, shown, "patient", only(want, "patient"))
		case shown.form("number") != nil && want.Has("number"):
			shown, left = p.submit(t, shown, "number", only(want, "number"))
		case shown.form("decision") != nil:
			fill := only(want, "scope")
			fill.Set("decision", "allow")
			shown, left = p.submit(t, shown, "decision", fill)
		default:
			return nil
		}
	}
	t.Fatalf("no end of pages:\n%s", shown.text)
	return nil
}

func only(v url.Values, name string) url.Values {
	out := url.Values{}
	if v.Has(name) {
		out[name] = v[name]
	}
	return out
}

// form is the form of a page that has a field of that name; nil for none.
func (p *screen) form(field string) (found *html.Node) {
	each(p.root, func(n *html.Node) {
		if n.Data != "form" {
			return
		}
		each(n, func(in *html.Node) {
			if (in.Data == "input" || in.Data == "button") && attr(in, "name") == field {
				found = n
			}
		})
	})
	return found
}

// each calls with for every element below n.
func each(n *html.Node, with func(*html.Node)) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode {
			with(c)
		}
		each(c, with)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// launching is an authorization request of an app, as it keeps it: with PKCE and
// a state of its own.
type launching struct {
	*server
	client, redirect, verifier, state, nonce string
	asked                                    url.Values
}

// authorize begins an authorization; more are parameters besides, or in place of
// those that every request has. An empty one is left out.
func (s *server) authorize(client, redirect, scope string, more ...string) *launching {
	l := &launching{server: s, client: client, redirect: redirect, verifier: rand.Text() + rand.Text(), state: rand.Text(), nonce: rand.Text()}
	l.asked = url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "scope": {scope}, "state": {l.state}, "nonce": {l.nonce},
		"aud": {s.self() + "/fhir"}, "code_challenge": {challenge(l.verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		l.asked.Set(more[i], more[i+1])
	}
	for name, all := range l.asked {
		if all[0] == "" {
			l.asked.Del(name)
		}
	}
	return l
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64(sum[:])
}

// address is where the browser is sent.
func (l *launching) address() string { return l.root + "/auth/authorize?" + l.asked.Encode() }

// received holds what came back at the redirect URI against the request, and
// returns the code.
func (l *launching) received(t *testing.T, at *url.URL) string {
	t.Helper()
	if at == nil {
		t.Fatal("the browser did not come back to the app")
	}
	q := at.Query()
	bare := *at
	bare.RawQuery = ""
	if bare.String() != l.redirect || q.Get("state") != l.state || q.Get("iss") != l.self()+"/fhir" || q.Get("code") == "" || q.Get("error") != "" {
		t.Fatalf("came back with %s", at)
	}
	return q.Get("code")
}

// exchange redeems a code.
func (l *launching) exchange(t *testing.T, code string, more ...string) (tokenAnswer, answer) {
	t.Helper()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {l.redirect}, "client_id": {l.client}, "code_verifier": {l.verifier}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
		if more[i+1] == "" {
			v.Del(more[i])
		}
	}
	return l.form(t, "token", v, "Origin", "https://app-a.example")
}
