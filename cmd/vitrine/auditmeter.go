package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// exportMeter tells how far an export has come. Safe for concurrent use.
type exportMeter struct {
	out  io.Writer
	live bool // out is a terminal: progress overwrites itself

	mu         sync.Mutex
	what       string
	done, size int64
	since      time.Time
}

func newExportMeter(out io.Writer) *exportMeter {
	return &exportMeter{out: out, live: isTerminal(out)}
}

// watch tells of progress until the returned function is called.
func (m *exportMeter) watch() (stop func()) {
	end := fromTimeToTime(m.live, m.show)
	return func() {
		end()
		if m.live {
			_, _ = fmt.Fprint(m.out, "\r\x1b[K")
		}
	}
}

// begin starts a part of the work.
func (m *exportMeter) begin(what string, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.what, m.done, m.size, m.since = what, 0, size, time.Now()
}

func (m *exportMeter) at(done, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done, m.size = done, size
}

// barWidth is how wide the bar is.
const barWidth = 30

// show writes one line: a bar, how much, how long still.
func (m *exportMeter) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.what == "" || m.size == 0 {
		return
	}
	full := int(barWidth * min(m.done, m.size) / m.size)
	line := fmt.Sprintf("%s [%s%s] %d of %d", m.what, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), m.done, m.size)
	if passed := time.Since(m.since); m.done > 0 && m.done < m.size {
		left := time.Duration(float64(passed) * float64(m.size-m.done) / float64(m.done))
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	if m.live {
		_, _ = fmt.Fprint(m.out, "\r\x1b[K"+line)
		return
	}
	_, _ = fmt.Fprintln(m.out, line)
}
