package main

import (
	"slices"
	"strings"
	"testing"
)

func TestHowPeopleSignIn(t *testing.T) {
	secret := t.TempDir() + "/secret"
	for _, c := range []struct {
		args string
		want string // part of the error, or of what is printed
	}{
		{"", "login-claim: user=fhirUser"},
		{"--login-issuer https://idp.example --login-client nehr", "login-issuer: https://idp.example"},
		{"--login-issuer https://idp.example --login-client nehr --login-claim identifier=uinfin,https://fhir.synapxe.sg/NamingSystem/nric,Patient|Practitioner", "identifier=uinfin,https://fhir.synapxe.sg/NamingSystem/nric,Patient|Practitioner"},
		{"--login-issuer https://idp.example", "belong together"},
		{"--login-client nehr", "belong together"},
		{"--login-secret-file " + secret, "need --login-issuer"},
		{"--login-claim sub", "want user=CLAIM"},
		{"--login-claim identifier=sub,x,Device", "Practitioner, Patient or RelatedPerson"},
		{"--login-issuer https://idp.example --login-client nehr --login-parameter acr_values", "NAME=VALUE"},
		{"--local-accounts maybe", "auto"},
		{"--no-authorization --login-issuer https://idp.example --login-client nehr", "leaves out"},
	} {
		out, err := printed(t, append([]string{"config"}, strings.Fields(c.args)...)...)
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.args, out, c.want)
		}
	}
}

func TestLocalAccountsGiveWayToAProvider(t *testing.T) {
	data := &dataDir{path: t.TempDir()}
	for _, c := range []struct {
		accounts, issuer string
		want             bool
	}{{"auto", "", true}, {"auto", "https://idp.example", false}, {"on", "https://idp.example", true}, {"off", "", false}} {
		in := signIn{LocalAccounts: c.accounts, LoginIssuer: c.issuer, LoginClient: "nehr"}
		got, err := in.accounts(data)
		if err != nil || (got != nil) != c.want {
			t.Errorf("%+v: accounts %v, %v", c, got != nil, err)
		}
		p, err := in.provider()
		if err != nil || (p != nil) != (c.issuer != "") {
			t.Errorf("%+v: provider %v, %v", c, p != nil, err)
		}
	}
	in := signIn{LoginIssuer: "https://idp.example", LoginClient: "nehr", LoginSecretFile: data.file("nothing")}
	if _, err := in.provider(); err == nil || !slices.Contains(strings.Fields(err.Error()), "--login-secret-file:") {
		t.Errorf("a secret that is not there: %v", err)
	}
}
