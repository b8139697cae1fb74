package main

import (
	"io"
	"net/http"
	"testing"
)

// Whoever is asked for is on record, and not this machine.
func TestInProcessKeepsTheAddress(t *testing.T) {
	carrier := inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })}
	for given, want := range map[string]string{"": "127.0.0.1:0", "203.0.113.9:5": "203.0.113.9:5"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nehr.example/fhir/Patient", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.RemoteAddr = given
		resp, err := carrier.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil || string(got) != want {
			t.Errorf("%q: the handler saw %q, %v; want %q", given, got, err, want)
		}
	}
}
