package mongotest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	setName = "vitrine"
	// patience bounds every wait; only what is broken waits so long.
	patience = 2 * time.Minute
)

// The states of a node, in the words of its log.
const (
	statePrimary   = "PRIMARY"
	stateSecondary = "SECONDARY"
	stateWinning   = "won its election, not yet writable"
	stateDown      = "DOWN"
)

// node is one member of a replica set.
type node struct {
	addr, dir string
	proxy     *Proxy   // before it, to which its address belongs; nil for a node that is alone
	process   *process // nil when it is down
	frozen    bool
	cut       []*Trap // what keeps it and the others apart
	state     string
	elected   int // the number of its last election, in order of all
}

// nodes are the members of a replica set on loopback. What they say in their
// logs moves their states.
type nodes struct {
	program string
	all     []*node

	mu        sync.Mutex
	changed   chan struct{} // closed and made anew at every change of a state
	elections int
}

// assemble starts n members and makes them a replica set that is whole.
func assemble(ctx context.Context, program, dir string, n int) (*nodes, error) {
	s := &nodes{program: program, changed: make(chan struct{})}
	members := bson.A{}
	for i := range n {
		m := &node{state: stateDown}
		s.all = append(s.all, m)
		p, addr, data, err := launchAnywhere(ctx, program, filepath.Join(dir, strconv.Itoa(i)), s.args(), s.listener(m))
		if err != nil {
			s.stop()
			return nil, err
		}
		m.process, m.addr, m.dir = p, addr, data
		if n > 1 {
			if m.proxy, err = forward(addr, true); err != nil {
				s.stop()
				return nil, err
			}
		}
		members = append(members, bson.D{{Key: "_id", Value: i}, {Key: "host", Value: m.host()}})
	}
	// Elections within a second or two, so that a test can afford a hundred.
	config := bson.D{
		{Key: "_id", Value: setName},
		{Key: "members", Value: members},
		{Key: "settings", Value: bson.D{
			{Key: "electionTimeoutMillis", Value: 1000}, {Key: "heartbeatIntervalMillis", Value: 200}, {Key: "heartbeatTimeoutSecs", Value: 1},
		}},
	}
	err := command(ctx, direct(s.all[0].addr), bson.D{{Key: "replSetInitiate", Value: config}})
	if err == nil {
		err = s.await(ctx, s.whole)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("make a replica set of %d: %w", n, err)
	}
	return s, nil
}

// host is where the others and the clients find a node.
func (m *node) host() string {
	if m.proxy != nil {
		return m.proxy.Addr()
	}
	return m.addr
}

// away reports whether the others do not hear of a node. The lock is held.
func (m *node) away() bool { return m.process == nil || m.frozen || m.cut != nil }

// args are those of a member. One that follows a node that is frozen gives it up
// after seconds, as it does one that is gone; by default a majority would wait
// for that three times as long.
func (s *nodes) args() []string {
	args := []string{"--replSet", setName, "--oplogSize", "256", "--networkMessageCompressors", "disabled"}
	for _, p := range []string{"enableTestCommands=1", "oplogNetworkTimeoutBufferSeconds=1", "oplogInitialFindMaxSeconds=2", "oplogRetriedFindMaxSeconds=1"} {
		args = append(args, "--setParameter", p)
	}
	return args
}

// listener follows the log of a node.
func (s *nodes) listener(m *node) func(line) {
	return func(l line) {
		state := l.Attr.NewState
		switch {
		case l.ID == logWritable:
			state = statePrimary
		case l.ID != logState:
			return
		case state == statePrimary:
			state = stateWinning
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.state = state; state == statePrimary {
			s.elections++
			m.elected = s.elections
		}
		s.tell()
	}
}

// tell wakes who waits for a change. The lock is held.
func (s *nodes) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// primary is the index of the writable primary, or -1. The lock is held. One
// that was away may still think it is the primary; the last elected is.
func (s *nodes) primary() int {
	best, at := 0, -1
	for i, m := range s.all {
		if !m.away() && m.state == statePrimary && m.elected > best {
			best, at = m.elected, i
		}
	}
	return at
}

// whole reports whether there is one primary and all others follow. The lock is
// held.
func (s *nodes) whole() bool {
	primary := s.primary()
	for i, m := range s.all {
		if m.away() || i != primary && m.state != stateSecondary {
			return false
		}
	}
	return primary >= 0
}

// await returns when done, which is asked under the lock, says so.
func (s *nodes) await(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s.mu.Lock()
		ok, changed := done(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w with the nodes %s", ctx.Err(), s)
		}
	}
}

// String names the states of the nodes.
func (s *nodes) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for i, m := range s.all {
		fmt.Fprintf(&b, "[%d %s away=%t]", i, m.state, m.away())
	}
	return b.String()
}

// uri names all nodes, with a driver that looks at them often: one that is
// frozen is noticed only when it is overdue.
func (s *nodes) uri() string {
	var hosts []string
	for _, m := range s.all {
		hosts = append(hosts, m.host())
	}
	return "mongodb://" + strings.Join(hosts, ",") + "/?replicaSet=" + setName + "&heartbeatFrequencyMS=500&connectTimeoutMS=1000"
}

func (s *nodes) kill(i int) error {
	m := s.all[i]
	if m.process == nil {
		return errors.New("it is down")
	}
	m.process.kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.process, m.frozen, m.state = nil, false, stateDown
	s.tell()
	return nil
}

func (s *nodes) start(ctx context.Context, i int) error {
	m := s.all[i]
	if m.process != nil {
		return errors.New("it is up")
	}
	p, err := launch(ctx, s.program, m.dir, m.addr, s.args(), s.listener(m))
	if err != nil {
		return err
	}
	s.mu.Lock()
	m.process = p
	s.tell()
	s.mu.Unlock()
	return s.await(ctx, func() bool { return slices.Contains([]string{statePrimary, stateSecondary}, m.state) })
}

func (s *nodes) freeze(i int, frozen bool) error {
	m, signal := s.all[i], thaw
	if frozen {
		signal = freeze
	}
	if m.process == nil || m.frozen == frozen {
		return fmt.Errorf("it is %s", m.state)
	}
	if err := signal(m.process.cmd.Process); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.frozen = frozen
	s.tell()
	return nil
}

// cutOff keeps a node and the others from hearing of each other. Clients reach
// both sides.
func (s *nodes) cutOff(i int) error {
	m := s.all[i]
	if m.proxy == nil || m.cut != nil {
		return errors.New("it cannot be cut off")
	}
	var cut []*Trap
	for j, other := range s.all {
		match := askedBy(m.host(), i)
		if j == i {
			match = fromServer
		}
		cut = append(cut, other.proxy.Arm(Fault{Match: match, Times: math.MaxInt, When: Before, Do: Cut}))
	}
	s.mu.Lock()
	m.cut = cut
	s.tell()
	s.mu.Unlock()
	m.proxy.cutPeers()
	return nil
}

func (s *nodes) rejoin(i int) error {
	m := s.all[i]
	if m.cut == nil {
		return errors.New("it is not cut off")
	}
	for _, trap := range m.cut {
		trap.Disarm()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.cut = nil
	s.tell()
	return nil
}

// stepDown makes the primary give way, and keeps it from being elected for some
// seconds.
func (s *nodes) stepDown(ctx context.Context) error {
	s.mu.Lock()
	i := s.primary()
	s.mu.Unlock()
	if i < 0 {
		return errors.New("there is no primary")
	}
	m := s.all[i]
	elected := m.elected
	err := command(ctx, direct(m.addr), bson.D{{Key: "replSetStepDown", Value: 5}, {Key: "secondaryCatchUpPeriodSecs", Value: 2}, {Key: "force", Value: true}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.state == statePrimary && m.elected == elected { // its log is behind its answer
		m.state = stateSecondary
		s.tell()
	}
	return nil
}

func (s *nodes) stop() {
	for _, m := range s.all {
		if m.process != nil {
			m.process.kill()
		}
		if m.proxy != nil {
			m.proxy.close()
		}
	}
}

// direct names one node, whatever its state.
func direct(addr string) string {
	return (&url.URL{Scheme: "mongodb", Host: addr, Path: "/", RawQuery: "directConnection=true"}).String()
}

// command runs one command of the admin database.
func command(ctx context.Context, uri string, cmd bson.D) error {
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(patience))
	if err != nil {
		return err
	}
	defer func() { _ = c.Disconnect(context.WithoutCancel(ctx)) }()
	return c.Database("admin").RunCommand(ctx, cmd).Err()
}
