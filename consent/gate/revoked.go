package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// shelves is how many shelves there are for what is revoked. Who revokes makes the
// servers read one of them again and not all.
const shelves = 64

// revokedPlain is how long an id may be to stand in a key as it is.
const revokedPlain = 256

// keyRevoked is the epoch of all that is revoked.
const keyRevoked = "revoked"

// shelfName is what the keys on a shelf begin with, and the epoch of it.
func shelfName(i int) string { return fmt.Sprintf("%s%02x/", stateRevoked, i) }

// revokedAs is the name under which an id, which may be any text of any length, is
// revoked, and its shelf: every server must find the same.
func revokedAs(id string) (name string, shelf int) {
	if len(id) > revokedPlain || !isKey(id) {
		sum := sha256.Sum256([]byte(id))
		id = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	h := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return id, int(h >> 8 % shelves)
}

// revocations are the shelves that were read, as things were at an epoch of all that
// is revoked.
type revocations struct {
	epoch   uint64
	shelves [shelves]atomic.Pointer[shelf]
}

// shelf is what is revoked, by name, and until when; and the epoch of the shelf.
type shelf struct {
	epoch uint64
	until map[string]time.Time
}

// revoked reports whether something that bears one of the ids is void. What no id
// names cannot be revoked.
func (v *view) revoked(ctx context.Context, ids ...string) (bool, error) {
	known := v.revocations()
	for _, id := range ids {
		if id == "" {
			continue
		}
		name, at := revokedAs(id)
		s, err := v.shelf(ctx, known, at)
		if err != nil {
			return false, err
		}
		if until, there := s.until[name]; there && !isOver(until, v.now) {
			return true, nil
		}
	}
	return false, nil
}

// revocations are those of the view's moment, with the shelves in them that have not
// changed since they were read; nil when nothing can be kept.
func (v *view) revocations() *revocations {
	if v.snap == nil {
		return nil
	}
	epoch, ok := v.snap.Epoch(keyRevoked)
	if !ok {
		return nil
	}
	former := v.g.revocations.Load()
	switch {
	case former == nil:
	case former.epoch == epoch:
		return former
	case former.epoch > epoch: // the view is older than what is kept
		return nil
	}
	next := &revocations{epoch: epoch}
	for i := range shelves {
		if former == nil {
			break
		}
		s := former.shelves[i].Load()
		if s == nil {
			continue
		}
		if e, ok := v.snap.Epoch(shelfName(i)); ok && e == s.epoch {
			next.shelves[i].Store(s)
		}
	}
	v.g.revocations.CompareAndSwap(former, next)
	return next
}

// shelf is one of them, read if it is not known.
func (v *view) shelf(ctx context.Context, known *revocations, i int) (*shelf, error) {
	if known != nil {
		if s := known.shelves[i].Load(); s != nil {
			return s, nil
		}
	}
	name := shelfName(i)
	s := &shelf{until: map[string]time.Time{}}
	err := v.reader.States(ctx, name, "", func(key string, _ []byte, until time.Time) error {
		s.until[key[len(name):]] = until
		return nil
	})
	if err != nil {
		return nil, err
	}
	if known != nil {
		var ok bool
		if s.epoch, ok = v.snap.Epoch(name); ok {
			known.shelves[i].Store(s)
		}
	}
	return s, nil
}

// unrevoked refuses whoever comes with what was revoked, on record.
func (v *visit) unrevoked(ctx context.Context) error {
	void, err := v.revoked(ctx, v.caller.TokenID, v.caller.Grant)
	switch {
	case err != nil:
		return v.g.failed(ctx, err)
	case void:
		return v.denied(ctx, &Refused{Status: http.StatusUnauthorized, Code: "invalid-token"}, "token-revoked", nil)
	default:
		return nil
	}
}
