package storetest

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// past is what a store must know of one version.
type past struct {
	store.Change
	label    string
	deleted  bool
	replaced time.Time
}

// chapters writes resources of three types, with versions that share moments,
// deletions and a return, and returns every version, in the order of changes.
func chapters(t *testing.T, st store.Store) []past {
	t.Helper()
	var all []past
	count := map[string]int{}
	last := map[string]int{}
	add := func(kind fhir.ResourceType, id string, minute int, deleted bool) {
		key := string(kind) + "/" + id
		count[key]++
		if count[key] > 1 {
			all[last[key]].replaced = moment(minute)
		}
		last[key] = len(all)
		v := strconv.Itoa(count[key])
		all = append(all, past{
			Change: store.Change{At: moment(minute).UnixMilli(), Type: kind, ID: id, Count: uint64(count[key])}, //nolint:gosec // it counts
			label:  key + "/" + v, deleted: deleted,
		})
		if deleted {
			if err := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete(kind, id, v, "", moment(minute)) }); err != nil {
				t.Fatalf("delete: %v", err)
			}
			return
		}
		p := store.Put{Row: of(kind, "p1"), ID: id, Full: version(kind, id, v, minute, code("v"+v))}
		if kind == "Patient" {
			p = twofold(p, code("open"))
			p.Basic.Version = "b" + v
		}
		write(t, st, p)
	}
	add("Observation", "o2", 1, false)
	add("Observation", "o1", 1, false)
	add("ObservationDefinition", "a", 1, false)
	add("Patient", "p1", 2, false)
	add("Observation", "o1", 3, false)
	add("Observation", "o1", 3, false)
	add("Patient", "p1", 3, false)
	add("Observation", "o2", 4, true)
	add("Observation", "o3", 5, false)
	add("Observation", "o2", 6, false)
	add("Observation", "o3", 6, true)
	slices.SortFunc(all, func(a, b past) int { return a.Compare(b.Change) })
	return all
}

// meets is the plain evaluation of a request.
func meets(q *store.ChangesRequest, v *past) bool {
	at := time.UnixMilli(v.At)
	if !slices.Contains(q.Types, v.Type) || at.Before(q.Since) {
		return false
	}
	if q.Until.IsZero() {
		return true
	}
	current := !v.deleted && (v.replaced.IsZero() || v.replaced.After(q.From))
	return at.Before(q.Until) && (current || !at.Before(q.From))
}

// changes reads all pages of a request.
func changes(t *testing.T, r store.Reader, u *consent.Universe, q store.ChangesRequest) []string {
	t.Helper()
	got := []string{}
	for range 100 {
		page, err := r.Changes(t.Context(), u, q)
		if err != nil {
			t.Fatalf("changes %+v: %v", q, err)
		}
		if len(page.Found) > q.Limit || len(page.Next) > 0 && len(page.Found) < q.Limit {
			t.Fatalf("changes %+v: a page of %d, next %x", q, len(page.Found), page.Next)
		}
		got = append(got, labels(page.Found)...)
		if q.After = page.Next; len(q.After) == 0 {
			return got
		}
	}
	t.Fatalf("changes %+v do not end", q)
	return nil
}

func testChanges(t *testing.T, st store.Store) {
	all := chapters(t, st)
	s := open(t, st)
	types := [][]fhir.ResourceType{
		{"Observation"},
		{"Patient", "Observation", "ObservationDefinition", "Condition", "AuditEvent"},
		{"Condition"},
		{},
	}
	spans := [][2]time.Time{{}, {moment(3), moment(4)}, {moment(1), moment(2)}, {moment(0), moment(1)}, {moment(6), moment(60)}, {moment(4), moment(4).Add(time.Millisecond)}, {moment(5).Add(1), moment(6).Add(1)}}
	for _, kinds := range types {
		for _, since := range []time.Time{{}, moment(3), moment(3).Add(1), moment(9)} {
			for _, span := range spans {
				q := store.ChangesRequest{Types: kinds, Since: since, From: span[0], Until: span[1]}
				want := []string{}
				for i := range all {
					if meets(&q, &all[i]) {
						want = append(want, all[i].label)
					}
				}
				for _, q.Limit = range []int{1, 2, 3, 50} {
					same(t, "changes of "+strconv.Itoa(len(kinds))+" since "+since.String()+" within "+span[0].String()+" in pages of "+strconv.Itoa(q.Limit),
						changes(t, s, consent.Everything(), q), want)
				}
			}
		}
	}
}

// testChangesTell: a change has the bytes of its version, a deletion none.
func testChangesTell(t *testing.T, st store.Store) {
	puts := grow(t, st, "o1", 2)
	if err := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete("Observation", "o1", "3", "", moment(9)) }); err != nil {
		t.Fatalf("delete: %v", err)
	}
	page, err := open(t, st).Changes(t.Context(), consent.Everything(), store.ChangesRequest{Types: []fhir.ResourceType{"Observation"}, Limit: 9})
	if err != nil || len(page.Found) != 3 {
		t.Fatalf("changes: %v, %v", labels(page.Found), err)
	}
	if f := page.Found[0]; !f.Deleted || len(f.JSON) > 0 || !f.Updated.Equal(moment(9)) {
		t.Errorf("a deletion: %+v", f)
	}
	for i, p := range []store.Put{puts[1], puts[0]} {
		same(t, "a change", page.Found[i+1], found(p, p.Full, consent.EditionFull))
	}
}

// testChangesWithin: what is not admitted in full is not among the changes, and a
// version that stays is not a new one.
func testChangesWithin(t *testing.T, st store.Store) {
	chapters(t, st)
	refiled := twofold(first(of("Patient", "p1"), "p1"), code("open"))
	refiled.Full.Unchanged, refiled.Basic.Unchanged = true, true
	write(t, st, refiled)
	write(t, st, marked(first(of("Observation", "p1"), "hidden")))
	s := open(t, st)
	q := store.ChangesRequest{Types: []fhir.ResourceType{"Patient", "Observation"}, Limit: 4}
	count := func(u *consent.Universe) int { return len(changes(t, s, u, q)) }
	same(t, "in full", count(consent.Everything().Where(func(r consent.Row) bool { return !isMarked(r) })), 10)
	same(t, "with what is marked", count(consent.Everything()), 11)
	same(t, "of a type", count(consent.Everything().Where(func(r consent.Row) bool { return r.Type == "Patient" })), 2)
	same(t, "of the patient", count(levels{"p1": consent.Full}.to("p1")), 11)
	same(t, "at the basic level", count(levels{"p1": consent.Basic}.to("p1")), 0)
	same(t, "of another", count(levels{"p2": consent.Full}.to("p2")), 0)
	same(t, "of nobody", count(&consent.Universe{}), 0)
	for _, after := range [][]byte{{0}, {3}, {3, 2, 1}, []byte("elsewhere")} {
		q.After = after
		if _, err := s.Changes(t.Context(), consent.Everything(), q); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("position %x: got %v, want %v", after, err, store.ErrBadCursor)
		}
	}
}

// testChangesStay: pages hold each version once while more are made, and a write
// sees its own.
func testChangesStay(t *testing.T, st store.Store) {
	all := chapters(t, st)
	q := store.ChangesRequest{Types: []fhir.ResourceType{"Observation", "ObservationDefinition", "Patient"}, Limit: 2}
	got := []string{}
	for i := range 20 {
		page, err := open(t, st).Changes(t.Context(), consent.Everything(), q)
		if err != nil {
			t.Fatalf("changes: %v", err)
		}
		got = append(got, labels(page.Found)...)
		if q.After = page.Next; len(q.After) == 0 {
			break
		}
		p := first(of("Observation", "p1"), "later"+strconv.Itoa(i))
		p.Full = version("Observation", p.ID, "1", 60+i)
		write(t, st, p)
	}
	want := []string{}
	for i := range all {
		want = append(want, all[i].label)
	}
	same(t, "pages while more is written", got, want)
	err := st.Write(t.Context(), func(tx store.Tx) error {
		p := first(of("Observation", "p1"), "own")
		p.Full = version("Observation", "own", "1", 99)
		if err := tx.Put(p); err != nil {
			return err
		}
		page, err := tx.Changes(t.Context(), consent.Everything(), store.ChangesRequest{Types: q.Types, Limit: 1})
		same(t, "a write's own change", labels(page.Found), []string{"Observation/own/1"})
		return err
	})
	if err != nil {
		t.Errorf("write: %v", err)
	}
}
