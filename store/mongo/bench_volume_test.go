package mongo

import (
	"testing"

	"vitrine/store/storetest"
)

// BenchmarkVolume asks what regulators ask of two stores, one ten times the other
// (storetest.AskVolume).
func BenchmarkVolume(b *testing.B) {
	n := storetest.VolumeSize(b)
	m := newMaker(b)
	small, big := salted(b, Options{Indexer: m.indexer, Definitions: m.defs, Site: "vitrine"}), salted(b, Options{Indexer: m.indexer, Definitions: m.defs, Site: "vitrine"})
	storetest.FillVolume(b, small, 0, n/10)
	storetest.FillVolume(b, big, 0, n)
	storetest.AskVolume(b, m.indexer.Parser(), small, big, n)
}
