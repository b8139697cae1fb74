package rest_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/gin-gonic/gin"

	"vitrine/fhir/rest"
)

// discard is an http.ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// serve sends the same request from 64 clients at once.
func serve(b *testing.B, h http.Handler, path string) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		r := httptest.NewRequest("GET", path, nil)
		r.Header["Authorization"] = []string{"Bearer doctor"}
		r.Header["Accept"] = []string{"application/fhir+json"}
		w := &discard{header: make(http.Header)}
		for pb.Next() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	})
}

// BenchmarkRead is a decided and audited read; BenchmarkBareGin sends the same
// bytes and knows nothing.
func BenchmarkRead(b *testing.B) {
	h := build(b)
	h.furnish()
	serve(b, h, "/fhir/Patient/q")
}

func BenchmarkBareGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	body := []byte(`{"resourceType":"Patient","id":"q","birthDate":"1990-01-02","gender":"male"}`)
	e.GET("/fhir/:type/:id", func(c *gin.Context) { c.Data(http.StatusOK, "application/fhir+json", body) })
	serve(b, e, "/fhir/Patient/q")
}

// BenchmarkPorch is all that the porch does but for the gate and the bytes.
func BenchmarkPorch(b *testing.B) {
	serve(b, doorless(b, rest.Config{}).Handler(), "/fhir/Patient/q/$nonsense")
}
