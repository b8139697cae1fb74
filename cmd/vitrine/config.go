package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/fhir/validate"
)

// streams are the standard streams, as arguments.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// place is the flag of every verb that works on a data directory.
type place struct {
	Data string `help:"Data directory." default:"./vitrine-data" placeholder:"DIR"`
}

// site is the flag of every verb that may make a store: its own name is what nearly
// every event says, and is not indexed.
type site struct {
	Site string `help:"Name of this installation, as AuditEvent.source.site says it." default:"vitrine" placeholder:"NAME"`
}

// settings is everything a deployment can choose about the server.
type settings struct {
	place
	database
	site
	Listen       string         `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	BaseURL      string         `name:"base-url" help:"URL under which clients reach the server; the FHIR base is /fhir below it. Default: the listen address." placeholder:"URL"`
	InsecureHTTP bool           `name:"insecure-http" help:"Allow plain HTTP beyond loopback, for a proxy that ends TLS."`
	Proxies      []netip.Prefix `name:"proxy" help:"Network of a proxy whose X-Forwarded-For says who asks, such as 10.0.0.0/8. Limits and the record of access go by that address. May be repeated." placeholder:"CIDR"`
	TLSCert      string         `name:"tls-cert" help:"Certificate chain (PEM)." placeholder:"FILE"`
	TLSKey       string         `name:"tls-key" help:"Private key of the certificate (PEM)." placeholder:"FILE"`
	Issuers      []issuer       `name:"issuer" sep:"none" help:"Trust the tokens of an issuer: 'URL jwks=URL-OR-FILE [kinds=regulator,custodian] [MAPPING...]'. A mapping says which claim has what: client=, user=, organization=, patient=, scope=, purpose=CLAIM or CLAIM/MEMBER; purpose-system=SYSTEM, purpose-default=SYSTEM|CODE and audience=NAME,... state what its tokens do not. May be repeated." placeholder:"ISSUER"`
	Algorithms   []string       `name:"token-algorithm" help:"Signature algorithms taken from issuers, of RS256, RS384, PS384, ES256, ES384. Default: all of them." placeholder:"ALG"`

	Authorization bool          `name:"authorization" help:"Be an authorization server as well (SMART App Launch and backend services). Without it all tokens come from the issuers named, or from 'vitrine token'." default:"true" negatable:""`
	TokenLife     time.Duration `name:"token-life" help:"Life of an access token of an app; at most 1h." default:"15m"`
	SessionLife   time.Duration `name:"session-life" help:"How long a sign-in lasts." default:"8h"`
	RefreshLife   time.Duration `name:"refresh-life" help:"How long an app may refresh its tokens before the user must agree again." default:"720h"`
	RefreshFor    []string      `name:"refresh-for" help:"Who gets refresh tokens when the app asks, of practitioner, patient, representative; 'none' for nobody." default:"patient,representative" placeholder:"KINDS"`
	signIn
	telling

	RelationRequired bool          `name:"relation-required" help:"Require that an organisation cares for the patient." default:"true" negatable:""`
	ClientsListed    bool          `name:"clients-listed" help:"Require a Device on file for the clients of tokens made by hand too; the client of every other token must be registered."`
	Roles            []coding      `name:"role" sep:"none" help:"A role that may read, of PractitionerRole.code. Default: the doctors and nurses of practitioner-role and SNOMED CT." placeholder:"SYSTEM|CODE"`
	EmergencyRoles   []coding      `name:"emergency-role" sep:"none" help:"A role that may register a patient in an emergency when breaking the glass." placeholder:"SYSTEM|CODE"`
	Grace            time.Duration `name:"relation-grace" help:"How long a finished visit still counts as care." default:"720h"`
	GrantTTL         time.Duration `name:"grant-ttl" help:"Life of a break-glass grant." default:"4h"`
	GrantMax         time.Duration `name:"grant-max" help:"Longest life of a break-glass grant that may be asked for." default:"24h"`
	ManifestAfter    time.Duration `name:"manifest-after" help:"How long after a direction to destroy is agreed to its manifest of what was disclosed is begun: what was being read then must be on record." default:"1m"`
	Validation       string        `name:"validation" help:"How much is checked of what is written: ${enum}. full: elements, formats, codes, rules and profiles, as R4 has them; structure: elements, formats and codes; off: only that it is a resource of R4. Below full the store may come to hold what other systems refuse." enum:"full,structure,off" default:"full"`

	PageDefault int           `name:"page-default" help:"Resources on a page when the client names no number." default:"50"`
	PageMax     int           `name:"page-max" help:"Most resources on a page." default:"1000"`
	ScanBudget  int           `name:"scan-budget" help:"Most rows one query may look at before it is too costly." default:"250000"`
	DeleteMost  int           `name:"conditional-delete-max" help:"Most resources one conditional delete may delete; with 1, a condition that several match is refused." default:"1"`
	References  string        `name:"references" help:"References of the custodian's writes to resources that do not exist here: ${enum}." enum:"accept,refuse" default:"accept"`
	CacheSize   byteSize      `name:"cache-size" help:"Block cache of the store; 0 is an eighth of the memory." default:"0"`
	DiskReserve byteSize      `name:"disk-reserve" help:"Free space of the embedded store's disk below which nothing more is taken or shown (503) until there is room again." default:"256MiB"`
	MaxBody     byteSize      `name:"max-body" help:"Largest body with one resource." default:"16MiB"`
	MaxBundle   byteSize      `name:"max-bundle" help:"Largest batch or transaction." default:"64MiB"`
	MaxEntries  int           `name:"max-entries" help:"Most entries of a batch or transaction." default:"50000"`
	InFlight    int           `name:"client-in-flight" help:"Most requests of one client served at once." default:"256"`
	Rate        float64       `name:"client-rate" help:"Requests a second one client may make on average; 0 sets no limit." default:"0"`
	Burst       int           `name:"client-burst" help:"Requests one client may make at once above its rate." default:"100"`
	AbsenceGrid time.Duration `name:"absence-grid" help:"Step at whose multiples an answer that there is nothing (a 404, an empty search) is recorded, and then leaves, so that its time tells nothing; it should be longer than a dozen looks at the store. Default: 3ms embedded, 25ms in MongoDB." placeholder:"DURATION"`
	Exports     int           `name:"exports" help:"Most exports one client may have under way for whom it acts." default:"4"`
	ExportFile  int           `name:"export-file" help:"Most resources in one file of an export; a file has about 64 MiB at most, too." default:"100000"`
	ExportWait  time.Duration `name:"export-wait" help:"How long an export waits for what is on its way into the record. Longer than a request takes." default:"3s"`
	DrainFor    time.Duration `name:"drain-for" help:"How long requests may take to end after SIGTERM." default:"20s"`

	CheckpointEvery time.Duration `name:"checkpoint-every" help:"How often the record of access is signed when it has grown; 0 for only when somebody asks." default:"1m"`
	WitnessKeys     []string      `name:"witness-key" sep:"none" help:"Verifier key of a witness that may cosign checkpoints of the record of access. May be repeated." placeholder:"KEY"`
	retention
	oversight

	LogLevel  slog.Level `name:"log-level" help:"Least level logged: debug, info, warn, error." default:"info"`
	LogFormat string     `name:"log-format" help:"Form of the log on standard error: ${enum}." enum:"json,text" default:"json"`
}

// check finds what cannot work before anything is opened.
func (c *settings) check() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: want HOST:PORT", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	if c.TLSCert == "" && !c.InsecureHTTP && !loopback(host) {
		return fmt.Errorf("--listen %s: plain HTTP beyond loopback is refused; give --tls-cert and --tls-key, or --insecure-http when a proxy ends TLS", c.Listen)
	}
	if c.GrantTTL <= 0 || c.GrantMax < c.GrantTTL || c.GrantMax > 24*time.Hour {
		return errors.New("--grant-ttl must be positive and at most --grant-max, and that at most 24h")
	}
	if c.PageDefault < 1 || c.PageMax < c.PageDefault {
		return errors.New("--page-default must be at least 1 and at most --page-max")
	}
	if c.DeleteMost < 1 || c.DeleteMost > 10_000 {
		return errors.New("--conditional-delete-max must be at least 1 and at most 10000")
	}
	if c.Exports < 1 || c.ExportFile < 1 || c.ExportWait < 0 || c.ExportWait > time.Hour {
		return errors.New("--exports and --export-file must be at least 1, and --export-wait at most 1h")
	}
	if c.CheckpointEvery < 0 {
		return errors.New("--checkpoint-every: want 0s or more")
	}
	if _, err := witnesses(c.WitnessKeys); err != nil {
		return err
	}
	if _, err := normalBase(c.BaseURL); err != nil {
		return err
	}
	if err := c.checkLives(); err != nil {
		return err
	}
	if err := c.signIn.check(); err != nil {
		return err
	}
	if err := c.oversight.check(); err != nil {
		return err
	}
	if _, err := c.years(); err != nil {
		return err
	}
	if !c.Authorization && (c.LoginIssuer != "" || c.LocalAccounts == "on") {
		return errors.New("--login-issuer and --local-accounts=on need the authorization server, which --no-authorization leaves out")
	}
	if err := c.telling.check(); err != nil {
		return err
	}
	return c.database.check()
}

// checkLives looks at how long tokens last, and for whom.
func (c *settings) checkLives() error {
	if c.TokenLife < time.Minute || c.TokenLife > oauth.MaxTokenLife {
		return errors.New("--token-life: want a minute at least and an hour at most")
	}
	if c.SessionLife < c.TokenLife || c.RefreshLife < c.TokenLife {
		return errors.New("--session-life and --refresh-life: want at least --token-life")
	}
	for _, kind := range c.RefreshFor {
		if kind != "none" && kind != smart.KindPractitioner && kind != smart.KindPatient && kind != smart.KindRepresentative {
			return errors.New("--refresh-for: want practitioner, patient, representative or none")
		}
	}
	if slices.Contains(c.RefreshFor, "none") {
		if len(c.RefreshFor) > 1 {
			return errors.New("--refresh-for: none stands alone")
		}
		c.RefreshFor = nil
	}
	return nil
}

// The steps of answers of absence where none is chosen. Between a row that is
// hidden and one that is not there lies what there is to read of its owner: some
// tenths of a millisecond here, some round trips there.
const (
	gridEmbedded = 3 * time.Millisecond
	gridMongo    = 25 * time.Millisecond
)

// absenceGrid is the step chosen, or that of the store.
func (c *settings) absenceGrid() time.Duration {
	switch {
	case c.AbsenceGrid > 0:
		return c.AbsenceGrid
	case !c.Store.embedded():
		return gridMongo
	default:
		return gridEmbedded
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// baseURL is the URL clients use when the server listens on addr.
func (c *settings) baseURL(addr string) (string, error) {
	if c.BaseURL != "" {
		return normalBase(c.BaseURL)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("--listen %s: want HOST:PORT", addr)
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// normalBase takes a base URL as people write it: with or without a slash at
// the end, with or without /fhir. Empty stays empty.
func normalBase(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("--base-url: want http://HOST or https://HOST, with a path at most")
	}
	s = strings.TrimRight(s, "/")
	s = strings.TrimSuffix(s, fhirPath)
	return strings.TrimRight(s, "/"), nil
}

// policy is what consent has to know of the settings.
func (c *settings) policy() consent.Policy {
	return consent.Policy{
		RelationWaived: !c.RelationRequired,
		ClientsListed:  c.ClientsListed,
		Roles:          codings(c.Roles),
		EmergencyRoles: codings(c.EmergencyRoles),
	}
}

// validation is the level chosen.
func (c *settings) validation() validate.Level {
	switch c.Validation {
	case "structure":
		return validate.LevelStructure
	case "off":
		return validate.LevelOff
	default:
		return validate.LevelFull
	}
}

// fhirPath is where the FHIR base lies below the base URL.
const fhirPath = "/fhir"

// logger writes to standard error in the form chosen.
func (c *settings) logger(w io.Writer) *slog.Logger {
	opt := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, opt))
	}
	return slog.New(slog.NewJSONHandler(w, opt))
}
