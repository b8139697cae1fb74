package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"vitrine/fhir/smart"
)

// importCommand loads files.
type importCommand struct {
	place
	database
	Server  string   `help:"Load into a running server instead of a data directory." placeholder:"URL"`
	Token   string   `help:"Access token for --server. Better given as VITRINE_TOKEN." placeholder:"TOKEN"`
	Workers int      `help:"Requests under way at once." default:"4"`
	Paths   []string `arg:"" name:"path" help:"Files and folders: .json, .ndjson, and either with .gz."`
}

// Help says how files are read.
func (importCommand) Help() string {
	return `A transaction or batch Bundle is carried out as it is. A document or message Bundle is kept whole. Of other Bundles, of
single resources and of NDJSON lines, resources with an id are put under it, the others get one; they are sent in
transactions of up to 100; what is refused of one is reported, and the rest sent again without it.

Without --server the store is opened here, as the custodian, and everything goes through the same gate as a request:
no server may be running on the data directory then. One in MongoDB may be in use.

  vitrine import --data ./vitrine-data ./synthea
  vitrine import patients.ndjson.gz hospital.json
  vitrine import --store 'mongodb://db1,db2,db3/?replicaSet=rs0' ./synthea
  VITRINE_TOKEN=$(vitrine token --kind custodian) vitrine import --server http://127.0.0.1:8080 ./synthea

Every refusal is a line on standard error: file, entry, type, expression, reason. The exit status is 0 only if nothing
was refused.`
}

// errRefused makes the exit status of an import in which something was refused.
var errRefused = errors.New("not everything was accepted")

// Run loads the files.
func (c *importCommand) Run(ctx context.Context, s streams) error {
	files, err := findFiles(c.Paths)
	if err != nil {
		return err
	}
	target, done, err := c.target(ctx, s.err)
	if err != nil {
		return err
	}
	report := newReport(s.err, total(files), time.Now)
	stop := report.watch()
	err = load(ctx, target, max(c.Workers, 1), files, report)
	stop()
	report.summary(s.out)
	if e := done(); err == nil {
		err = e
	}
	if err == nil && report.refused() > 0 {
		err = errRefused
	}
	return err
}

// target is the server to load into, and what to do in the end.
func (c *importCommand) target(ctx context.Context, logs io.Writer) (*target, func() error, error) {
	if c.Server != "" {
		base, err := normalBase(c.Server)
		if err != nil {
			return nil, nil, errors.New("--server: want http://HOST or https://HOST")
		}
		if c.Token == "" {
			return nil, nil, errors.New("--server needs --token")
		}
		return newTarget(base+fhirPath, c.Token, http.DefaultTransport), func() error { return nil }, nil
	}
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	cfg, err := defaults(c.Data)
	if err != nil {
		return nil, nil, err
	}
	cfg.database = c.database
	data, err := openData(c.Data)
	if err != nil {
		return nil, nil, err
	}
	base := data.identity.BaseURL
	if base == "" { // the one that serve would choose
		if base, err = cfg.baseURL(cfg.Listen); err != nil {
			return nil, nil, err
		}
	}
	h, err := build(ctx, cfg, base, cfg.quiet(logs))
	if err != nil {
		return nil, nil, err
	}
	t, err := h.custodian()
	if err != nil {
		return nil, nil, closing(h, err)
	}
	return t, h.Close, nil
}

// defaults are the settings of a server that is asked by this program alone.
func defaults(data string) (settings, error) {
	var only struct {
		Serve serveCommand `cmd:""`
	}
	parser, err := kongOf(&only)
	if err != nil {
		return settings{}, err
	}
	if _, err := parser.Parse([]string{"serve", "--data", data}); err != nil {
		return settings{}, err
	}
	return only.Serve.settings, nil
}

// mint makes a token for the house itself to use.
func (h *House) mint(r tokenRequest) (string, error) {
	if r.Client == "" {
		r.Client = "vitrine-cli"
	}
	if r.TTL == 0 {
		r.TTL = 24 * time.Hour
	}
	return h.data.mint(r, h.base, time.Now())
}

// custodian is the house itself as the target of an import: the same requests,
// the same gate, no network.
func (h *House) custodian() (*target, error) {
	text, err := h.mint(tokenRequest{Kind: smart.KindCustodian, Client: "vitrine-import"})
	if err != nil {
		return nil, err
	}
	return newTarget(h.base+fhirPath, text, inProcess{h.handler}), nil
}
