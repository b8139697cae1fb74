package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// tokenCommand mints tokens.
type tokenCommand struct {
	place
	tokenRequest
	BaseURL string `name:"base-url" help:"Make the token for exactly this server. Default: the one this data directory belongs to." placeholder:"URL"`
}

// tokenRequest is what a token is to say.
type tokenRequest struct {
	Kind    string        `help:"Who it stands for: ${enum}." enum:"practitioner,system,patient,representative,regulator,custodian" required:""`
	User    string        `help:"fhirUser: PractitionerRole/ID, Practitioner/ID, Patient/ID or RelatedPerson/ID. Default for a patient: --patient." placeholder:"REF"`
	Org     string        `help:"The organisation acted for." placeholder:"Organization/ID"`
	Patient string        `help:"The launch patient." placeholder:"Patient/ID"`
	Purpose []string      `help:"Purpose of use, a code of v3-ActReason or one of AUDIT, EMPLOYMENT, INSURANCE, STATEXAM, or SYSTEM|CODE. Default by kind: TREAT, PATRQT, FAMRQT, AUDIT or HSYSADMIN." placeholder:"CODE"`
	Scope   string        `help:"SMART scopes. Default by kind: patient/*.cruds, user/*.cruds or system/*.cruds." placeholder:"SCOPES"`
	Client  string        `help:"client_id." default:"vitrine-cli" placeholder:"ID"`
	TTL     time.Duration `name:"ttl" help:"How long it is good for." default:"1h"`
}

// Help says what a token is worth.
func (tokenCommand) Help() string {
	return `Prints the token alone. It is signed with the key in the data directory (token-key.json), which is made if it is not
there: whoever may read that file may mint. The server need not run, and may.

  vitrine token --kind custodian
  vitrine token --kind practitioner --user PractitionerRole/dr-a-at-clinic-a --org Organization/clinic-a
  vitrine token --kind patient --patient Patient/p1
  vitrine token --kind system --org Organization/clinic-b --scope "system/*.c"
  vitrine token --kind regulator --ttl 15m
  curl -H "Authorization: Bearer $(vitrine token --kind custodian)" http://127.0.0.1:8080/fhir/Organization`
}

// Run prints the token.
func (c *tokenCommand) Run(s streams) error {
	base, err := normalBase(c.BaseURL)
	if err != nil {
		return err
	}
	data, err := openData(c.Data)
	if err != nil {
		return err
	}
	text, err := data.mint(c.tokenRequest, base, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}

// mint makes a token. Without a base URL it is for this data directory's
// server, at whatever address that runs.
func (d *dataDir) mint(r tokenRequest, base string, now time.Time) (string, error) {
	claims, err := r.claims()
	if err != nil {
		return "", err
	}
	claims.Issuer = d.urn()
	claims.ID = rand.Text()
	claims.IssuedAt, claims.Expires = now, now.Add(r.TTL)
	switch {
	case base != "":
		claims.Audience = []string{base + fhirPath}
	case d.identity.BaseURL != "":
		claims.Audience = []string{d.identity.BaseURL + fhirPath, d.urn()}
	default:
		claims.Audience = []string{d.urn()}
	}
	return d.keys.Mint(claims)
}

// claims fills in what was left out and refuses what the server would refuse
// without saying why.
func (r tokenRequest) claims() (token.Claims, error) {
	c := token.Claims{Client: r.Client, User: r.User, Scope: r.Scope, Patient: bare(r.Patient, "Patient")}
	if r.TTL < time.Second {
		return c, errors.New("--ttl: want a second at least")
	}
	if c.Client == "" {
		return c, errors.New("--client: want an id")
	}
	if r.Org != "" {
		c.Organization = "Organization/" + bare(r.Org, "Organization")
	}
	if c.User == "" && r.Kind == smart.KindPatient && c.Patient != "" {
		c.User = "Patient/" + c.Patient
	}
	if err := r.checkUser(c.User); err != nil {
		return c, err
	}
	c.Subject = c.User
	if c.Subject == "" {
		c.Subject = c.Client
	}
	if smart.Vouched(r.Kind) {
		c.Kind = r.Kind
	}
	if c.Scope == "" {
		c.Scope = r.defaultScope()
	}
	for _, p := range r.purposes() {
		c.Purposes = append(c.Purposes, purpose(p))
	}
	return c, nil
}

// bare takes the type off a reference.
func bare(reference, typ string) string { return strings.TrimPrefix(reference, typ+"/") }

// checkUser holds the kind against the one that fhirUser implies.
func (r tokenRequest) checkUser(user string) error {
	typ, id, _ := strings.Cut(user, "/")
	if user != "" && !fhir.ValidID(id) {
		return errors.New("--user: want TYPE/ID")
	}
	implied, ok := smart.KindOfUser(fhir.ResourceType(typ))
	switch {
	case !ok:
		return errors.New("--user: want a PractitionerRole, Practitioner, Patient or RelatedPerson")
	case r.Kind == implied,
		r.Kind == smart.KindCustodian && user == "",
		r.Kind == smart.KindRegulator && (user == "" || implied == smart.KindPractitioner):
		return nil
	case user == "":
		return fmt.Errorf("--kind %s needs --user", r.Kind)
	default:
		return fmt.Errorf("--kind %s does not go with --user of type %s", r.Kind, typ)
	}
}

func (r tokenRequest) defaultScope() string {
	switch r.Kind {
	case smart.KindPatient, smart.KindRepresentative:
		return "patient/*.cruds"
	case smart.KindPractitioner, smart.KindRegulator:
		return "user/*.cruds"
	default:
		return "system/*.cruds"
	}
}

func (r tokenRequest) purposes() []string {
	if len(r.Purpose) > 0 {
		return r.Purpose
	}
	switch r.Kind {
	case smart.KindPatient:
		return []string{"PATRQT"}
	case smart.KindRepresentative:
		return []string{"FAMRQT"}
	case smart.KindRegulator:
		return []string{"AUDIT"}
	case smart.KindCustodian:
		return []string{"HSYSADMIN"}
	default:
		return []string{"TREAT"}
	}
}

// purpose is a code with its system, which may be given with it.
func purpose(code string) fhir.Coding {
	if system, c, ok := strings.Cut(code, "|"); ok {
		return fhir.Coding{System: system, Code: c}
	}
	switch code {
	case "AUDIT", "EMPLOYMENT", "INSURANCE", "STATEXAM":
		return fhir.Coding{System: consent.SystemPurpose, Code: code}
	default:
		return fhir.Coding{System: consent.SystemActReason, Code: code}
	}
}
