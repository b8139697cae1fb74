package mongo

import (
	"context"
	"fmt"
	"strconv"
	"testing"
)

// BenchmarkRounds reports what an event takes on disk by how many are recorded
// together: with little traffic an insertion has one. Each is a document of its own
// in any case.
func BenchmarkRounds(b *testing.B) {
	m := newMaker(b)
	var patients []string
	for i := range 50 {
		patients = append(patients, "p"+strconv.Itoa(i))
	}
	for _, together := range []int{1, 64} {
		b.Run(fmt.Sprintf("together=%d", together), func(b *testing.B) {
			db := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
			for b.Loop() {
				for records := accesses(patients, 100); len(records) > 0; {
					n := min(together, len(records))
					if _, err := db.Record(context.Background(), records[:n]...); err != nil {
						b.Fatal(err)
					}
					records = records[n:]
				}
			}
			if err := db.client.Database("admin").RunCommand(context.Background(), is("fsync", 1)).Err(); err != nil {
				b.Fatal(err)
			}
			reportSize(b, db, collEvents)
		})
	}
}
