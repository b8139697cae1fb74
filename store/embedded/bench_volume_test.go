package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"vitrine/store/storetest"
)

// volumeOf is a store with n events, made anew unless VITRINE_VOLUME_DIR names one
// that has them.
func volumeOf(b *testing.B, n int) *grownStore {
	b.Helper()
	opt := options(b)
	opt.CacheSize, opt.Site = 256<<20, "vitrine"
	dir := os.Getenv("VITRINE_VOLUME_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, strconv.Itoa(n))
	g := &grownStore{DB: openIn(b, dir, opt), dir: dir}
	storetest.FillVolume(b, g, int(g.log.next)-1, n)
	g.rest(b)
	fmt.Fprintf(os.Stderr, "%d events: %.1f bytes each on disk\n", n, float64(g.Stats().DiskBytes)/float64(n))
	g.sizes(b, n)
	return g
}

// sizes are the bytes of each kind of key.
func (g *grownStore) sizes(b *testing.B, n int) {
	b.Helper()
	for _, s := range []struct {
		name  string
		space byte
	}{{"records", spaceAuditLog}, {"patients", spaceEvent}, {"ids", spaceEventID}, {"times", spaceMoment}, {"postings", spacePosting}} {
		size, err := g.eng.EstimateDiskUsage([]byte{s.space}, []byte{s.space + 1})
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(os.Stderr, "%-9s %6.1f bytes an event\n", s.name, float64(size)/float64(n))
	}
}

// BenchmarkVolume asks what regulators ask of two stores, one ten times the other
// (storetest.AskVolume).
func BenchmarkVolume(b *testing.B) {
	n := storetest.VolumeSize(b)
	small, big := volumeOf(b, n/10), volumeOf(b, n)
	if os.Getenv("VITRINE_VOLUME_FILL") != "" {
		return // to be asked another time
	}
	storetest.AskVolume(b, small.opt.Indexer.Parser(), small, big, n)
}
