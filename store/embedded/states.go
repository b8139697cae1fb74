package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/store"
)

var errStateRow = errors.New("malformed state")

func keyState(key string) []byte { return append([]byte{spaceState}, key...) }

// cutState splits what is kept of a state; both parts are copies.
func cutState(row []byte) (value []byte, until time.Time, err error) {
	if len(row) < 8 {
		return nil, time.Time{}, errStateRow
	}
	until = time.UnixMilli(int64(binary.BigEndian.Uint64(row))).UTC() //nolint:gosec // it was one
	return append([]byte{}, row[8:]...), until, nil
}

// State returns the value under the key.
func (v *view) State(ctx context.Context, key string) (value []byte, until time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	row, closer, err := v.src.Get(keyState(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	value, until, err = cutState(row)
	return value, until, errors.Join(err, closer.Close())
}

// States walks the states whose keys have the prefix.
func (v *view) States(ctx context.Context, prefix, beyond string, each func(key string, value []byte, until time.Time) error) error {
	lower := keyState(prefix)
	upper := after(lower)
	if beyond >= prefix {
		lower = append(keyState(beyond), 0)
	}
	if bytes.Compare(lower, upper) >= 0 {
		return ctx.Err()
	}
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = ctx.Err()
		var row []byte
		if err == nil {
			row, err = it.ValueAndErr()
		}
		var s store.State
		if err == nil {
			s.Value, s.Until, err = cutState(row)
		}
		if err == nil {
			err = each(string(it.Key()[1:]), s.Value, s.Until)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// SetState puts a value under the key or takes it away.
func (x *tx) SetState(key string, value []byte, until time.Time) error {
	if x.over {
		return errOver
	}
	if err := store.CheckState(key, value); err != nil {
		return err
	}
	x.stated = true
	if value == nil {
		return x.del(keyState(key))
	}
	return x.set(keyState(key), binary.BigEndian.AppendUint64(nil, uint64(until.UnixMilli())), value) //nolint:gosec // it comes back as it went
}

// AllStates reads the states in the order of their keys.
func (db *DB) AllStates(ctx context.Context, after []byte) (some []store.State, next []byte, err error) {
	size := 0
	next, err = db.eachKey(ctx, []byte{spaceState}, after, func(_ *view, key, row []byte) (bool, error) {
		value, until, err := cutState(row)
		if err != nil {
			return false, fmt.Errorf("copy: %w", err)
		}
		some = append(some, store.State{Key: string(key[1:]), Value: value, Until: until})
		size += len(key) + len(row)
		return len(some) < copyMost && size < copyBytes, nil
	})
	return some, next, err
}
