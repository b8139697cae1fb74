package main

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// said is what a server at base over the data directory takes a printed token
// to say.
func said(t *testing.T, data, base string, args ...string) (smart.Token, error) {
	t.Helper()
	text, err := printed(t, append([]string{"token", "--data", data}, args...)...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	if strings.Count(text, "\n") != 1 || strings.Contains(strings.TrimSpace(text), " ") {
		t.Fatalf("%v: the token does not stand alone: %q", args, text)
	}
	d, err := openData(data)
	if err != nil {
		t.Fatal(err)
	}
	v, err := (&House{base: base, data: d}).buildVerifier()
	if err != nil {
		t.Fatal(err)
	}
	return v.Verify(t.Context(), strings.TrimSpace(text), time.Now())
}

func TestTokensOfEveryKind(t *testing.T) {
	data, base := t.TempDir(), "http://127.0.0.1:8080"
	act := func(code string) []fhir.Coding {
		return []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: code}}
	}
	own := func(code string) []fhir.Coding {
		return []fhir.Coding{{System: "https://vitrine.example/CodeSystem/nehr-purpose", Code: code}}
	}
	type want struct {
		Kind, Subject, Client, User, Org, Patient, Scope string
		Purposes                                         []fhir.Coding
	}
	for _, c := range []struct {
		args string
		want want
	}{
		{"--kind custodian", want{"custodian", "vitrine-cli", "vitrine-cli", "", "", "", "system/*.cruds", act("HSYSADMIN")}},
		{"--kind regulator --client console", want{"regulator", "console", "console", "", "", "", "user/*.cruds", own("AUDIT")}},
		{"--kind system --org Organization/a", want{"system", "vitrine-cli", "vitrine-cli", "", "a", "", "system/*.cruds", act("TREAT")}},
		{
			"--kind practitioner --user PractitionerRole/r --org a --purpose INSURANCE --scope user/*.rs",
			want{"practitioner", "PractitionerRole/r", "vitrine-cli", "PractitionerRole/r", "a", "", "user/*.rs", own("INSURANCE")},
		},
		{
			"--kind practitioner --user Practitioner/x --purpose TREAT,HPAYMT",
			want{"practitioner", "Practitioner/x", "vitrine-cli", "Practitioner/x", "", "", "user/*.cruds", append(act("TREAT"), act("HPAYMT")...)},
		},
		{"--kind patient --patient Patient/p", want{"patient", "Patient/p", "vitrine-cli", "Patient/p", "", "p", "patient/*.cruds", act("PATRQT")}},
		{
			"--kind representative --user RelatedPerson/m --patient p",
			want{"representative", "RelatedPerson/m", "vitrine-cli", "RelatedPerson/m", "", "p", "patient/*.cruds", act("FAMRQT")},
		},
		{
			"--kind practitioner --user Practitioner/x --purpose urn:x|TREAT",
			want{"practitioner", "Practitioner/x", "vitrine-cli", "Practitioner/x", "", "", "user/*.cruds", []fhir.Coding{{System: "urn:x", Code: "TREAT"}}},
		},
	} {
		got, err := said(t, data, base, strings.Fields(c.args)...)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		is := want{got.Kind, got.Subject, got.Client, got.User, got.Organization, got.Patient, got.Scopes.String(), got.Purposes}
		if diff := cmp.Diff(c.want, is); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.args, diff)
		}
	}
}

func TestTokensThatCannotBe(t *testing.T) {
	for _, args := range []string{
		"", "--kind king", "--kind practitioner", "--kind representative", "--kind patient", "--kind system --user Practitioner/x",
		"--kind custodian --user Practitioner/x", "--kind practitioner --user Patient/x", "--kind patient --user Patient/../x",
		"--kind practitioner --user Person/x", "--kind custodian --ttl 0s", "--kind custodian --base-url nonsense", "--kind regulator --user Patient/p",
	} {
		if text, err := printed(t, append([]string{"token", "--data", t.TempDir()}, strings.Fields(args)...)...); err == nil {
			t.Errorf("%q made %q", args, text)
		}
	}
}

func TestTokenAudience(t *testing.T) {
	data := t.TempDir()
	d, err := openData(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.remember("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, server string
		want         error
	}{
		{"", "http://127.0.0.1:1", nil},
		{"", "https://moved.example", nil}, // by the server's lasting name
		{"--base-url https://nehr.example/fhir/", "https://nehr.example", nil},
		{"--base-url https://nehr.example", "http://127.0.0.1:1", token.ErrAudience},
	} {
		if _, err := said(t, data, c.server, append(strings.Fields(c.args), "--kind", "custodian")...); !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if _, err := said(t, t.TempDir(), "http://127.0.0.1:1", "--kind", "custodian"); err != nil {
		t.Errorf("a data directory that was never served: %v", err)
	}
}

func TestDataDirectoryIsMadeOnce(t *testing.T) {
	dir := t.TempDir() + "/data"
	ids := make([]identity, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			d, err := openData(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = d.identity
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || len(id.ID) != 36 {
			t.Fatalf("identities differ: %v", ids)
		}
	}
}
