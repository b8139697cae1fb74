package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"vitrine/fhir/smart"
)

// clientCommand onboards clients.
type clientCommand struct {
	Add      clientAddCommand      `cmd:"" help:"Register a client, which then waits to be activated."`
	List     clientListCommand     `cmd:"" help:"List the clients."`
	Show     clientShowCommand     `cmd:"" help:"Print the registration of a client as JSON."`
	Activate clientActivateCommand `cmd:"" help:"Let a client in: one that waits, or one that was suspended."`
	Suspend  clientSuspendCommand  `cmd:"" help:"Keep a client out until it is activated again."`
	End      clientEndCommand      `cmd:"" help:"Keep a client out for good."`
	Rotate   clientRotateCommand   `cmd:"" help:"Put another key set in place of a client's."`
	Keygen   clientKeygenCommand   `cmd:"" help:"Make a key for a client, where it runs."`
	Token    clientTokenCommand    `cmd:"" help:"Ask for an access token as a client does."`
}

// Help says what onboarding is.
func (clientCommand) Help() string {
	return `Nobody connects who is not registered: an EMR's connector, a back end, an app. A client begins pending, is activated, may
be suspended and activated again, and is ended for good. Every change is in force with the next request, for tokens that
are out already too, and is on record.

  vitrine client add --id emr-a --name "Connector of clinic A" --org Organization/clinic-a \
    --redirect https://emr.example/callback --launch https://emr.example/launch --jwks keys.json \
    --scope "openid fhirUser launch user/*.cruds" --capability read --capability contribute
  vitrine client activate emr-a
  vitrine client list --state active
  vitrine client suspend emr-a

Without --server the server that runs on the data directory is asked; when none does, the store is opened here. The
token is made with the data directory's key unless --token gives one of a custodian.`
}

// clientAddCommand registers a client.
type clientAddCommand struct {
	reach
	ID         string   `name:"id" help:"client_id. Default: one at random." placeholder:"ID"`
	Name       string   `help:"What people call it." required:"" placeholder:"NAME"`
	Org        string   `help:"The organisation that it is bound to: it acts for that and its parts. None for an app of patients." placeholder:"Organization/ID"`
	Redirect   []string `sep:"none" help:"Where an authorization may end, byte for byte: https, http on loopback, or a private scheme. May be repeated." placeholder:"URI"`
	Launch     string   `help:"Where an EMR opens it." placeholder:"URL"`
	JWKS       string   `name:"jwks" help:"Its public keys for RS384 or ES384: a file with a JSON Web Key Set, or the URL of one. None for an app that cannot keep a key." placeholder:"FILE|URL"`
	Scope      string   `help:"The most that it may be granted." placeholder:"SCOPES"`
	Capability []string `help:"What it is onboarded for: read, contribute, or audit alone for the regulator's own. May be repeated." enum:"read,contribute,audit" required:"" placeholder:"WORD"`
}

// Help shows one of each kind.
func (clientAddCommand) Help() string {
	return `An EMR's connector that acts for its users and for itself:

  vitrine client add --id emr-a --name "Connector of clinic A" --org Organization/clinic-a --jwks https://emr.example/jwks.json \
    --scope "user/*.cruds system/*.cu" --capability read --capability contribute

An app that an EMR opens, and an app of patients on their phones:

  vitrine client add --id growth --name "Growth chart" --org Organization/clinic-a --redirect https://growth.example/ \
    --launch https://growth.example/launch.html --scope "launch openid fhirUser patient/*.rs" --capability read
  vitrine client add --id diary --name "My diary" --redirect com.example.diary:/signed-in \
    --scope "launch/patient openid fhirUser offline_access patient/*.rs" --capability read`
}

// Run registers it.
func (c *clientAddCommand) Run(ctx context.Context, s streams) error {
	body := map[string]any{"client_name": c.Name, "capabilities": c.Capability, "redirect_uris": append([]string{}, c.Redirect...)}
	for name, value := range map[string]string{smart.MemberID: c.ID, smart.MemberLaunch: c.Launch, smart.MemberScope: c.Scope} {
		if value != "" {
			body[name] = value
		}
	}
	if c.Org != "" {
		body[smart.MemberOrganization] = "Organization/" + bare(c.Org, "Organization")
	}
	if err := keySet(body, c.JWKS); err != nil {
		return err
	}
	return c.with(ctx, s, func(t *target) error {
		var kept clientView
		if err := t.admin(ctx, http.MethodPost, "/clients", body, &kept); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is registered and pending: nobody comes through it yet.\nNext: vitrine client show %[1]s, then vitrine client activate %[1]s\n", kept.ID)
		return err
	})
}

// keySet puts what --jwks names into a request.
func keySet(body map[string]any, from string) error {
	switch {
	case from == "":
		return nil
	case strings.HasPrefix(from, "https://"), strings.HasPrefix(from, "http://"):
		body[smart.MemberJWKSURL] = from
		return nil
	}
	text, err := os.ReadFile(from) //nolint:gosec // G304: the operator names it
	if err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	if !json.Valid(text) {
		return errors.New("--jwks: want a file with a JSON Web Key Set, or a URL")
	}
	body[smart.MemberJWKS] = json.RawMessage(text)
	return nil
}

// clientView is as much of a client as is printed.
type clientView struct {
	ID           string   `json:"client_id"`
	Name         string   `json:"client_name"`
	State        string   `json:"state"`
	Organization string   `json:"organization"`
	Capabilities []string `json:"capabilities"`
	Fault        string   `json:"fault"`
}

// clientListCommand lists clients.
type clientListCommand struct {
	reach
	State string `help:"Only those in a state: pending, active, suspended or ended." placeholder:"STATE"`
}

// Run prints a line for each.
func (c *clientListCommand) Run(ctx context.Context, s streams) error {
	path := "/clients"
	if c.State != "" {
		if _, ok := smart.ParseClientState(c.State); !ok {
			return errors.New("--state: want pending, active, suspended or ended")
		}
		path += "?state=" + c.State
	}
	return c.with(ctx, s, func(t *target) error {
		var list struct{ Clients []clientView }
		if err := t.admin(ctx, http.MethodGet, path, nil, &list); err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		_, err := fmt.Fprintln(w, "CLIENT\tSTATE\tORGANIZATION\tCAPABILITIES\tNAME")
		for _, c := range list.Clients {
			organization := c.Organization
			if organization == "" {
				organization = "-"
			}
			_, e := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.ID, c.State, organization, strings.Join(c.Capabilities, ","), c.Name+c.Fault)
			err = errors.Join(err, e)
		}
		return errors.Join(err, w.Flush())
	})
}

// named is a client on the command line.
type named struct {
	ID string `arg:"" name:"client" help:"client_id."`
}

func (n named) path(action string) string { return "/clients/" + url.PathEscape(n.ID) + action }

// clientShowCommand prints a registration.
type clientShowCommand struct {
	reach
	named
}

// Run prints it.
func (c *clientShowCommand) Run(ctx context.Context, s streams) error {
	return c.with(ctx, s, func(t *target) error {
		var kept json.RawMessage
		if err := t.admin(ctx, http.MethodGet, c.path(""), nil, &kept); err != nil {
			return err
		}
		text, err := json.MarshalIndent(kept, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(s.out, "%s\n", text)
		}
		return err
	})
}

// move brings a client to another state, and says what that means.
func (c *reach) move(ctx context.Context, s streams, path string, body any, meaning string) error {
	return c.with(ctx, s, func(t *target) error {
		var kept clientView
		if err := t.admin(ctx, http.MethodPost, path, body, &kept); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is %s: %s\n", kept.ID, kept.State, meaning)
		return err
	})
}

// clientActivateCommand lets a client in.
type clientActivateCommand struct {
	reach
	named
}

// Run does it.
func (c *clientActivateCommand) Run(ctx context.Context, s streams) error {
	return c.move(ctx, s, c.path("/activate"), nil, "it is let in from the next request on.")
}

// clientSuspendCommand keeps a client out for now.
type clientSuspendCommand struct {
	reach
	named
}

// Run does it.
func (c *clientSuspendCommand) Run(ctx context.Context, s streams) error {
	return c.move(ctx, s, c.path("/suspend"), nil, "nothing more comes through it, with tokens that are out already either.")
}

// clientEndCommand keeps a client out for good.
type clientEndCommand struct {
	reach
	named
}

// Run does it.
func (c *clientEndCommand) Run(ctx context.Context, s streams) error {
	return c.move(ctx, s, c.path("/end"), nil, "it will not be let in again, and its id names no other.")
}

// clientRotateCommand replaces a key set.
type clientRotateCommand struct {
	reach
	named
	JWKS string `name:"jwks" help:"The new set of public keys: a file with a JSON Web Key Set, or the URL of one." required:"" placeholder:"FILE|URL"`
}

// Help says how nobody is cut off.
func (clientRotateCommand) Help() string {
	return `The new set takes the place of the old one with the next request. To cut nobody off, first register a set with both the
old key and the new one, then let the client sign with the new one, then register the new one alone.

  vitrine client rotate emr-a --jwks keys.json`
}

// Run does it.
func (c *clientRotateCommand) Run(ctx context.Context, s streams) error {
	body := map[string]any{}
	if err := keySet(body, c.JWKS); err != nil {
		return err
	}
	return c.move(ctx, s, c.path("/rotate"), body, "it is known by the new keys from the next request on.")
}
