package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitrine/fhir/smart/oauth"
)

func TestAccounts(t *testing.T) {
	data := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		text, err := printed(t, append(append([]string{"account"}, args...), "--data", data)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return text
	}
	out := run("add", "Dr.Tan", "--user", "PractitionerRole/a1")
	if !strings.Contains(out, "password: ") || !strings.Contains(out, "second factor: otpauth://totp/Vitrine:dr.tan?") {
		t.Errorf("add printed %q, want a password and a second factor", out)
	}
	if out = run("add", "koh", "--user", "Patient/p", "--totp=off"); strings.Contains(out, "otpauth") {
		t.Errorf("add --totp=off printed %q", out)
	}
	password := strings.TrimSpace(strings.TrimPrefix(out, "password: "))
	file, err := os.ReadFile(filepath.Join(data, oauth.AccountsFile))
	if err != nil || strings.Contains(string(file), password) {
		t.Errorf("the file holds the password (%v)", err)
	}
	run("disable", "DR.TAN")
	if out, want := run("list"), "dr.tan\tPractitionerRole/a1\tpassword+totp\tdisabled\nkoh\tPatient/p\tpassword\tenabled\n"; out != want {
		t.Errorf("list printed %q, want %q", out, want)
	}
	run("enable", "dr.tan")
	if out := run("totp", "koh"); !strings.HasPrefix(out, "second factor: otpauth://") {
		t.Errorf("totp printed %q", out)
	}
	if out := run("password", "koh"); !strings.HasPrefix(out, "password: ") || strings.Contains(out, password) {
		t.Errorf("password printed %q, want another one", out)
	}
	run("totp", "dr.tan", "--totp=off")
	if out, want := run("list"), "dr.tan\tPractitionerRole/a1\tpassword\tenabled\nkoh\tPatient/p\tpassword+totp\tenabled\n"; out != want {
		t.Errorf("list printed %q, want %q", out, want)
	}
	for _, c := range []struct {
		args []string
		want error
	}{
		{[]string{"add", "koh", "--user", "Patient/q"}, oauth.ErrAccountExists},
		{[]string{"add", "x", "--user", "Device/d"}, oauth.ErrAccount},
		{[]string{"disable", "x"}, oauth.ErrNoAccount},
		{[]string{"add", "x", "--user", "Patient/q", "--password-stdin"}, oauth.ErrAccount}, // nothing comes in
	} {
		if _, err := printed(t, append(append([]string{"account"}, c.args...), "--data", data)...); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", c.args, err, c.want)
		}
	}
}
