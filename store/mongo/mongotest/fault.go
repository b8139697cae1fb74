package mongotest

import "sync"

// When says at which moment of a request a fault strikes. The zero value is not
// a moment.
type When int

// The moments of a request, in their order.
const (
	_ When = iota
	// Before: nothing of it has reached the server.
	Before
	// Midway: half of its bytes have, which is nothing the server acts on.
	Midway
	// Forwarded: all of it has. Whether the server acts on it is not known.
	Forwarded
	// Answered: the server has done it, and its answer is not passed on.
	Answered
)

// Break says what a fault does. The zero value does nothing.
type Break int

// What a fault does.
const (
	_ Break = iota
	// Cut closes the connection.
	Cut
	// CutAll closes every connection of the proxy.
	CutAll
	// Reset closes the connection so that the peer sees a reset (RST).
	Reset
	// Hold keeps the request, and all that follow it on its connection, until
	// the trap is released.
	Hold
)

// Fault is what is to happen to which request.
type Fault struct {
	// Match says whether a request is meant. It is called for every request, in
	// turn.
	Match func(Message) bool
	// Skip lets so many pass first; Times is how many are struck, default one.
	Skip, Times int
	When        When
	Do          Break
}

// Trap is a fault that waits for its request.
type Trap struct {
	fault    Fault
	proxy    *Proxy
	sprung   chan struct{} // closed when it has struck first
	released chan struct{}
	release  sync.Once

	// Under the proxy's lock.
	skip, times int
	struck      int
}

// Arm sets a trap. Of several that match a request the first armed strikes.
func (p *Proxy) Arm(f Fault) *Trap {
	trap := &Trap{
		fault: f, proxy: p, sprung: make(chan struct{}), released: make(chan struct{}),
		skip: f.Skip, times: max(f.Times, 1),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traps = append(p.traps, trap)
	return trap
}

// Sprung is closed when the fault has struck for the first time.
func (t *Trap) Sprung() <-chan struct{} { return t.sprung }

// Struck is how often it has struck.
func (t *Trap) Struck() int {
	t.proxy.mu.Lock()
	defer t.proxy.mu.Unlock()
	return t.struck
}

// Release lets go what it holds, and disarms it.
func (t *Trap) Release() {
	t.Disarm()
	t.release.Do(func() { close(t.released) })
}

// Disarm keeps it from striking again.
func (t *Trap) Disarm() {
	t.proxy.mu.Lock()
	defer t.proxy.mu.Unlock()
	t.times = 0
}

// caught is the trap that strikes this request, if any. It counts as struck by
// then, so that a second connection does not spring it too.
func (p *Proxy) caught(m Message) *Trap {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.traps {
		if t.times == 0 || !t.fault.Match(m) {
			continue
		}
		if t.skip > 0 {
			t.skip--
			continue
		}
		t.times--
		return t
	}
	return nil
}

// strike does what the fault is to do to a connection, and reports whether the
// connection goes on.
func (t *Trap) strike(l *link) bool {
	switch t.fault.Do {
	case Cut:
		l.close()
	case CutAll:
		t.proxy.Cut()
	case Reset:
		l.reset()
	case Hold:
	}
	t.proxy.mu.Lock()
	if t.struck++; t.struck == 1 {
		close(t.sprung)
	}
	t.proxy.mu.Unlock()
	if t.fault.Do != Hold {
		return t.fault.Do == 0
	}
	select {
	case <-t.released:
		return true
	case <-l.done:
		return false
	}
}
