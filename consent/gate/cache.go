package gate

import (
	"container/list"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// epochs tell the state of facts, as store.Snapshot and store.Tx do.
type epochs interface {
	Epoch(key string) (epoch uint64, ok bool)
}

// basis is what something was worked out from: the epochs of the facts it
// depends on, and the moment until which it holds at most.
type basis struct {
	keys   []string
	epochs []uint64
	// until is zero when time alone changes nothing.
	until time.Time
	// loose says that an epoch could not be told: nothing may be kept.
	loose bool
}

// on adds a key to the basis. A nil snapshot is a write under way, from which
// nothing is kept.
func (b *basis) on(snap epochs, key string) {
	if snap == nil {
		b.loose = true
		return
	}
	if slices.Contains(b.keys, key) {
		return
	}
	epoch, ok := snap.Epoch(key)
	if !ok {
		b.loose = true
		return
	}
	b.keys, b.epochs = append(b.keys, key), append(b.epochs, epoch)
}

// within shortens the time for which the basis holds.
func (b *basis) within(t time.Time) {
	if !t.IsZero() && (b.until.IsZero() || t.Before(b.until)) {
		b.until = t
	}
}

// holds reports whether what was worked out from b is still so.
func (b *basis) holds(snap epochs, now time.Time) bool {
	if b.loose || snap == nil || (!b.until.IsZero() && !now.Before(b.until)) {
		return false
	}
	for i, key := range b.keys {
		if epoch, ok := snap.Epoch(key); !ok || epoch != b.epochs[i] {
			return false
		}
	}
	return true
}

// cache keeps what was worked out, the least recently used first to go. It is
// safe for concurrent use; its values are shared and must not be changed.
type cache[K comparable, V any] struct {
	seed   maphash.Seed
	shards [cacheShards]shard[K, V]
}

const cacheShards = 32

type shard[K comparable, V any] struct {
	mu    sync.Mutex
	limit int
	items map[K]*list.Element
	order list.List
}

type cached[K comparable, V any] struct {
	key   K
	value V
	basis basis
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].limit = max(limit/cacheShards, 1)
		c.shards[i].items = make(map[K]*list.Element)
		c.shards[i].order.Init()
	}
	return c
}

func (c *cache[K, V]) shard(key K) *shard[K, V] {
	return &c.shards[maphash.Comparable(c.seed, key)%cacheShards]
}

// get returns the value kept under key if what it was worked out from is still
// so at the snapshot.
func (c *cache[K, V]) get(key K, snap epochs, now time.Time) (value V, ok bool) {
	s := c.shard(key)
	s.mu.Lock()
	e, found := s.items[key]
	if !found {
		s.mu.Unlock()
		return value, false
	}
	s.order.MoveToFront(e)
	kept, _ := e.Value.(*cached[K, V])
	s.mu.Unlock()
	if kept == nil || !kept.basis.holds(snap, now) {
		return value, false
	}
	return kept.value, true
}

// put keeps the value, unless its basis is loose.
func (c *cache[K, V]) put(key K, value V, b basis) {
	if b.loose {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := &cached[K, V]{key: key, value: value, basis: b}
	if e, found := s.items[key]; found {
		e.Value = kept
		s.order.MoveToFront(e)
		return
	}
	s.items[key] = s.order.PushFront(kept)
	for s.order.Len() > s.limit {
		last := s.order.Back()
		if old, ok := last.Value.(*cached[K, V]); ok {
			delete(s.items, old.key)
		}
		s.order.Remove(last)
	}
}
