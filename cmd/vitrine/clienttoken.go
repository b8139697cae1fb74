package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// clientKeygenCommand makes a key for a client.
type clientKeygenCommand struct {
	Out string `help:"File for the private key, which must not be there yet. It never leaves the client." required:"" placeholder:"FILE"`
}

// Help says what is made.
func (clientKeygenCommand) Help() string {
	return `Writes a private key (JWK, ES384) that its owner alone may read, and prints the key set to register. Whoever runs the
client makes it, where the client runs: the server never sees the private key.

  vitrine client keygen --out emr-a.key > emr-a.jwks`
}

// Run makes it.
func (c *clientKeygenCommand) Run(s streams) error {
	private, set, err := token.NewClientKey()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	_, err = f.Write(append(private, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "%s\n", set)
	return err
}

// clientTokenCommand asks for a token as a client does.
type clientTokenCommand struct {
	place
	named
	Server  string `help:"The server. Default: the one the data directory belongs to." placeholder:"URL"`
	Key     string `help:"File with the client's private key, as keygen writes it." required:"" placeholder:"FILE"`
	Scope   string `help:"SMART scopes." required:"" placeholder:"SCOPES"`
	User    string `help:"The person it acts for: PractitionerRole/ID, Practitioner/ID or SYSTEM|VALUE of a Practitioner. Without one it contributes as a system." placeholder:"REF"`
	Org     string `help:"The organisation that the person acts for." placeholder:"Organization/ID"`
	Purpose string `help:"Purpose of use of the person, a code of v3-ActReason or SYSTEM|CODE." default:"TREAT" placeholder:"CODE"`
}

// Help shows both ways.
func (clientTokenCommand) Help() string {
	return `Does what a back end does: signs an assertion with its key, sends it to the token endpoint (client_credentials), and
prints the access token, which is good for five minutes. For trying out a registration, and to compare with when a client
does not get in.

  vitrine client token emr-a --key emr-a.key --scope "system/Observation.c"
  vitrine client token emr-a --key emr-a.key --scope "user/*.rs" --user PractitionerRole/dr-tan --org Organization/clinic-a`
}

// Run prints the token.
func (c *clientTokenCommand) Run(ctx context.Context, s streams) error {
	if c.User == "" && c.Org != "" {
		return errors.New("--org is the organisation of a person: give --user, or leave both out")
	}
	base, err := normalBase(c.Server)
	if err != nil {
		return errors.New("--server: want http://HOST or https://HOST")
	}
	if base == "" {
		data, err := openData(c.Data)
		if err != nil {
			return err
		}
		if base = data.identity.BaseURL; base == "" {
			return errors.New("no server has run on the data directory: give --server")
		}
	}
	private, err := os.ReadFile(c.Key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	assertion, err := token.SignAssertion(private, c.claims(base, time.Now()))
	if err != nil {
		return err
	}
	text, err := c.ask(ctx, base, assertion)
	if err == nil {
		_, err = fmt.Fprintln(s.out, text)
	}
	return err
}

// claims are those of the assertion.
func (c *clientTokenCommand) claims(base string, now time.Time) map[string]any {
	claims := map[string]any{
		smart.ClaimIssuer: c.ID, smart.ClaimSubject: c.ID, smart.ClaimAudience: base + "/auth/token",
		smart.ClaimExpires: now.Add(time.Minute).Unix(), smart.ClaimID: rand.Text(),
	}
	if c.User != "" {
		p := purpose(c.Purpose)
		claims[smart.ClaimExtensions] = map[string]any{smart.ExtensionB2B: map[string]any{
			"version": "1", "subject_id": c.User, "organization_id": "Organization/" + bare(c.Org, "Organization"),
			smart.ClaimPurposes: []string{p.System + "#" + p.Code},
		}}
	}
	return claims
}

// ask sends the assertion and returns the access token.
func (c *clientTokenCommand) ask(ctx context.Context, base, assertion string) (string, error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {c.Scope}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/auth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var said struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said); err != nil {
		return "", fmt.Errorf("%s is not the token endpoint of a server: status %d", base+"/auth/token", resp.StatusCode)
	}
	if said.AccessToken == "" {
		return "", fmt.Errorf("%s: %s", said.Error, said.Description)
	}
	return said.AccessToken, nil
}
