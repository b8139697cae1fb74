package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A segment has the records of some whole chunks of a log that were moved out of the
// store: beside them the tiles that lead to a signed root, that checkpoint and the
// key that signed it, each where an export has it, and nothing else. So it is
// checked by itself, as an export is, and however the log goes on.

// Span is a range of leaves, the end exclusive.
type Span struct{ From, To int64 }

const segmentHead = "vitrine audit segment 1\n"

var errSegment = errors.New("not the bounds of a segment in the one form they have")

// SegmentManifest is the text of ManifestFile of a segment.
func SegmentManifest(s Span) string { return fmt.Sprintf("%s%d\n%d\n", segmentHead, s.From, s.To) }

// ParseSegment reads it; ok is false for another manifest.
func ParseSegment(text string) (s Span, ok bool, err error) {
	rest, ok := strings.CutPrefix(text, segmentHead)
	if !ok {
		return Span{}, false, nil
	}
	if n, err := fmt.Sscanf(rest, "%d\n%d\n", &s.From, &s.To); n != 2 || err != nil || SegmentManifest(s) != text || !s.Whole() {
		return Span{}, true, errSegment
	}
	return s, true, nil
}

// Whole reports whether s is of some whole chunks.
func (s Span) Whole() bool {
	return s.From >= 0 && s.To > s.From && s.From%ChunkSize == 0 && s.To%ChunkSize == 0
}

// SegmentTiles are the tiles by which the leaves of a segment are proved under a
// checkpoint of a size: those that have them, those above, and those at the edge.
func SegmentTiles(s Span, size int64) (all []tlog.Tile) {
	for level := 0; size>>(level*Height) > 0; level++ {
		below := uint((level + 1) * Height) //nolint:gosec // small
		for n := s.From >> below; n <= (s.To-1)>>below; n++ {
			if tile := tileAt(level, n, size); tile.W > 0 {
				all = append(all, tile)
			}
		}
		hashes := size >> (level * Height)
		edge := tileAt(level, hashes>>Height, size)
		if edge.W > 0 && edge.N > (s.To-1)>>below {
			all = append(all, edge)
		}
	}
	return all
}

// inSegment reports whether a segment has a file of that name among its records and
// tiles.
func inSegment(path string, s Span, size int64) bool {
	if !belongs(path, size) {
		return false
	}
	tile, err := tlog.ParseTilePath(path)
	if err != nil {
		n, _ := strconv.ParseInt(strings.TrimPrefix(path, recordsDirectory), 10, 64)
		return n >= s.From/ChunkSize && n < s.To/ChunkSize
	}
	below := uint((tile.L + 1) * Height) //nolint:gosec // small
	first, last, edge := s.From>>below, (s.To-1)>>below, size>>(tile.L*Height)>>Height
	return tile.N >= first && tile.N <= last || tile.N == edge && tile.N > last
}

// moved reads the records of a chunk that are gone from the export, from the first
// segment that has it.
type moved struct {
	*chunk
	n     int64
	index int64 // of the next
}

// fromSegments is a record that was moved to a segment; nil when none has it. The
// caller holds it against its leaf.
func (r *run) fromSegments(n, index int64) []byte {
	if r.moved == nil || r.moved.n != n {
		r.closeMoved()
		r.moved = &moved{n: n, index: n * ChunkSize, chunk: r.openMoved(n)}
	}
	m := r.moved
	if m.chunk == nil {
		return nil
	}
	for ; m.index < index; m.index++ {
		if _, err := m.next(m.index); err != nil {
			return nil
		}
	}
	record, err := m.next(index)
	if m.index++; err != nil {
		return nil
	}
	return record
}

func (r *run) openMoved(n int64) *chunk {
	for _, fsys := range r.Segments {
		if c, err := openChunk(fsys, n); err == nil {
			return c
		}
	}
	return nil
}

func (r *run) closeMoved() {
	if r.moved != nil && r.moved.chunk != nil {
		r.moved.close()
	}
	r.moved = nil
}

// note adds a leaf to the spans of what is gone.
func (r *Result) note(index int64) {
	r.Gone++
	if last := len(r.Spans) - 1; last >= 0 && r.Spans[last].To == index {
		r.Spans[last].To++
		return
	}
	if len(r.Spans) < mostSpans {
		r.Spans = append(r.Spans, Span{index, index + 1})
	}
}

// mostSpans bounds what is told of what is gone.
const mostSpans = 1000

// belongsHere reports whether a file belongs to what is checked.
func (r *run) belongsHere(path string) bool {
	if r.segment {
		return inSegment(path, r.result.Span, r.top.Size)
	}
	return belongs(path, r.top.Size)
}
