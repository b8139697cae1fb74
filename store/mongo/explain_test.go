package mongo

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// TestWhyAStoreCannotBeUsed makes the mistakes an operator makes, and wants each
// told by its name and without what the URI hides.
func TestWhyAStoreCannotBeUsed(t *testing.T) {
	const secret = "opensesame"
	untrusted := httptest.NewTLSServer(nil)
	t.Cleanup(untrusted.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	server := strings.TrimPrefix(strings.SplitN(mongotest.Server(t), "?", 2)[0], "mongodb://")
	for _, c := range []struct {
		name string
		opt  Options
		want error
	}{
		{"no such option value", Options{URI: "mongodb://u:" + secret + "@h/?w=-1"}, ErrURI},
		{"no port", Options{URI: "mongodb://u:" + secret + "@h:x/"}, ErrURI},
		{"another scheme", Options{URI: "https://u:" + secret + "@h/"}, ErrURI},
		{"nobody there", Options{URI: "mongodb://u:" + secret + "@" + nobody + "/"}, ErrUnreachable},
		{"another replica set", Options{URI: "mongodb://" + server + "?replicaSet=another"}, ErrUnreachable},
		{"no such user", Options{URI: "mongodb://u:" + secret + "@" + server + "?authSource=admin"}, ErrCredentials},
		{"password beside the URI", Options{URI: "mongodb://" + server, Username: "u", Password: secret}, ErrCredentials},
		{"a certificate of nobody we know", Options{URI: "mongodb://u:" + secret + "@" + untrusted.Listener.Addr().String() + "/", TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, ErrCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some wait until they give up
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := Check(ctx, c.opt)
			if why := Explain(err); !errors.Is(why, c.want) {
				t.Errorf("got %v, from %v, want %v", why, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the password: %v", err)
			}
			_, err = Open(ctx, c.opt)
			if why := Explain(err); !errors.Is(why, c.want) && ctx.Err() == nil {
				t.Errorf("open: got %v, from %v, want %v", why, err, c.want)
			}
		})
	}
	for uri, want := range map[string]error{"mongodb://h/": nil, "mongodb+srv://h/": nil, "mongodb://u:" + secret + "@h:x/": ErrURI, "": ErrURI} {
		if err := CheckURI(uri); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", uri, err, want)
		}
	}
}
