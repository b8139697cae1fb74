package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// KeyFile is the name of the file in the data directory that holds the server's
// own keys as a JWK set. Whoever may read it may mint tokens.
const KeyFile = "token-key.json"

// Keys are the server's own keys: one that signs access tokens (ES384), one that
// signs id_tokens (RS256), and those that signed before them and are honoured
// until their tokens have run out. Other processes may rotate them: the file is
// looked at again as they are used. Safe for concurrent use.
type Keys struct {
	path    string
	current atomic.Pointer[ring]
	looked  atomic.Int64 // when the file was looked at, in nanoseconds
	mu      sync.Mutex   // held while it is read
}

// lookEvery lies between two looks at the file, but for a kid that is not known.
const lookEvery = 2 * time.Second

// OpenKeys reads the keys of a data directory, and makes one to sign with if there
// is none. Of several processes that start at once, all get the same key.
func OpenKeys(dir string) (*Keys, error) {
	path := filepath.Join(dir, KeyFile)
	r, err := readRing(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createRing(dir, path); err != nil {
			return nil, fmt.Errorf("make signing key: %w", err)
		}
		r, err = readRing(path)
	}
	if err != nil {
		return nil, err
	}
	k := &Keys{path: path}
	k.current.Store(r)
	k.looked.Store(clock())
	return k, nil
}

// ID is the kid of the key that signs access tokens: its JWK thumbprint (RFC 7638).
func (k *Keys) ID() string { return k.ring().signing.id }

// clock says how long ago a look was, never when.
func clock() int64 { return time.Now().UnixNano() } //nolint:forbidigo // no decision depends on it

// ring is the keys as they were a moment ago at most.
func (k *Keys) ring() *ring {
	if at := k.looked.Load(); clock()-at >= int64(lookEvery) && k.looked.CompareAndSwap(at, clock()) {
		k.look()
	}
	return k.current.Load()
}

// look reads the file again if it is another. One that cannot be read leaves the
// keys as they are.
func (k *Keys) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	former := k.current.Load()
	info, err := os.Stat(k.path)
	if err != nil || former.is(info) {
		return
	}
	next, err := readRing(k.path)
	if err != nil {
		return
	}
	next.generation = former.generation + 1
	k.current.Store(next)
}

// find returns the key of that name which may have signed an access token at now.
func (k *Keys) find(kid string, now time.Time) (key publicKey, generation uint64, err error) {
	r := k.ring()
	key, ok := r.verifying(kid, now)
	if !ok {
		k.look()
		r = k.current.Load()
		key, ok = r.verifying(kid, now)
	}
	if !ok {
		return publicKey{}, 0, ErrKey
	}
	return key, r.generation, nil
}

// JWKS is the key set that clients verify id_tokens with, and whoever may, access
// tokens: public keys alone (RFC 7517 §5).
func (k *Keys) JWKS() []byte {
	r, err := k.complete()
	if err != nil {
		r = k.ring() // what there is
	}
	return r.public(time.Unix(0, clock()))
}

// complete is the keys with one for id_tokens, which is made when it is missing.
func (k *Keys) complete() (*ring, error) {
	if r := k.ring(); r.identity != nil {
		return r, nil
	}
	err := change(k.path, func(r *ring) error {
		if r.identity != nil {
			return nil
		}
		return r.makeIdentity()
	})
	if err != nil {
		return nil, err
	}
	k.look()
	if r := k.current.Load(); r.identity != nil {
		return r, nil
	}
	return nil, errNoIdentity
}

var errNoIdentity = errors.New("there is no key for id_tokens")

// Key is what may be told of a key.
type Key struct {
	// ID is its kid.
	ID string
	// Algorithm is ES384 for access tokens and RS256 for id_tokens.
	Algorithm string
	// Until is when it counts for nothing any more; zero for one that signs.
	Until time.Time
}

// List is what keys there are.
func (k *Keys) List() ([]Key, error) {
	r, err := k.complete()
	if err != nil {
		return nil, err
	}
	return r.list(), nil
}

// Rotate puts new keys in the place of those that sign, which are honoured until
// keep has passed, and forgets those whose time is over. It is one step for all
// who use the directory; servers that run notice by themselves.
func Rotate(dir string, now time.Time, keep time.Duration) ([]Key, error) {
	path := filepath.Join(dir, KeyFile)
	err := change(path, func(r *ring) error { return r.rotate(now, now.Add(keep)) })
	if err != nil {
		return nil, err
	}
	r, err := readRing(path)
	if err != nil {
		return nil, err
	}
	return r.list(), nil
}
