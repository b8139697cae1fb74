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
)

// alertCount is how many kinds there are, none included.
const alertCount = int(AlertClaims) + 1

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
	if int(a) >= alertCount {
		return 0
	}
	return g.watch.raised[a].Load()
}

// watch is what was noticed and not yet written down.
type watch struct {
	mu   sync.Mutex
	seen map[watched]map[uint64]struct{}
	// held is how much that is altogether.
	held   int
	raised [alertCount]atomic.Uint64
}

// watched is whom something was noticed of, and in which hour or on which day.
type watched struct {
	alert           Alert
	client, subject string
	span            string
}

// watchedMost bounds of how many something is noticed between two rounds, noticedMost
// how much altogether; consent.AlertMost of one are counted, which fit a state.
// Beyond these nothing more is noticed until the next round: nobody's answer waits.
const (
	watchedMost = 4096
	noticedMost = 1 << 19
)

// enough is from how much of what is counted an alert is raised. More is not counted.
func (g *Gate) enough(a Alert) int {
	most := g.cfg.Oversight.Claims
	if a == AlertSweep {
		most = g.cfg.Oversight.Sweep
	}
	return min(most, consent.AlertMost)
}

// vain notices that the caller was told that there is no such patient, or nothing of
// one, be it hidden or absent. What is asked for twice counts once, and is kept as no
// more than a keyed hash.
func (v *visit) vain(target string) {
	if v.isWatched() {
		v.noticed(AlertSweep, v.now.UTC().Format("2006-01-02T15"), target)
	}
}

// isWatched reports whether the caller is one of those who are looked after for sweeps.
func (v *visit) isWatched() bool {
	switch v.caller.Kind {
	case consent.Practitioner, consent.Patient, consent.Representative:
		return true
	case consent.Nobody, consent.System, consent.Regulator, consent.Custodian:
		return false
	default:
		return false
	}
}

// claimed notices a request that says there is an emergency, once, however many
// patients it meets. A client may give two requests the same id; they are two.
func (v *visit) claimed(ctx context.Context) {
	if v.claims {
		return
	}
	v.claims = true
	v.g.log.WarnContext(ctx, "an emergency was claimed without a grant; releasing the basic set at most", "alert", "btg-without-grant",
		"request", v.req.ID, "client", v.caller.Client, "org", v.caller.Organization)
	v.noticed(AlertClaims, v.g.cfg.Oversight.Hours.Day(v.now), newID())
}

func (v *visit) noticed(a Alert, span, target string) {
	sum := sha256.Sum256(append(v.g.cfg.CursorKey[:len(v.g.cfg.CursorKey):len(v.g.cfg.CursorKey)], target...))
	w := &v.g.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(watched{a, v.caller.Client, v.caller.Subject, span}, binary.BigEndian.Uint64(sum[:]), v.g.enough(a))
}

// add adds one to what was noticed of one, within the bounds. mu is held.
func (w *watch) add(key watched, n uint64, most int) {
	set := w.seen[key]
	if _, known := set[n]; known || len(set) >= most || w.held >= noticedMost || set == nil && len(w.seen) >= watchedMost {
		return
	}
	if w.seen == nil {
		w.seen = map[watched]map[uint64]struct{}{}
	}
	if set == nil {
		set = map[uint64]struct{}{}
		w.seen[key] = set
	}
	set[n] = struct{}{}
	w.held++
}

// taken are the counts since the last round.
func (w *watch) taken() map[watched]map[uint64]struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen, w.held = nil, 0
	return out
}

// restore puts counts back that could not be written down, within the same bounds.
func (g *Gate) restore(counts map[watched]map[uint64]struct{}) {
	w := &g.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, set := range counts {
		for n := range set {
			w.add(key, n, g.enough(key.alert))
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
// is of it, up to most.
func (w *writing) counted(ctx context.Context, key watched, set map[uint64]struct{}, most int, until time.Time) (int, error) {
	at := keyOf("seen", key.alert, key.span, key.client, key.subject)
	kept, over, err := w.tx.State(ctx, at)
	if err != nil {
		return 0, err
	}
	var all []uint64
	if !isOver(over, w.now) {
		for ; len(kept) >= 8; kept = kept[8:] {
			all = append(all, binary.BigEndian.Uint64(kept))
		}
	}
	for n := range set {
		all = append(all, n)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	all = all[:min(len(all), most)]
	value := make([]byte, 0, 8*len(all))
	for _, n := range all {
		value = binary.BigEndian.AppendUint64(value, n)
	}
	return len(all), w.tx.SetState(at, value, until)
}
