package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/smart/token"
)

// issuer is a trusted issuer of tokens, as the configuration names it: in a
// file as {url, jwks, kinds, client, …}, in a flag as "URL jwks=… kinds=a,b client=…".
type issuer struct {
	URL   string   `json:"url"`
	JWKS  string   `json:"jwks"`
	Kinds []string `json:"kinds,omitempty"`
	// The claims that have what SMART and IHE IUA have elsewhere.
	Client       string `json:"client,omitempty"`
	User         string `json:"user,omitempty"`
	Organization string `json:"organization,omitempty"`
	Patient      string `json:"patient,omitempty"`
	Scope        string `json:"scope,omitempty"`
	Purpose      string `json:"purpose,omitempty"`
	// What the operator states of the issuer's tokens.
	PurposeSystem  string   `json:"purpose-system,omitempty"`
	PurposeDefault string   `json:"purpose-default,omitempty"`
	Audience       []string `json:"audience,omitempty"`
}

// set takes one part of the form of a flag.
func (i *issuer) set(name, value string) error {
	texts := map[string]*string{
		"jwks": &i.JWKS, "client": &i.Client, "user": &i.User, "organization": &i.Organization, "patient": &i.Patient, "scope": &i.Scope,
		"purpose": &i.Purpose, "purpose-system": &i.PurposeSystem, "purpose-default": &i.PurposeDefault,
	}
	lists := map[string]*[]string{"kinds": &i.Kinds, "audience": &i.Audience}
	switch {
	case texts[name] != nil:
		*texts[name] = value
	case lists[name] != nil:
		*lists[name] = strings.Split(value, ",")
	default:
		return fmt.Errorf("issuer %s: unknown part %q", i.URL, name)
	}
	return nil
}

// UnmarshalText reads the form of a flag.
func (i *issuer) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return errors.New("an issuer is empty")
	}
	*i = issuer{URL: fields[0]}
	seen := map[string]bool{}
	for _, field := range fields[1:] {
		name, value, ok := strings.Cut(field, "=")
		if !ok || value == "" || seen[name] {
			return fmt.Errorf("issuer %s: want %s=VALUE, once", i.URL, name)
		}
		seen[name] = true
		if err := i.set(name, value); err != nil {
			return err
		}
	}
	return i.check()
}

// mapping is the mapping of claims.
func (i *issuer) mapping() token.Mapping {
	var purpose coding
	_ = purpose.UnmarshalText([]byte(i.PurposeDefault)) // it was checked
	return token.Mapping{
		Client: i.Client, User: i.User, Organization: i.Organization, Patient: i.Patient, Scope: i.Scope, Purpose: i.Purpose,
		PurposeSystem: i.PurposeSystem, PurposeDefault: fhir.Coding(purpose), Audience: i.Audience,
	}
}

// UnmarshalJSON reads the form of a file, or that of a flag as a string.
func (i *issuer) UnmarshalJSON(text []byte) error {
	var flag string
	if json.Unmarshal(text, &flag) == nil {
		return i.UnmarshalText([]byte(flag))
	}
	type plain issuer
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode((*plain)(i)); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return i.check()
}

func (i *issuer) check() error {
	if i.URL == "" || i.JWKS == "" {
		return errors.New("an issuer needs its URL and its jwks")
	}
	var purpose coding
	if i.PurposeDefault != "" && purpose.UnmarshalText([]byte(i.PurposeDefault)) != nil {
		return fmt.Errorf("issuer %s: purpose-default: want SYSTEM|CODE", i.URL)
	}
	return nil
}

// masked hides a password that stands in a URL.
func (i issuer) masked() issuer {
	if u, err := url.Parse(i.JWKS); err == nil && u.User != nil {
		i.JWKS = u.Redacted()
	}
	return i
}

// coding is a code with its system, written SYSTEM|CODE.
type coding fhir.Coding

// UnmarshalText reads SYSTEM|CODE.
func (c *coding) UnmarshalText(text []byte) error {
	system, code, ok := strings.Cut(string(text), "|")
	if !ok || system == "" || code == "" {
		return errors.New("want SYSTEM|CODE")
	}
	*c = coding{System: system, Code: code}
	return nil
}

// String is the form UnmarshalText reads.
func (c coding) String() string { return c.System + "|" + c.Code }

// codings are nil when none is named, which leaves the choice to consent.
func codings(list []coding) []fhir.Coding {
	var out []fhir.Coding
	for _, c := range list {
		out = append(out, fhir.Coding(c))
	}
	return out
}

// byteSize is a number of bytes, written with KiB, MiB or GiB or without.
type byteSize int64

// units from the largest down.
func units() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// UnmarshalText reads "256MiB" or "268435456".
func (b *byteSize) UnmarshalText(text []byte) error {
	s, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units() {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, factor = strings.TrimSpace(number), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errors.New("want a size such as 256MiB")
	}
	*b = byteSize(n * factor)
	return nil
}

// String writes the size in the largest unit that divides it.
func (b byteSize) String() string {
	for _, u := range units() {
		if n := int64(b); n != 0 && n%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
