package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"vitrine/fhir/smart"
)

// serveCommand runs the server.
type serveCommand struct {
	settings
	Demo bool `help:"Load the records of the demo first, if they are not there, and print how to look at them."`
}

// Help says how to run it.
func (serveCommand) Help() string {
	return `The FHIR base is /fhir below the base URL. /healthz, /readyz and /metrics stand beside it, and /admin for those
who onboard clients ("vitrine client --help").

  vitrine serve
  vitrine serve --demo
  vitrine serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --base-url https://nehr.example
  vitrine serve --config /etc/vitrine.yaml
  vitrine serve --store 'mongodb://db1,db2,db3/?replicaSet=rs0' --store-username vitrine --store-password-file /run/secrets/vitrine
  vitrine serve --issuer 'https://idp.example jwks=https://idp.example/jwks kinds=regulator'

With --store the records are in MongoDB and any number of servers may share them ("vitrine store --help"); the data
directory then holds the keys and the local accounts alone, and must be the same for all.

SIGTERM drains: no new connections, and the requests under way may end (--drain-for). Every flag can also be set as
VITRINE_... or in the file; see "vitrine config".`
}

// Run serves until the program is told to end.
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	h, err := open(ctx, c.settings, ln, s.err)
	if err != nil {
		return err
	}
	if c.Demo {
		err = h.showDemo(ctx, s.out)
	}
	if err == nil {
		err = h.Run(ctx, ln)
	}
	return closing(h, err)
}

// open builds the house that answers on ln, and notes its base URL. ln is closed
// when that fails.
func open(ctx context.Context, cfg settings, ln net.Listener, logs io.Writer) (*House, error) {
	return openWith(ctx, cfg, ln, cfg.logger(logs))
}

func openWith(ctx context.Context, cfg settings, ln net.Listener, log *slog.Logger) (*House, error) {
	base, err := cfg.baseURL(ln.Addr().String())
	if err != nil {
		return nil, closing(ln, err)
	}
	h, err := build(ctx, cfg, base, log)
	if err != nil {
		return nil, closing(ln, err)
	}
	if err := h.data.remember(base); err != nil {
		return nil, closing(ln, closing(h, err))
	}
	log.InfoContext(ctx, "serving", "listen", ln.Addr().String(), "base", base+fhirPath, "version", version, "audit-retention", cfg.said())
	return h, nil
}

// closing closes c after something else has ended with err.
func closing(c io.Closer, err error) error {
	if e := c.Close(); err == nil {
		return e
	}
	return err
}

// showDemo loads the demo's records and prints a first thing to try.
func (h *House) showDemo(ctx context.Context, out io.Writer) error {
	if err := h.loadDemo(ctx); err != nil {
		return err
	}
	text, err := h.mint(tokenRequest{Kind: smart.KindCustodian})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `The demo's records are loaded. Tokens: vitrine token --data %s --kind practitioner \
  --user PractitionerRole/dr-a-at-clinic-a --org Organization/clinic-a
Try:
  curl -H 'Authorization: Bearer %s' '%s/Patient?_count=5'
`, h.data.path, text, h.base+fhirPath)
	return err
}
