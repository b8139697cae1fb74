package mongotest

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Proxy stands on loopback between clients and one server, and breaks what it
// carries when it is told to: at once, or at a chosen moment of a chosen request
// (Arm). It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	uri      *url.URL
	wire     bool // it knows what it carries
	work     sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{}
	traps   []*Trap
	gate    chan struct{} // closed when it flows again; nil while it flows
	rate    int           // bytes per second; 0 for all there are
	refused bool
	closed  bool
	fuse    *fuse
}

// fuse counts the bytes until the cut.
type fuse struct {
	left int64
	cut  chan struct{}
}

// Through is a proxy to the primary of the servers that the URI names. It reads
// the requests, so that faults can be chosen by them.
func Through(t testing.TB, uri string) *Proxy {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := primaryOf(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("replicaSet")
	q.Set("directConnection", "true")
	u.RawQuery = q.Encode()
	return listen(t, addr, u)
}

// primaryOf asks the servers where their primary is.
func primaryOf(ctx context.Context, uri string) (string, error) {
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Disconnect(context.WithoutCancel(ctx)) }()
	var hello struct {
		Primary string `bson:"primary"`
	}
	err = c.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.Primary, err
}

// NewProxy is a proxy to an address, and knows nothing of what it carries. It
// ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	return listen(t, target, nil)
}

func listen(t testing.TB, target string, uri *url.URL) *Proxy {
	t.Helper()
	p, err := forward(target, uri != nil)
	if err != nil {
		t.Fatal(err)
	}
	if uri != nil {
		uri.Host = p.Addr()
		p.uri = uri
	}
	t.Cleanup(p.close)
	return p
}

// forward starts a proxy.
func forward(target string, wire bool) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, wire: wire, links: map[*link]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URI leads through the proxy and nowhere else: the driver does not look for
// other servers.
func (p *Proxy) URI() string { return p.uri.String() }

// Cut closes all connections now.
func (p *Proxy) Cut() {
	for _, l := range p.open() {
		l.close()
	}
}

// Reset closes all connections now, so that both ends see a reset (RST).
func (p *Proxy) Reset() {
	for _, l := range p.open() {
		l.reset()
	}
}

// cutPeers closes the connections that other servers made.
func (p *Proxy) cutPeers() {
	for _, l := range p.open() {
		if l.isPeer() {
			l.close()
		}
	}
}

// CutAfter closes all connections when n more bytes have come from clients, in
// the middle of a message as it may be. The channel is closed when it has.
func (p *Proxy) CutAfter(n int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fuse = &fuse{n, make(chan struct{})}
	return p.fuse.cut
}

// Refuse says whether new connections are reset as soon as they are made.
func (p *Proxy) Refuse(refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = refused
}

// Stall carries nothing, either way, and leaves the connections open.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate == nil {
		p.gate = make(chan struct{})
	}
}

// Resume ends a stall.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

// Slow carries so many bytes per second, each way of each connection; 0 means
// as many as there are.
func (p *Proxy) Slow(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
}

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var links []*link
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// serve carries one connection to its end.
func (p *Proxy) serve(client net.Conn) {
	l := &link{proxy: p, client: client, done: make(chan struct{}), awaited: map[uint32]*Trap{}}
	if !p.admit(l) {
		l.reset()
		return
	}
	defer p.forget(l)
	defer l.close()
	server, err := (&net.Dialer{Timeout: patience}).Dial("tcp", p.target)
	if err != nil || !l.join(server) {
		return
	}
	var down sync.WaitGroup
	down.Go(func() {
		defer l.close()
		l.down()
	})
	l.up()
	l.close()
	down.Wait()
}

func (p *Proxy) admit(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused || p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close() // nobody is to be told
	p.Cut()
	p.work.Wait()
}

// spend takes n bytes off the fuse, and returns how many may still pass.
func (p *Proxy) spend(n int) (pass int, burnt *fuse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fuse == nil {
		return n, nil
	}
	if int64(n) < p.fuse.left {
		p.fuse.left -= int64(n)
		return n, nil
	}
	pass, burnt = int(p.fuse.left), p.fuse
	p.fuse = nil
	return pass, burnt
}

// state is what holds for the next bytes.
func (p *Proxy) state() (gate chan struct{}, rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate, p.rate
}

// steps is in how many parts a second's bytes go when the proxy is slow.
const steps = 50

// send writes b as fast as the proxy allows, and reports whether all of it went.
func (p *Proxy) send(to io.Writer, b []byte, done <-chan struct{}) bool {
	for len(b) > 0 {
		gate, rate := p.state()
		n := len(b)
		switch {
		case gate != nil:
			select {
			case <-gate:
			case <-done:
				return false
			}
			continue
		case rate > 0:
			n = min(n, max(rate/steps, 1))
			pause := time.NewTimer(time.Duration(n) * time.Second / time.Duration(rate))
			select {
			case <-pause.C:
			case <-done:
				pause.Stop()
				return false
			}
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}
