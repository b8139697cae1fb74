package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Postings of events come in blocks: those of one value, one patient and one
// chunk of the log are a single key, which ends in the first number and has the
// steps to the others as its value. Chunks follow each other in the order of
// sequences, so the blocks of a value and a patient do not overlap.

// continues reports whether a posting can stand in the block that begins with
// first: all but the sequence is the same.
func continues(first, posting []byte) bool {
	at := len(first) - 8
	return len(first) == len(posting) && bytes.Equal(first[:at], posting[:at]) && lastNumber(first).ordinal() == lastNumber(posting).ordinal()
}

// appendStep appends the step from one posting of a block to the next.
func appendStep(block, from, to []byte) []byte {
	return binary.AppendUvarint(block, uint64(lastNumber(to)-lastNumber(from)))
}

// lastNumber is the number at the end of a key.
func lastNumber(key []byte) number { return number(binary.BigEndian.Uint64(key[len(key)-8:])) }

// appendBlock appends the numbers of a block.
func appendBlock(dst []number, key, steps []byte) []number {
	n := lastNumber(key)
	dst = append(dst, n)
	for len(steps) > 0 {
		step, size := binary.Uvarint(steps)
		if size <= 0 {
			break
		}
		n += number(step)
		dst, steps = append(dst, n), steps[size:]
	}
	return dst
}

// blocks streams the numbers in the blocks of one value.
type blocks struct {
	it     *pebble.Iterator
	prefix []byte
	key    []byte
	// now is the block last read; a number that lies before it is looked for
	// from the top.
	now []number
}

func newBlocks(src source, prefix []byte) (*blocks, error) {
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &blocks{it: it, prefix: prefix}, nil
}

func (b *blocks) seek(n number) (number, bool) {
	if len(b.now) > 0 && b.now[0] <= n {
		if at, ok := b.within(n); ok {
			return at, true
		}
		if b.read(b.it.Next()) {
			if at, ok := b.within(n); ok {
				return at, true
			}
		}
	}
	// The block that n is in begins at or before n; if it ends before, the one
	// after it has what comes next.
	b.key = append(appendNumber(append(b.key[:0], b.prefix...), n), 0)
	if b.read(b.it.SeekLT(b.key)) {
		if at, ok := b.within(n); ok {
			return at, true
		}
	}
	if !b.read(b.it.SeekGE(b.key)) {
		return 0, false
	}
	return b.within(n)
}

// read takes in the block the iterator stands on.
func (b *blocks) read(ok bool) bool {
	b.now = b.now[:0]
	if !ok {
		return false
	}
	steps, err := b.it.ValueAndErr()
	if err != nil {
		return false // the iterator keeps it for close
	}
	b.now = appendBlock(b.now, b.it.Key(), steps)
	return true
}

// within is the first number of the block that is at least n.
func (b *blocks) within(n number) (number, bool) {
	i, _ := slices.BinarySearch(b.now, n)
	if i == len(b.now) {
		return 0, false
	}
	return b.now[i], true
}

func (b *blocks) close() error { return errors.Join(b.it.Error(), b.it.Close()) }
