package store

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is the height of the tiles in which a Log keeps its tree: a tile has
// the hashes of up to 256 nodes of one level.
const TileHeight = 8

// Log is the record of accesses as a Merkle tree (RFC 6962 §2.1, tlog). Its leaves
// are the records of Record and Tx.Record, byte for byte, each once, in an order
// that the store gives once and for all. A record is durable when it is
// acknowledged, and a leaf of the tree after the next Grow. Every Store is one.
type Log interface {
	// Grow makes a leaf of every record that was acknowledged before the call, and
	// returns how many leaves there are. What they and the tiles say is durable
	// then. Several servers on one store may call it at the same time.
	Grow(ctx context.Context) (size int64, err error)
	// Tiles returns the hashes of tiles of TileHeight, as tlog.TileReader does. One
	// that the tree is too small for is an error; one that is lost or damaged
	// comes back as it is, or empty, for whoever verifies it to say so.
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// Leaves calls each with the records from one index up to another, exclusive,
	// in order, until it fails. A record that is gone is nil. record must not be
	// kept.
	Leaves(ctx context.Context, from, to int64, each func(index int64, record []byte) error) error
	// Leaf is the index of the record of an event, by the event's id; ok is false
	// when there is none, or it is no leaf yet.
	Leaf(ctx context.Context, id [16]byte) (index int64, ok bool, err error)
}

// ErrPutAway says that records of the log were put away, so that what is asked for cannot be
// made of this store alone.
var ErrPutAway = errors.New("records of the log were put away")

// Archive is a Log whose oldest leaves can be put away. Every Store is one.
type Archive interface {
	Log
	// PutAway drops the records of all leaves before an index, and the AuditEvents
	// that are made of them, which nobody finds any more. The tree stays what it
	// is: tiles and proofs hold, and Leaves has nil in their place. That the records
	// are safe elsewhere is the caller's to know: they are never given back. What
	// was put away before stays so, and a call that did not come to its end is
	// repeated.
	PutAway(ctx context.Context, to int64) error
	// Hot is the index of the first leaf that was not put away.
	Hot(ctx context.Context) (index int64, err error)
}
