package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// disorder is by how much the order in which events got their rows may differ from
// that of time: no event was recorded later than one that got its row after it, but
// for so many milliseconds. Requests that end in another order than they began make
// it some seconds; a copy may make it more. It never shrinks.
type disorder struct {
	latest int64 // when the latest event so far was recorded; under the shelf's lock
	by     atomic.Int64
}

func (d *disorder) open(eng *pebble.DB, begun bool) error {
	d.latest = math.MinInt64
	if begun {
		d.by.Store(math.MaxInt64) // nobody knows
	}
	v, closer, err := eng.Get([]byte(metaDisorder))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(v) != 16 {
		return fmt.Errorf("%w: the order of events", errSchema)
	}
	d.latest = int64(binary.BigEndian.Uint64(v))      //nolint:gosec // as it was written
	d.by.Store(int64(binary.BigEndian.Uint64(v[8:]))) //nolint:gosec // as it was written
	return nil
}

// add takes in events in the order of their rows, before these can be seen, and
// returns what is to be kept with them.
func (d *disorder) add(events []shelved) []byte {
	by := d.by.Load()
	for i := range events {
		at := events[i].recorded.UnixMilli()
		if d.latest > at && by < math.MaxInt64 {
			by = max(by, d.latest-at)
		}
		d.latest = max(d.latest, at)
	}
	d.by.Store(by)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(d.latest)), uint64(by)) //nolint:gosec // the way back is as above
}
