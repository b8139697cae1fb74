package embedded

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir"
)

// typeFor is the number of a type, given out on first use.
func (x *tx) typeFor(t fhir.ResourceType) (typeNumber, error) {
	if n, ok := x.db.typeNumber(t); ok {
		return n, nil
	}
	if n, ok := x.types[t]; ok {
		return n, nil
	}
	if x.counters.typ == math.MaxUint16 {
		return 0, errFull
	}
	x.counters.typ++
	n := x.counters.typ
	if x.types == nil {
		x.types = map[fhir.ResourceType]typeNumber{}
	}
	x.types[t] = n
	return n, x.batch.Set(keyType(string(t)), binary.BigEndian.AppendUint16(nil, uint16(n)), nil)
}

// ordinalFor is the ordinal of a patient, given out when the patient is first
// mentioned.
func (x *tx) ordinalFor(patient string) (ordinal, error) {
	o, ok, err := readOrdinal(x, patient)
	if err != nil || ok {
		return o, err
	}
	if x.counters.ordinal >= ordinalMax {
		return 0, errFull
	}
	x.counters.ordinal++
	o = x.counters.ordinal
	return o, x.set(keyOrdinal(nil, patient), binary.BigEndian.AppendUint32(nil, uint32(o)))
}

func (x *tx) nextSequence() (uint64, error) {
	if x.counters.sequence >= sequenceMax {
		return 0, errFull
	}
	x.counters.sequence++
	return x.counters.sequence, nil
}

func readOrdinal(src source, patient string) (o ordinal, ok bool, err error) {
	v, closer, err := src.Get(keyOrdinal(nil, patient))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer closer.Close()
	if len(v) != 4 {
		return 0, false, errHeader
	}
	return ordinal(binary.BigEndian.Uint32(v)), true, nil
}

func readNumber(src source, t typeNumber, id string) (n number, ok bool, err error) {
	v, closer, err := src.Get(keyID(make([]byte, 0, 80), t, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, false, errHeader
	}
	return number(binary.BigEndian.Uint64(v)), true, nil
}
