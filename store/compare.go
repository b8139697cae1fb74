package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
	"slices"

	"vitrine/consent"
)

// Digest stands for everything a store holds: how much it is, and a hash in
// which the order does not count, so that stores of two kinds can be compared.
type Digest struct {
	Chronicles, Versions, Records, States uint64
	// Sum adds up, as numbers of 256 bits, the hashes of every version of every
	// edition with its row, of every record and of every state.
	Sum [sha256.Size]byte
}

// String is the sum in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d.Sum[:]) }

// Compare reads two stores through, side by side, and returns what they hold:
// ErrDiffers unless it is the same.
func Compare(ctx context.Context, a, b Source, tell func(Progress)) (one, other Digest, err error) {
	size, err := a.Extent(ctx)
	if err != nil {
		return Digest{}, Digest{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		var err error
		if other, err = DigestOf(ctx, b, func(uint64) {}); err != nil {
			cancel()
		}
		failed <- err
	}()
	one, err = DigestOf(ctx, a, func(done uint64) { tell(Progress{Comparing, done, size.Chronicles + size.Records}) })
	if err != nil {
		cancel()
	}
	if e := <-failed; e != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = e // the first to fail ended the other
	}
	if err == nil && one != other {
		err = ErrDiffers
	}
	return one, other, err
}

// DigestOf reads a store through.
func DigestOf(ctx context.Context, s Source, tell func(done uint64)) (Digest, error) {
	var d digester
	err := ahead(ctx, nil, s.Chronicles, func(some []Chronicle, _ []byte) error {
		for i := range some {
			d.chronicle(&some[i])
		}
		tell(d.Chronicles)
		return nil
	})
	if err != nil {
		return Digest{}, err
	}
	err = ahead(ctx, nil, s.Records, func(some [][]byte, _ []byte) error {
		for _, r := range some {
			d.Records++
			d.add('A', r)
		}
		tell(d.Chronicles + d.Records)
		return nil
	})
	if err != nil {
		return Digest{}, err
	}
	err = ahead(ctx, nil, s.AllStates, func(some []State, _ []byte) error {
		for i := range some {
			d.state(&some[i])
		}
		return nil
	})
	return d.Digest, err
}

// digester adds up.
type digester struct {
	Digest
	buf []byte
}

func (d *digester) chronicle(c *Chronicle) {
	d.Chronicles++
	d.edition(c, consent.EditionFull, c.Full, true)
	d.edition(c, consent.EditionBasic, c.Basic, !c.BasicEnded)
}

// edition adds the versions of an edition. The place of each counts: it says
// which came before and which is current.
func (d *digester) edition(c *Chronicle, e consent.Edition, all []Chapter, current bool) {
	for i := range all {
		v := &all[i]
		d.Versions++
		b := append(d.buf[:0], byte(e), byte(v.Home), flag(v.Deleted), flag(current && i == len(all)-1))
		b = binary.AppendUvarint(b, uint64(i)) //nolint:gosec // an index
		b = binary.AppendVarint(b, v.Updated.UnixMilli())
		for _, s := range []string{string(c.Type), c.ID, v.Version, v.Contributor} {
			b = appendText(b, s)
		}
		patients := slices.Clone(v.Patients)
		slices.Sort(patients)
		patients = slices.Compact(patients)
		for _, list := range [][]string{patients, v.Labels} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, s := range list {
				b = appendText(b, s)
			}
		}
		d.buf = append(b, v.JSON...)
		d.add('V', d.buf)
	}
}

func (d *digester) state(s *State) {
	d.States++
	b := appendText(d.buf[:0], s.Key)
	b = binary.AppendVarint(b, s.Until.UnixMilli())
	d.buf = append(b, s.Value...)
	d.add('S', d.buf)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// add hashes one thing and adds the hash to the sum.
func (d *digester) add(kind byte, b []byte) {
	h := sha256.New()
	h.Write([]byte{kind})
	h.Write(b)
	var one [sha256.Size]byte
	h.Sum(one[:0])
	var carry uint64
	for i := 0; i < sha256.Size; i += 8 {
		var n uint64
		n, carry = bits.Add64(binary.LittleEndian.Uint64(d.Sum[i:]), binary.LittleEndian.Uint64(one[i:]), carry)
		binary.LittleEndian.PutUint64(d.Sum[i:], n)
	}
}
