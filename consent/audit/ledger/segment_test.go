package ledger_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit/ledger"
)

// segment is the part of an export that a segment has.
func segment(t testing.TB, m *made, files fstest.MapFS, s ledger.Span, by party) fstest.MapFS {
	t.Helper()
	size := int64(len(m.records))
	out := fstest.MapFS{
		ledger.ManifestFile:   {Data: []byte(ledger.SegmentManifest(s))},
		ledger.KeyFile:        {Data: []byte(by.key + "\n")},
		ledger.CheckpointFile: {Data: m.checkpoint(t, size, by)},
	}
	for _, tile := range ledger.SegmentTiles(s, size) {
		if files[tile.Path()] == nil {
			t.Fatalf("no tile %s in a log of %d", tile.Path(), size)
		}
		out[tile.Path()] = files[tile.Path()]
	}
	for n := s.From / ledger.ChunkSize; n < s.To/ledger.ChunkSize; n++ {
		out[ledger.ChunkPath(n)] = files[ledger.ChunkPath(n)]
	}
	return out
}

// TestSegments: a segment is checked by itself, at every place in a log of every
// shape, and any change of it is found.
func TestSegments(t *testing.T) {
	const chunk = ledger.ChunkSize
	for _, size := range []int{2 * chunk, 4*chunk + 300} {
		by := newParty(t, origin)
		m := makeLog(t, size)
		files := m.export(t, by.key+"\n", m.checkpoint(t, int64(size), by), nil)
		for _, s := range []ledger.Span{{0, chunk}, {chunk, 2 * chunk}, {3 * chunk, 4 * chunk}} {
			if s.To > int64(size) {
				continue
			}
			made := segment(t, m, files, s, by)
			next := s.From
			c := ledger.Check{Keys: []note.Verifier{by.verifier}, Each: func(index int64, record []byte) error {
				if index != next || !bytes.Equal(record, m.records[index]) {
					return errors.New("another record")
				}
				next++
				return nil
			}}
			got, err := c.Run(made)
			if err != nil || got.Span != s || next != s.To || got.Size != int64(size) {
				t.Fatalf("%v of %d: %+v, %d told, %v", s, size, got, next, err)
			}
			if s.From == 3*chunk {
				everyFileCounts(t, made, s)
			}
		}
	}
}

// everyFileCounts changes, cuts and removes each file, and adds one.
func everyFileCounts(t *testing.T, made fstest.MapFS, s ledger.Span) {
	t.Helper()
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for _, path := range slices.Sorted(maps.Keys(made)) {
		old := made[path].Data
		at := r.IntN(len(old))
		flipped := bytes.Clone(old)
		flipped[at] ^= 1 << r.IntN(8)
		if strings.HasPrefix(path, "tile/") && r.IntN(16) > 0 {
			continue // there are many
		}
		all := map[string][]byte{"changed": flipped, "cut off": old[:at], "longer": append(bytes.Clone(old), 1), "removed": nil}
		for what, b := range all {
			changed := maps.Clone(made)
			if changed[path] = (&fstest.MapFile{Data: b}); b == nil {
				delete(changed, path)
			}
			var br *ledger.Break
			if _, err := (&ledger.Check{}).Run(changed); !errors.As(err, &br) {
				t.Errorf("%v: %s %s: got %v", s, what, path, err)
			}
		}
	}
	for _, path := range []string{"x", "tile/8/0/999", ledger.ChunkPath(s.To / ledger.ChunkSize), "checkpoints/7"} {
		changed := maps.Clone(made)
		changed[path] = &fstest.MapFile{Data: []byte("x")}
		if _, err := (&ledger.Check{}).Run(changed); err == nil {
			t.Errorf("%v: with %s it holds", s, path)
		}
	}
}

// TestMovedRecords: what is gone from an export is taken from the segments given,
// where it is as it was; what is in none, or is another there, is gone.
func TestMovedRecords(t *testing.T) {
	const chunk = ledger.ChunkSize
	by := newParty(t, origin)
	m := makeLog(t, 2*chunk+10)
	files := m.export(t, by.key+"\n", m.checkpoint(t, 2*chunk+10, by), nil)
	one, two := segment(t, m, files, ledger.Span{To: chunk}, by), segment(t, m, files, ledger.Span{From: chunk, To: 2 * chunk}, by)
	rest := maps.Clone(files)
	rest[ledger.ChunkPath(0)] = &fstest.MapFile{Data: make([]byte, chunk)}
	some := append(make([]byte, 5), pieces(m.records[chunk+5:2*chunk])...)
	rest[ledger.ChunkPath(1)] = &fstest.MapFile{Data: some}
	next := 0
	c := ledger.Check{Segments: []fs.FS{two, one}, Each: func(index int64, record []byte) error {
		if int(index) != next || !bytes.Equal(record, m.records[index]) {
			return errors.New("another record")
		}
		next++
		return nil
	}}
	if got, err := c.Run(rest); err != nil || got.Moved != chunk+5 || got.Gone != 0 || next != len(m.records) {
		t.Errorf("both segments: %+v, %d, %v", got, next, err)
	}
	var b *ledger.Break
	if _, err := (&ledger.Check{Segments: []fs.FS{one}}).Run(rest); !errors.As(err, &b) || b.Leaf != chunk {
		t.Errorf("the first alone: got %v, want a break at %d", err, chunk)
	}
	got, err := (&ledger.Check{Segments: []fs.FS{one}, MayBeGone: 2 * chunk}).Run(rest)
	if err != nil || got.Gone != 5 || !slices.Equal(got.Spans, []ledger.Span{{From: chunk, To: chunk + 5}}) {
		t.Errorf("what may be gone: %+v, %v", got, err)
	}
	forged := maps.Clone(one)
	records := slices.Clone(m.records[:chunk])
	records[7] = makeRecord(1 << 20)
	forged[ledger.ChunkPath(0)] = &fstest.MapFile{Data: pieces(records)}
	if _, err := (&ledger.Check{Segments: []fs.FS{forged, two}}).Run(rest); !errors.As(err, &b) || b.Leaf != 7 {
		t.Errorf("a segment with another record: got %v, want a break at 7", err)
	}
}

func pieces(records [][]byte) (b []byte) {
	for _, r := range records {
		b = ledger.AppendPiece(b, r)
	}
	return b
}

func FuzzParseSegment(f *testing.F) {
	f.Add(ledger.SegmentManifest(ledger.Span{From: ledger.ChunkSize, To: 3 * ledger.ChunkSize}))
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok, err := ledger.ParseSegment(text); ok && err == nil && (ledger.SegmentManifest(s) != text || !s.Whole()) {
			t.Fatalf("%q is not the one form of %v", text, s)
		}
	})
}
