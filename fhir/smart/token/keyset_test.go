package token

import (
	"crypto/elliptic"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"vitrine/fhir/smart"
)

func TestOwnKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	const starters = 16
	ids := make([]string, starters)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			k, err := OpenKeys(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID()
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("keys differ: %q", ids)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v, %v; want the key alone", files, err)
	}
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestOwnKeyIsMadePrivateAgain(t *testing.T) {
	dir := t.TempDir()
	before, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, KeyFile)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	after, err := OpenKeys(dir)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || after.ID() != before.ID() || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v %v %v, want the same key at 0600", info.Mode(), err, statErr)
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, KeyFile), []byte(`{"kty":"oct","k":"c2VjcmV0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir); err == nil {
		t.Error("a symmetric key was taken")
	}
}

// keyServer serves the house's key set and counts.
type keyServer struct {
	*httptest.Server
	asked atomic.Int64
	down  atomic.Bool
}

func serveKeys(t *testing.T, h *house) (*keyServer, *Verifier) {
	t.Helper()
	s := &keyServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if s.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		http.ServeFile(w, r, h.jwks)
	}))
	t.Cleanup(s.Close)
	v, err := NewVerifier(Config{Audience: []string{base}, Base: base, Issuers: []Issuer{{URL: foreign, JWKS: s.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestUnknownKeyFetchesOnce(t *testing.T) {
	h := newHouse(t)
	s, v := serveKeys(t, h)
	at := now()
	verify := func(token string) error {
		_, err := v.Verify(t.Context(), token, at)
		return err
	}
	if err := verify(h.sign(t, "es384", nil, theirs())); err != nil || s.asked.Load() != 1 {
		t.Fatalf("first: %v after %d fetches, want it taken after one", err, s.asked.Load())
	}
	h.signers["new"] = signer{jwa.ES384, curve(t, elliptic.P384())}
	rotated := h.sign(t, "new", nil, theirs())
	h.publish(t)
	for range 5 {
		if err := verify(rotated); !errors.Is(err, ErrKey) || s.asked.Load() != 1 {
			t.Fatalf("at once: %v after %d fetches, want ErrKey and no fetch", err, s.asked.Load())
		}
	}
	at = at.Add(retryAfter)
	if err := verify(rotated); err != nil || s.asked.Load() != 2 {
		t.Fatalf("later: %v after %d fetches, want it taken after two", err, s.asked.Load())
	}
}

func TestKeysOutliveAnOutageForAWhile(t *testing.T) {
	h := newHouse(t)
	s, v := serveKeys(t, h)
	claims := theirs()
	claims[smart.ClaimExpires] = now().Add(24 * time.Hour).Unix()
	token := h.sign(t, "rs384", nil, claims)
	if _, err := v.Verify(t.Context(), token, now()); err != nil {
		t.Fatal(err)
	}
	s.down.Store(true)
	if _, err := v.Verify(t.Context(), token, now().Add(keepFor-time.Second)); err != nil {
		t.Errorf("while the keys may be kept: %v, want it taken", err)
	}
	if _, err := v.Verify(t.Context(), token, now().Add(keepFor)); !errors.Is(err, ErrKey) {
		t.Errorf("after that: %v, want ErrKey", err)
	}
	s.down.Store(false)
	if _, err := v.Verify(t.Context(), token, now().Add(keepFor+retryAfter)); err != nil {
		t.Errorf("when they are back: %v, want it taken", err)
	}
}

func TestWithdrawnKeyEndsItsTokens(t *testing.T) {
	h := newHouse(t)
	_, v := serveKeys(t, h)
	token := h.sign(t, "es256", nil, theirs())
	if _, err := v.Verify(t.Context(), token, now()); err != nil {
		t.Fatal(err)
	}
	delete(h.signers, "es256")
	h.publish(t)
	if _, err := v.Verify(t.Context(), token, now().Add(refreshAfter)); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want ErrKey although the token was cached", err)
	}
}

func TestKeySetsComeBySafeWaysOnly(t *testing.T) {
	for _, source := range []string{"", "http://idp.example/jwks", "ftp://127.0.0.1/jwks", "https:///jwks"} {
		if _, err := NewVerifier(Config{Audience: []string{base}, Issuers: []Issuer{{URL: foreign, JWKS: source}}}); err == nil {
			t.Errorf("%q was taken", source)
		}
	}
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer elsewhere.Close()
	fetch, err := fetcher(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t.Context()); err == nil {
		t.Error("a redirect was followed")
	}
}
