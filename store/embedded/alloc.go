package embedded

import (
	"crypto/hmac"
	"crypto/sha256"
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

// ordinalFor is the ordinal of a patient, drawn when the patient is first
// mentioned. The order of ordinals is the order of pages over several patients,
// so it must not tell when that was, nor by whom: a hidden record may have been
// the first to mention the patient. Ordinals are therefore drawn from the id and
// the store's salt, not counted; only two patients that draw the same one, among
// 2^28, could tell which came first.
func (x *tx) ordinalFor(patient string) (ordinal, error) {
	o, ok, err := readOrdinal(x, patient)
	if err != nil || ok {
		return o, err
	}
	for try := range byte(math.MaxUint8) {
		o = drawOrdinal(x.db.salt, patient, try)
		free, err := x.free(o)
		if err != nil {
			return 0, err
		}
		if !free {
			continue
		}
		if err := x.set(keyPatient(o), []byte(patient)); err != nil {
			return 0, err
		}
		return o, x.set(keyOrdinal(nil, patient), binary.BigEndian.AppendUint32(nil, uint32(o)))
	}
	return 0, errFull
}

func (x *tx) free(o ordinal) (bool, error) {
	_, closer, err := x.Get(keyPatient(o))
	if errors.Is(err, pebble.ErrNotFound) {
		return o >= ordinalFirst && o < ordinalMax, nil
	}
	if err != nil {
		return false, err
	}
	return false, closer.Close()
}

func drawOrdinal(salt []byte, patient string, try byte) ordinal {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte{try})
	mac.Write([]byte(patient))
	return ordinal(binary.BigEndian.Uint32(mac.Sum(nil))) & ordinalMax
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
