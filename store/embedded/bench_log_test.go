package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
)

// BenchmarkRecordAndSettle records what reads of 64 callers leave behind, one record a
// call, and makes all of it findable. Of each record: cpu-us is the time of
// processors, all of what goes on behind included; wal-B, flush-B and compact-B
// what is written to the log of the engine, by flushes and by compactions, and
// memory-B what the records take before they are put together.
func BenchmarkRecordAndSettle(b *testing.B) {
	for _, patients := range []int{1, 1000} {
		b.Run("patients="+strconv.Itoa(patients), func(b *testing.B) { benchRecord(b, patients) })
	}
}

func benchRecord(b *testing.B, patients int) {
	const callers, turn = 64, 20_000
	db := openIn(b, filepath.Join(b.TempDir(), "store"), options(b))
	before, began := db.eng.Metrics(), cpuTime()
	var size atomic.Int64
	n := 0
	for b.Loop() {
		var left atomic.Int64
		left.Store(turn)
		var work sync.WaitGroup
		for c := range callers {
			work.Go(func() {
				for i := left.Add(-1); i >= 0; i = left.Add(-1) {
					record := readOf("p"+strconv.Itoa(int(i)%patients), c)
					size.Add(int64(len(record)))
					if _, err := db.Record(b.Context(), record); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		work.Wait()
		if err := db.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		n += turn
	}
	if err := db.eng.Flush(); err != nil {
		b.Fatal(err)
	}
	settle(b, db)
	after, each := db.eng.Metrics(), float64(n)
	total, was := after.Total(), before.Total()
	b.ReportMetric(float64((cpuTime()-began).Microseconds())/each, "cpu-us")
	b.ReportMetric(float64(size.Load())/each, "memory-B")
	b.ReportMetric(float64(after.WAL.BytesWritten-before.WAL.BytesWritten)/each, "wal-B")
	b.ReportMetric(float64(total.TableBytesFlushed-was.TableBytesFlushed)/each, "flush-B")
	b.ReportMetric(float64(total.TableBytesCompacted-was.TableBytesCompacted)/each, "compact-B")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readOf is the record of a doctor's read, as the gate makes it.
func readOf(patient string, caller int) []byte {
	e := audit.Event{
		Recorded: time.Now(), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: patient, //nolint:forbidigo // as a request is
		Level: consent.Full, Entities: []string{"Observation/0198c0de-0000-7000-8000-00000000abcd/_history/1"}, Site: "vitrine", Observer: "vitrine",
		Agent: audit.Agent{
			Kind: consent.Practitioner, Issuer: "urn:uuid:0198c0de-0000-7000-8000-000000000001", Subject: "doctor-" + strconv.Itoa(caller%8),
			Client: "emr", TokenID: "0198c0de-0000-7000-8000-000000000002", User: "PractitionerRole/doctor-" + strconv.Itoa(caller%8),
			Practitioner: "Practitioner/doctor-" + strconv.Itoa(caller%8), Organization: "clinic-a", Purpose: consent.Treatment, Address: "127.0.0.1",
			Roles: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
		},
	}
	var request [16]byte
	_, _ = rand.Read(e.ID[:])
	_, _ = rand.Read(request[:])
	binary.BigEndian.PutUint64(e.ID[:], uint64(e.Recorded.UnixMilli())<<16|0x7000) //nolint:gosec // after 1970
	e.RequestID = hex.EncodeToString(request[:])
	return e.AppendBinary(nil)
}
