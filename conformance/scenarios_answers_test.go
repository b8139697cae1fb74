package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestScenario62OperationsSeeTheSame(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	a := s.ask(t, s.a1, get("Patient/p/$everything?_count=100")).want(t, http.StatusOK).hides(t, secret)
	if want := []string{"AllergyIntolerance/a-p", "Immunization/i-p", "Patient/p"}; !sameIDs(a.ids(t), want) {
		t.Errorf("everything of P is %v, want %v", a.ids(t), want)
	}
	if got := s.ask(t, s.a1, get("Patient/q/$everything?_count=100")).want(t, http.StatusOK).ids(t); !slices.Contains(got, "Observation/x0-q") {
		t.Errorf("everything of Q is %v", got)
	}
	same(t, "$everything", s.ask(t, s.c1, get("Patient/none/$everything")), s.ask(t, s.c1, get("Patient/p/$everything")))
	match := mustJSON(object{"resourceType": "Parameters", "parameter": []any{object{"name": "resource", "resource": object{
		"resourceType": "Patient", "identifier": nricOf("S0000001I"), "address": []any{object{"city": hiddenOfP}},
	}}}})
	for _, r := range []request{
		get("Observation/$lastn?patient=%s&code=5221-7"), get("Patient/%s/$summary"), get("Patient/%s/$graphql?query={name{family}}"), get("$graphql?query={Patient(id:%s){address{city}}}"),
		send(http.MethodPost, "Patient/$match", match),
	} {
		for _, token := range []string{s.a1, s.c1} {
			hidden, absent := r, r
			if strings.Contains(r.path, "%s") {
				hidden.path, absent.path = fmt.Sprintf(r.path, "p"), fmt.Sprintf(r.path, "none")
			}
			x := s.one.do(t, token, hidden).hides(t, hiddenOfP, secret)
			y := s.two.do(t, token, absent)
			if x.status == http.StatusOK {
				t.Errorf("%s: is served: it needs a test of its own", r.path)
			}
			same(t, r.path, renamed(y, "none"), renamed(x, "none"))
		}
	}
}

func TestScenario63EntriesAnswerAsSingleCalls(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	urls := []string{
		"Observation/x0-q", "Observation/x0-p", "Observation/none", "Observation?patient=p", "Observation?patient=q&_count=2", "Patient/p", "Observation?_has:List:item:status=current", "Consent/consent-p",
		"Observation?subject:Patient.name=Pauline", "Patient?_has:Observation:patient:code=5221-7", "Patient?_id=p&_revinclude=Observation:patient", "Observation?_list=l-p", "Observation/x1-q",
	}
	alone := map[string]answer{}
	for _, u := range urls {
		alone[u] = s.ask(t, s.a1, get(u))
	}
	for turn := range 3 {
		order := slices.Clone(urls)
		if turn == 1 {
			slices.Reverse(order)
		}
		if turn == 2 {
			slices.Sort(order)
		}
		var entries []any
		for _, u := range order {
			entries = append(entries, object{"request": object{"method": "GET", "url": u}})
		}
		a := s.ask(t, s.a1, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "batch", "entry": entries}))).want(t, http.StatusOK)
		got := list(decode(t, a.body), "entry")
		for i, u := range order {
			single := alone[u]
			if status := text(got[i], "response", "status"); !strings.HasPrefix(status, fmt.Sprint(single.status)) {
				t.Errorf("turn %d, %s: %s in the batch, %d alone", turn, u, status, single.status)
			}
			body := at(got[i], "resource")
			if single.status != http.StatusOK {
				body = at(got[i], "response", "outcome")
			}
			one, two := s.fresh(answer{body: encode(t, decode(t, single.body))}), s.fresh(answer{body: encode(t, body)})
			if one != two {
				t.Errorf("turn %d, %s:\nalone    %s\nin batch %s", turn, u, one, two)
			}
		}
	}
}

func TestScenario65RefusalsSayNothing(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	leaky := []string{"goroutine", ".go:", "pebble", "mongo", "runtime", "panic", "SELECT", "x0-p", "consent-p", hiddenOfP, secret, "context"}
	for name, rows := range map[string][]string{
		"a read":       {"Observation/none", "Observation/x0-p", "Condition/x0-p", "Observation/d-p", "Patient/x0-p"},
		"a version":    {"Observation/none/_history/1", "Observation/x0-p/_history/1", "Observation/x0-p/_history/77"},
		"a history":    {"Observation/none/_history", "Observation/x0-p/_history"},
		"an id":        {"Observation/" + strings.Repeat("x", 65), "Observation/" + strings.Repeat("y", 65), "Observation/a_b", "Observation/%00", "Observation/x0-p%20"},
		"a cursor":     {"Observation?_cursor=AAAA", "Observation?_cursor=x0-p", "Observation?patient=p&_cursor=AAAA", "Observation?_cursor=%00"},
		"$everything":  {"Patient/none/$everything", "Patient/x0-p/$everything"},
		"$access":      {"Patient/none/$access", "Patient/x0-p/$access"},
		"wrong method": {"Observation/none/x", "Observation/x0-p/x"},
	} {
		first := s.ask(t, s.a1, get(rows[0]))
		if first.status < 400 || first.status >= 500 || text(decode(t, first.body), "resourceType") != "OperationOutcome" {
			t.Errorf("%s: %d %s", name, first.status, first.body)
		}
		for _, row := range rows {
			same(t, row, first, s.ask(t, s.a1, get(row)).hides(t, leaky...))
		}
	}
	s.ask(t, s.a1, get("Observation/x0-q")).want(t, http.StatusOK)
}
