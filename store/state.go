package store

import (
	"errors"
	"time"
	"unicode/utf8"
)

// State is a small value by its key, with an end: what servers keep between two
// requests and beside the record, such as sessions and what was revoked. It has no
// versions and no history, and no universe: whoever reads it is the server.
//
// Stores do not forget by themselves. A value whose time is over may still come
// back: who asks compares.
type State struct {
	Key   string
	Value []byte
	// Until is when its time is over, to the millisecond; zero for never.
	Until time.Time
}

// What a state may have at most, in bytes.
const (
	MostStateKey   = 512
	MostStateValue = 64 << 10
)

// ErrState is the refusal of a key or a value that no store keeps.
var ErrState = errors.New("not a state that can be stored")

// CheckState is for stores: a key is text, and neither it nor the value is longer
// than they may be.
func CheckState(key string, value []byte) error {
	if key == "" || len(key) > MostStateKey || !utf8.ValidString(key) || len(value) > MostStateValue {
		return ErrState
	}
	return nil
}
