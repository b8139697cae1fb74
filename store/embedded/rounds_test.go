package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// drawRecords draws records as they come: alike, of any size, a few very large.
func drawRecords(t *rapid.T) [][]byte {
	count := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(roundMost-2, 2*roundMost+2)).Draw(t, "records")
	common := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "common")
	records := make([][]byte, count)
	for i := range records {
		records[i] = binary.AppendUvarint(bytes.Clone(common), uint64(i*i))
		if rapid.IntRange(0, 200).Draw(t, "large") == 0 {
			records[i] = append(records[i], strings.Repeat("l", rapid.IntRange(0, 2*roundBytes).Draw(t, "size"))...)
		}
	}
	if rapid.Bool().Draw(t, "one empty") {
		records[count/2] = []byte{}
	}
	return records
}

// TestRoundsGiveTheirRecordsBack: whatever is put into the log stands there under
// its number, and the log knows its last.
func TestRoundsGiveTheirRecordsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opt := Options{}.withDefaults().engine()
		opt.FS = vfs.NewMem()
		eng, err := pebble.Open("", opt)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = eng.Close() }()
		var want [][]byte
		var pack packer
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			records := drawRecords(t)
			batch := eng.NewBatch()
			if err := errors.Join(pack.set(batch, uint64(len(want))+1, records), batch.Commit(pebble.NoSync)); err != nil {
				t.Fatal(err)
			}
			want = append(want, records...)
		}
		if last, err := lastRecord(eng); err != nil || last != uint64(len(want)) {
			t.Fatalf("last record: got %d, %v, want %d", last, err, len(want))
		}
		if got := logged(t, eng); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("got %d records %.2000x\nwant %d %.2000x", len(got), got, len(want), want)
		}
	})
}

// logged reads the log through.
func logged(t *rapid.T, eng *pebble.DB) (all [][]byte) {
	it, err := eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	if err != nil {
		t.Fatal(err)
	}
	var u unpacked
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Value()) > roundUnpacked+2*roundBytes {
			t.Errorf("a round of %d bytes", len(it.Value()))
		}
		if err := u.read(binary.BigEndian.Uint64(it.Key()[1:]), it.Value()); err != nil || !u.has(u.last()) {
			t.Fatalf("round %x: %v", it.Key(), err)
		}
		for record := u.first; u.has(record); record++ {
			raw, ok := u.record(record)
			if !ok || record != uint64(len(all))+1 {
				t.Fatalf("record %d after %d: %v", record, len(all), ok)
			}
			all = append(all, bytes.Clone(raw))
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzRound: no bytes are too bad to be refused, and what is read from them is
// read again when it is packed anew.
func FuzzRound(f *testing.F) {
	var pack packer
	for _, records := range [][][]byte{{{}}, {[]byte("one")}, {bytes.Repeat([]byte("a"), 90), bytes.Repeat([]byte("a"), 90)}} {
		f.Add(bytes.Clone(pack.pack(records)))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var got, again unpacked
		if err := got.read(7, value); err != nil {
			if !errors.Is(err, errRound) {
				t.Fatalf("%x: %v", value, err)
			}
			if _, ok := got.record(7); ok {
				t.Fatalf("%x: a record of a round that was refused", value)
			}
			return
		}
		var records [][]byte
		for n := got.first; n <= got.last(); n++ {
			raw, ok := got.record(n)
			if !ok {
				t.Fatalf("%x: no record %d of %d to %d", value, n, got.first, got.last())
			}
			records = append(records, raw)
		}
		if together(records) < len(records) {
			return
		}
		if err := again.read(7, pack.pack(records)); err != nil {
			t.Fatalf("%x: packed again: %v", value, err)
		}
		for i, want := range records {
			if raw, ok := again.record(7 + uint64(i)); !ok || !bytes.Equal(raw, want) {
				t.Fatalf("%x: record %d: got %x, want %x", value, i, raw, want)
			}
		}
	})
}
