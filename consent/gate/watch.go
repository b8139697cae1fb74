package gate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/consent"
)

// What is out of the ordinary is noticed where it is answered and told to nobody
// there: what is counted is what the caller was told, and a chore looks at the counts
// (alerts.go). Between two rounds they are in memory; what a server that is killed
// had not yet written down is lost of the counts, and is in the record of access.

// Alert is a kind of alert. The zero value is none.
type Alert uint8

// The alerts.
const (
	// AlertOverrides: one person, or one organisation, broke the glass many times.
	AlertOverrides Alert = iota + 1
	// AlertOverdue: the review of an override is late.
	AlertOverdue
	// AlertSweep: somebody asks about many patients who are not there for them.
	AlertSweep
	// AlertClaims: somebody often says that there is an emergency, and breaks no glass.
	AlertClaims

	alertCount
)

// Alerts are all of them.
func Alerts() []Alert { return []Alert{AlertOverrides, AlertOverdue, AlertSweep, AlertClaims} }

// String is the code of the alert.
func (a Alert) String() string {
	switch a {
	case AlertOverrides:
		return "overrides"
	case AlertOverdue:
		return "overdue-review"
	case AlertSweep:
		return "sweep"
	case AlertClaims:
		return "emergency-claims"
	default:
		return "none"
	}
}

// Alerted is how many alerts of a kind this server has raised since it started.
func (g *Gate) Alerted(a Alert) uint64 {
	if a >= alertCount {
		return 0
	}
	return g.watch.raised[a].Load()
}

// watch is what was noticed and not yet written down.
type watch struct {
	mu     sync.Mutex
	seen   map[watched]map[uint64]struct{}
	raised [alertCount]atomic.Uint64
}

// watched is whom something was noticed of, and in which hour or on which day.
type watched struct {
	alert           Alert
	client, subject string
	span            string
}

// watchedMost bounds of how many something is noticed between two rounds, and
// noticedMost how much of one.
const (
	watchedMost = 4096
	noticedMost = 5000
)

// vain notices that the caller was told that there is no such patient, or nothing of
// one. What is asked for twice counts once, and is kept as no more than a keyed hash.
func (v *visit) vain(target string) {
	switch v.caller.Kind {
	case consent.Practitioner, consent.Patient, consent.Representative:
		v.noticed(AlertSweep, v.now.UTC().Format("2006-01-02T15"), target)
	case consent.Nobody, consent.System, consent.Regulator, consent.Custodian:
	default:
	}
}

func (v *visit) noticed(a Alert, span, target string) {
	key := watched{a, v.caller.Client, v.caller.Subject, span}
	sum := sha256.Sum256(append(v.g.cfg.CursorKey[:len(v.g.cfg.CursorKey):len(v.g.cfg.CursorKey)], target...))
	w := &v.g.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	set := w.seen[key]
	if set == nil {
		if len(w.seen) >= watchedMost {
			return
		}
		if w.seen == nil {
			w.seen = map[watched]map[uint64]struct{}{}
		}
		set = map[uint64]struct{}{}
		w.seen[key] = set
	}
	if len(set) < noticedMost {
		set[binary.BigEndian.Uint64(sum[:])] = struct{}{}
	}
}

// taken are the counts since the last round.
func (w *watch) taken() map[watched]map[uint64]struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

// restore puts counts back that could not be written down.
func (w *watch) restore(counts map[watched]map[uint64]struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = counts
		return
	}
	for key, set := range counts {
		if w.seen[key] == nil {
			w.seen[key] = set
			continue
		}
		for n := range set {
			w.seen[key][n] = struct{}{}
		}
	}
}

// stateAlerts is the name space of what was counted and raised.
const stateAlerts = "alerts/"

// keyOf is the key of a state about somebody, who is not named in it.
func keyOf(kind string, a Alert, span string, who ...string) string {
	h := sha256.New()
	for _, one := range who {
		writePart(h, one)
	}
	return stateAlerts + kind + "/" + a.String() + "/" + hex.EncodeToString(h.Sum(nil)[:16]) + "/" + span
}

// counted adds what was noticed to what all servers did, and returns how much there
// is of it.
func (w *writing) counted(ctx context.Context, key watched, set map[uint64]struct{}, until time.Time) (int, error) {
	at := keyOf("seen", key.alert, key.span, key.client, key.subject)
	kept, _, err := w.tx.State(ctx, at)
	if err != nil {
		return 0, err
	}
	var all []uint64
	for ; len(kept) >= 8; kept = kept[8:] {
		all = append(all, binary.BigEndian.Uint64(kept))
	}
	for n := range set {
		all = append(all, n)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	all = all[:min(len(all), noticedMost)]
	value := make([]byte, 0, 8*len(all))
	for _, n := range all {
		value = binary.BigEndian.AppendUint64(value, n)
	}
	return len(all), w.tx.SetState(at, value, until)
}
