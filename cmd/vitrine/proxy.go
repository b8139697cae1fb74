package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// behindProxies gives requests that come from a trusted proxy the address of who
// asked it: the last in X-Forwarded-For that is not itself a trusted proxy's. What
// others say in that header is not looked at, so nobody chooses an address: limits
// and the record of access go by it.
func behindProxies(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := forwarded(trusted, r); ok {
			inner := *r // the rest of it is shared and not changed
			inner.RemoteAddr = net.JoinHostPort(from.String(), "0")
			r = &inner
		}
		next.ServeHTTP(w, r)
	})
}

// forwarded is who asked the proxy; ok is false when the request comes from no
// trusted proxy, or that does not say.
func forwarded(trusted []netip.Prefix, r *http.Request) (from netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !within(trusted, at.Addr()) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return netip.Addr{}, false
		}
		if hop = hop.Unmap().WithZone(""); !within(trusted, hop) {
			return hop, true
		}
	}
	return netip.Addr{}, false
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
