package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"vitrine/store"
)

// meter tells how far a copy has come. Safe for concurrent use.
type meter struct {
	out   io.Writer
	live  bool // out is a terminal: progress overwrites itself
	begun time.Time

	mu sync.Mutex
	at store.Progress
	// since and from are when the phase began here, and how much of it was done
	// then.
	since time.Time
	from  uint64
}

func newMeter(out io.Writer) *meter {
	return &meter{out: out, live: isTerminal(out), begun: time.Now()}
}

func (m *meter) passed() time.Duration { return time.Since(m.begun) }

func (m *meter) watch() (stop func()) { return fromTimeToTime(m.live, m.show) }

// tell takes the news of a copy.
func (m *meter) tell(p store.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Phase != m.at.Phase {
		m.since, m.from = time.Now(), p.Done
	}
	m.at = p
}

// show writes one line: what, how much, how fast, how long still.
func (m *meter) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	line := progressLine(m.at, m.from, time.Since(m.since))
	if !m.live {
		_, _ = fmt.Fprintln(m.out, line)
		return
	}
	_, _ = fmt.Fprint(m.out, "\r\x1b[K"+line)
}

func progressLine(p store.Progress, from uint64, passed time.Duration) string {
	what := map[store.Phase]string{store.CopyingChronicles: "resources copied", store.CopyingRecords: "records of accesses copied", store.CopyingStates: "states copied", store.Comparing: "compared"}[p.Phase]
	if what == "" {
		return "beginning"
	}
	rate := float64(p.Done-min(from, p.Done)) / max(passed.Seconds(), 1e-3)
	line := fmt.Sprintf("%d of %d %s, %.0f/s", p.Done, max(p.Done, p.Total), what, rate)
	if rate > 0 && p.Total > p.Done {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		line += fmt.Sprintf(", %d%%, %s left", 100*p.Done/p.Total, left.Round(time.Second))
	}
	return line
}

// clear takes the line off a terminal.
func (m *meter) clear() {
	if m.live {
		_, _ = fmt.Fprint(m.out, "\r\x1b[K")
	}
}
