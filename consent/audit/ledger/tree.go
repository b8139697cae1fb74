package ledger

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"
)

// readSmall reads a file that is no longer than most.
func readSmall(fsys fs.FS, path string, most int64) ([]byte, error) {
	f, err := openFile(fsys, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, broken(path, "it cannot be read")
	}
	if int64(len(b)) > most {
		return nil, brokenAt(path, most, "it goes on where it should end")
	}
	return b, nil
}

// openFile opens a plain file: what is none may never end.
func openFile(fsys fs.FS, path string) (fs.File, error) {
	info, err := fs.Stat(fsys, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, broken(path, "it is missing")
	case err == nil && !info.Mode().IsRegular():
		return nil, broken(path, "no plain file")
	}
	f, err := fsys.Open(path)
	if err != nil {
		return nil, broken(path, "it cannot be read")
	}
	return f, nil
}

// readTile reads a tile, which has one length.
func readTile(fsys fs.FS, t tlog.Tile) ([]byte, error) {
	want := int64(t.W) * tlog.HashSize
	b, err := readSmall(fsys, t.Path(), want)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < want {
		return nil, brokenAt(t.Path(), int64(len(b)), "it ends too early")
	}
	return b, nil
}

// tileFiles are the tiles of an export, for tlog to authenticate.
type tileFiles struct{ fsys fs.FS }

// Height implements tlog.TileReader.
func (tileFiles) Height() int { return Height }

// SaveTiles implements tlog.TileReader.
func (tileFiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (f tileFiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := readTile(f.fsys, t)
		if err != nil {
			return nil, err
		}
		all[i] = b
	}
	return all, nil
}

// tree walks the tiles of an export from the signed root down. It holds one tile
// a level.
type tree struct {
	fsys fs.FS
	Checkpoint
	levels []level
}

// level is the tile of a level that was authenticated last, and the one at the
// edge.
type level struct {
	at         tlog.Tile
	hashes     []byte
	edge       tlog.Tile
	edgeHashes []byte
}

func newTree(fsys fs.FS, c Checkpoint) *tree { return &tree{fsys: fsys, Checkpoint: c} }

// authenticate reads the tiles at the edge, those that are not full, and holds
// what they make together against the signed root.
func (t *tree) authenticate() error {
	for l := 0; t.Size>>(l*Height) > 0; l++ {
		hashes := t.Size >> (l * Height)
		one := level{}
		if hashes&(1<<Height-1) != 0 {
			one.edge = tileAt(l, hashes>>Height, t.Size)
			b, err := readTile(t.fsys, one.edge)
			if err != nil {
				return err
			}
			one.edgeHashes, one.at, one.hashes = b, one.edge, b
		}
		t.levels = append(t.levels, one)
	}
	root, err := tlog.TreeHash(t.Size, tlog.HashReaderFunc(t.atEdge))
	if err != nil {
		return broken(CheckpointFile, "its tree cannot be worked out")
	}
	if root != t.Root {
		return t.blame()
	}
	return nil
}

func (t *tree) atEdge(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(Height, index)
		if tile.L >= len(t.levels) {
			return nil, errNoTile
		}
		h, err := tlog.HashFromTile(t.levels[tile.L].edge, t.levels[tile.L].edgeHashes, index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

var errNoTile = errors.New("no such tile")

// unchecked reads hashes as they stand in the tiles.
func (t *tree) unchecked() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			tile := TileOf(index, t.Size)
			b, err := readTile(t.fsys, tile)
			if err != nil {
				return nil, err
			}
			if hashes[i], err = tlog.HashFromTile(tile, b, index); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	})
}

// blame finds the hash at the edge that is not that of what is below it. Where all
// are, everything was exchanged up to the root, and only the signature tells.
func (t *tree) blame() error {
	for l := range t.levels {
		edge := t.levels[l].edge
		if edge.W == 0 {
			continue
		}
		for j := range int64(edge.W) {
			want, err := t.below(l, edge.N<<Height+j)
			if err != nil {
				return err
			}
			at := j * tlog.HashSize
			if !bytes.Equal(want[:], t.levels[l].edgeHashes[at:at+tlog.HashSize]) {
				b := &Break{File: edge.Path(), Offset: at, Leaf: -1, Why: "the hash is not that of what is below it"}
				if l == 0 {
					b.Leaf = edge.N<<Height + j
				}
				return b
			}
		}
	}
	return broken(CheckpointFile, "the records are not those that it was signed for")
}

// below works a hash of a level out from the records or from the tile below.
func (t *tree) below(l int, n int64) (tlog.Hash, error) {
	if l > 0 {
		b, err := readTile(t.fsys, tileAt(l-1, n, t.Size))
		if err != nil {
			return tlog.Hash{}, err
		}
		return hashOf(b), nil
	}
	c, err := openChunk(t.fsys, n/ChunkSize)
	if err != nil {
		return tlog.Hash{}, err
	}
	defer c.close()
	for index := n / ChunkSize * ChunkSize; ; index++ {
		record, err := c.next(index)
		if err != nil || index == n {
			return tlog.RecordHash(record), err
		}
	}
}

// hashOf is the hash of a full tile.
func hashOf(tile []byte) (h tlog.Hash) {
	b := bytes.Clone(tile)
	for n := 1 << Height; n > 1; n /= 2 {
		for i := range n / 2 {
			at := b[2*i*tlog.HashSize:]
			h = tlog.NodeHash(tlog.Hash(at[:tlog.HashSize]), tlog.Hash(at[tlog.HashSize:2*tlog.HashSize]))
			copy(b[i*tlog.HashSize:], h[:])
		}
	}
	return h
}

// tile is the authenticated tile at a place: at the edge, or one whose hash is in
// the tile above.
func (t *tree) tile(l int, n int64) ([]byte, tlog.Tile, error) {
	at := tileAt(l, n, t.Size)
	have := &t.levels[l]
	if have.at == at {
		return have.hashes, at, nil
	}
	if have.edge == at {
		return have.edgeHashes, at, nil
	}
	above, up, err := t.tile(l+1, n>>Height)
	if err != nil {
		return nil, at, err
	}
	b, err := readTile(t.fsys, at)
	if err != nil {
		return nil, at, err
	}
	place := (n - up.N<<Height) * tlog.HashSize
	if h := hashOf(b); !bytes.Equal(h[:], above[place:place+tlog.HashSize]) {
		return nil, at, broken(at.Path(), "it is not the tile that the signed tree has here")
	}
	have.at, have.hashes = at, b
	return b, at, nil
}
