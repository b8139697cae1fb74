package mongotest

import (
	"context"
	"testing"
)

// Replicas is a replica set of several nodes on loopback, for elections in
// earnest. Its methods are for the test's own goroutine.
type Replicas struct {
	t testing.TB
	*nodes
}

// ReplicaSet starts n nodes of the mongod on PATH, which lose and win elections
// within a second or two, and ends them with the test. It returns when they are
// whole: one primary, which all others follow.
func ReplicaSet(t testing.TB, n int) *Replicas {
	t.Helper()
	program := mongod(t)
	s, err := assemble(t.Context(), program, t.TempDir(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return &Replicas{t, s}
}

// URI names all nodes.
func (r *Replicas) URI() string { return r.uri() }

// Addr is the address of a node.
func (r *Replicas) Addr(i int) string { return r.all[i].addr }

// Primary is the index of the node that may be written to, or -1 while there is
// none.
func (r *Replicas) Primary() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.primary()
}

// Kill ends a node at once (SIGKILL), as a power cut would.
func (r *Replicas) Kill(i int) {
	r.t.Helper()
	if err := r.kill(i); err != nil {
		r.t.Fatalf("kill node %d: %v", i, err)
	}
}

// Start starts a killed node again, on what it had written, and returns when it
// follows the others.
func (r *Replicas) Start(i int) {
	r.t.Helper()
	if err := r.start(r.t.Context(), i); err != nil {
		r.t.Fatalf("start node %d: %v", i, err)
	}
}

// Freeze stops a node where it is (SIGSTOP): its connections stay open and
// nothing answers.
func (r *Replicas) Freeze(i int) {
	r.t.Helper()
	if err := r.freeze(i, true); err != nil {
		r.t.Fatalf("freeze node %d: %v", i, err)
	}
}

// Thaw lets a frozen node go on. One that was primary thinks it still is, until
// it hears of the next.
func (r *Replicas) Thaw(i int) {
	r.t.Helper()
	if err := r.freeze(i, false); err != nil {
		r.t.Fatalf("thaw node %d: %v", i, err)
	}
}

// CutOff keeps a node and the others from hearing of each other. Clients reach
// both sides, so a primary that is cut off takes their requests until it gives
// up, while the others elect the next.
func (r *Replicas) CutOff(i int) {
	r.t.Helper()
	if err := r.cutOff(i); err != nil {
		r.t.Fatalf("cut off node %d: %v", i, err)
	}
}

// Rejoin ends CutOff.
func (r *Replicas) Rejoin(i int) {
	r.t.Helper()
	if err := r.rejoin(i); err != nil {
		r.t.Fatalf("rejoin node %d: %v", i, err)
	}
}

// StepDown makes the primary give way to another.
func (r *Replicas) StepDown() {
	r.t.Helper()
	if err := r.stepDown(r.t.Context()); err != nil {
		r.t.Fatalf("step down: %v", err)
	}
}

// AwaitPrimary returns the index of the node that may be written to, when there
// is one.
func (r *Replicas) AwaitPrimary(ctx context.Context) int {
	r.t.Helper()
	if err := r.await(ctx, func() bool { return r.primary() >= 0 }); err != nil {
		r.t.Fatalf("no primary: %v", err)
	}
	return r.Primary()
}

// AwaitWhole returns when one node is primary and all others follow it, so that
// the next fault is the only one.
func (r *Replicas) AwaitWhole(ctx context.Context) {
	r.t.Helper()
	if err := r.await(ctx, r.whole); err != nil {
		r.t.Fatalf("not whole: %v", err)
	}
}
