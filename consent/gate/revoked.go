package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// revokedPlain is how long an id may be to stand in a key as it is.
const revokedPlain = 256

// keyRevoked is the key under which the id is revoked. They lie on shelves, by a
// hash, each with an epoch of its own: who revokes makes the servers read that one
// again and not all. An id may be any text of any length.
func keyRevoked(id string) string {
	if len(id) > revokedPlain || !isKey(id) {
		sum := sha256.Sum256([]byte(id))
		id = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	h := uint32(2166136261) // FNV-1a: every server must find the same
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	const digits = "0123456789abcdef"
	return stateRevoked + string([]byte{digits[h>>28&3], digits[h>>24&15]}) + "/" + id
}

// shelves is how many there are.
const shelves = 64

// shelfOf is the shelf of a key of what is revoked, and the epoch of all on it.
func shelfOf(key string) string { return key[:len(stateRevoked)+3] }

// revoked reports whether something that bears one of the ids is void. What no id
// names cannot be revoked.
func (v *view) revoked(ctx context.Context, ids ...string) (bool, error) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		key := keyRevoked(id)
		shelf, err := v.shelf(ctx, shelfOf(key))
		if err != nil {
			return false, err
		}
		if until, there := shelf[key]; there && !isOver(until, v.now) {
			return true, nil
		}
	}
	return false, nil
}

// shelf is what lies there, and until when.
func (v *view) shelf(ctx context.Context, name string) (map[string]time.Time, error) {
	if kept, ok := v.g.revocations.get(name, v.snap, v.now); ok {
		return kept, nil
	}
	var b basis
	b.on(v.snap, name)
	all := map[string]time.Time{}
	err := v.reader.States(ctx, name, "", func(key string, _ []byte, until time.Time) error {
		all[key] = until
		return nil
	})
	if err != nil {
		return nil, err
	}
	v.g.revocations.put(name, all, b)
	return all, nil
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
