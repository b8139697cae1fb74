package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit/ledger"
)

// signedLog is a store whose log was signed, with the key.
type signedLog struct {
	db   *DB
	key  string
	note []byte
	size int64
	top  tlog.Tree
}

// sign signs what the log is now.
func sign(t testing.TB, db *DB) *signedLog {
	t.Helper()
	size, err := db.Grow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secret, key, err := note.GenerateKey(rand.Reader, "test/audit")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	s := &signedLog{db: db, key: key, size: size, top: tlog.Tree{N: size}}
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			tile := ledger.TileOf(index, size)
			data, err := db.Tiles(context.Background(), []tlog.Tile{tile})
			if err != nil {
				return nil, err
			}
			if hashes[i], err = tlog.HashFromTile(tile, data[0], index); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	})
	if s.top.Hash, err = tlog.TreeHash(size, read); err != nil {
		t.Fatal(err)
	}
	if s.note, err = ledger.Sign(ledger.Checkpoint{Origin: "test/audit", Size: size, Root: s.top.Hash}, signer); err != nil {
		t.Fatal(err)
	}
	return s
}

// export is what the store gives of the log that was signed.
func (s *signedLog) export(t testing.TB) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	put := func(path string, b []byte) { out[path] = &fstest.MapFile{Data: b, Mode: 0o600} }
	put(ledger.KeyFile, []byte(s.key+"\n"))
	put(ledger.CheckpointFile, s.note)
	put(ledger.ManifestFile, []byte(ledger.Manifest(nil)))
	for tiles := range slices.Chunk(tlog.NewTiles(ledger.Height, 0, s.size), 128) {
		data, err := s.db.Tiles(t.Context(), tiles)
		if err != nil {
			t.Fatal(err)
		}
		for i, tile := range tiles {
			put(tile.Path(), data[i])
		}
	}
	for n := range ledger.Chunks(s.size) {
		var b []byte
		err := s.db.Leaves(t.Context(), n*ledger.ChunkSize, min((n+1)*ledger.ChunkSize, s.size), func(_ int64, record []byte) error {
			b = ledger.AppendPiece(b, record)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		put(ledger.ChunkPath(n), b)
	}
	return out
}

// keysOf are the keys of the store that start with a prefix, and their values.
func keysOf(t testing.TB, db *DB, prefix ...byte) (keys, values [][]byte) {
	t.Helper()
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		keys, values = append(keys, bytes.Clone(it.Key())), append(values, bytes.Clone(it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return keys, values
}

// edit changes something beneath the store, and returns how to undo it and the
// first leaf that is not what it was; -1 for a tile.
func edit(t testing.TB, r *mathrand.Rand, db *DB) (what string, leaf int64, undo func()) {
	t.Helper()
	space, g := []byte{spaceAuditLog}, db.tree.now.Load()
	if r.IntN(3) == 0 {
		space = []byte{spaceTree, treeTile}
	}
	keys, values := keysOf(t, db, space...)
	i, j := r.IntN(len(keys)), r.IntN(len(keys))
	batch := db.eng.NewBatch()
	var err error
	var changed []int
	switch r.IntN(4) {
	case 0:
		what, changed, err = "deleted", []int{i}, batch.Delete(keys[i], nil)
	case 1:
		what, changed = "exchanged", []int{i, j}
		err = errors.Join(batch.Set(keys[i], values[j], nil), batch.Set(keys[j], values[i], nil))
		if bytes.Equal(values[i], values[j]) {
			changed = nil
		}
	case 2:
		what, changed, err = "cut off", []int{i}, batch.Set(keys[i], values[i][:r.IntN(len(values[i]))], nil)
	default:
		b := bytes.Clone(values[i])
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		what, changed, err = "changed", []int{i}, batch.Set(keys[i], b, nil)
	}
	if err = errors.Join(err, batch.Commit(pebble.NoSync)); err != nil {
		t.Fatal(err)
	}
	leaf = int64(-1)
	if len(space) == 1 {
		for _, n := range changed { // the round has it, or what comes after
			if first, ok := g.indexOf(binary.BigEndian.Uint64(keys[n][1:])); ok && (leaf < 0 || first < leaf) {
				leaf = first
			}
		}
	}
	if changed == nil {
		what = ""
	}
	return what, leaf, func() {
		for _, n := range []int{i, j} {
			if err := db.eng.Set(keys[n], values[n], pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestEditsBeneathAreFound: whoever edits the store's own files, so that it still
// opens and answers, is found by the checkpoint that was signed before.
func TestEditsBeneathAreFound(t *testing.T) {
	rounds := 300
	if n, err := strconv.Atoi(os.Getenv("VITRINE_TAMPER")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any will do
	r := mathrand.New(mathrand.NewPCG(seed, 2))
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	for group := range byte(120) {
		fillLog(t, db, group, 1+r.IntN(9))
	}
	s := sign(t, db)
	if _, err := (&ledger.Check{}).Run(s.export(t)); err != nil {
		t.Fatalf("the log as it is: %v", err)
	}
	whole := s.export(t)
	found := 0
	for range rounds {
		what, leaf, undo := edit(t, r, db)
		got := s.export(t)
		_, err := (&ledger.Check{}).Run(got)
		undo()
		if sameExport(whole, got) {
			continue // the record is packed another way, and is the same
		}
		found++
		var b *ledger.Break
		if !errors.As(err, &b) {
			t.Fatalf("seed %d: %s from leaf %d: got %v", seed, what, leaf, err)
		}
		if leaf >= 0 && (b.Leaf < leaf || b.Leaf > leaf+roundMost) {
			t.Errorf("seed %d: %s from leaf %d: found as %v", seed, what, leaf, b)
		}
		if leaf < 0 && (whole[b.File] == nil || bytes.Equal(whole[b.File].Data, got[b.File].Data)) {
			t.Errorf("seed %d: a tile %s: found as %v, which is what it was", seed, what, b)
		}
	}
	t.Logf("%d edits found", found)
	if found < rounds/2 {
		t.Errorf("%d of %d edits changed anything", found, rounds)
	}
	if _, err := (&ledger.Check{}).Run(s.export(t)); err != nil {
		t.Errorf("all undone: %v", err)
	}
}

func sameExport(a, b fstest.MapFS) bool {
	for path, f := range a {
		if b[path] == nil || !bytes.Equal(f.Data, b[path].Data) {
			return false
		}
	}
	return true
}

// millionEnv says how many events TestManyEventsAreChecked checks.
const millionEnv = "VITRINE_LEDGER_EVENTS"

// TestManyEventsAreChecked measures what a check, a proof and growth cost.
func TestManyEventsAreChecked(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(millionEnv))
	if err != nil {
		t.Skipf("set %s to a number of events", millionEnv)
	}
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	e := event(1, 1)
	e.Query, e.Agent.Subject, e.Agent.Client, e.Entities = "GET /fhir/Observation?patient=Patient/p1", "a-subject", "a-client", []string{"Observation/o1/_history/1"}
	for at := 0; at < n; {
		var records [][]byte
		for ; len(records) < 500 && at < n; at++ {
			binary.BigEndian.PutUint64(e.ID[8:], uint64(at)) //nolint:gosec // a count
			records = append(records, e.AppendBinary(nil))
		}
		if _, err := db.Record(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	s := sign(t, db)
	t.Logf("%d records became leaves in %v, %v each", s.size, time.Since(began), time.Since(began)/time.Duration(n))
	dir := t.TempDir()
	for path, f := range s.export(t) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700), os.WriteFile(filepath.Join(dir, path), f.Data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	began = time.Now()
	if _, err := (&ledger.Check{}).Run(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events checked in %v", n, time.Since(began))
	began = time.Now()
	const proofs = 1000
	for i := range int64(proofs) {
		s.prove(t, i*(s.size/proofs))
	}
	t.Logf("a proof of inclusion, held against the signed root, in %v", time.Since(began)/proofs)
}

// treeTiles reads tiles for tlog.
type treeTiles struct{ db *DB }

func (treeTiles) Height() int                     { return ledger.Height }
func (treeTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r treeTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	return r.db.Tiles(context.Background(), tiles)
}

func (s *signedLog) prove(t testing.TB, index int64) {
	t.Helper()
	if _, err := tlog.ProveRecord(s.size, index, tlog.TileHashReader(s.top, treeTiles{s.db})); err != nil {
		t.Fatal(err)
	}
}
