package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// connections is how many clients ask at once.
const connections = 64

// BenchmarkReadAgainstBareGin asks the whole server for one Observation —
// token, decision, durable record of access — and a bare gin handler for the
// same bytes, in turns. The metric "ratio" is the server's rate over the bare
// handler's.
func BenchmarkReadAgainstBareGin(b *testing.B) {
	h := newBenchHouse(b)
	path, token := h.registered(b)
	body := h.get(b, path, token)
	bare := serveBare(b, body)
	ask := requestBytes(path, token)
	hammer(b, h.addr, ask, 2000)
	hammer(b, bare, ask, 2000)
	var ours, theirs time.Duration
	b.ResetTimer()
	n := 0
	for b.Loop() {
		theirs += hammer(b, bare, ask, 4000)
		ours += hammer(b, h.addr, ask, 4000)
		n += 4000
	}
	b.ReportMetric(float64(theirs)/float64(ours), "ratio")
	b.ReportMetric(float64(n)/ours.Seconds(), "reads/s")
	b.ReportMetric(float64(n)/theirs.Seconds(), "bare/s")
}

// benchHouse is a whole server on loopback.
type benchHouse struct {
	*House
	addr string
}

func newBenchHouse(b *testing.B, more ...func(*settings)) *benchHouse {
	b.Helper()
	cfg := benchSettings(b)
	for _, change := range more {
		change(&cfg)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	h, err := open(cfg, ln, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, ln) }()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, h.Close()); err != nil {
			b.Error(err)
		}
	})
	return &benchHouse{h, ln.Addr().String()}
}

// serveBare is gin and nothing else.
func serveBare(b *testing.B, body []byte) string {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/fhir/Observation/:id", func(c *gin.Context) {
		c.Data(http.StatusOK, "application/fhir+json; charset=utf-8", body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: engine, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)} //nolint:gosec // loopback
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	b.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return ln.Addr().String()
}

func requestBytes(path, token string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/fhir+json\r\nAuthorization: Bearer " + token + "\r\n\r\n")
}

// hammer sends the request n times over as many connections as are in use and
// returns how long that took. Its client does the least a client can, so that
// the server is what is measured.
func hammer(b *testing.B, addr string, ask []byte, n int) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var work sync.WaitGroup
	errs := make(chan error, connections)
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = c
	}
	began := time.Now()
	for _, c := range conns {
		work.Go(func() {
			r := bufio.NewReaderSize(c, 32<<10)
			for left.Add(-1) >= 0 {
				if err := exchange(c, r, ask); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	work.Wait()
	took := time.Since(began)
	for _, c := range conns {
		_ = c.Close()
	}
	select {
	case err := <-errs:
		b.Fatal(err)
	default:
	}
	return took
}

func exchange(w io.Writer, r *bufio.Reader, ask []byte) error {
	if _, err := w.Write(ask); err != nil {
		return err
	}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q", line)
	}
	length := -1
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && len(name) == len("Content-Length") && textproto.CanonicalMIMEHeaderKey(string(name)) == "Content-Length" {
			if length, err = strconv.Atoi(strings.TrimSpace(string(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	_, err = r.Discard(length)
	return err
}
