package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/smart/oauth"
)

// signIn is how people sign in to the authorization server.
type signIn struct {
	LocalAccounts   string     `name:"local-accounts" help:"Whether people sign in with the accounts of 'vitrine account': ${enum}. auto: where there is no --login-issuer." enum:"auto,on,off" default:"auto"`
	LoginIssuer     string     `name:"login-issuer" help:"OpenID Connect provider that people sign in with; its discovery document is below it. Its redirect URI is /auth/callback below --base-url." placeholder:"URL"`
	LoginName       string     `name:"login-name" help:"What people call it. Default: the host of its URL." placeholder:"NAME"`
	LoginClient     string     `name:"login-client" help:"What this server is called there (client_id)." placeholder:"ID"`
	LoginSecretFile string     `name:"login-secret-file" help:"File that holds this server's client secret there and nothing else; without one it is a public client, with PKCE as always." placeholder:"FILE"`
	LoginScopes     []string   `name:"login-scope" help:"Scopes asked for there besides openid." placeholder:"SCOPE"`
	LoginParameters []string   `name:"login-parameter" sep:"none" help:"Parameter sent along to its authorization endpoint, such as acr_values=…. May be repeated." placeholder:"NAME=VALUE"`
	LoginClaim      loginClaim `name:"login-claim" help:"How its id_token leads to somebody in the record: 'user=CLAIM', whose value is a reference such as Practitioner/x; or 'identifier=CLAIM,SYSTEM,Practitioner|Patient|RelatedPerson', whose value is an identifier of that system that exactly one of them has." default:"user=fhirUser" placeholder:"CLAIM"`
}

// loginClaim is how a claim leads to somebody.
type loginClaim oauth.ProviderClaim

// UnmarshalText reads the form of the flag.
func (c *loginClaim) UnmarshalText(text []byte) error {
	how, what, _ := strings.Cut(string(text), "=")
	parts := strings.Split(what, ",")
	switch {
	case how == "user" && len(parts) == 1 && what != "":
		*c = loginClaim{Name: what}
		return nil
	case how == "identifier" && len(parts) == 3 && parts[0] != "" && parts[1] != "":
		*c = loginClaim{Name: parts[0], System: parts[1]}
		for _, kind := range strings.Split(parts[2], "|") {
			if kind != "Practitioner" && kind != "Patient" && kind != "RelatedPerson" {
				return errors.New("an identifier is that of a Practitioner, Patient or RelatedPerson")
			}
			c.Kinds = append(c.Kinds, fhir.ResourceType(kind))
		}
		return nil
	default:
		return errors.New("want user=CLAIM or identifier=CLAIM,SYSTEM,TYPE|TYPE")
	}
}

// String is the form UnmarshalText reads.
func (c loginClaim) String() string {
	if c.System == "" {
		return "user=" + c.Name
	}
	kinds := make([]string, len(c.Kinds))
	for i, kind := range c.Kinds {
		kinds[i] = string(kind)
	}
	return "identifier=" + c.Name + "," + c.System + "," + strings.Join(kinds, "|")
}

// check finds what does not go together.
func (c *signIn) check() error {
	if (c.LoginIssuer == "") != (c.LoginClient == "") {
		return errors.New("--login-issuer and --login-client belong together")
	}
	if c.LoginIssuer == "" && (c.LoginName != "" || c.LoginSecretFile != "" || len(c.LoginScopes)+len(c.LoginParameters) > 0) {
		return errors.New("--login-name, --login-secret-file, --login-scope and --login-parameter need --login-issuer")
	}
	_, err := c.parameters()
	return err
}

func (c *signIn) parameters() (url.Values, error) {
	out := url.Values{}
	for _, p := range c.LoginParameters {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" || out.Has(name) {
			return nil, errors.New("--login-parameter: want NAME=VALUE, each name once")
		}
		out.Set(name, value)
	}
	return out, nil
}

// accounts are the local ones, nil where nobody signs in with one.
func (c *signIn) accounts(data *dataDir) (*oauth.Accounts, error) {
	if c.LocalAccounts == "off" || c.LocalAccounts != "on" && c.LoginIssuer != "" {
		return nil, nil //nolint:nilnil // that there are none is a choice
	}
	return oauth.OpenAccounts(data.path)
}

// provider is the identity provider, nil where there is none.
func (c *signIn) provider() (*oauth.Provider, error) {
	if c.LoginIssuer == "" {
		return nil, nil //nolint:nilnil // that there is none is a choice
	}
	parameters, err := c.parameters()
	if err != nil {
		return nil, err
	}
	cfg := oauth.ProviderConfig{
		Name: c.LoginName, Issuer: c.LoginIssuer, ClientID: c.LoginClient, Scopes: c.LoginScopes,
		Parameters: parameters, Claim: oauth.ProviderClaim(c.LoginClaim),
	}
	if c.LoginSecretFile != "" {
		text, err := os.ReadFile(c.LoginSecretFile)
		if err != nil {
			return nil, fmt.Errorf("--login-secret-file: %w", err)
		}
		if cfg.Secret = strings.TrimSpace(string(text)); cfg.Secret == "" {
			return nil, errors.New("--login-secret-file: it is empty")
		}
	}
	return oauth.NewProvider(cfg)
}
