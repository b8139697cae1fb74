package r4

import "testing"

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkElement(b *testing.B) {
	d, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	observation, name := d.Type("Observation"), []byte("valueQuantity")
	b.ReportAllocs()
	for b.Loop() {
		observation.Element(name)
	}
}
