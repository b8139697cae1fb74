package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestWhoAskedAProxy(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"10.1.2.3:5", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"10.1.2.3:5", []string{"1.2.3.4, 203.0.113.9, 10.9.9.9"}, "203.0.113.9:0"}, // what was there before the proxies is hearsay
		{"10.1.2.3:5", []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9:0"},
		{"[::1]:5", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"[::ffff:10.1.2.3]:5", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"203.0.113.1:5", []string{"127.0.0.1"}, "203.0.113.1:5"}, // no proxy of ours
		{"10.1.2.3:5", nil, "10.1.2.3:5"},
		{"10.1.2.3:5", []string{"10.4.4.4"}, "10.1.2.3:5"},
		{"10.1.2.3:5", []string{"somebody"}, "10.1.2.3:5"},
		{"10.1.2.3:5", []string{"203.0.113.9, somebody"}, "10.1.2.3:5"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = c.remote
		for _, line := range c.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		got := ""
		behindProxies(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s, %v: got %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}
