package gate

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/fhir"
)

// TestPlacesComeBack: what a cursor holds is read again, or, where it was too
// long, without the earliest pages; and its length says little.
func TestPlacesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := place{mark: rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "mark")}
		for range rapid.IntRange(1, 40).Draw(t, "pages") {
			p.spots = append(p.spots, spot{
				fhir.ResourceType(rapid.SampledFrom([]string{"", "Patient", "Observation"}).Draw(t, "type")),
				rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "after"),
			})
		}
		b := p.encode()
		got, err := decodePlace(b)
		if err != nil {
			t.Fatal(err)
		}
		want := place{mark: p.mark, spots: p.spots[len(p.spots)-len(got.spots):]}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(place{}, spot{}), cmp.Comparer(bytes.Equal)); d != "" {
			t.Fatal(d)
		}
		if len(b)%placeBlock != 0 || len(b) > placeMost+4*placeBlock {
			t.Fatalf("%d bytes", len(b))
		}
	})
}

// TestThePageBeforeIsFoundAgain: next and then previous is the same place.
func TestThePageBeforeIsFoundAgain(t *testing.T) {
	var first place
	if _, ok := first.before(); ok {
		t.Error("there is a page before the first")
	}
	second := first.then(spot{"", []byte("a")})
	third := second.then(spot{"", []byte("b")})
	back, ok := third.before()
	if d := cmp.Diff(second, back, cmp.AllowUnexported(place{}, spot{})); d != "" || !ok {
		t.Errorf("%v %s", ok, d)
	}
	back, ok = back.before()
	if at := back.at(); !ok || at.t != "" || at.after != nil {
		t.Errorf("%v %+v", ok, back)
	}
	if _, ok = back.before(); ok {
		t.Error("there is a page before the first")
	}
}

// FuzzDecodePlace: nothing that is decrypted breaks it.
func FuzzDecodePlace(f *testing.F) {
	p := place{mark: []byte("mark"), spots: []spot{{}, {"Patient", []byte("x")}}}
	f.Add(p.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePlace(b); err == nil && len(p.spots) == 0 {
			t.Error("a place without a page")
		}
	})
}
