package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"vitrine/fhir/smart"
)

// backends is how many back ends ask for tokens at once.
const backends = 64

// BenchmarkClientCredentials lets 64 back ends ask for tokens: each with an
// assertion of its own, which is verified, used up durably, looked up in the
// directory and put on record before the token leaves. "ratio" is the rate over
// that of the two signatures alone (one verified, one made, both ES384) on as many
// cores.
func BenchmarkClientCredentials(b *testing.B) {
	h := newStage(b, nil)
	key := h.enrol(b)
	const each = 2000
	var ours, bare time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		assertions := make([]string, each)
		for i := range assertions {
			assertions[i] = assert(b, h, key)
		}
		b.StartTimer()
		bare += signatures(b, key, assertions)
		ours += h.tokens(b, assertions)
		n += each
	}
	b.ReportMetric(float64(n)/ours.Seconds(), "tokens/s")
	b.ReportMetric(float64(n)/bare.Seconds(), "signatures/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
}

// enrol registers a back end of an organisation and returns its key.
func (s *stage) enrol(b *testing.B) jwk.Key {
	b.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	key, err := jwk.FromRaw(private)
	if err != nil {
		b.Fatal(err)
	}
	if err := key.Set(jwk.KeyIDKey, "k"); err != nil {
		b.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		b.Fatal(err)
	}
	set := jwk.NewSet()
	if err := set.AddKey(public); err != nil {
		b.Fatal(err)
	}
	keys, err := json.Marshal(set)
	if err != nil {
		b.Fatal(err)
	}
	client := smart.Client{ID: "bench", Name: "bench", Device: "bench", State: smart.ClientActive, Organization: "a", Contribute: true, JWKS: string(keys), Scope: "system/*.c"}
	device, err := client.Resource()
	if err != nil {
		b.Fatal(err)
	}
	s.store("Device", "bench", string(device))
	return key
}

// assert makes one assertion.
func assert(b *testing.B, h *stage, key jwk.Key) string {
	b.Helper()
	claims, err := json.Marshal(map[string]any{"iss": "bench", "sub": "bench", "aud": origin + "/auth/token", "exp": h.now.Add(4 * time.Minute).Unix(), "jti": rand.Text()})
	if err != nil {
		b.Fatal(err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, "JWT"); err != nil {
		b.Fatal(err)
	}
	signed, err := jws.Sign(claims, jws.WithKey(jwa.ES384, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		b.Fatal(err)
	}
	return string(signed)
}

// signatures verifies each assertion and makes one signature for it.
func signatures(b *testing.B, key jwk.Key, assertions []string) time.Duration {
	b.Helper()
	public, err := key.PublicKey()
	if err != nil {
		b.Fatal(err)
	}
	return shared(assertions, func(text string) {
		payload, err := jws.Verify([]byte(text), jws.WithKey(jwa.ES384, public))
		if err == nil {
			_, err = jws.Sign(payload, jws.WithKey(jwa.ES384, key))
		}
		if err != nil {
			b.Error(err)
		}
	})
}

// tokens asks for a token with each assertion.
func (h *stage) tokens(b *testing.B, assertions []string) time.Duration {
	b.Helper()
	return shared(assertions, func(text string) {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/auth/token", strings.NewReader(url.Values{
			"grant_type": {"client_credentials"}, "scope": {"system/Observation.c"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text},
		}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// shared does each piece of work once, 64 at a time.
func shared(work []string, do func(string)) time.Duration {
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range backends {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(work); i = next.Add(1) - 1 {
				do(work[i])
			}
		})
	}
	all.Wait()
	return time.Since(began)
}
