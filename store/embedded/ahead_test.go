package embedded

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestNoCutLosesWhatWasSynced cuts the power of an engine whose log is ahead of
// what is in it, again and again: whatever was synced is there, and so is all
// before it.
func TestNoCutLosesWhatWasSynced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk, synced := vfs.NewCrashableMem(), uint64(0)
		for range rapid.IntRange(2, 4).Draw(t, "lives") {
			disk, synced = untilCut(t, disk, synced)
		}
	})
}

// untilCut is the life of an engine that finds synced keys and writes more. It
// ends with the power, and with as much on the disk as may be.
func untilCut(t *rapid.T, disk *vfs.MemFS, synced uint64) (*vfs.MemFS, uint64) {
	opt := Options{}.withDefaults().engine()
	opt.FS = aheadFS{disk}
	opt.MemTableSize = rapid.SampledFrom([]uint64{memTable, 64 << 10}).Draw(t, "memtable") // the smaller has many logs, one after the other
	eng, err := pebble.Open("", opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer func() { _ = eng.Close() }()
	for n := range synced {
		value, closer, err := eng.Get(binary.BigEndian.AppendUint64(nil, n))
		if err != nil || !bytes.Equal(value, cutValue(n, len(value))) {
			t.Fatalf("key %d of %d: %d bytes, %v", n, synced, len(value), err)
		}
		_ = closer.Close()
	}
	written := synced
	for range rapid.IntRange(0, 16).Draw(t, "writes") {
		size := rapid.OneOf(rapid.IntRange(1, 2000), rapid.IntRange(1, 4*aheadLittle)).Draw(t, "size")
		o := pebble.WriteOptions{Sync: rapid.Bool().Draw(t, "sync")}
		if err := eng.Set(binary.BigEndian.AppendUint64(nil, written), cutValue(written, size), &o); err != nil {
			t.Fatal(err)
		}
		if written++; o.Sync {
			synced = written
		}
	}
	return disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(t, "kept"),
		RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), //nolint:gosec // no secret
	}), synced
}

// cutValue is the value of a key: bytes that tell where they belong.
func cutValue(n uint64, size int) []byte {
	return bytes.Repeat([]byte{byte(n + 1)}, size) //nolint:gosec // its lower bits
}

// TestLogIsAhead: a store that syncs little at a time has a log with room in it.
func TestLogIsAhead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	db := openIn(t, dir, options(t))
	if _, err := db.Record(t.Context(), make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	for _, name := range logs {
		info, err := vfs.Default.Stat(name)
		if err != nil || info.Size() < aheadStep {
			t.Errorf("%s: got %d bytes, %v, want %d at least", filepath.Base(name), info.Size(), err, aheadStep)
		}
	}
}
