package embedded

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir"
)

// stream gives row numbers in order, without duplicates.
type stream interface {
	// seek returns the first number that is at least n.
	seek(n number) (number, bool)
	close() error
}

// keys streams the numbers at the end of the keys that start with a prefix.
type keys struct {
	it     *pebble.Iterator
	prefix []byte
	key    []byte
	from   number // where the last seek began
	at     number // the first number from there on, while live
	live   bool
	begun  bool
}

// nearby is how many steps a seek tries before it searches from the top: most
// seeks of a leapfrog land close by.
const nearby = 2

func newKeys(src source, prefix []byte) (*keys, error) {
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &keys{it: it, prefix: prefix, key: make([]byte, 0, len(prefix)+8)}, nil
}

func (k *keys) seek(n number) (number, bool) {
	if k.begun && n >= k.from {
		for i := 0; ; i++ {
			if !k.live || k.at >= n {
				k.from = n
				return k.at, k.live
			}
			if i == nearby {
				break
			}
			k.stand(k.it.Next())
		}
	}
	k.begun, k.from = true, n
	k.key = appendNumber(append(k.key[:0], k.prefix...), n)
	k.stand(k.it.SeekGE(k.key))
	return k.at, k.live
}

func (k *keys) stand(ok bool) {
	if k.live = ok; ok {
		key := k.it.Key()
		k.at = number(binary.BigEndian.Uint64(key[len(key)-8:]))
	}
}

func (k *keys) close() error { return errors.Join(k.it.Error(), k.it.Close()) }

// rows streams the rows of a type.
type rows interface {
	stream
	// cut takes the row last found apart: its header, and the entries behind it.
	cut(h *header, t fhir.ResourceType, known names) (entries []byte, err error)
}

func (k *keys) cut(h *header, t fhir.ResourceType, known names) ([]byte, error) {
	value, err := k.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return cutHeader(h, t, value, known)
}

// union streams what any part has.
type union []stream

func (u union) seek(n number) (number, bool) {
	var least number
	found := false
	for _, s := range u {
		if at, ok := s.seek(n); ok && (!found || at < least) {
			least, found = at, true
		}
	}
	return least, found
}

func (u union) close() error { return closeAll(u) }

// both streams what all parts have: each seeks to where the others stand.
type both []stream

func (b both) seek(n number) (number, bool) {
	agreed := 0
	for i := 0; agreed < len(b); i = (i + 1) % len(b) {
		at, ok := b[i].seek(n)
		if !ok {
			return 0, false
		}
		if at > n {
			n, agreed = at, 0
		}
		agreed++
	}
	return n, true
}

func (b both) close() error { return closeAll(b) }

// confined streams what a stream has of the owners, so that several streams meet
// nowhere else: their way from one owner to the next is as long whatever others
// have.
type confined struct {
	stream
	own *owners
}

func (c confined) seek(n number) (number, bool) {
	for {
		at, ok := c.stream.seek(n)
		if !ok {
			return 0, false
		}
		o, ok := c.own.next(at.ordinal())
		if !ok {
			return 0, false
		}
		if o == at.ordinal() {
			return at, true
		}
		n = o.first()
	}
}

func closeAll(streams []stream) error {
	var err error
	for _, s := range streams {
		err = errors.Join(err, s.close())
	}
	return err
}

// sorted streams numbers that were gathered.
type sorted []number

func newSorted(n []number) sorted {
	slices.Sort(n)
	return slices.Compact(n)
}

func (s sorted) seek(n number) (number, bool) {
	i, _ := slices.BinarySearch(s, n)
	if i == len(s) {
		return 0, false
	}
	return s[i], true
}

func (s sorted) close() error { return nil }

// nothing is the stream without numbers.
type nothing struct{}

func (nothing) seek(number) (number, bool) { return 0, false }
func (nothing) close() error               { return nil }
