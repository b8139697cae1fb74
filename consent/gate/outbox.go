package gate

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/store"
)

// What patients are to be told of leaves by the outbox: a state for each notice,
// kept in the same commit as what it tells of, sent in the order in which they were
// made for each patient, and gone when the receiver has it. A notice has one id
// however often it is sent.

// The name spaces of the outbox.
const (
	stateNoticeDue   = "notice/due/"
	stateNoticeCount = "notice/count/"
	stateNoticeLease = "notice/lease"
)

// NoticeEmergency is the kind of a notice that the glass was broken.
const NoticeEmergency = "emergency-access"

// Notice is what a patient is to be told of. It says no more than that something
// happened: neither health information, nor who it was, nor a justification.
type Notice struct {
	// ID is a UUID, and Sequence counts the notices to the patient from one.
	ID       string `json:"id"`
	Sequence uint64 `json:"sequence"`
	Kind     string `json:"kind"`
	// Patient, Organization and Communication are references.
	Patient       string    `json:"patient"`
	Organization  string    `json:"organization"`
	Communication string    `json:"communication"`
	At            time.Time `json:"at"`
}

// announce puts a notice into the outbox, if there is anywhere to send it to.
func (w *writing) announce(ctx context.Context, m *message, communication string) error {
	if !w.g.cfg.Notifies {
		return nil
	}
	last, _, err := w.tx.State(ctx, stateNoticeCount+m.patient)
	if err != nil {
		return err
	}
	n := Notice{
		ID: strings.TrimPrefix(urn(newUUID()), "urn:uuid:"), Sequence: 1, Kind: m.kind, At: w.now.UTC().Truncate(time.Millisecond),
		Patient: "Patient/" + m.patient, Organization: "Organization/" + m.organization, Communication: communication,
	}
	if len(last) == 8 {
		n.Sequence += binary.BigEndian.Uint64(last)
	}
	value, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := w.tx.SetState(stateNoticeCount+m.patient, binary.BigEndian.AppendUint64(nil, n.Sequence), time.Time{}); err != nil {
		return err
	}
	return w.tx.SetState(n.key(), value, time.Time{})
}

// key is where the notice waits: those of one patient stand together, in order.
func (n *Notice) key() string {
	number := binary.BigEndian.AppendUint64(nil, n.Sequence)
	return stateNoticeDue + strings.TrimPrefix(n.Patient, "Patient/") + "/" + hex.EncodeToString(number)
}

const (
	// noticeLease is how long one server sends before another may.
	noticeLease = time.Minute
	// noticeRenewed is when it is renewed: one that sends takes no longer.
	noticeRenewed = 10 * time.Second
	// noticesStep is how many notices are read at once, noticesSent to how many
	// patients at the same time, and noticesStuck how many patients may wait for a
	// notice that is not taken before the round ends.
	noticesStep  = 200
	noticesSent  = 8
	noticesStuck = 1000
)

// ErrReceiver says that the receiver takes nothing now, whatever the notice.
var ErrReceiver = errors.New("the receiver of notices takes nothing")

// Delivery is what came of a round.
type Delivery struct {
	// Held says that another server is at it, so that nothing was done.
	Held bool
	// Delivered were taken, Failed not; Waiting are those that were seen and wait on.
	Delivered, Failed, Waiting int
	// Down says that the receiver took nothing at all.
	Down bool
	// Oldest is when the oldest of these was made; zero when none waits.
	Oldest time.Time
}

// DeliverNotices sends what waits, each patient's in order, and forgets what was
// taken. What is not taken is sent again by a later round, under the same id. A round
// that ends for what is stuck is gone on with by the next, so that nobody waits for
// ever behind others. send may be called for several patients at once.
func (g *Gate) DeliverNotices(ctx context.Context, clock func() time.Time, send func(context.Context, Notice) error) (Delivery, error) {
	r := &delivery{g: g, clock: clock, send: send, stuck: map[string]bool{}}
	beyond := ""
	if at := g.noticesLeft.Swap(nil); at != nil {
		beyond = *at
	}
	for {
		mine, err := r.lease(ctx)
		if err != nil || !mine {
			r.out.Held = err == nil
			return r.out, err
		}
		some, last, err := r.waiting(ctx, beyond)
		if err != nil || len(some) == 0 {
			return r.out, err
		}
		if err := r.round(ctx, some); err != nil || len(some) < noticesStep {
			return r.out, err
		}
		if r.ended() {
			if !r.out.Down {
				at := past(last)
				g.noticesLeft.Store(&at)
			}
			return r.out, nil
		}
		beyond = last
	}
}

// past is behind all notices to the patient of one: a round that begins in the midst
// of them would send what comes after one that is stuck.
func past(key string) string { return key[:strings.LastIndexByte(key, '/')] + "0" }

// delivery is one round.
type delivery struct {
	g     *Gate
	clock func() time.Time
	send  func(context.Context, Notice) error

	// leased is when the lease was renewed last.
	renewing sync.Mutex
	leased   time.Time

	mu    sync.Mutex
	out   Delivery
	stuck map[string]bool
	down  bool
}

// lease keeps other servers from sending at the same time. One that has stopped in
// between may still send what another sends: then both have the same id.
func (r *delivery) lease(ctx context.Context) (mine bool, err error) {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	now := r.clock()
	if !r.leased.IsZero() && now.Sub(r.leased) < noticeRenewed {
		return true, nil
	}
	err = r.g.store.Write(ctx, func(tx store.Tx) error {
		holder, until, err := tx.State(ctx, stateNoticeLease)
		if err != nil {
			return err
		}
		if mine = holder == nil || string(holder) == r.g.name || isOver(until, now) || r.g.cfg.Alone; !mine {
			return nil
		}
		return tx.SetState(stateNoticeLease, []byte(r.g.name), now.Add(noticeLease))
	})
	if err != nil {
		return false, r.g.failed(ctx, err)
	}
	if mine {
		r.leased = now
	}
	return mine, nil
}

// waiting are the next notices of the outbox, and the key of the last.
func (r *delivery) waiting(ctx context.Context, beyond string) (some []Notice, last string, err error) {
	snap, err := r.g.store.Snapshot(ctx)
	if err != nil {
		return nil, "", r.g.failed(ctx, err)
	}
	defer func() { _ = snap.Close() }()
	err = snap.States(ctx, stateNoticeDue, beyond, func(key string, value []byte, _ time.Time) error {
		if len(some) == noticesStep {
			return errEnough
		}
		var n Notice
		if err := json.Unmarshal(value, &n); err != nil {
			return fmt.Errorf("notice: %w", err)
		}
		some, last = append(some, n), key
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", r.g.failed(ctx, err)
	}
	return some, last, nil
}

// round sends some notices: those of one patient one after the other, those of
// several at once.
func (r *delivery) round(ctx context.Context, some []Notice) error {
	queues := make(chan []Notice)
	errs := make(chan error, noticesSent)
	var all sync.WaitGroup
	for range noticesSent {
		all.Go(func() {
			var failure error
			for queue := range queues {
				if failure == nil {
					failure = r.queue(ctx, queue)
				}
			}
			errs <- failure
		})
	}
	for len(some) > 0 {
		n := 1
		for n < len(some) && some[n].Patient == some[0].Patient {
			n++
		}
		queues <- some[:n]
		some = some[n:]
	}
	close(queues)
	all.Wait()
	close(errs)
	var err error
	for one := range errs {
		err = errors.Join(err, one)
	}
	return err
}

// queue sends the notices to one patient until one is not taken.
func (r *delivery) queue(ctx context.Context, queue []Notice) error {
	for i := range queue {
		n := &queue[i]
		if r.passed(n.Patient) {
			r.left(queue[i:], false)
			return nil
		}
		if mine, err := r.lease(ctx); err != nil || !mine {
			r.left(queue[i:], false)
			return err
		}
		if err := r.send(ctx, *n); err != nil {
			r.refused(n.Patient, err)
			r.left(queue[i:], true)
			return nil
		}
		if err := r.delivered(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *delivery) passed(patient string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.down || r.stuck[patient]
}

func (r *delivery) refused(patient string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stuck[patient] = true
	r.down = r.down || errors.Is(err, ErrReceiver)
	r.out.Down = r.down
}

// left counts what waits on.
func (r *delivery) left(queue []Notice, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Waiting += len(queue)
	if failed {
		r.out.Failed++
	}
	for i := range queue {
		if at := queue[i].At; r.out.Oldest.IsZero() || at.Before(r.out.Oldest) {
			r.out.Oldest = at
		}
	}
}

// ended reports whether there is no sense in going on with the round.
func (r *delivery) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.down || len(r.stuck) >= noticesStuck
}

// delivered takes a notice out of the outbox, together with the record that the
// patient was told.
func (r *delivery) delivered(ctx context.Context, n *Notice) error {
	now := r.clock()
	patient := strings.TrimPrefix(n.Patient, "Patient/")
	err := r.g.store.Write(ctx, func(tx store.Tx) error {
		value, _, err := tx.State(ctx, n.key())
		if err != nil || value == nil {
			return err // another server was as quick: it is on record once
		}
		if err := tx.SetState(n.key(), nil, time.Time{}); err != nil {
			return err
		}
		e := audit.Event{
			ID: newEventID(now), Recorded: now, Kind: audit.KindNotice, Interaction: "notice", Action: audit.ActionExecute, Patient: patient,
			Agent: audit.Agent{Kind: consent.Custodian, Client: r.g.cfg.Site}, Entities: []string{n.Communication},
			Site: r.g.cfg.Site, Observer: r.g.cfg.Site,
		}
		tx.Record(e.AppendBinary(nil))
		return nil
	})
	if err != nil {
		return r.g.failed(ctx, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Delivered++
	return nil
}
