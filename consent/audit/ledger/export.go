package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// What stands in an export. Beside these it has the tiles of the tree, where
// tlog.Tile.Path says, and nothing else.
const (
	// ManifestFile says that it is an export, and which of the files are there that
	// need not be: checkpoints, cosigned ones, and the keys of witnesses.
	ManifestFile = "export"
	// KeyFile has the verifier keys of the log, a line each, the present one last.
	KeyFile = "key"
	// CheckpointFile has the checkpoint that covers all.
	CheckpointFile = "checkpoint"
	// WitnessFile has the verifier keys of witnesses.
	WitnessFile = "witnesses"
	// EarlierDirectory has earlier checkpoints, and CosignedDirectory those that
	// witnesses signed as well, by their sizes.
	EarlierDirectory  = "checkpoints/"
	CosignedDirectory = "cosigned/"
	// SuccessorDirectory has the successions of keys, by the place of the later one
	// among the keys.
	SuccessorDirectory = "successors/"
	recordsDirectory   = "records/"
	tilesDirectory     = "tile/"
)

// ChunkSize is how many records one file has; the last may have fewer.
const ChunkSize = 1 << 14

const manifestHead = "vitrine audit export 1\n"

// ChunkPath is the file with the records from n times ChunkSize on.
func ChunkPath(n int64) string { return fmt.Sprintf("%s%09d", recordsDirectory, n) }

// Chunks is how many files the records of a log have.
func Chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// Manifest is the text of ManifestFile.
func Manifest(optional []string) string {
	sorted := slices.Sorted(slices.Values(optional))
	text := manifestHead
	for _, path := range sorted {
		text += path + "\n"
	}
	return text
}

var errManifest = errors.New("not the list of an export's files in the one form it has")

// ParseManifest reads it.
func ParseManifest(text string) (optional []string, err error) {
	rest, ok := strings.CutPrefix(text, manifestHead)
	if !ok {
		return nil, errManifest
	}
	for line := range strings.Lines(rest) {
		path := strings.TrimSuffix(line, "\n")
		if path != WitnessFile && !isNote(path) {
			return nil, errManifest
		}
		optional = append(optional, path)
	}
	witnesses := slices.Contains(optional, WitnessFile)
	cosigned := slices.ContainsFunc(optional, func(path string) bool { return sizeOf(path, CosignedDirectory) >= 0 })
	if witnesses != cosigned || Manifest(optional) != text || len(slices.Compact(slices.Clone(optional))) != len(optional) {
		return nil, errManifest
	}
	return optional, nil
}

// isNote reports whether an export may have a note of that name.
func isNote(path string) bool {
	return sizeOf(path, EarlierDirectory) >= 0 || sizeOf(path, CosignedDirectory) >= 0 || sizeOf(path, SuccessorDirectory) >= 0
}

// sizeOf is the size in the name of a checkpoint of a directory; -1 for another
// name.
func sizeOf(path, directory string) int64 {
	name, ok := strings.CutPrefix(path, directory)
	size, err := strconv.ParseInt(name, 10, 64)
	if !ok || err != nil || size < 0 || strconv.FormatInt(size, 10) != name {
		return -1
	}
	return size
}

// IsPart reports whether an export, of whatever size, can have a file of that name.
func IsPart(path string) bool {
	switch path {
	case ManifestFile, KeyFile, CheckpointFile, WitnessFile:
		return true
	}
	if isNote(path) {
		return true
	}
	if tile, err := tlog.ParseTilePath(path); err == nil {
		return tile.H == Height
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(path, recordsDirectory), 10, 64)
	return err == nil && ChunkPath(n) == path
}

// belongs reports whether a log of a size has a file of that name among its
// records and tiles.
func belongs(path string, size int64) bool {
	if name, ok := strings.CutPrefix(path, recordsDirectory); ok {
		n, err := strconv.ParseInt(name, 10, 64)
		return err == nil && n >= 0 && n < Chunks(size) && ChunkPath(n) == path
	}
	tile, err := tlog.ParseTilePath(path)
	return err == nil && tile.H == Height && tile.L >= 0 && tile.L < 8 && tile.Path() == path && tileAt(tile.L, tile.N, size) == tile
}

// TileOf is the tile of a tree of a size that has a hash, by its index among those
// that tlog stores.
func TileOf(index, size int64) tlog.Tile {
	tile := tlog.TileForIndex(Height, index)
	return tileAt(tile.L, tile.N, size)
}

// tileAt is the tile at a place in the tree of a size; the zero tile when there is
// none.
func tileAt(level int, n, size int64) tlog.Tile {
	hashes := size >> (level * Height)
	if n < 0 || n > hashes>>Height {
		return tlog.Tile{}
	}
	width := min(hashes-n<<Height, 1<<Height)
	if width <= 0 {
		return tlog.Tile{}
	}
	return tlog.Tile{H: Height, L: level, N: n, W: int(width)}
}
