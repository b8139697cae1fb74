package validate

import (
	"bytes"

	"vitrine/fhir"
)

// inOrder is per-1: the start of a Period is not after its end. Times of
// different zones are left to the evaluation.
func (w *walker) inOrder(n fhir.Node) standing {
	var startRoom, endRoom [40]byte
	start, end := w.t.Bytes(w.t.Field(n, "start"), startRoom[:]), w.t.Bytes(w.t.Field(n, "end"), endRoom[:])
	if start == nil || end == nil {
		return kept // one of them has no value
	}
	if !isDateTime(start) || !isDateTime(end) {
		return void // reported already
	}
	startDay, startTime, _ := bytes.Cut(start, []byte{'T'})
	endDay, endTime, _ := bytes.Cut(end, []byte{'T'})
	if len(startTime) > 0 && len(endTime) > 0 {
		startClock, startZone := clock(startTime)
		endClock, endZone := clock(endTime)
		if !bytes.Equal(startZone, endZone) || len(startClock) != len(endClock) {
			return open
		}
		return ordered(start[:len(startDay)+1+len(startClock)], end[:len(endDay)+1+len(endClock)])
	}
	if len(startTime) != len(endTime) {
		return open // one has a time and a zone
	}
	return ordered(startDay, endDay)
}

// ordered compares texts that sort as the moments do. The less precise one says
// nothing of what it leaves open.
func ordered(start, end []byte) standing {
	n := min(len(start), len(end))
	switch c := bytes.Compare(start[:n], end[:n]); {
	case c < 0:
		return kept
	case c > 0:
		return broken
	case len(start) != len(end):
		return void
	}
	return kept
}

// clock parts a time from its zone.
func clock(t []byte) (clock, zone []byte) {
	i := bytes.LastIndexAny(t, "Z+-")
	if i < 0 {
		return t, nil
	}
	return t[:i], t[i:]
}
