package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vitrine/fhir/smart/token"
)

// TestKeysAreRotated beside a server that runs.
func TestKeysAreRotated(t *testing.T) {
	data := t.TempDir()
	d, err := openData(data)
	if err != nil {
		t.Fatal(err)
	}
	v, err := (&House{base: "http://127.0.0.1:8080", data: d}).buildVerifier()
	if err != nil {
		t.Fatal(err)
	}
	minted := func() string {
		t.Helper()
		text, err := printed(t, "token", "--data", data, "--kind", "custodian")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
	lines := func(args ...string) string {
		t.Helper()
		text, err := printed(t, append([]string{"keys", args[0], "--data", data}, args[1:]...)...)
		if err != nil {
			t.Fatalf("keys %v: %v", args, err)
		}
		var out []string
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			out = append(out, f[1]+" "+strings.Join(f[2:len(f)-1], " ")+" "+strings.TrimPrefix(f[len(f)-1], "2"))
		}
		return strings.Join(out, "; ")
	}
	old := minted()
	if got, want := lines("list"), "ES384 access tokens signs; RS256 id_tokens signs"; got != want {
		t.Errorf("list: got %q, want %q", got, want)
	}
	if got := lines("rotate", "--keep", "1h"); strings.Count(got, " signs") != 2 || strings.Count(got, "access tokens until") != 1 || strings.Count(got, "id_tokens until") != 1 {
		t.Errorf("rotate: got %q", got)
	}
	for what, text := range map[string]string{"the old token": old, "a new one": minted()} {
		if _, err := v.Verify(t.Context(), text, time.Now()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := v.Verify(t.Context(), minted(), time.Now().Add(time.Hour+time.Minute)); !errors.Is(err, token.ErrExpired) {
		t.Errorf("a token that has run out: %v", err)
	}
	other := minted()
	if got, want := lines("rotate", "--keep", "0s"), "ES384 access tokens signs; RS256 id_tokens signs"; got != want {
		t.Errorf("rotate at once: got %q, want %q", got, want)
	}
	if _, err := v.Verify(t.Context(), minted(), time.Now()); err != nil { // by which the server notices
		t.Errorf("after that: %v", err)
	}
	if _, err := v.Verify(t.Context(), other, time.Now()); !errors.Is(err, token.ErrKey) {
		t.Errorf("a token of a key that is gone: got %v, want %v", err, token.ErrKey)
	}
	if _, err := printed(t, "keys", "rotate", "--data", data, "--keep=-1s"); err == nil {
		t.Error("a past that is to come is taken")
	}
}
