package token

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"vitrine/fhir/smart"
)

func TestCachedTokenDiesWhenItExpires(t *testing.T) {
	h := newHouse(t)
	text := h.mint(t, nil)
	if _, err := h.verifier.Verify(t.Context(), text, now()); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.verifier.cache.get(fingerprintOf(text), now().Add(time.Hour-time.Second)); !ok {
		t.Error("it was not cached until then")
	}
	if _, err := h.verifier.Verify(t.Context(), text, now().Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v, want ErrExpired", err)
	}
}

func TestRefusedTokenIsNotCached(t *testing.T) {
	h := newHouse(t)
	text := h.mint(t, func(c *Claims) { c.NotBefore = now().Add(time.Hour) })
	for range 2 {
		if _, err := h.verifier.Verify(t.Context(), text, now()); !errors.Is(err, ErrNotYet) {
			t.Fatalf("got %v, want ErrNotYet", err)
		}
	}
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := newCache()
	own := &keySet{}
	own.current.Store(&keys{})
	keyOf := func(n int) (k fingerprint) { // all in one shard
		binary.BigEndian.PutUint64(k[8:], uint64(n))
		return k
	}
	token := smart.Token{Expires: now().Add(time.Hour)}
	for n := range cacheShardSize + 100 {
		c.put(keyOf(n), token, origin{keys: own}, now())
		if _, ok := c.get(keyOf(0), now()); !ok {
			t.Fatalf("the one in use was dropped after %d", n)
		}
	}
	if got := len(c.shards[0].entries); got != cacheShardSize {
		t.Errorf("%d entries, want %d", got, cacheShardSize)
	}
	if _, ok := c.get(keyOf(1), now()); ok {
		t.Error("the one longest unused is still there")
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	h := newHouse(t)
	text := h.mint(t, nil)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := h.verifier.Verify(t.Context(), text, now()); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a hit, want none", n)
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	v, text := benchmarked(b)
	at := now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), text, at); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyFresh(b *testing.B) {
	v, text := benchmarked(b)
	at := now()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.verify(b.Context(), text, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyIssuer is a token of another issuer, its keys at hand, by algorithm.
func BenchmarkVerifyIssuer(b *testing.B) {
	h := newHouse(b)
	at := now()
	for _, kid := range []string{"es256", "es384", "rs256", "ps384"} {
		text := h.sign(b, kid, nil, theirs())
		b.Run(kid, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := h.verifier.verify(b.Context(), text, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarked(b *testing.B) (*Verifier, string) {
	b.Helper()
	keys, err := OpenKeys(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	v, err := NewVerifier(Config{Keys: keys, OwnIssuer: ownName, Audience: []string{base}, Base: base})
	if err != nil {
		b.Fatal(err)
	}
	text, err := keys.Mint(good())
	if err != nil {
		b.Fatal(err)
	}
	return v, text
}
