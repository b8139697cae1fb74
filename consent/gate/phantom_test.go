package gate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// watchful is a store that counts what it is asked to find, and notes in which order
// it is asked to record and the gate held a request.
type watchful struct {
	store.Store
	looks int
	order []string
}

func (o *watchful) wrap(st store.Store) store.Store {
	o.Store = st
	return o
}

func (o *watchful) Snapshot(ctx context.Context) (store.Snapshot, error) {
	s, err := o.Store.Snapshot(ctx)
	return &watchfulSnapshot{s, watchfulReader{s, o}}, err
}

func (o *watchful) Write(ctx context.Context, do func(store.Tx) error) error {
	err := o.Store.Write(ctx, func(tx store.Tx) error { return do(&watchfulTx{tx, watchfulReader{tx, o}}) })
	o.order = append(o.order, "written")
	return err
}

func (o *watchful) Record(ctx context.Context, records ...[]byte) (store.Receipt, error) {
	o.order = append(o.order, "recorded")
	return o.Store.Record(ctx, records...)
}

type watchfulReader struct {
	of store.Reader
	o  *watchful
}

func (r watchfulReader) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	r.o.looks++
	return r.of.Read(ctx, u, t, id)
}

func (r watchfulReader) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	r.o.looks++
	return r.of.Search(ctx, u, q, p)
}

type watchfulSnapshot struct {
	store.Snapshot
	r watchfulReader
}

func (s *watchfulSnapshot) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	return s.r.Read(ctx, u, t, id)
}

func (s *watchfulSnapshot) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	return s.r.Search(ctx, u, q, p)
}

type watchfulTx struct {
	store.Tx
	r watchfulReader
}

func (s *watchfulTx) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	return s.r.Read(ctx, u, t, id)
}

func (s *watchfulTx) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	return s.r.Search(ctx, u, q, p)
}

// TestAbsenceTakesAsManyLooks: the store is asked as often for who is hidden as for
// who is absent, be it the first time that anybody asks, the second, or while others
// have the record open.
func TestAbsenceTakesAsManyLooks(t *testing.T) {
	o := &watchful{}
	w := newClinics(t, o.wrap)
	const number = "https://fhir.synapxe.sg/NamingSystem/nric|"
	ways := map[string]func(c consent.Caller, id string){
		"read a Patient":    func(c consent.Caller, id string) { _, _ = w.read(c, "Patient", id) },
		"read":              func(c consent.Caller, id string) { _, _ = w.read(c, "Observation", "o-"+id) },
		"vread":             func(c consent.Caller, id string) { w.former(c, "o-"+id) },
		"history":           func(c consent.Caller, id string) { w.pastOf(c, "o-"+id) },
		"search by patient": func(c consent.Caller, id string) { _, _ = w.search(c, "Observation", "patient="+id) },
		"search by both": func(c consent.Caller, id string) {
			_, _ = w.search(c, "Observation", "patient="+id+"&patient.gender=female")
		},
		"search for an id":    func(c consent.Caller, id string) { _, _ = w.search(c, "Observation", "_id=o-"+id) },
		"search by a chain":   func(c consent.Caller, id string) { _, _ = w.search(c, "Observation", "patient.identifier="+number+id) },
		"search for a number": func(c consent.Caller, id string) { _, _ = w.search(c, "Observation", "identifier="+id) },
		"count":               func(c consent.Caller, id string) { _, _ = w.search(c, "Observation", "_summary=count&_id=o-"+id) },
		"$access": func(c consent.Caller, id string) {
			_, _ = w.gate.Access(w.ctx(), w.request(c, "$access", "Patient"), id)
		},
		"read in a transaction": func(c consent.Caller, id string) {
			_, _ = w.transact(c, w.entry("read", "Observation", "o-"+id, "", ""))
		},
		"two searches in one": func(c consent.Caller, id string) {
			_, _ = w.transact(c, w.entryFor("Observation", "_id=o-"+id), w.entryFor("Observation", "identifier="+id))
		},
		"break the glass": func(c consent.Caller, id string) {
			_, _ = w.gate.BreakGlass(w.ctx(), w.request(c, "$break-glass", "Patient"), id, emergency())
		},
		"change a Consent": func(c consent.Caller, id string) {
			_, _ = w.update(c, "Consent", "k-"+id, consentOf(id, "OPTIN", ""), "")
		},
		"make a Consent": func(c consent.Caller, id string) { _, _ = w.create(c, "Consent", consentOf(id, "OPTIN", "")) },
	}
	n := 0
	hide := func() string {
		n++
		id := fmt.Sprintf("hidden-%d", n)
		w.put("Patient", id, `"gender":"female"`)
		w.register(id, "A")
		w.put("Observation", "o-"+id, observation("Patient/"+id)+`,"identifier":[{"value":"`+id+`"}]`)
		w.put("Consent", "k-"+id, consentOf(id, "OPTOUT", `{"type":"deny"}`))
		return id
	}
	seen := map[string][]string{ // what the basic set or a grant shows is not hidden
		"at the patient's clinic": {"read a Patient", "search by patient", "search by both", "$access", "break the glass"},
	}
	for who, c := range map[string]consent.Caller{"at the patient's clinic": doctor("A"), "elsewhere": doctor("C"), "another patient": person("q")} {
		for name, ask := range ways {
			if slices.Contains(seen[who], name) {
				continue
			}
			looks := func(id string) int {
				before := o.looks
				ask(c, id)
				return o.looks - before
			}
			looks("nobody") // what is remembered of the caller is so now
			cold, warm, none := hide(), hide(), fmt.Sprintf("none-%d", n)
			_, _ = w.read(doctor("A"), "Patient", warm)
			want := looks(none)
			for what, id := range map[string]string{"absent, again": none, "hidden": cold, "hidden, and open elsewhere": warm} {
				if got := looks(id); got != want {
					t.Errorf("%s, %s, %s: %d looks, and %d for who is absent", who, name, what, got, want)
				}
			}
			if got := looks(cold); got != want {
				t.Errorf("%s, %s, hidden, again: %d looks, and %d for who is absent", who, name, got, want)
			}
		}
	}
}

// TestManyPatientsTakeNoMoreLooks: what belongs to many patients is not told from what
// belongs to a few, by which it would be from what is absent. The attempt is on record
// with each, and so is the Consent of the one who keeps it from the caller.
func TestManyPatientsTakeNoMoreLooks(t *testing.T) {
	o := &watchful{}
	w := newClinics(t, o.wrap)
	var with []string
	for i := range 30 {
		id := fmt.Sprintf("p%02d", i)
		w.put("Patient", id, `"gender":"female"`)
		w.register(id, "A")
		with = append(with, `{"actor":{"reference":"Patient/`+id+`"},"status":"accepted"}`)
		w.put("Appointment", fmt.Sprint("of-", i+1), `"status":"proposed","participant":[`+strings.Join(with, ",")+`]`)
	}
	w.restrict("p05", optOut, closed)
	looks := func(c consent.Caller, id string) int {
		before := o.looks
		_, err := w.read(c, "Appointment", id)
		w.want(id, outcome(err), "not found")
		return o.looks - before
	}
	looks(doctor("C"), "none")
	few := looks(doctor("C"), "of-4")
	for range 2 {
		if many := looks(doctor("C"), "of-30"); many != few {
			t.Errorf("%d looks for an Appointment of thirty, and %d for one of four", many, few)
		}
	}
	if attempts := w.told("outcome=4&patient=Patient/p29"); len(attempts) != 2 {
		t.Errorf("two attempts are on record with a patient %d times", len(attempts))
	}
	looks(doctor("A"), "of-30")
	if named := w.told("outcome=4&patient=Patient/p05&entity-type=Consent"); len(named) != 2 {
		t.Errorf("the Consent that stood against it is named %d times", len(named))
	}
}

// TestNumbersTakeAsManyLooks: whether somebody goes by a number is not told by a
// Consent that a patient makes for them.
func TestNumbersTakeAsManyLooks(t *testing.T) {
	o := &watchful{}
	w := newClinics(t, o.wrap)
	c := person("q")
	c.Scopes = smart.ParseScopes("user/*.cruds")
	looks := func(number string) int {
		before := o.looks
		_, err := w.create(c, "Consent", strings.Replace(consentOf("x", "OPTIN", ""), `"reference":"Patient/x"`,
			`"identifier":{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"`+number+`"}`, 1))
		w.want(number, outcome(err), "not found")
		return o.looks - before
	}
	looks("S9876543C")
	if known, unknown := looks(nrics["p"]), looks("S9876543C"); known != unknown {
		t.Errorf("%d looks for a number on file, and %d for one that is not", known, unknown)
	}
}

func (w *world) entryFor(t fhir.ResourceType, query string) gate.Entry {
	e := w.entry("search-type", t, "", "", "")
	e.Query = w.query(t, query)
	return e
}

func (w *world) former(c consent.Caller, id string) {
	_, _ = w.gate.Version(w.ctx(), w.request(c, "vread", "Observation"), "Observation", id, "1")
}

func (w *world) pastOf(c consent.Caller, id string) {
	_, _ = w.gate.History(w.ctx(), w.request(c, "history-instance", "Observation"), "Observation", id, gate.HistoryPage{Count: -1})
}

// TestHeldBeforeRecorded: that there is nothing is recorded when the time tells
// nothing any more, and never while others wait for the writer; what there is does
// not wait.
func TestHeldBeforeRecorded(t *testing.T) {
	o := &watchful{}
	w := newClinics(t, o.wrap)
	order := func(code string, kind fhir.ResourceType, ask func(*gate.Request) error) string {
		t.Helper()
		o.order = nil
		req := w.request(doctor("A"), code, kind)
		req.Hold = func() { o.order = append(o.order, "held") }
		req.Begin = func() { o.order = append(o.order, "begun") }
		err := ask(req)
		return fmt.Sprint(o.order, " ", err)
	}
	read := func(id string) func(*gate.Request) error {
		return func(req *gate.Request) error {
			_, err := w.gate.Read(w.ctx(), req, "Observation", id)
			return err
		}
	}
	find := func(query string) func(*gate.Request) error {
		return func(req *gate.Request) error {
			_, err := w.gate.Search(w.ctx(), req, w.query("Observation", query), "")
			return err
		}
	}
	w.want("what is there", order("read", "Observation", read("o-p")), "[recorded] <nil>")
	w.want("what is not", order("read", "Observation", read("none")), "[held recorded] not found")
	w.want("no id", order("read", "Observation", read("?")), "[held recorded] not found")
	w.want("what is found", order("search-type", "Observation", find("patient=p")), "[begun recorded] <nil>")
	w.want("what is counted", order("search-type", "Observation", find("patient=p&_summary=count")), "[begun recorded] <nil>")
	w.want("what is not found", order("search-type", "Observation", find("patient=p&_id=none")), "[begun held recorded] <nil>")
	w.want("what is not to be changed", order("delete", "Observation", func(req *gate.Request) error {
		_, err := w.gate.Delete(w.ctx(), req, "Observation", "o-p", "")
		return err
	}), "[written held recorded] not found")
	for name, write := range map[string]func(*gate.Request) error{
		"what is made": func(req *gate.Request) error {
			_, err := w.gate.Create(w.ctx(), req, w.content(resource("Consent", "", consentOf("r", "OPTIN", ""))), nil)
			return err
		},
		"what is changed": func(req *gate.Request) error {
			_, err := w.gate.Update(w.ctx(), req, "Consent", "k", w.content(resource("Consent", "k", consentOf("r", "OPTIN", ""))), "")
			return err
		},
	} {
		w.want(name+", from when its content was looked through", order("create", "Consent", func(req *gate.Request) error {
			req.Caller = person("q")
			return write(req)
		}), "[begun written held recorded] not found")
	}
	w.want("within a transaction", order("transaction", "", func(req *gate.Request) error {
		_, err := w.gate.Transaction(w.ctx(), req, []gate.Entry{w.entry("read", "Observation", "none", "", "")})
		return err
	}), "[written held recorded] not found")
}

// TestWhoLeavesIsOnRecord: who goes while the answer is held has asked all the same,
// and is told nothing, not even that there is nothing.
func TestWhoLeavesIsOnRecord(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	for name, ask := range map[string]func(context.Context, *gate.Request) error{
		"a read of what is hidden": func(ctx context.Context, req *gate.Request) error {
			_, err := w.gate.Read(ctx, req, "Observation", "o-p")
			return err
		},
		"a search for it": func(ctx context.Context, req *gate.Request) error {
			_, err := w.gate.Search(ctx, req, w.query("Observation", "_id=o-p"), "")
			return err
		},
	} {
		before := len(w.told("agent=Organization/A&type=rest"))
		ctx, leave := context.WithCancel(w.ctx())
		req := w.request(doctor("A"), "read", "Observation")
		req.Hold = leave
		w.want(name, fmt.Sprint(ask(ctx, req)), gate.ErrUnavailable.Error())
		if after := len(w.told("agent=Organization/A&type=rest")); after != before+1 {
			t.Errorf("%s is on record %d times", name, after-before)
		}
	}
}
