package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// rotated retires the house's keys, as another process does, and returns a handle
// of that one.
func (h *house) rotated(t *testing.T, now time.Time, keep time.Duration) *Keys {
	t.Helper()
	dir := filepath.Dir(h.keys.path)
	if _, err := Rotate(dir, now, keep); err != nil {
		t.Fatalf("rotate: %v", err)
	}
	k, err := OpenKeys(dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return k
}

// later lets the house look at its file again.
func (h *house) later() { h.keys.looked.Store(0) }

func (h *house) verify(t *testing.T, text string, now time.Time) error {
	t.Helper()
	_, err := h.verifier.Verify(t.Context(), text, now)
	return err
}

// TestRotation: a server that runs takes new tokens at once, and old ones until
// their key ends, though they would be good for longer.
func TestRotation(t *testing.T) {
	h := newHouse(t)
	old := h.mint(t, nil)
	if err := h.verify(t, old, now()); err != nil {
		t.Fatal(err)
	}
	before := h.keys.ID()
	other := h.rotated(t, now(), 10*time.Minute)
	fresh, err := other.Mint(good())
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the new token": fresh, "the old token": old} {
		if err := h.verify(t, text, now().Add(9*time.Minute)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if h.keys.ID() == before || h.keys.ID() != other.ID() {
		t.Errorf("the server signs with %q, want %q", h.keys.ID(), other.ID())
	}
	if err := h.verify(t, old, now().Add(10*time.Minute)); !errors.Is(err, ErrKey) {
		t.Errorf("the old token after its key: got %v, want %v", err, ErrKey)
	}
	if err := h.verify(t, fresh, now().Add(10*time.Minute)); err != nil {
		t.Errorf("the new token: %v", err)
	}
}

// TestRotationAtOnce: a key that nobody is to trust any more is gone with the next
// look, out of the cache too.
func TestRotationAtOnce(t *testing.T) {
	h := newHouse(t)
	old := h.mint(t, nil)
	if err := h.verify(t, old, now()); err != nil {
		t.Fatal(err)
	}
	h.rotated(t, now(), 0)
	h.later()
	if err := h.verify(t, old, now()); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want %v", err, ErrKey)
	}
	if err := h.verify(t, h.mint(t, nil), now()); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

// TestRotationOfOneKey: the file of one key, which it was at first, stays good.
func TestRotationOfOneKey(t *testing.T) {
	h := newHouse(t)
	key, err := jwk.FromRaw(h.keys.ring().signing.private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil || bytes.Contains(text, []byte("kid")) {
		t.Fatalf("%s: %v", text, err)
	}
	if err := os.WriteFile(h.keys.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := OpenKeys(filepath.Dir(h.keys.path))
	if err != nil || again.ID() != h.keys.ID() {
		t.Fatalf("the file of one key: %q, %v; want %q", again.ID(), err, h.keys.ID())
	}
	old := h.mint(t, nil)
	h.rotated(t, now(), time.Hour)
	h.later()
	if err := h.verify(t, old, now()); err != nil || h.keys.ID() == again.ID() {
		t.Errorf("after rotation: %v, and %q signs", err, h.keys.ID())
	}
}

// TestRotationsAtOnce: processes that change the file at once do so one after the
// other, and servers read it meanwhile.
func TestRotationsAtOnce(t *testing.T) {
	h := newHouse(t)
	dir := filepath.Dir(h.keys.path)
	const processes = 4
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			if _, err := Rotate(dir, now(), time.Hour); err != nil {
				t.Errorf("rotate: %v", err)
			}
		})
		all.Go(func() {
			k, err := OpenKeys(dir)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if _, err := k.MintID(map[string]any{"sub": "x"}); err != nil {
				t.Errorf("mint: %v", err)
			}
		})
	}
	all.Wait()
	h.later()
	list, err := h.keys.List()
	if err != nil {
		t.Fatal(err)
	}
	retired := 0
	for _, k := range list {
		if !k.Until.IsZero() && k.Algorithm == "ES384" {
			retired++
		}
	}
	if retired != processes {
		t.Errorf("%d keys were retired, want %d: %+v", retired, processes, list)
	}
	if _, err := Rotate(dir, now().Add(time.Hour), time.Hour); err != nil {
		t.Fatal(err)
	}
	h.later()
	if list, err = h.keys.List(); err != nil || len(list) != 4 {
		t.Errorf("when they have ended: %+v, %v; want the two that sign and the two before them", list, err)
	}
}

// TestDamagedKeysLeaveTheServerBe: what cannot be read changes nothing for one that
// runs.
func TestDamagedKeysLeaveTheServerBe(t *testing.T) {
	h := newHouse(t)
	old := h.mint(t, nil)
	for _, text := range []string{"", "{", `{"keys":[]}`, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`} {
		if err := os.WriteFile(h.keys.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.later()
		if err := h.verify(t, old, now()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := OpenKeys(filepath.Dir(h.keys.path)); err == nil {
			t.Errorf("%q: a server starts with it", text)
		}
		if _, err := Rotate(filepath.Dir(h.keys.path), now(), time.Hour); err == nil {
			t.Errorf("%q: it is rotated", text)
		}
	}
}

// TestIdentityTokens: an id_token is one by the published keys, and no access token
// whatever its claims say.
func TestIdentityTokens(t *testing.T) {
	h := newHouse(t)
	claims := map[string]any{}
	text, err := json.Marshal(good().set())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	id, err := h.keys.MintID(claims)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwk.Parse(h.keys.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify([]byte(id), jws.WithKeySet(set)); err != nil {
		t.Errorf("by the keys published: %v", err)
	}
	if err := h.verify(t, id, now()); !errors.Is(err, ErrMalformed) {
		t.Errorf("an id_token as an access token: got %v, want %v", err, ErrMalformed)
	}
	r := h.keys.ring()
	for what, forge := range map[string]func() (string, error){
		"signed with the key for id_tokens": func() (string, error) { return r.identity.sign(text, jwa.RS256, typeAccessToken) },
		"the same by RS384":                 func() (string, error) { return r.identity.sign(text, jwa.RS384, typeAccessToken) },
		"under the name of the other": func() (string, error) {
			return (&ownKey{r.signing.id, r.identity.private}).sign(text, jwa.RS256, typeAccessToken)
		},
		"by the other, under its name": func() (string, error) {
			return (&ownKey{r.identity.id, r.signing.private}).sign(text, jwa.ES384, typeAccessToken)
		},
	} {
		forged, err := forge()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.verify(t, forged, now()); !errors.Is(err, ErrKey) {
			t.Errorf("%s: got %v, want %v", what, err, ErrKey)
		}
	}
	h.rotated(t, now(), time.Hour)
	h.later()
	forged, err := r.identity.sign(text, jwa.RS256, typeAccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.verify(t, forged, now()); !errors.Is(err, ErrKey) {
		t.Errorf("after its key retired: got %v, want %v", err, ErrKey)
	}
}

// TestPublishedKeys: they are public, say what they are for, and stay while what
// they signed may be good.
func TestPublishedKeys(t *testing.T) {
	h := newHouse(t)
	at := time.Unix(0, clock())
	names := func() (out []string) {
		text := h.keys.JWKS()
		var set struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(text, &set); err != nil {
			t.Fatal(err)
		}
		for _, k := range set.Keys {
			kid, _ := k["kid"].(string)
			alg, _ := k["alg"].(string)
			out = append(out, alg+" "+kid)
			for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "k", memberUntil} {
				if _, there := k[secret]; there {
					t.Errorf("%s is published of %s", secret, kid)
				}
			}
			if k["use"] != "sig" || kid == "" {
				t.Errorf("published: %v", k)
			}
		}
		return out
	}
	first := names()
	if len(first) != 2 || !strings.HasPrefix(first[0], "RS256 ") || first[1] != "ES384 "+h.keys.ID() {
		t.Errorf("published: %v", first)
	}
	h.rotated(t, at.Add(time.Second), time.Hour)
	h.later()
	second := names()
	if len(second) != 4 || !slices.Contains(second, first[0]) || !slices.Contains(second, first[1]) {
		t.Errorf("after rotation: %v, want %v among them", second, first)
	}
	h.rotated(t, at, 0)
	h.later()
	if third := names(); len(third) != 2 || slices.ContainsFunc(second, func(k string) bool { return slices.Contains(third, k) }) {
		t.Errorf("after one at once: %v, want two, and none of %v", third, second)
	}
}
