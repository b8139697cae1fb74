package r4

import (
	"errors"
	"testing"
)

func TestDamagedTablesAreRefused(t *testing.T) {
	if _, err := decode(tables); err != nil {
		t.Fatalf("whole tables: %v", err)
	}
	for _, src := range []string{"", "x", magic, magic + "\x01", tables[:len(tables)-1], tables + "\x00", "X" + tables[1:]} {
		if _, err := decode(src); !errors.Is(err, errTables) {
			t.Errorf("%d bytes: got %v, want %v", len(src), err, errTables)
		}
	}
	for n := 0; n < len(tables); n += 997 {
		if _, err := decode(tables[:n]); !errors.Is(err, errTables) {
			t.Errorf("cut after %d bytes: got %v, want %v", n, err, errTables)
		}
	}
}

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
