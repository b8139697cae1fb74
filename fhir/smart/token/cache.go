package token

import (
	"crypto/sha256"
	"sync"
	"time"

	"vitrine/fhir/smart"
)

// The size of the cache: at about half a kilobyte a token, 16 MiB at most.
const (
	cacheShards    = 32
	cacheShardSize = 1024
)

// fingerprint is the SHA-256 of a token: the cache holds no token.
type fingerprint [sha256.Size]byte

// fingerprintOf hashes in a buffer of its own, because turning a string into
// bytes would allocate on the path of every request. Most tokens fit a buffer
// that is cleared in no time.
func fingerprintOf(bearer string) fingerprint {
	var buf [1 << 10]byte
	if len(bearer) > len(buf) {
		return fingerprintOfLong(bearer)
	}
	return sha256.Sum256(buf[:copy(buf[:], bearer)])
}

//go:noinline // or its buffer would be cleared by every caller
func fingerprintOfLong(bearer string) fingerprint {
	var buf [MaxSize]byte
	return sha256.Sum256(buf[:copy(buf[:], bearer)])
}

// origin is what a verified token rests on: a key of one state of a key set.
type origin struct {
	keys       *keySet
	generation uint64
	// until is when the key counts for nothing any more; zero when that is not known.
	until time.Time
}

// stands reports whether what it proved still holds.
func (o *origin) stands(now time.Time) bool {
	return (o.until.IsZero() || now.Before(o.until)) && o.keys.stands(o.generation, now)
}

// cache keeps verified tokens until they expire, their issuer's keys change or
// become due for a look, or room is needed; the one longest unused goes first.
type cache struct {
	shards [cacheShards]shard
}

type shard struct {
	mu      sync.Mutex
	entries map[fingerprint]*entry
	// ring is the sentinel of the list in order of use; next is the newest.
	ring entry
}

type entry struct {
	key        fingerprint
	token      smart.Token
	origin     origin
	prev, next *entry
}

func newCache() *cache {
	c := &cache{}
	for i := range c.shards {
		s := &c.shards[i]
		s.entries = make(map[fingerprint]*entry)
		s.ring.prev, s.ring.next = &s.ring, &s.ring
	}
	return c
}

func (c *cache) shard(k fingerprint) *shard { return &c.shards[k[0]%cacheShards] }

func (c *cache) get(k fingerprint, now time.Time) (smart.Token, bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[k]
	if !ok {
		return smart.Token{}, false
	}
	if !now.Before(e.token.Expires) || !e.origin.stands(now) {
		s.drop(e)
		return smart.Token{}, false
	}
	e.unlink()
	s.use(e)
	return e.token, true
}

func (c *cache) put(k fingerprint, t smart.Token, o origin, now time.Time) {
	if !now.Before(t.Expires) {
		return
	}
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.entries[k]; ok {
		s.drop(old)
	}
	if len(s.entries) >= cacheShardSize {
		s.drop(s.ring.prev)
	}
	e := &entry{key: k, token: t, origin: o}
	s.entries[k] = e
	s.use(e)
}

func (s *shard) drop(e *entry) {
	e.unlink()
	delete(s.entries, e.key)
}

// use puts e at the newest end.
func (s *shard) use(e *entry) {
	e.prev, e.next = &s.ring, s.ring.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
