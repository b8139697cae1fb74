package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// report counts, tells of progress and of refusals as they come, and keeps
// nothing that grows with the import. Safe for concurrent use.
type report struct {
	out   io.Writer
	live  bool // out is a terminal: progress overwrites itself
	now   func() time.Time
	start time.Time
	size  int64 // of all files

	mu       sync.Mutex
	done     int64 // bytes read
	accepted map[string]int
	count    int
	rejected int
	reasons  int
}

// refusal says what was refused and why.
type refusal struct {
	origin
	typ, expression, reason string
}

func newReport(out io.Writer, size int64, now func() time.Time) *report {
	return &report{out: out, live: isTerminal(out), now: now, start: now(), size: size, accepted: map[string]int{}}
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r *report) read(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += int64(n)
}

// accept counts one resource; an entry without one, such as a delete, has no
// type.
func (r *report) accept(typ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if typ == "" {
		typ = "(no resource)"
	}
	r.accepted[typ]++
	r.count++
}

// lost counts resources that were refused, for reasons told by refuse.
func (r *report) lost(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rejected += n
}

// refuse tells why something was refused.
func (r *report) refuse(f refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons++
	line := "refused " + f.file
	if f.entry > 0 {
		line += fmt.Sprintf(" entry %d", f.entry)
	}
	if f.typ != "" {
		line += " " + f.typ
	}
	if f.expression != "" {
		line += " at " + f.expression
	}
	r.clear()
	_, _ = fmt.Fprintf(r.out, "%s: %s\n", line, f.reason)
}

// unreadable tells that a file, or the rest of it, cannot be read. The others
// still can.
func (r *report) unreadable(path string, err error) {
	r.refuse(refusal{origin: origin{file: path}, reason: "cannot be read to its end: " + err.Error()})
}

// refused is how many things were refused; zero only if nothing was.
func (r *report) refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.rejected, r.reasons)
}

// watch tells of progress from time to time, until the returned function is
// called.
func (r *report) watch() (stop func()) { return fromTimeToTime(r.live, r.progress) }

// fromTimeToTime calls show until the returned function is called; oftener when
// somebody looks on.
func fromTimeToTime(live bool, show func()) (stop func()) {
	every := 5 * time.Second
	if live {
		every = time.Second / 2
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				show()
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}

// progress writes one line: how much, how fast, how long still.
func (r *report) progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := r.now().Sub(r.start)
	line := fmt.Sprintf("%d resources, %.0f/s", r.count, float64(r.count)/passed.Seconds())
	if r.done > 0 && r.size > 0 {
		left := time.Duration(float64(passed) * float64(r.size-min(r.done, r.size)) / float64(r.done))
		line += fmt.Sprintf(", %d%% read, %s left", 100*min(r.done, r.size)/r.size, left.Round(time.Second))
	}
	r.clear()
	if r.live {
		_, _ = fmt.Fprint(r.out, line)
		return
	}
	_, _ = fmt.Fprintln(r.out, line)
}

// clear takes the progress line off a terminal.
func (r *report) clear() {
	if r.live {
		_, _ = fmt.Fprint(r.out, "\r\x1b[K")
	}
}

// summary writes what became of everything, by type.
func (r *report) summary(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	passed := max(r.now().Sub(r.start), time.Millisecond)
	for _, typ := range slices.Sorted(maps.Keys(r.accepted)) {
		_, _ = fmt.Fprintf(out, "%8d %s\n", r.accepted[typ], typ)
	}
	_, _ = fmt.Fprintf(out, "%8d imported in %s (%.0f/s), %d refused\n",
		r.count, passed.Round(time.Millisecond), float64(r.count)/passed.Seconds(), max(r.rejected, r.reasons))
}
