package mongotest

import (
	"bufio"
	"net"
	"sync"
)

// link is one connection through the proxy: from a client, and on to the server.
type link struct {
	proxy  *Proxy
	client net.Conn
	done   chan struct{} // closed with the connection

	mu      sync.Mutex
	server  net.Conn // nil until it is reached
	closed  bool
	awaited map[uint32]*Trap // by the request whose answer is to be caught
	peer    bool             // another server made it
	doomed  bool             // it is about to be cut, and no answer overtakes that
}

// join adds the way on, unless the link was closed meanwhile.
func (l *link) join(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = server.Close() // nothing was written
		return false
	}
	l.server = server
	return true
}

func (l *link) close() { l.end(false) }

func (l *link) reset() { l.end(true) }

// end closes both sides; by a reset, both drop what was on its way.
func (l *link) end(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	for _, c := range []net.Conn{l.client, l.server} {
		if t, ok := c.(*net.TCPConn); ok {
			if reset {
				_ = t.SetLinger(0) // then it ends in the gentler way
			}
			_ = t.Close() // it is broken on purpose
		}
	}
}

// up carries what the client sends.
func (l *link) up() {
	if !l.proxy.wire {
		l.carry(l.client, l.forward)
		return
	}
	r := bufio.NewReader(l.client)
	for {
		frame, err := readFrame(r)
		if err != nil || !l.request(frame) {
			return
		}
	}
}

// request forwards one request, unless a trap waits for it. It reports whether
// the connection goes on.
func (l *link) request(frame []byte) bool {
	m := parse(frame)
	if fromServer(m) {
		l.mu.Lock()
		l.peer = true
		l.mu.Unlock()
	}
	trap := l.proxy.caught(m)
	if trap == nil {
		return l.forward(frame)
	}
	sent := 0
	switch trap.fault.When {
	case Before:
	case Midway:
		sent = len(frame) / 2
	case Forwarded:
		sent = len(frame)
		l.doom(trap.fault.Do)
	case Answered:
		l.mu.Lock()
		l.awaited[requestID(frame)] = trap
		l.mu.Unlock()
		return l.forward(frame)
	}
	return l.forward(frame[:sent]) && trap.strike(l) && l.forward(frame[sent:])
}

func (l *link) isPeer() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peer
}

// doom keeps back the answer to a request that is forwarded before the cut.
func (l *link) doom(do Break) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doomed = do == Cut || do == CutAll || do == Reset
}

// down carries what the server sends.
func (l *link) down() {
	if !l.proxy.wire {
		l.carry(l.server, l.back)
		return
	}
	r := bufio.NewReader(l.server)
	for {
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		l.mu.Lock()
		trap := l.awaited[responseTo(frame)]
		delete(l.awaited, responseTo(frame))
		doomed := l.doomed
		l.mu.Unlock()
		if doomed {
			<-l.done
			return
		}
		if trap != nil && !trap.strike(l) || !l.back(frame) {
			return
		}
	}
}

// carry copies bytes as they come.
func (l *link) carry(from net.Conn, to func([]byte) bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !to(buf[:n]) || err != nil {
			return
		}
	}
}

// forward sends to the server, as far as the fuse allows.
func (l *link) forward(b []byte) bool {
	n, burnt := l.proxy.spend(len(b))
	ok := l.proxy.send(l.server, b[:n], l.done)
	if burnt == nil {
		return ok
	}
	l.proxy.Cut()
	close(burnt.cut)
	return false
}

func (l *link) back(b []byte) bool { return l.proxy.send(l.client, b, l.done) }
