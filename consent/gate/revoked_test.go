package gate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// bearing is a caller with a token of that id, of a grant.
func bearing(c consent.Caller, id, grant string) consent.Caller {
	c.TokenID, c.Grant = id, grant
	return c
}

// revoke makes void what bears the id, for a minute.
func (w *world) revoke(id string) {
	w.Helper()
	w.remember(func(m smart.Memory) error { return m.Revoke(id, w.now.Add(time.Minute)) })
}

// voids is the outcome of a refused token.
const voids = "401 invalid-token"

func cameTo(_ gate.Released, err error) string {
	var refused *gate.Refused
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused):
		return fmt.Sprint(refused.Status, " ", refused.Code)
	default:
		return err.Error()
	}
}

// TestRevokedTokens: with the next request after it, what bears a revoked id is
// refused, and nothing else is.
func TestRevokedTokens(t *testing.T) {
	w := newClinics(t, nil)
	long := strings.Repeat("j", 9000)
	callers := map[string]consent.Caller{
		"first": bearing(doctor("A"), "j1", "g1"), "second": bearing(doctor("A"), "j2", "g1"), "third": bearing(doctor("A"), "j3", "g2"),
		"long": bearing(doctor("A"), long, ""), "longer": bearing(doctor("A"), long+"k", ""), "odd": bearing(doctor("A"), "\xff/\x00", ""), "nameless": doctor("A"),
	}
	outcomes := func() map[string]string {
		out := map[string]string{}
		for name, c := range callers {
			out[name] = cameTo(w.read(c, "Observation", "o-p"))
			if got := cameTo(w.search(c, "Observation", "patient=p")); got != out[name] {
				t.Errorf("%s: a search says %s and a read %s", name, got, out[name])
			}
		}
		return out
	}
	want := map[string]string{}
	for name := range callers {
		want[name] = "ok"
	}
	for _, step := range []struct {
		id   string
		void []string
	}{
		{"", nil}, {"j1", []string{"first"}}, {"j", nil}, {"g1", []string{"second"}}, {long, []string{"long"}}, {"\xff/\x00", []string{"odd"}},
	} {
		if step.id != "" {
			w.revoke(step.id)
		}
		for _, name := range step.void {
			want[name] = voids
		}
		if d := cmp.Diff(want, outcomes()); d != "" {
			t.Errorf("after %.9q (-want +got):\n%s", step.id, d)
		}
	}
	w.remember(func(m smart.Memory) error { return m.Revoke("j1", w.now.Add(time.Second)) }) // for less long
	w.now = w.now.Add(59 * time.Second)
	w.want("revoked again, for less long", cameTo(w.read(callers["first"], "Observation", "o-p")), voids)
	w.now = w.now.Add(time.Second)
	w.want("when it is over", cameTo(w.read(callers["first"], "Observation", "o-p")), "ok")
}

// TestRevokedTokensDoNothing: nothing that a caller may do is done with one, and
// each attempt is on record.
func TestRevokedTokensDoNothing(t *testing.T) {
	w := newClinics(t, nil)
	good, void := bearing(doctor("A"), "good", ""), bearing(doctor("A"), "void", "")
	id := w.created(good, "Observation", observation("Patient/q"))
	page, err := w.search(good, "Observation", "_count=1")
	if err != nil || page.Next() == "" {
		t.Fatalf("a first page: %v", err)
	}
	w.revoke("void")
	own := observation("Patient/q")
	doc := w.document(`[{"op":"replace","path":"/status","value":"amended"}]`)
	attempts := map[string]func(consent.Caller) (gate.Released, error){
		"read": func(c consent.Caller) (gate.Released, error) { return w.read(c, "Observation", id) },
		"vread": func(c consent.Caller) (gate.Released, error) {
			return w.gate.Version(t.Context(), w.request(c, "vread", "Observation"), "Observation", id, "1")
		},
		"history": func(c consent.Caller) (gate.Released, error) {
			return w.gate.History(t.Context(), w.request(c, "history-instance", "Observation"), "Observation", id, gate.HistoryPage{Count: -1})
		},
		"search": func(c consent.Caller) (gate.Released, error) { return w.search(c, "Observation", "patient=q") },
		"a next page": func(c consent.Caller) (gate.Released, error) {
			return w.next(c, w.query("Observation", "_count=1"), page)
		},
		"create": func(c consent.Caller) (gate.Released, error) { return w.create(c, "Observation", own) },
		"update": func(c consent.Caller) (gate.Released, error) { return w.update(c, "Observation", id, own, "") },
		"patch": func(c consent.Caller) (gate.Released, error) {
			return w.gate.Patch(t.Context(), w.request(c, "patch", "Observation"), "Observation", id, doc, "")
		},
		"everything": func(c consent.Caller) (gate.Released, error) {
			return w.gate.Everything(t.Context(), w.request(c, "$everything", "Patient"), "q", gate.EverythingPage{Count: -1})
		},
		"access": func(c consent.Caller) (gate.Released, error) {
			return w.gate.Access(t.Context(), w.request(c, "$access", "Patient"), "q")
		},
		"transaction": func(c consent.Caller) (gate.Released, error) {
			return w.transact(c, w.entry("create", "Observation", "", "", own))
		},
		"break-glass": func(c consent.Caller) (gate.Released, error) {
			return w.breakGlass(c, "q", emergency())
		},
		"delete": func(c consent.Caller) (gate.Released, error) {
			return w.gate.Delete(t.Context(), w.request(c, "delete", "Observation"), "Observation", id, "")
		},
	}
	for what, attempt := range attempts {
		before := len(w.events("outcome=4"))
		w.want(what, cameTo(attempt(void)), voids)
		if got := len(w.events("outcome=4")); got != before+1 {
			t.Errorf("%s: %d denials on record, want one", what, got-before)
		}
	}
	for _, what := range []string{"read", "vread", "history", "search", "a next page", "create", "update", "patch", "everything", "access", "transaction", "delete"} {
		w.want(what+" by another", cameTo(attempts[what](good)), "ok")
	}
}

// blind is a store whose states cannot be read.
type blind struct{ store.Store }

var errBlind = errors.New("cannot be read")

type blindSnapshot struct{ store.Snapshot }

func (b blind) Snapshot(ctx context.Context) (store.Snapshot, error) {
	s, err := b.Store.Snapshot(ctx)
	return blindSnapshot{s}, err
}

func (blindSnapshot) States(context.Context, string, string, func(string, []byte, time.Time) error) error {
	return errBlind
}

// TestUnknownWhetherRevoked: then nothing is answered.
func TestUnknownWhetherRevoked(t *testing.T) {
	w := newClinics(t, func(st store.Store) store.Store { return blind{st} })
	w.want("a token that may be revoked", cameTo(w.read(bearing(doctor("A"), "j1", ""), "Observation", "o-p")), gate.ErrUnavailable.Error())
	w.want("one that cannot be", cameTo(w.read(doctor("A"), "Observation", "o-p")), "ok")
}
