package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/smart/token"
)

// command parses a command line as the program does.
func command(t *testing.T, args ...string) (*cli, error) {
	t.Helper()
	var c cli
	parser, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &c, err
}

// printed is what a verb writes to standard output.
func printed(t *testing.T, args ...string) (string, error) {
	t.Helper()
	parser, err := newParser(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	parsed.BindTo(t.Context(), (*context.Context)(nil))
	var out, logs bytes.Buffer
	err = parsed.Run(streams{in: strings.NewReader(""), out: &out, err: &logs})
	return out.String() + logs.String(), err
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsComeFromFlagThenEnvironmentThenFile(t *testing.T) {
	file := writeFile(t, "v.yaml", "listen: 127.0.0.1:1\npage-max: 100\ngrant-ttl: 2h\nrelation-required: false\n")
	t.Setenv("VITRINE_PAGE_MAX", "200")
	t.Setenv("VITRINE_GRANT_TTL", "3h")
	c, err := command(t, "serve", "--config", file, "--grant-ttl", "5h")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Serve
	if s.Listen != "127.0.0.1:1" || s.PageMax != 200 || s.GrantTTL != 5*time.Hour || s.RelationRequired || s.PageDefault != 50 {
		t.Errorf("got listen=%s page-max=%d grant-ttl=%s relation-required=%v page-default=%d; want file, environment, flag, file, default",
			s.Listen, s.PageMax, s.GrantTTL, s.RelationRequired, s.PageDefault)
	}
}

func TestConfigFileOfTheEnvironment(t *testing.T) {
	t.Setenv("VITRINE_CONFIG", writeFile(t, "v.json", `{"listen":"127.0.0.1:2","role":["urn:s|doctor"]}`))
	c, err := command(t, "serve")
	if err != nil || c.Serve.Listen != "127.0.0.1:2" || len(c.Serve.Roles) != 1 || c.Serve.Roles[0].Code != "doctor" {
		t.Errorf("got %q %v, %v", c.Serve.Listen, c.Serve.Roles, err)
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"misspelt":               "lisen: 127.0.0.1:1\n",
		"not a flag":             "token: x\n",
		"nested":                 "listen:\n  host: x\n",
		"not an object":          "- listen\n",
		"twice":                  "listen: a:1\nlisten: a:2\n",
		"in an issuer":           "issuer:\n- url: https://i\n  jwks: https://i/k\n  kind: [regulator]\n",
		"issuer unbound":         "issuer:\n- url: https://i\n",
		"a purpose that is none": "issuer:\n- url: https://i\n  jwks: https://i/k\n  purpose-default: TREAT\n",
	} {
		path := writeFile(t, "v.yaml", text)
		if _, err := command(t, "serve", "--config", path); err == nil {
			t.Errorf("%s: --config took it", name)
		}
		t.Setenv("VITRINE_CONFIG", path)
		if _, err := command(t, "serve"); err == nil {
			t.Errorf("%s: VITRINE_CONFIG took it", name)
		}
		t.Setenv("VITRINE_CONFIG", "")
	}
	if _, err := command(t, "serve", "--config", "/nowhere.yaml"); err == nil {
		t.Error("a file that is not there was taken")
	}
}

// TestRetentionIsOneSetting: a server and the verb that deletes take it from the same
// file, print it in full, and refuse fewer years than may be.
func TestRetentionIsOneSetting(t *testing.T) {
	file := writeFile(t, "v.yaml", "audit-retention: access=8,break-glass=30\n")
	c, err := command(t, "serve", "--config", file)
	if err != nil || c.Serve.check() != nil {
		t.Fatal(err, c.Serve.check())
	}
	e, err := command(t, "audit", "expire", "--config", file, t.TempDir())
	if err != nil || e.Audit.Expire.said() != c.Serve.said() {
		t.Errorf("%v: %s to expire, %s to the server", err, e.Audit.Expire.said(), c.Serve.said())
	}
	const want = "audit-retention: break-glass=30,rights=21,security=7,access=8\n"
	if text, err := printed(t, "config", "--config", file); err != nil || !strings.Contains(text, want) {
		t.Errorf("%v; %q is not in\n%s", err, want, text)
	}
	for _, few := range []string{"access=5", "security=1", "rights=6", "break-glass=6", "access=0", "reads=9", "access"} {
		file := writeFile(t, "v.yaml", "audit-retention: "+few+"\n")
		for _, args := range [][]string{{"serve", "--data", t.TempDir()}, {"config"}, {"audit", "expire", t.TempDir()}} {
			if _, err := printed(t, append(args, "--config", file)...); !errors.Is(err, audit.ErrRetention) {
				t.Errorf("%s %s: %v", args[0], few, err)
			}
		}
	}
}

// TestPrintedConfigIsAConfig holds that what `vitrine config` prints says the
// same again, and masks passwords.
func TestPrintedConfigIsAConfig(t *testing.T) {
	const key = "https://user:opensesame@idp.example/jwks"
	first, err := printed(t, "config", "--listen", "127.0.0.1:3", "--issuer", "https://idp.example jwks="+key+" kinds=regulator client=azp scope=scp audience=a,b purpose-default=urn:s|TREAT", "--cache-size", "64MiB")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(first, "opensesame") || !strings.Contains(first, "idp.example") {
		t.Errorf("the password is not masked:\n%s", first)
	}
	for _, want := range []string{"listen: 127.0.0.1:3", "base-url: http://127.0.0.1:3", "cache-size: 64MiB", "grant-ttl: 4h0m0s"} {
		if !strings.Contains(first, want+"\n") {
			t.Errorf("%q is not in\n%s", want, first)
		}
	}
	for _, part := range []string{"client: azp", "scope: scp", "purpose-default: urn:s|TREAT"} {
		if !strings.Contains(first, part) {
			t.Errorf("%q is not in\n%s", part, first)
		}
	}
	second, err := printed(t, "config", "--config", writeFile(t, "v.yaml", first))
	if err != nil || second != first {
		t.Errorf("%v; got\n%s\nwant\n%s", err, second, first)
	}
}

func TestIssuersAreSpelled(t *testing.T) {
	for _, text := range []string{
		"https://i", "https://i jwks=", "https://i jwks=https://k jwks=https://l", "https://i jwks=https://k clientid=azp", "https://i jwks=https://k client",
		"https://i jwks=https://k purpose-default=TREAT", "https://i jwks=https://k kinds=",
	} {
		if _, err := command(t, "serve", "--issuer", text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	c, err := command(t, "serve", "--issuer", "https://i jwks=https://k?a=b client=azp user=a/b audience=x,y purpose-default=urn:s|c")
	if err != nil {
		t.Fatal(err)
	}
	want := issuer{URL: "https://i", JWKS: "https://k?a=b", Client: "azp", User: "a/b", Audience: []string{"x", "y"}, PurposeDefault: "urn:s|c"}
	if d := cmp.Diff(want, c.Serve.Issuers[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(token.Mapping{Client: "azp", User: "a/b", Audience: []string{"x", "y"}, PurposeDefault: fhir.Coding{System: "urn:s", Code: "c"}}, want.mapping()); d != "" {
		t.Errorf("mapping (-want +got):\n%s", d)
	}
}

func TestPlainHTTPStaysOnThisMachine(t *testing.T) {
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"--listen", "localhost:80"}, true},
		{[]string{"--listen", "[::1]:80"}, true},
		{[]string{"--listen", "0.0.0.0:80"}, false},
		{[]string{"--listen", ":80"}, false},
		{[]string{"--listen", "192.0.2.1:80"}, false},
		{[]string{"--listen", "nehr.example:80"}, false},
		{[]string{"--listen", "0.0.0.0:80", "--insecure-http"}, true},
		{[]string{"--listen", "0.0.0.0:80", "--tls-cert", "c", "--tls-key", "k"}, true},
		{[]string{"--tls-cert", "c"}, false},
		{[]string{"--listen", "80"}, false},
		{[]string{"--base-url", "ftp://x"}, false},
		{[]string{"--base-url", "https://u:p@x"}, false},
		{[]string{"--grant-max", "25h"}, false},
		{[]string{"--grant-ttl", "0s"}, false},
		{[]string{"--page-default", "0"}, false},
		{[]string{"--page-default", "2000"}, false},
	} {
		parsed, err := command(t, append([]string{"serve"}, c.args...)...)
		if err == nil {
			err = parsed.Serve.check()
		}
		if (err == nil) != c.ok {
			t.Errorf("%v: got %v, want ok=%v", c.args, err, c.ok)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for _, c := range []struct{ base, listen, cert, want string }{
		{"https://nehr.example/", "", "", "https://nehr.example"},
		{"https://nehr.example/fhir", "", "", "https://nehr.example"},
		{"https://nehr.example/fhir/", "", "", "https://nehr.example"},
		{"https://example.org/nehr/fhir", "", "", "https://example.org/nehr"},
		{"", "127.0.0.1:8080", "", "http://127.0.0.1:8080"},
		{"", "0.0.0.0:8443", "c", "https://localhost:8443"},
		{"", "[::1]:8080", "", "http://[::1]:8080"},
	} {
		s := settings{BaseURL: c.base, TLSCert: c.cert}
		if got, err := s.baseURL(c.listen); got != c.want || err != nil {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"0": 0, "17": 17, "1KiB": 1 << 10, "256MiB": 256 << 20, "2 GiB": 2 << 30, "5B": 5} {
		var got byteSize
		err := got.UnmarshalText([]byte(text))
		var again byteSize
		if err != nil || got != want || again.UnmarshalText([]byte(got.String())) != nil || again != want {
			t.Errorf("%q: got %d, %v, written %q; want %d", text, got, err, got, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "9999999999GiB", "MiB"} {
		if err := new(byteSize).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
