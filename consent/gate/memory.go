package gate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"vitrine/fhir/smart"
	"vitrine/store"
)

// The name spaces of states. The authorization server reads and writes what is
// below its own and nothing else.
const (
	stateOAuth   = "oauth/"
	stateRevoked = "revoked/"
)

// Recall returns what the authorization server keeps under the key at now; nil
// for nothing.
func (g *Gate) Recall(ctx context.Context, key string, now time.Time) ([]byte, error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	defer func() { _ = snap.Close() }()
	value, err := recall(ctx, snap, key, now)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	return value, nil
}

func recall(ctx context.Context, r store.Reader, key string, now time.Time) ([]byte, error) {
	if !isKey(stateOAuth + key) {
		return nil, nil // nothing is kept there
	}
	value, until, err := r.State(ctx, stateOAuth+key)
	if err != nil || isOver(until, now) {
		return nil, err
	}
	return value, nil
}

func isKey(s string) bool { return store.CheckState(s, nil) == nil }

// isOver reports whether the time of a state is.
func isOver(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// Remember runs do alone on the newest state. What it kept is durable, as a whole,
// when Remember returns nil; nothing of it is when do fails. do may be run again.
func (g *Gate) Remember(ctx context.Context, now time.Time, do func(smart.Memory) error) error {
	var refused error
	err := g.store.Write(ctx, func(tx store.Tx) error {
		m := &memory{ctx: ctx, tx: tx, now: now}
		refused = do(m)
		if m.failed != nil { // whatever became of it
			refused = nil
			return m.failed
		}
		return refused
	})
	switch {
	case err == nil:
		return nil
	case refused != nil && errors.Is(err, refused):
		return refused
	default:
		return g.failed(ctx, err)
	}
}

// memory is the smart.Memory of one write.
type memory struct {
	ctx context.Context //nolint:containedctx // of the write, whose life is that of the memory
	tx  store.Tx
	now time.Time
	// failed is the store's first failure. Nothing may be kept after it.
	failed error
}

var _ smart.Memory = (*memory)(nil)

// Recall implements smart.Memory.
func (m *memory) Recall(key string) ([]byte, error) {
	value, err := recall(m.ctx, m.tx, key, m.now)
	return value, m.fails(err)
}

var (
	errNoEnd = errors.New("a state without an end")
	errNoID  = errors.New("revoked without an id")
)

// Keep implements smart.Memory.
func (m *memory) Keep(key string, value []byte, until time.Time) error {
	if until.IsZero() {
		return m.fails(errNoEnd)
	}
	if value == nil {
		value = []byte{}
	}
	return m.fails(m.tx.SetState(stateOAuth+key, value, until))
}

// Forget implements smart.Memory.
func (m *memory) Forget(key string) error {
	if !isKey(stateOAuth + key) {
		return nil
	}
	return m.fails(m.tx.SetState(stateOAuth+key, nil, time.Time{}))
}

// Revoke implements smart.Memory.
func (m *memory) Revoke(id string, until time.Time) error {
	if id == "" {
		return m.fails(errNoID)
	}
	name, at := revokedAs(id)
	key := shelfName(at) + name
	was, before, err := m.tx.State(m.ctx, key)
	if err != nil {
		return m.fails(err)
	}
	if was != nil && (before.IsZero() || until.Before(before)) {
		until = before
	}
	m.tx.Touch(keyRevoked, shelfName(at))
	return m.fails(m.tx.SetState(key, []byte{}, until))
}

func (m *memory) fails(err error) error {
	if err != nil && m.failed == nil {
		m.failed = err
	}
	return err
}

const (
	// sweptAtOnce is how many states are looked at, and sweptMost how many in one
	// round.
	sweptAtOnce = 500
	sweptMost   = 40 * sweptAtOnce
)

// sweeper is where the search for what is over goes on.
type sweeper struct {
	mu sync.Mutex
	at string
}

var errEnough = errors.New("enough")

// forget takes away states whose time is over: those of the next part, which
// begins again after the last.
func (g *Gate) forget(ctx context.Context, now time.Time) error {
	g.swept.mu.Lock()
	defer g.swept.mu.Unlock()
	for seen := 0; seen < sweptMost; seen += sweptAtOnce {
		over, last, err := g.over(ctx, now, g.swept.at)
		if err != nil {
			return g.failed(ctx, err)
		}
		if err := g.forgetAll(ctx, now, over); err != nil {
			return g.failed(ctx, err)
		}
		if g.swept.at = last; last == "" {
			break
		}
	}
	return nil
}

// over are the keys beyond another whose time is over, and the last that was
// looked at; empty when nothing comes after it.
func (g *Gate) over(ctx context.Context, now time.Time, beyond string) (keys []string, last string, err error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = snap.Close() }()
	seen := 0
	err = snap.States(ctx, "", beyond, func(key string, _ []byte, until time.Time) error {
		if seen == sweptAtOnce {
			return errEnough
		}
		if seen, last = seen+1, key; strings.HasPrefix(key, stateNoticeMet) { // these have no end, and are many
			last = stateMetEnd
			return errEnough
		}
		if isOver(until, now) {
			keys = append(keys, key)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return keys, last, nil
	}
	return keys, "", err
}

// forgetAll takes them away that are over still.
func (g *Gate) forgetAll(ctx context.Context, now time.Time, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return g.store.Write(ctx, func(tx store.Tx) error {
		for _, key := range keys {
			value, until, err := tx.State(ctx, key)
			if err != nil {
				return err
			}
			if value == nil || !isOver(until, now) {
				continue
			}
			if err := tx.SetState(key, nil, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
}
