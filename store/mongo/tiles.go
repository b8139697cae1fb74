package mongo

import (
	"context"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"vitrine/store"
)

// perTile is how many hashes a whole tile has.
const perTile = 1 << store.TileHeight

// tileAt is the place of a tile: its level among tiles, and its number there.
type tileAt struct {
	level int
	n     int64
}

// key is the key of a tile, in the order of levels.
func (a tileAt) key() []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(a.level)}, uint64(a.n)) //nolint:gosec // neither is below zero
}

// tileDocument has as many hashes of a tile as there are so far.
type tileDocument struct {
	ID     []byte `bson:"_id"`
	Hashes []byte `bson:"h"`
}

// tree is the right edge of the tree under way: of each level the tile that is
// being filled, and what was filled before.
type tree struct {
	size  int64
	tiles map[tileAt][]byte
}

// add makes a leaf of a record. A tile that is full is a leaf of the tile above.
func (t *tree) add(record []byte) {
	h := tlog.RecordHash(record)
	for level, n := 0, t.size; ; level, n = level+1, n>>store.TileHeight {
		at := tileAt{level, n >> store.TileHeight}
		t.tiles[at] = append(t.tiles[at], h[:]...)
		if (n+1)%perTile != 0 {
			break
		}
		h = rootOf(t.tiles[at])
	}
	t.size++
}

// rootOf is the hash of a whole tile.
func rootOf(hashes []byte) tlog.Hash {
	level := make([]tlog.Hash, len(hashes)/tlog.HashSize)
	for i := range level {
		copy(level[i][:], hashes[i*tlog.HashSize:])
	}
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// treeAt reads the right edge of the tree. A tile that lacks hashes is not built
// upon; one that has more was left by a write that did not come to its end.
func (db *DB) treeAt(in context.Context, size int64) (*tree, error) {
	t := &tree{size: size, tiles: map[tileAt][]byte{}}
	var edge []tileAt
	var keys [][]byte
	for level, n := 0, size; n > 0; level, n = level+1, n>>store.TileHeight {
		if n%perTile != 0 {
			at := tileAt{level, n >> store.TileHeight}
			edge, keys = append(edge, at), append(keys, at.key())
		}
	}
	found, err := db.readTiles(in, keys)
	if err != nil {
		return nil, err
	}
	for _, at := range edge {
		hashes := found[string(at.key())]
		width := int(size>>(store.TileHeight*at.level)%perTile) * tlog.HashSize
		if len(hashes) < width {
			return nil, errTree
		}
		t.tiles[at] = hashes[:width:width]
	}
	return t, nil
}

// readTiles reads the hashes of those tiles that are there, by key.
func (db *DB) readTiles(ctx context.Context, keys [][]byte) (map[string][]byte, error) {
	found := map[string][]byte{}
	if len(keys) == 0 {
		return found, nil
	}
	cur, err := db.collection(collTiles).Find(ctx, among("_id", keys))
	if err != nil {
		return nil, clean(err)
	}
	defer func() { _ = cur.Close(ctx) }()
	for cur.Next(ctx) {
		var d tileDocument
		if cur.Decode(&d) == nil { // else it is as good as lost
			found[string(d.ID)] = d.Hashes
		}
	}
	return found, clean(cur.Err())
}
