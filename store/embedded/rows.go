package embedded

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	// keptShards and keptStamps divide the rows kept and the stamps of writes.
	keptShards = 16
	keptStamps = 1 << 12
	// keptLargest is the largest body that is kept.
	keptLargest = 64 << 10
	// keptPart is the part of the block cache's size that rows may take besides.
	keptPart = 8
)

// kept are the current versions, in the full edition, of rows that were read by
// id of late: the record that is open on somebody's screen is read many times.
//
// A row is kept with the number of commits that the snapshot knew from which it
// was read. Every write stamps what it writes with its own number before it can
// be seen; rows share stamps. A kept row is what a snapshot would read if no
// stamp is above either number. See epochs, which go by the same argument.
type kept struct {
	seed   maphash.Seed
	most   int // bytes in a shard
	stamps [keptStamps]atomic.Uint64
	shards [keptShards]keptShard
}

type keptShard struct {
	mu    sync.RWMutex
	bytes int
	rows  map[keptKey]*keptRow
}

type keptKey struct {
	t  typeNumber
	id string
}

// keptRow is never changed.
type keptRow struct {
	n      number
	head   header
	body   []byte
	commit uint64
}

// size is about what a row takes in memory.
func (r *keptRow) size() int { return len(r.body) + 512 }

func newKept(cache int64) *kept {
	k := &kept{seed: maphash.MakeSeed(), most: int(cache / keptPart / keptShards)}
	for i := range k.shards {
		k.shards[i].rows = map[keptKey]*keptRow{}
	}
	return k
}

func (k *kept) hash(t typeNumber, id string) uint64 {
	return maphash.String(k.seed, id) + uint64(t)
}

// stamp marks what a write writes, by hash, before the write can be seen.
func (k *kept) stamp(hashes []uint64, commit uint64) {
	for _, h := range hashes {
		k.stamps[h%keptStamps].Store(commit)
	}
}

// get is the row as a snapshot of that commit would read it; nil when that is
// not known.
func (k *kept) get(t typeNumber, id string, commit uint64) *keptRow {
	h := k.hash(t, id)
	s := &k.shards[h>>32%keptShards]
	s.mu.RLock()
	r := s.rows[keptKey{t, id}]
	s.mu.RUnlock()
	if r == nil || k.stamps[h%keptStamps].Load() > min(commit, r.commit) {
		return nil
	}
	return r
}

// put keeps a row that a snapshot of that commit has read, and returns it. The
// stamp is looked at after the reading.
func (k *kept) put(t typeNumber, p *place, commit uint64) *keptRow {
	h := k.hash(t, p.head.id)
	if len(p.body) > keptLargest || k.stamps[h%keptStamps].Load() > commit {
		return nil
	}
	r := &keptRow{n: p.n, head: p.head, body: bytes.Clone(p.body), commit: commit}
	s := &k.shards[h>>32%keptShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keptKey{t, p.head.id}
	if old := s.rows[key]; old != nil {
		s.bytes -= old.size()
	}
	s.rows[key] = r
	s.bytes += r.size()
	for other, old := range s.rows { // any will do
		if s.bytes <= k.most {
			break
		}
		delete(s.rows, other)
		s.bytes -= old.size()
	}
	return r
}
