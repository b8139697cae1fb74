package oauth

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"vitrine/fhir/smart"
)

// A name may be tried triesFree times; the next try must wait lockFirst, and each
// one after that twice as long, up to lockMost. It is so for names that nobody
// has as well, or waiting would tell which ones there are.
const (
	triesFree  = 5
	lockFirst  = time.Minute
	lockMost   = time.Hour
	failedLife = 24 * time.Hour
)

// An address may fail addressTries times in addressSpan, with whatever names:
// there may be a hospital behind it, or a proxy.
const (
	addressTries = 60
	addressSpan  = 10 * time.Minute
)

// The prefixes of the keys of what failed.
const (
	keyTries   = "tries/"
	keyAddress = "tries-address/"
)

// tries are what failed under one name or from one address.
type tries struct {
	Count int
	// Until is when the next try counts: before it, it is refused unseen.
	Until time.Time
}

// charge counts a try before it is judged, so that many at once are no more than
// one after the other. It reports whether this one may be judged at all.
func charge(m smart.Memory, name string, now time.Time) (bool, error) {
	var t tries
	if _, err := recall(m.Recall, keyTries+hashed(name), &t); err != nil {
		return false, err
	}
	if now.Before(t.Until) {
		return false, nil
	}
	t.Count++
	if over := t.Count - triesFree; over >= 0 {
		t.Until = now.Add(min(lockFirst<<min(over, 10), lockMost))
	}
	return true, keep(m, keyTries+hashed(name), t, now.Add(failedLife))
}

// acquit forgets what failed under a name that was signed in with.
func acquit(m smart.Memory, name string) error { return m.Forget(keyTries + hashed(name)) }

// chargeAddress counts a failure from an address, in a span that begins with the
// first.
func chargeAddress(m smart.Memory, address string, now time.Time) error {
	var t tries
	if _, err := recall(m.Recall, keyAddress+address, &t); err != nil {
		return err
	}
	if t.Count == 0 {
		t.Until = now.Add(addressSpan)
	}
	t.Count++
	return keep(m, keyAddress+address, t, t.Until)
}

// spared returns for how long nothing is heard from an address; zero when it is.
func (t tries) spared(now time.Time) time.Duration {
	if t.Count < addressTries {
		return 0
	}
	return max(0, t.Until.Sub(now))
}

// addressOf is the network that asks: an address, or of IPv6 the /64 that one
// subscriber has. What a proxy says of others is not believed.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}
