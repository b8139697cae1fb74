package main

import (
	"strings"
	"testing"

	"vitrine/fhir/smart"
)

// TestClientsAreOnboardedFromTheCommandLine goes the whole way twice: with the
// store opened here, and through a server that runs on it.
func TestClientsAreOnboardedFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	keys := writeFile(t, "keys.json", `{"keys":[{"kty":"EC","crv":"P-384","kid":"k1","x":"`+strings.Repeat("A", 64)+`","y":"`+strings.Repeat("A", 64)+`"}]}`)
	run := func(want string, args ...string) {
		t.Helper()
		out, err := printed(t, append(args, "--data", dir)...)
		if err != nil {
			out += err.Error()
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s: got %q, want %q in it", strings.Join(args, " "), out, want)
		}
	}
	run("1 imported", "import", writeFile(t, "org.json", `{"resourceType":"Organization","id":"a","active":true,"name":"Clinic A"}`))
	add := []string{"client", "add", "--name", "Connector", "--capability", "read", "--capability", "contribute", "--scope", "user/*.rs"}
	run("emr-a is registered and pending", append(add, "--id", "emr-a", "--org", "Organization/a", "--redirect", "https://emr.example/cb?a=1,2", "--jwks", keys)...)
	run("another registration has this client_id", append(add, "--id", "emr-a")...)
	run("there is no such Organization", append(add, "--id", "emr-b", "--org", "b")...)
	run("redirect_uris", append(add, "--id", "emr-b", "--redirect", "http://emr.example/")...)
	run("emr-a is active", "client", "activate", "emr-a")
	run("There is no such client", "client", "activate", "emr-z")
	run(`"https://emr.example/cb?a=1,2"`, "client", "show", "emr-a")
	run("emr-a   active  Organization/a  read,contribute  Connector", "client", "list")

	s := serve(t, dir)
	if err := s.data.remember(s.base); err != nil {
		t.Fatal(err)
	}
	run("emr-a is suspended", "client", "suspend", "emr-a")
	run("emr-a is suspended: it is known by the new keys", "client", "rotate", "emr-a", "--jwks", "https://emr.example/jwks")
	run("jwks_uri", "client", "show", "emr-a", "--server", s.base)
	run("emr-a is ended", "client", "end", "emr-a", "--server", s.base)
	run("does not become active", "client", "activate", "emr-a")
	run("CLIENT", "client", "list", "--state", "ended")
	run("want pending", "client", "list", "--state", "gone")
	doctor, err := s.mint(tokenRequest{Kind: smart.KindSystem, Org: "a"})
	if err != nil {
		t.Fatal(err)
	}
	run("role does not permit", "client", "list", "--server", s.base, "--token", doctor)
}
