package gate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// taskJSON is what the tests read of a Task.
type taskJSON struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	BusinessStatus struct {
		Coding []struct{ System, Code string } `json:"coding"`
	} `json:"businessStatus"`
	Owner struct {
		Reference  string `json:"reference"`
		Identifier struct{ System, Value string }
	} `json:"owner"`
	Note            []struct{ Text, AuthorString string }
	ExecutionPeriod struct{ Start, End string } `json:"executionPeriod"`
	Restriction     struct {
		Period struct{ End string } `json:"period"`
	} `json:"restriction"`
	Focus struct{ Reference string } `json:"focus"`
	Input []struct {
		Type struct {
			Coding []struct{ Code string }
		}
		ValueString string
	} `json:"input"`
}

// state are status and business status in one word.
func (t *taskJSON) state() string {
	out := t.Status
	for _, c := range t.BusinessStatus.Coding {
		out += " " + c.Code
	}
	return out
}

func (w *world) tasks(query string) (out []taskJSON) {
	w.Helper()
	r, err := w.search(regulator(), "Task", query)
	if err != nil {
		w.Fatalf("Task?%s: %v", query, err)
	}
	for _, i := range r.Items() {
		var one taskJSON
		if err := json.Unmarshal(i.Resource.JSON, &one); err != nil {
			w.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// override breaks the glass and returns the id of the review.
func (w *world) override(c consent.Caller, patient string) string {
	w.Helper()
	if _, err := w.breakGlass(c, patient, emergency()); err != nil {
		w.Fatal(explain(err))
	}
	all := w.tasks("patient=" + patient + "&_sort=-authored-on,-_lastUpdated&_count=1")
	return all[0].ID
}

func (w *world) review(c consent.Caller, id, ifMatch string, r gate.ReviewRequest) error {
	req := w.request(c, "$review", "Task")
	req.Interaction.Letter, req.Interaction.Write = 'u', true
	_, err := w.gate.Review(w.ctx(), req, id, r, ifMatch)
	return err
}

func to(s gate.ReviewState) gate.ReviewRequest { return gate.ReviewRequest{State: s} }

// TestReviewHasALife: asked for, taken up, commented on, decided; each step is a
// version and on record, and the grant in the Task stays what it was.
func TestReviewHasALife(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	id := w.override(doctor("A"), "p")
	one := w.tasks("_id=" + id)[0]
	w.want("at first", one.state(), "requested open requested")
	if due, _ := fhir.ParseInstant(one.Restriction.Period.End); !due.Equal(w.now.Add(7 * 24 * time.Hour)) {
		t.Errorf("due %s", one.Restriction.Period.End)
	}
	w.now = w.now.Add(time.Hour)
	steps := []gate.ReviewRequest{
		{Owner: "Practitioner/dC", Comment: "taken over"},
		{State: gate.ReviewInReview, OwnerIdentifier: fhir.Identifier{System: "https://moh.example", Value: "officer 7"}},
		{Comment: `the "ward" was asked`},
	}
	for i, r := range steps {
		if err := w.review(regulator(), id, fmt.Sprint(i+1), r); err != nil {
			t.Fatal(i, explain(err))
		}
	}
	one = w.tasks("_id=" + id)[0]
	w.want("in review", one.state(), "in-progress open in-review")
	w.want("owner", one.Owner.Reference+one.Owner.Identifier.Value, "officer 7")
	if len(one.Note) != 2 || one.Note[1].Text != `the "ward" was asked` || one.Note[1].AuthorString != "auditor" {
		t.Errorf("notes: %+v", one.Note)
	}
	w.want("still open", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.want("too early", outcome(w.review(regulator(), id, "", to(gate.ReviewAccepted))), "422")
	if err := w.stop(doctor("A"), "p"); err != nil {
		t.Fatal(err)
	}
	w.want("stopped", w.tasks("_id=" + id)[0].state(), "in-progress closed in-review")
	w.want("referred", outcomeOf(w.review(regulator(), id, "5", to(gate.ReviewReferred))), "released")
	w.want("at last", w.tasks("_id=" + id)[0].state(), "completed closed referred")
	for query, want := range map[string]int{"status=completed": 1, "business-status=referred": 1, "status=requested": 0, "period=ge2026-01-01": 1, "authored-on=lt2026-01-01": 0} {
		if got := len(w.tasks("code=break-glass-review&" + query)); got != want {
			t.Errorf("%s: %d", query, got)
		}
	}
	events := w.events("subtype=" + consent.SystemEvent + "|review&patient=p&agent:identifier=auditor")
	if len(events) != 4 || !strings.Contains(strings.Join(events, ""), "Task/"+id+"/_history/6") {
		t.Errorf("%d events of the review, want 4: %v", len(events), events)
	}
	h, err := w.gate.History(w.ctx(), w.request(regulator(), "history-instance", "Task"), "Task", id, gate.HistoryPage{Count: -1})
	if err != nil || len(h.Items()) != 6 {
		t.Errorf("%d versions, %v; want 6", len(h.Items()), err)
	}
}

// TestReviewGoesOneWay: only forwards, only what is a review, only at the version
// that was read.
func TestReviewGoesOneWay(t *testing.T) {
	w := newClinics(t, nil)
	id := w.override(doctor("A"), "q")
	if err := w.stop(doctor("A"), "q"); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, r gate.ReviewRequest) {
		t.Helper()
		w.want(what, outcome(w.review(regulator(), id, "", r)), "422")
	}
	refused("nothing", gate.ReviewRequest{})
	refused("back to the beginning", to(gate.ReviewRequested))
	refused("an unknown state", to("closed"))
	refused("accepted at once", to(gate.ReviewAccepted))
	refused("referred at once", to(gate.ReviewReferred))
	refused("a blank comment", gate.ReviewRequest{Comment: " \n"})
	refused("a long comment", gate.ReviewRequest{Comment: strings.Repeat("x", 5000)})
	refused("a patient as its owner", gate.ReviewRequest{Owner: "Patient/q"})
	refused("an owner who is not in the directory", gate.ReviewRequest{Owner: "Practitioner/nobody"})
	herself := regulator()
	herself.User = "Practitioner/mei" // not in the directory either
	w.want("oneself", outcomeOf(w.review(herself, id, "", gate.ReviewRequest{Owner: "Practitioner/mei"})), "released")
	refused("an owner elsewhere", gate.ReviewRequest{Owner: "https://elsewhere.example/fhir/Practitioner/x"})
	w.want("a version that was not read", outcomeErr(w.review(regulator(), id, "2", to(gate.ReviewInReview))), gate.ErrPrecondition.Error())
	w.want("taken up", outcomeOf(w.review(regulator(), id, "3", to(gate.ReviewInReview))), "released")
	w.want("accepted", outcomeOf(w.review(regulator(), id, "", to(gate.ReviewAccepted))), "released")
	for _, s := range []gate.ReviewState{gate.ReviewInReview, gate.ReviewAccepted, gate.ReviewReferred} {
		refused("after its end, "+string(s), to(s))
	}
	refused("a comment after its end", gate.ReviewRequest{Comment: "one more"})
	w.put("Task", "theirs", `"status":"requested","intent":"order","for":{"reference":"Patient/q"},"code":`+concept(consent.Canon+"/CodeSystem/nehr-task", "break-glass-review"))
	for _, other := range []string{"theirs", "none", "/", "c-q"} {
		w.want(other, outcome(w.review(regulator(), other, "", to(gate.ReviewInReview))), "not found")
	}
}

func outcomeErr(err error) string {
	if err == nil {
		return "released"
	}
	return err.Error()
}

// TestReviewsAreTheRegulatorsAlone: nobody else sees one or changes it, by whatever
// way, and not even the custodian puts another grant into it.
func TestReviewsAreTheRegulatorsAlone(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	id := w.override(doctor("A"), "p")
	if err := w.review(regulator(), id, "", gate.ReviewRequest{State: gate.ReviewInReview, Comment: "between us"}); err != nil {
		t.Fatal(explain(err))
	}
	for name, c := range map[string]consent.Caller{"the doctor": doctor("A"), "another": doctor("B"), "the patient": person("p"), "the system": system("A")} {
		if got := w.reads(c, "Task", id); got != "not found" && got != "403 forbidden-role" {
			t.Errorf("%s reads it: %s", name, got)
		}
		if err := w.review(c, id, "", to(gate.ReviewAccepted)); err == nil || !strings.HasPrefix(outcome(err), "403") {
			t.Errorf("%s reviews it: %v", name, err)
		}
		if c.Kind != consent.System {
			w.want(name+" finds it", w.sees(c, "Task", "status=in-progress"), "")
		}
	}
	told, err := w.search(person("p"), "Communication", "patient=p")
	if err != nil || len(told.Items()) != 1 {
		t.Errorf("the patient is not told: %v", err)
	}
	current := w.reads(regulator(), "Task", id)
	longer := strings.ReplaceAll(current, "2026-09-01T14:00:00", "2036-09-01T14:00:00")
	if longer == current {
		t.Fatal("nothing to forge: " + current)
	}
	for name, c := range map[string]consent.Caller{"regulator": regulator(), "custodian": custodian(), "doctor": doctor("A"), "patient": person("p")} {
		_, err := w.gate.Update(w.ctx(), w.request(c, "update", "Task"), "Task", id, w.content(longer), "")
		if err == nil {
			t.Errorf("%s updates it", name)
		}
		if _, err := w.gate.Delete(w.ctx(), w.request(c, "delete", "Task"), "Task", id, ""); err == nil {
			t.Errorf("%s deletes it", name)
		}
	}
	w.want("it stays as it is", w.reads(regulator(), "Task", id), current)
	w.now = w.now.Add(5 * time.Hour)
	w.want("the grant ends when it did", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	if err := w.gate.Sweep(w.ctx(), w.now); err != nil {
		t.Fatal(err)
	}
	w.want("and says so", w.tasks("_id=" + id)[0].state(), "in-progress closed in-review")
}

// TestReviewOfTwoAtOnce: of two who change the same version one is told.
func TestReviewOfTwoAtOnce(t *testing.T) {
	w := newClinics(t, nil)
	id := w.override(doctor("A"), "q")
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- w.review(regulator(), id, "1", to(gate.ReviewInReview)) }()
	}
	a, b := <-errs, <-errs
	if (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), gate.ErrPrecondition) {
		t.Errorf("%v and %v", a, b)
	}
}
