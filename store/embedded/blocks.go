package embedded

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/store/events"
)

// What is kept of events comes in blocks: the postings of one value and one chunk of
// the log are a single key, which ends in the first number and has the steps to the
// others as its value. A later chunk has smaller numbers, so the blocks of a value do
// not overlap. The events of a patient, and the ids and the times of a chunk are
// blocks, too; the last two with more behind each number.

// shelfRows are the keys of a chunk of events. They go to the engine in order:
// what lies side by side is put in for a fraction of the price.
type shelfRows struct {
	// blocks are by their key, with zeros for the first number.
	blocks map[string]*block
	spare  []*block
	key    []byte
}

// block is what will be the value of one key.
type block struct {
	first, last number
	steps       []byte
}

func (r *shelfRows) reset() {
	if r.blocks == nil || len(r.blocks) > 8*chunk {
		r.blocks, r.spare = map[string]*block{}, nil
	}
	for _, b := range r.blocks {
		r.spare = append(r.spare, b)
	}
	clear(r.blocks)
}

// at is the block under the prefix in key; begun says that it has numbers.
func (r *shelfRows) at(n number) (b *block, begun bool) {
	r.key = appendNumber(r.key, 0)
	if b, ok := r.blocks[string(r.key)]; ok {
		return b, true
	}
	if last := len(r.spare) - 1; last >= 0 {
		b, r.spare = r.spare[last], r.spare[:last]
		*b = block{steps: b.steps[:0]}
	} else {
		b = &block{}
	}
	b.first, b.last = n, n
	r.blocks[string(r.key)] = b
	return b, false
}

// post adds a number to a block of numbers alone, once.
func (r *shelfRows) post(n number) {
	if b, begun := r.at(n); begun && n > b.last {
		b.step(n)
	}
}

// beside adds a number to a block of numbers with more behind each.
func (r *shelfRows) beside(n number, more ...byte) {
	b, _ := r.at(n)
	b.step(n)
	b.steps = append(b.steps, more...)
}

// step adds a number that does not come before the last.
func (b *block) step(n number) {
	b.steps = binary.AppendUvarint(b.steps, uint64(n-b.last))
	b.last = n
}

// add makes the keys of an event of a patient, or of nobody, who is in quarantine. Of
// the events of a chunk the newest comes first.
func (r *shelfRows) add(i *events.Index, t typeNumber, one *shelved, o ordinal) {
	n := eventNumber(one.record)
	if o != ordinalQuarantine {
		r.key = prefixEvents(r.key[:0], o)
		r.post(n)
	}
	r.key = prefixEventID(r.key[:0], one.id)
	r.beside(n, one.id[idBucket:]...)
	span, within := momentOf(one.recorded)
	r.key = prefixMoments(r.key[:0], span)
	r.beside(n, within)
	for param, value := range one.postings.All() {
		if !i.Chronological(param) {
			r.key = prefixValue(r.key[:0], consent.EditionFull, param, t, value)
			r.post(n)
		}
	}
}

// set puts the keys into a batch.
func (r *shelfRows) set(batch *pebble.Batch) error {
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
	at  int // of the number last found in it
	// end says that there is none from there on; zero while nobody knows.
	end number
}

func newBlocks(src source, prefix []byte) (*blocks, error) {
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &blocks{it: it, prefix: prefix}, nil
}

func (b *blocks) seek(n number) (number, bool) {
	if b.end > 0 && n >= b.end {
		return 0, false
	}
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
	if !b.read(b.it.Next()) { // from before the first it goes there
		b.end = n
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
	b.at, _ = slices.BinarySearch(b.now, n)
	if b.at == len(b.now) {
		return 0, false
	}
	return b.now[b.at], true
}

func (b *blocks) close() error { return errors.Join(b.it.Error(), b.it.Close()) }
