package embedded

import (
	"fmt"
	"path/filepath"
	"testing"

	"vitrine/store/storetest"
)

// BenchmarkRounds reports what an event takes on disk, all of it and its record
// alone, by how many are recorded together: with little traffic a round has one
// record.
func BenchmarkRounds(b *testing.B) {
	const n = 20_000
	for _, together := range []int{1, 4, 64, 512} {
		b.Run(fmt.Sprintf("together=%d", together), func(b *testing.B) {
			opt := options(b)
			dir := filepath.Join(b.TempDir(), "store")
			g := &grownStore{DB: openIn(b, dir, opt), dir: dir}
			for b.Loop() {
				for i := 0; i < n; {
					var records [][]byte
					for ; len(records) < together && i < n; i++ {
						e := storetest.VolumeEvent(i, n)
						records = append(records, e.AppendBinary(nil))
					}
					if _, err := g.Record(b.Context(), records...); err != nil {
						b.Fatal(err)
					}
				}
				if err := g.Settle(b.Context()); err != nil {
					b.Fatal(err)
				}
				g.rest(b)
				settle(b, g.DB)
			}
			records, err := g.eng.EstimateDiskUsage([]byte{spaceAuditLog}, []byte{spaceAuditLog + 1})
			if err != nil {
				b.Fatal(err)
			}
			all, err := g.eng.EstimateDiskUsage([]byte{0}, []byte{0xFF})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(records)/n, "record-B")
			b.ReportMetric(float64(all)/n, "B")
		})
	}
}
