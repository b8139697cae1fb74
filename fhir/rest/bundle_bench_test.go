package rest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"
)

// syntheaBundle is a Bundle of the kind with n entries: those of the records in
// testdata, over and over, each time under other fullUrls.
func syntheaBundle(tb testing.TB, kind string, n int) string {
	tb.Helper()
	files, err := filepath.Glob("../../testdata/synthea/*.json.gz")
	if err != nil || len(files) == 0 {
		tb.Fatal(err, "no records")
	}
	var out strings.Builder
	out.WriteString(`{"resourceType":"Bundle","type":"` + kind + `","entry":[`)
	for count, i := 0, 0; count < n; i++ {
		for _, e := range syntheaEntries(tb, files[i%len(files)]) {
			if count == n {
				break
			}
			if count > 0 {
				out.WriteByte(',')
			}
			e = renamed(e, i)
			if kind == "batch" {
				e = bytes.ReplaceAll(e, []byte("urn:uuid:"), []byte("http://elsewhere.example/x/"))
			}
			out.Write(e)
			count++
		}
	}
	out.WriteString(`]}`)
	return out.String()
}

// syntheaEntries are the entries of one file, as far as they refer to nothing
// outside of it.
func syntheaEntries(tb testing.TB, file string) [][]byte {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	var b struct {
		Entry []json.RawMessage
	}
	if err := json.Unmarshal(text, &b); err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for _, e := range b.Entry {
		if bytes.Contains(e, []byte(`?identifier`)) {
			continue
		}
		out = append(out, e)
	}
	return out
}

// renamed moves every uuid by so many places.
func renamed(e []byte, places int) []byte {
	const prefix = "urn:uuid:"
	out := bytes.Clone(e)
	for at := 0; ; {
		i := bytes.Index(out[at:], []byte(prefix))
		if i < 0 {
			return out
		}
		at += i + len(prefix)
		n, err := strconv.ParseUint(string(out[at:at+4]), 16, 16)
		if err != nil {
			return out
		}
		copy(out[at:], fmt.Sprintf("%04x", (int(n)+places)&0xffff))
	}
}

// answered keeps the status.
type answered struct {
	discard
	status int
	body   string
}

func (a *answered) Write(p []byte) (int, error) {
	if a.status != http.StatusOK {
		a.body += string(p)
	}
	return len(p), nil
}

func (a *answered) WriteHeader(status int) { a.status = status }

// peak runs do and returns by how much the heap grew at most, garbage included.
func peak(do func()) uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	runtime.GC()
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		mine := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			select {
			case <-stop:
				result <- most - before
				return
			case <-tick.C:
				metrics.Read(mine)
				most = max(most, mine[0].Value.Uint64())
			}
		}
	}()
	do()
	close(stop)
	return <-result
}

// BenchmarkBundle sends a Bundle of Synthea's entries as the custodian.
// "peak/body" is how often the body fits into what the heap grew by.
func BenchmarkBundle(b *testing.B) {
	for _, kind := range []string{"transaction", "batch"} {
		for _, n := range []int{100, 10_000} {
			b.Run(kind+"/"+strconv.Itoa(n), func(b *testing.B) {
				h := build(b)
				body := syntheaBundle(b, kind, n)
				var most uint64
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/fhir", strings.NewReader(body))
					r.Header.Set("Authorization", "Bearer good")
					r.Header.Set("Content-Type", "application/fhir+json")
					w := &answered{discard: discard{header: http.Header{}}}
					most = max(most, peak(func() { h.ServeHTTP(w, r) }))
					if w.status != http.StatusOK {
						b.Fatal(w.status, w.body)
					}
				}
				b.ReportMetric(float64(len(body))/1e6, "MB-body")
				b.ReportMetric(float64(most)/1e6, "MB-peak")
				b.ReportMetric(float64(most)/float64(len(body)), "peak/body")
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}
