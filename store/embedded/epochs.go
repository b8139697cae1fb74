package embedded

import (
	"slices"
	"sync"
	"sync/atomic"
)

// maxEpochs bounds the memory of epochs; beyond it all are forgotten at once,
// which makes every cached fact stale and none wrong.
const maxEpochs = 1 << 20

// epochs say when the facts under a key last changed, as the number of the
// commit. They live as long as the process, like the caches they serve.
//
// A key's epoch is raised before its commit can be seen, and the number of
// commits after. A snapshot takes that number before it is made. So whatever
// the snapshot sees of a commit whose number it does not have, the key's epoch
// is above the number, and Epoch says that it cannot tell.
type epochs struct {
	commits atomic.Uint64

	mu    sync.RWMutex
	last  map[string]uint64
	floor uint64
}

// touch raises the epochs of the keys for the commit that is coming, whose
// number it returns. The one writer calls it.
func (e *epochs) touch(keys []string) uint64 {
	next := e.commits.Load() + 1
	if len(keys) == 0 {
		return next
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last == nil || len(e.last) > maxEpochs {
		if e.last != nil {
			e.floor = next
		}
		e.last = make(map[string]uint64)
	}
	for _, k := range keys {
		e.last[k] = next
	}
	return next
}

// done tells that the commit can be seen.
func (e *epochs) done(commit uint64) { e.commits.Store(commit) }

func (e *epochs) at(key string, commit uint64) (epoch uint64, ok bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	last, known := e.last[key]
	if !known {
		last = e.floor
	}
	if last > commit {
		return 0, false
	}
	return last, true
}

// Epoch says when the facts under key last changed before this write, which has
// the turn: nobody changes them meanwhile.
func (x *tx) Epoch(key string) (epoch uint64, ok bool) {
	if slices.Contains(x.touched, key) {
		return 0, false
	}
	return x.db.epochs.at(key, x.db.epochs.commits.Load())
}
