package mongotest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// The lines of a server's log that say what it is doing (4.4 and later).
const (
	logListening = 23016 // waiting for connections
	logState     = 21358 // replica set state transition
	logWritable  = 21331 // transition to primary complete
)

// line is the part of a log line that is read.
type line struct {
	ID   int `json:"id"`
	Attr struct {
		NewState string `json:"newState"`
	} `json:"attr"`
}

// process is one running mongod. Its log is its standard output, which is read
// to its end.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it listens
	done  chan struct{} // closed when it has ended

	mu   sync.Mutex
	tail []string // the last lines of its log, for when it fails
}

// tailLines is how much of a log is kept.
const tailLines = 12

// launch starts a mongod that dies with this process, and returns when it
// listens. Every line of its log is handed to hear.
func launch(ctx context.Context, program, dir, addr string, args []string, hear func(line)) (*process, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	all := append([]string{
		"--dbpath", dir, "--port", port, "--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet",
		"--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false",
	}, args...)
	p := &process{ready: make(chan struct{}), done: make(chan struct{})}
	p.cmd = exec.Command(program, all...)
	p.cmd.SysProcAttr = bound()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go p.keep(out, started, hear)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start mongod: %w", err)
	}
	select {
	case <-p.ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("mongod ended: %s", p.last())
	case <-ctx.Done():
		p.kill()
		return nil, fmt.Errorf("start mongod: %w: %s", ctx.Err(), p.last())
	}
}

// keep starts the process, reads its log and waits for its end, all on one
// thread: Linux kills such a child when the thread that started it ends, not the
// process.
func (p *process) keep(out io.Reader, started chan<- error, hear func(line)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadBytes('\n')
		p.hear(text, hear)
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait() // killed, as a rule
}

func (p *process) hear(text []byte, hear func(line)) {
	if len(text) == 0 {
		return
	}
	p.mu.Lock()
	if p.tail = append(p.tail, string(text)); len(p.tail) > tailLines {
		p.tail = p.tail[1:]
	}
	p.mu.Unlock()
	var l line
	if json.Unmarshal(text, &l) != nil {
		return
	}
	if l.ID == logListening {
		close(p.ready)
	}
	hear(l)
}

// last is the end of the log, for an error.
func (p *process) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "")
}

// kill ends the process at once, as a power cut would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // a frozen one too; one that has ended is no matter
	<-p.done
}

// freeAddr is an address on which nothing listens now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// launchAnywhere launches on a free port in a new directory below dir. Between
// the finding of a port and its use somebody else may take it, so it tries again.
func launchAnywhere(ctx context.Context, program, dir string, args []string, hear func(line)) (p *process, addr, data string, err error) {
	for attempt := range 5 {
		data = filepath.Join(dir, strconv.Itoa(attempt))
		if err = os.MkdirAll(data, 0o700); err != nil {
			return nil, "", "", err
		}
		if addr, err = freeAddr(); err != nil {
			return nil, "", "", err
		}
		if p, err = launch(ctx, program, data, addr, args, hear); err == nil || errors.Is(err, ctx.Err()) {
			break
		}
	}
	return p, addr, data, err
}
