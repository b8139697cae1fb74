package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir/search"
)

// Postings of events come in blocks: those of one value, one patient and one
// chunk of the log are a single key, which ends in the first number and has the
// steps to the others as its value. Chunks follow each other in the order of
// sequences, so the blocks of a value and a patient do not overlap.

// shelfRows are the keys of a chunk of events. They go to the engine in order,
// kind by kind: what lies side by side is put in for a fraction of the price.
type shelfRows struct {
	// alone says which parameters have single postings.
	alone func(search.Param) bool
	arena []byte
	kinds [rowKinds][]pair
	// blocks are the postings that are put together, by their key without the
	// sequence.
	blocks map[string]*block
	key    []byte
}

// The kinds of keys of an event, but for the postings in blocks.
const (
	rowsID = iota
	rowsFull
	rowsBasic
	rowsPosted
	rowKinds
)

// pair is a key in the arena, with its value behind it.
type pair struct{ at, value, end int }

// block are the postings of one value, one patient and one chunk.
type block struct {
	first, last number
	steps       []byte
}

func (r *shelfRows) reset() {
	r.arena = r.arena[:0]
	for i := range r.kinds {
		r.kinds[i] = r.kinds[i][:0]
	}
	if r.blocks == nil || len(r.blocks) > 4*chunk {
		r.blocks = map[string]*block{}
	}
	clear(r.blocks)
}

// pair takes the arena with a key appended to it, and how its value is appended.
func (r *shelfRows) pair(kind int, withKey []byte, value func([]byte) []byte) {
	p := pair{at: len(r.arena), value: len(withKey)}
	if r.arena = withKey; value != nil {
		r.arena = value(r.arena)
	}
	p.end = len(r.arena)
	r.kinds[kind] = append(r.kinds[kind], p)
}

// post adds a number to the block of the posting prefix in key.
func (r *shelfRows) post(n number) {
	r.key = appendNumber(r.key, n.ordinal().first())
	b := r.blocks[string(r.key)]
	switch {
	case b == nil:
		r.blocks[string(r.key)] = &block{first: n, last: n}
	case n > b.last:
		b.steps = binary.AppendUvarint(b.steps, uint64(n-b.last))
		b.last = n
	}
}

// set puts the keys into a batch.
func (r *shelfRows) set(batch *pebble.Batch) error {
	for _, pairs := range r.kinds {
		slices.SortFunc(pairs, func(a, b pair) int {
			return bytes.Compare(r.arena[a.at:a.value], r.arena[b.at:b.value])
		})
		for _, p := range pairs {
			if err := batch.Set(r.arena[p.at:p.value], r.arena[p.value:p.end], nil); err != nil {
				return err
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.blocks)) {
		b := r.blocks[key]
		r.key = appendNumber(append(r.key[:0], key[:len(key)-8]...), b.first)
		if err := batch.Set(r.key, b.steps, nil); err != nil {
			return err
		}
	}
	return nil
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
