package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// errNoRoom: the disk has too little room for anything more.
var errNoRoom = errors.New("the disk has no room left but the reserve")

// reserve is the room on the disk that is left to the engine: to empty its
// memory into tables, to merge tables, and for the log that is begun. Nothing
// more is taken once it begins to shrink, and everything again when there is room:
// an engine that cannot write its log cannot go on, and has to end.
type reserve struct {
	fs    vfs.FS
	dir   string
	least uint64
	log   *slog.Logger
	short atomic.Bool
}

// room reports whether there is room for so many bytes: they are written to the
// log, and to a table later.
func (r *reserve) room(size int) error {
	usage, err := r.fs.GetDiskUsage(r.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("room on the disk: %w", err)
	}
	if usage.AvailBytes >= r.least+2*uint64(size) { //nolint:gosec // a length
		if r.short.CompareAndSwap(true, false) {
			r.log.Warn("the disk has room again: writes and records are taken")
		}
		return nil
	}
	if r.short.CompareAndSwap(false, true) {
		r.log.Error("the disk has no room left but the reserve: nothing is taken until it has")
	}
	return errNoRoom
}

// Ping fails while there is no room: nothing can be written, and without a record
// nothing can be read.
func (db *DB) Ping(context.Context) error { return db.reserve.room(0) }

// hand gives a batch to the engine, which queues it for the log. An engine that
// panics holds locks that others wait for.
func hand(eng *pebble.DB, batch *pebble.Batch, log engineLog) error {
	defer func() {
		if p := recover(); p != nil {
			log.end("commit")
		}
	}()
	return eng.ApplyNoSyncWait(batch, pebble.Sync)
}

// synced waits until a batch is on the disk. If it cannot be put there, no later
// one can, and what it wrote can be seen and is not kept.
func synced(batch *pebble.Batch, log engineLog) error {
	if batch.SyncWait() != nil {
		log.end("log")
	}
	return batch.Close()
}
