package mongotest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that says what it hears.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// says sends and wants the same back.
func says(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("got %q, %v, want %q", b, err, text)
	}
}

// ended wants the connection to be over, by a reset or without one.
func ended(t *testing.T, c net.Conn, reset bool) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || err == nil || errors.Is(err, syscall.ECONNRESET) != reset {
		t.Errorf("got %d bytes, %v, want a reset: %t", n, err, reset)
	}
}

func TestCutAndReset(t *testing.T) {
	p := NewProxy(t, echo(t))
	for _, reset := range []bool{false, true} {
		a, b := dial(t, p.Addr()), dial(t, p.Addr())
		says(t, a, "before")
		says(t, b, "before")
		if reset {
			p.Reset()
		} else {
			p.Cut()
		}
		ended(t, a, reset)
		ended(t, b, reset)
		says(t, dial(t, p.Addr()), "a new connection")
	}
}

func TestRefuse(t *testing.T) {
	p := NewProxy(t, echo(t))
	old := dial(t, p.Addr())
	says(t, old, "before")
	p.Refuse(true)
	// The reset may arrive before the dialling caller has looked, or after.
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		ended(t, c, true)
		_ = c.Close()
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	says(t, old, "one that was there goes on")
	p.Refuse(false)
	says(t, dial(t, p.Addr()), "after")
}

func TestCutAfter(t *testing.T) {
	p := NewProxy(t, echo(t))
	c := dial(t, p.Addr())
	cut := p.CutAfter(10)
	says(t, c, "123456789")
	if _, err := io.WriteString(c, "and more"); err != nil {
		t.Fatal(err)
	}
	<-cut
	got, _ := io.ReadAll(c)
	if len(got) > 1 {
		t.Errorf("%q came back of what lay beyond the cut", got)
	}
	says(t, dial(t, p.Addr()), "the fuse is burnt once")
}

func TestStall(t *testing.T) {
	p := NewProxy(t, echo(t))
	c := dial(t, p.Addr())
	says(t, c, "before")
	p.Stall()
	p.Stall()
	if _, err := io.WriteString(c, "meanwhile"); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while stalled: got %d bytes, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Resume()
	b := make([]byte, len("meanwhile"))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "meanwhile" {
		t.Errorf("got %q, %v", b, err)
	}
	p.Stall()
	p.Cut()
	ended(t, c, false)
}

func TestSlow(t *testing.T) {
	p := NewProxy(t, echo(t))
	c := dial(t, p.Addr())
	p.Slow(10_000)
	text := bytes.Repeat([]byte("x"), 1000)
	start := time.Now()
	says(t, c, string(text))
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("1,000 bytes at 10,000 a second took %v", took)
	}
	p.Slow(0)
	says(t, c, string(text))
}
