package main

import (
	"net"
	"slices"
	"strings"
)

// masked stands where something is not shown.
const masked = "xxxxx"

// storeURI is a URI of MongoDB taken apart: it may name several hosts, which
// net/url does not read.
type storeURI struct {
	scheme         string // with "://"
	user, password string // as they are written
	secret         bool   // there is a password
	hosts          []string
	path           string // from the slash to the question mark
	options        string // after it
}

func cutURI(s string) (storeURI, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	u := storeURI{scheme: scheme + "://"}
	if !ok || (scheme != "mongodb" && scheme != "mongodb+srv") {
		return storeURI{}, errStoreName
	}
	rest, u.options, _ = strings.Cut(rest, "?")
	if strings.Contains(u.options, "@") { // a password with a question mark, perhaps; it must not be taken for options
		return storeURI{}, errStoreURI
	}
	// A password that holds a slash is written wrong; it is still not a path.
	var login string
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		login, rest = rest[:i], rest[i+1:]
		u.user, u.password, u.secret = strings.Cut(login, ":")
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, u.path = rest[:i], rest[i:]
	}
	u.hosts = strings.Split(rest, ",")
	if slices.Contains(u.hosts, "") {
		return storeURI{}, errStoreName
	}
	return u, nil
}

// masked is the URI without password and without the options that may be
// secret.
func (u storeURI) masked() string {
	var b strings.Builder
	b.WriteString(u.scheme)
	if u.user != "" || u.secret {
		b.WriteString(u.user)
		if u.secret {
			b.WriteString(":" + masked)
		}
		b.WriteByte('@')
	}
	b.WriteString(strings.Join(u.hosts, ",") + u.path)
	for i, option := range u.list() {
		name, value, _ := strings.Cut(option, "=")
		if !shownOption(name) {
			value = masked
		}
		b.WriteString(string("?&"[min(i, 1)]) + name + "=" + value)
	}
	return b.String()
}

// shownOption reports whether the value of an option may be seen. One that is
// not known to be harmless is not shown.
func shownOption(name string) bool {
	return slices.Contains([]string{
		"authmechanism", "authsource", "compressors", "connecttimeoutms", "directconnection", "loadbalanced", "localthresholdms",
		"maxconnecting", "maxidletimems", "maxpoolsize", "minpoolsize", "readconcernlevel", "readpreference", "replicaset",
		"retryreads", "retrywrites", "serverselectiontimeoutms", "sockettimeoutms", "ssl", "srvmaxhosts", "srvservicename", "timeoutms",
		"tls", "tlscafile", "tlscertificatekeyfile", "tlsinsecure", "w", "wtimeoutms", "journal", "appname",
	}, strings.ToLower(name))
}

func (u storeURI) list() []string {
	if u.options == "" {
		return nil
	}
	return strings.FieldsFunc(u.options, func(r rune) bool { return r == '&' || r == ';' })
}

// option is the value of an option, whatever the case of its name.
func (u storeURI) option(name string) string {
	for _, o := range u.list() {
		if n, value, _ := strings.Cut(o, "="); strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

func (u storeURI) x509() bool { return strings.EqualFold(u.option("authMechanism"), "MONGODB-X509") }

// tls reports whether the URI asks for TLS; one that is resolved by DNS does so
// unless it says otherwise.
func (u storeURI) tls() bool {
	for _, name := range []string{"tls", "ssl"} {
		if v := u.option(name); v != "" {
			return v == "true"
		}
	}
	return u.scheme == "mongodb+srv://" || u.option("tlsCAFile") != "" || u.option("tlsCertificateKeyFile") != ""
}

// local reports whether every host is this machine.
func (u storeURI) local() bool {
	return !slices.ContainsFunc(u.hosts, func(host string) bool {
		if strings.Contains(strings.ToLower(host), "%2f") { // a socket of this machine
			return false
		}
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		return u.scheme == "mongodb+srv://" || !loopback(strings.Trim(host, "[]"))
	})
}
