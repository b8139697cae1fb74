package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost is what an argon2id hash costs: memory in KiB, passes and lanes.
type cost struct {
	memory, passes uint32
	lanes          uint8
}

// usualCost is the second of OWASP's equivalent choices (Password Storage Cheat
// Sheet): 19 MiB, two passes, one lane.
func usualCost() cost { return cost{memory: 19 << 10, passes: 2, lanes: 1} }

// The bounds of what a hash on file may cost; beyond them it is damaged.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 16
	saltBytes = 16
	hashBytes = 32
)

// phcPrefix begins a hash of argon2id, version 19, in the string format of the
// Password Hashing Competition.
const phcPrefix = "$argon2id$v=19$"

// maxPassword bounds what is hashed.
const maxPassword = 1024

// hashPassword makes the hash that is kept of a password.
func hashPassword(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	c := usualCost()
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, c.memory, c.passes, c.lanes, b64(salt), b64(c.key(password, salt, hashBytes)))
}

func (c cost) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.lanes, size)
}

// passwordHash is a hash as it is kept.
type passwordHash struct {
	cost cost
	salt []byte
	sum  []byte
}

// errHash: a password hash on file is not one. It says nothing of what it is.
var errHash = errors.New("a password hash is not one of argon2id")

// readHash reads the string form of a hash.
func readHash(text string) (passwordHash, error) {
	var h passwordHash
	rest, ok := strings.CutPrefix(text, phcPrefix)
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return h, errHash
	}
	n, err := fmt.Sscanf(parts[0], "m=%d,t=%d,p=%d", &h.cost.memory, &h.cost.passes, &h.cost.lanes)
	if err != nil || n != 3 {
		return h, errHash
	}
	var e1, e2 error
	h.salt, e1 = base64.RawStdEncoding.DecodeString(parts[1])
	h.sum, e2 = base64.RawStdEncoding.DecodeString(parts[2])
	c := h.cost
	if e1 != nil || e2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.sum) < 16 || len(h.sum) > 64 ||
		c.lanes == 0 || c.passes == 0 || c.passes > maxPasses || c.memory < 8*uint32(c.lanes) || c.memory > maxMemory {
		return passwordHash{}, errHash
	}
	return h, nil
}

// noHash is compared with when there is no account, so that it takes as long.
// Nothing has this sum.
func noHash() passwordHash {
	return passwordHash{cost: usualCost(), salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)}
}

// matches reports whether the hash is the password's.
func (h passwordHash) matches(password string) bool {
	if len(h.sum) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare(h.cost.key(password, h.salt, uint32(len(h.sum))), h.sum) == 1
}

// hashers bounds how many hashes are worked out at once, since each takes its
// memory. The zero value lets none through.
type hashers struct{ free chan struct{} }

func newHashers(n int) hashers { return hashers{make(chan struct{}, n)} }

// enter waits for a place, until ctx ends; leave gives it back.
func (p hashers) enter(ctx context.Context) error {
	select {
	case p.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p hashers) leave() { <-p.free }
