package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/store"
)

// notifying is the clinics' world with somewhere to send notices to.
func notifying(t *testing.T) *world {
	t.Helper()
	w := newClinics(t, nil)
	w.gate = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Notifies: true}, w.tools, w.store)
	return w
}

func (w *world) breaks(patient string) {
	w.Helper()
	_, err := w.gate.BreakGlass(w.ctx(), w.request(doctor("A"), "$break-glass", "Patient"), patient, gate.BreakGlassRequest{
		Reason: fhir.Coding{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Code: "OVRER"}, Justification: "unconscious, unknown medication", Threat: "life",
	})
	if err != nil {
		w.Fatal(explain(err))
	}
}

// receiver notes what it is sent and answers as it is told to.
type receiver struct {
	mu   sync.Mutex
	got  []gate.Notice
	does func(gate.Notice) error
}

func (r *receiver) send(_ context.Context, n gate.Notice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, n)
	if r.does == nil {
		return nil
	}
	return r.does(n)
}

func (w *world) deliver(g *gate.Gate, r *receiver) gate.Delivery {
	w.Helper()
	out, err := g.DeliverNotices(w.ctx(), func() time.Time { return w.now }, r.send)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func TestNoticesAreSentInOrderAndOnce(t *testing.T) {
	w := notifying(t)
	for range 3 {
		w.breaks("p")
		w.breaks("q")
	}
	down := &receiver{does: func(gate.Notice) error { return gate.ErrReceiver }}
	if out := w.deliver(w.gate, down); out.Delivered != 0 || out.Failed == 0 || out.Waiting != 6 || out.Oldest.IsZero() {
		t.Errorf("down: %+v", out)
	}
	picky := &receiver{does: func(n gate.Notice) error {
		if n.Patient == "Patient/p" && n.Sequence == 2 {
			return errors.New("not this one")
		}
		return nil
	}}
	if out := w.deliver(w.gate, picky); out.Delivered != 4 || out.Failed != 1 || out.Waiting != 2 {
		t.Errorf("picky: %+v", out)
	}
	r := &receiver{}
	if out := w.deliver(w.gate, r); out.Delivered != 2 || out.Waiting != 0 {
		t.Errorf("at last: %+v", out)
	}
	if out := w.deliver(w.gate, r); out.Delivered != 0 {
		t.Errorf("once more: %+v", out)
	}
	var order []string
	for _, n := range slices.Concat(picky.got, r.got) {
		if n.Patient == "Patient/p" {
			order = append(order, fmt.Sprint(n.Sequence))
		}
		if n.Organization != "Organization/A" || n.Kind != gate.NoticeEmergency || !strings.HasPrefix(n.Communication, "Communication/") || strings.Contains(n.Communication, "_history") || n.ID == "" {
			t.Errorf("a notice of %+v", n)
		}
	}
	if got := strings.Join(order, " "); got != "1 2 2 3" {
		t.Errorf("order of P: %s", got)
	}
	ids := map[string]string{}
	for _, n := range slices.Concat(down.got, picky.got, r.got) {
		at := fmt.Sprint(n.Patient, n.Sequence)
		if was, known := ids[at]; known && was != n.ID {
			t.Errorf("%s has two ids", at)
		}
		ids[at] = n.ID
	}
	if told := w.events("subtype=notice"); len(told) != 6 {
		t.Errorf("%d notices are on record", len(told))
	}
}

// TestNoticesOfTwoServers: only one of two sends; the other takes over when the
// first is gone.
func TestNoticesOfTwoServers(t *testing.T) {
	w := notifying(t)
	other := gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Notifies: true}, w.tools, w.store)
	w.breaks("p")
	first, second := &receiver{}, &receiver{}
	if out := w.deliver(w.gate, first); out.Delivered != 1 {
		t.Errorf("the first: %+v", out)
	}
	w.breaks("p")
	if out := w.deliver(other, second); !out.Held || len(second.got) != 0 {
		t.Errorf("the second, meanwhile: %+v", out)
	}
	w.now = w.now.Add(time.Hour)
	if out := w.deliver(other, second); out.Delivered != 1 || second.got[0].Sequence != 2 {
		t.Errorf("the second, later: %+v", out)
	}
}

// TestNobodyWaitsBehindOthers: however many notices are not taken, the rest are sent,
// and those of one patient in their order.
func TestNobodyWaitsBehindOthers(t *testing.T) {
	w := notifying(t)
	const stuck = 2500
	if err := w.store.Write(w.ctx(), func(tx store.Tx) error {
		for i := range stuck + 1 {
			for sequence := range 2 {
				n := gate.Notice{ID: fmt.Sprint(i, sequence), Sequence: uint64(sequence + 1), Patient: fmt.Sprintf("Patient/x%05d", i), At: w.now}
				value, err := json.Marshal(n)
				if err != nil {
					return err
				}
				if err := tx.SetState(fmt.Sprintf("notice/due/x%05d/%016x", i, n.Sequence), value, time.Time{}); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("Patient/x%05d", stuck)
	r := &receiver{does: func(n gate.Notice) error {
		if n.Patient != last {
			return errors.New("not this one")
		}
		return nil
	}}
	delivered := 0
	for range 4 {
		delivered += w.deliver(w.gate, r).Delivered
	}
	if delivered != 2 {
		t.Errorf("%d of 2 notices were taken", delivered)
	}
	for _, n := range r.got {
		if n.Patient != last && n.Sequence != 1 {
			t.Fatalf("%s was sent the second of its notices, and the first is not taken", n.Patient)
		}
	}
}

func TestNothingWaitsWhereNothingIsSent(t *testing.T) {
	w := newClinics(t, nil)
	w.breaks("p")
	r := &receiver{}
	if out := w.deliver(w.gate, r); out.Delivered != 0 || out.Waiting != 0 || len(r.got) != 0 {
		t.Errorf("%+v", out)
	}
}
