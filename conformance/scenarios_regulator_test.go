package conformance

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the regulator finds, reviews and is alerted to: scenarios 40, 43, 50 and 97.

// numbers gives the people and organisations of the cast numbers of their own.
func (c *cast) numbers(t *testing.T) {
	t.Helper()
	for p, number := range map[string]string{"p": "S0000001I", "q": "S0000002G", "r": "S0000003E"} {
		c.put(t, with(person(p), "identifier", []any{object{"system": nric, "value": number}}))
	}
	for org, letter := range map[string]string{"a": "A", "b": "B"} {
		c.put(t, with(organization(org, ""), "identifier", []any{object{"system": "http://hci.example", "value": "200001" + letter}}))
		c.put(t, object{"resourceType": "Practitioner", "id": "dr-" + org, "active": true, "identifier": []any{object{"system": "http://smc.example", "value": "M12345" + letter}}})
	}
}

func TestScenario50TheAuditorFindsOverrides(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.numbers(t)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.breakGlass(t, c.b1, "r", "OVRER", emergency).want(t, http.StatusCreated)
	start := "subtype=" + url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110127")
	for _, row := range []struct {
		query string
		want  int
	}{
		{start, 2},
		{start + "&patient=p", 1},
		{start + "&patient=Patient/r", 1},
		{start + "&agent=PractitionerRole/a1", 1},
		{start + "&agent=PractitionerRole/nobody", 0},
		{start + "&date=ge2026-01-01", 2},
		{start + "&date=lt2026-01-01", 0},
		{start + "&purpose=BTG", 2},
		{start + "&purpose=PATRQT", 0},
		{start + "&patient.identifier=" + nric + "|S0000001I", 1},
		{start + "&patient:identifier=S0000003E", 1},
		{start + "&patient.identifier=S0000002G", 0},
		{start + "&entity.identifier=S0000001I", 1},
		{start + "&agent.identifier=http://smc.example|M12345A", 1},
		{start + "&agent:identifier=M12345B", 1},
		{start + "&agent.identifier=200001A", 1},
		{start + "&agent.identifier=M12345A&patient.identifier=S0000003E", 0},
		{start + "&source.identifier=vitrine", 2},
		{start + "&date=ge2026-01-01&agent.identifier=M12345A&patient.identifier=S0000001I&purpose=BTG", 1},
	} {
		if got := c.events(t, row.query); len(got) != row.want {
			t.Errorf("%s: %d events, want %d", row.query, len(got), row.want)
		}
	}
	for _, e := range c.events(t, start) {
		for _, name := range []string{"reason", "threat", "justification", "expires"} {
			if !strings.Contains(string(encode(t, e)), `"type":"`+name+`"`) {
				t.Errorf("an override without its %s: %v", name, e)
			}
		}
	}
	first := c.do(t, c.auditor, get("AuditEvent?"+start+"&patient=p&_include=*")).want(t, http.StatusOK).hides(t, secret, "birthDate", "Lowe")
	var with []string
	for _, e := range list(decode(t, first.body), "entry") {
		if text(e, "search", "mode") == "include" {
			with = append(with, text(e, "resource", "resourceType")+"/"+text(e, "resource", "id"))
		}
	}
	if slices.Sort(with); !slices.Equal(with, []string{"Organization/a", "Patient/p", "PractitionerRole/a1"}) {
		t.Errorf("with an override come %v", with)
	}
	if got := c.do(t, c.auditor, get("Condition?patient=p")).hides(t, secret).ids(t); len(got) != 0 {
		t.Errorf("the auditor sees clinical data: %v", got)
	}
	if a := c.do(t, c.auditor, get("Patient/p")).hides(t, secret); a.status != http.StatusNotFound && a.status != http.StatusForbidden {
		t.Errorf("the auditor reads a Patient: %d", a.status)
	}
}

// TestScenario40TheReview: an override is reviewed by the regulator, step by step,
// and for everybody else there is no such operation.
func TestScenario40TheReview(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	backEnd := c.auditor
	c.auditor = c.token(t, "--kind", "regulator", "--user", "Practitioner/mei")
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	task := c.do(t, c.auditor, get("Task?patient=p&status=requested")).want(t, http.StatusOK).ids(t)[0]
	step := func(body []byte) request { return send(http.MethodPost, task+"/$review", body) }
	for name, token := range map[string]string{"the doctor": c.a1, "another doctor": c.c1, "the patient": c.appP, "a system": c.systemA, "the custodian": c.root} {
		unknown := c.do(t, token, send(http.MethodPost, task+"/$none-such", reviewRequest("in-review")))
		same(t, name, unknown, c.do(t, token, step(reviewRequest("in-review"))))
		same(t, name+", of no Task", unknown, c.do(t, token, send(http.MethodPost, "Task/none/$review", reviewRequest("in-review"))))
		c.do(t, token, send(http.MethodPut, task, encode(t, object{"resourceType": "Task", "id": task[len("Task/"):], "status": "completed", "intent": "order"})))
		c.do(t, token, request{method: http.MethodDelete, path: task})
	}
	if got := c.do(t, c.appP, get("Task?patient=p")).want(t, http.StatusOK).ids(t); len(got) != 0 {
		t.Errorf("the patient sees the review: %v", got)
	}
	c.do(t, backEnd, step(reviewRequest("in-review"))).want(t, http.StatusForbidden)
	c.do(t, c.auditor, step(reviewRequest("accepted"))).want(t, http.StatusUnprocessableEntity)
	c.do(t, c.auditor, step([]byte(`{"resourceType":"Parameters","parameter":[{"name":"end","valueInstant":"2030-01-01T00:00:00Z"}]}`))).want(t, http.StatusBadRequest)
	c.do(t, c.auditor, step(reviewRequest("in-review")).with("If-Match", `W/"7"`)).want(t, http.StatusPreconditionFailed)
	c.do(t, c.auditor, send(http.MethodPut, task, encode(t, object{"resourceType": "Task", "id": task[len("Task/"):], "status": "completed", "intent": "order"}))).want(t, http.StatusForbidden)
	a := c.do(t, c.auditor, step(mustJSON(object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "state", "valueCode": "in-review"},
		object{"name": "owner", "valueReference": ref("Practitioner/dr-c")},
		object{"name": "comment", "valueString": "asked the ward"},
	}})).with("If-Match", `W/"1"`)).want(t, http.StatusOK)
	if o := decode(t, a.body); a.header.Get("Etag") != `W/"2"` || text(o, "status") != "in-progress" || text(o, "owner", "reference") != "Practitioner/dr-c" || text(o, "note", 0, "text") != "asked the ward" {
		t.Errorf("%s %s", a.header.Get("Etag"), a.body)
	}
	c.full(t, c.a1, "p")
	c.do(t, c.a1, send(http.MethodPost, "Patient/p/$break-glass-stop", []byte(`{"resourceType":"Parameters"}`))).want(t, http.StatusNoContent)
	c.do(t, c.auditor, step(reviewRequest("referred"))).want(t, http.StatusOK)
	c.do(t, c.auditor, step(reviewRequest("accepted"))).want(t, http.StatusUnprocessableEntity)
	if got := list(decode(t, c.do(t, c.auditor, get(task+"/_history")).want(t, http.StatusOK).body), "entry"); len(got) != 4 {
		t.Errorf("%d versions, want 4", len(got))
	}
	for query, want := range map[string]int{"status=completed&business-status=referred": 1, "owner=Practitioner/dr-c": 1, "period=ge2020-01-01&_sort=-authored-on": 1, "authored-on=lt2020-01-01": 0} {
		if got := c.do(t, c.auditor, get("Task?"+query)).want(t, http.StatusOK).ids(t); len(got) != want {
			t.Errorf("Task?%s: %v", query, got)
		}
	}
	if got := c.events(t, "subtype=https://vitrine.example/CodeSystem/nehr-event|review&patient=p"); len(got) != 2 {
		t.Errorf("%d events of the review, want 2", len(got))
	}
	c.basic(t, c.a1, "p")
}

// TestTheBreakGlassReport: what the regulator is told of overrides over HTTP, in
// both forms, and that for all others there is no such report.
func TestTheBreakGlassReport(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for range 4 {
		c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	}
	c.breakGlass(t, c.b1, "r", "OVRER", emergency).want(t, http.StatusCreated)
	c.put(t, object{
		"resourceType": "Encounter", "id": "came", "status": "in-progress", "class": object{"system": actCode, "code": "EMER"},
		"subject": ref("Patient/r"), "serviceProvider": ref("Organization/b"), "period": object{"start": "2026-01-01T00:00:00Z"}, "reasonCode": []any{object{"text": secret}},
	})
	c.full(t, c.a1, "p")
	const report = "AuditEvent/$break-glass-report"
	a := c.do(t, c.auditor, get(report)).want(t, http.StatusOK).hides(t, secret, "came", "GCS")
	counts, lists := map[string]int{}, map[string]int{}
	for _, p := range list(decode(t, a.body), "parameter") {
		lists[text(p, "name")]++
		if who := text(p, "part", 0, "valueReference", "reference"); who != "" {
			n, _ := at(p, "part", 1, "valueInteger").(float64)
			counts[who] = int(n)
		}
	}
	if want := map[string]int{"Organization/a": 4, "Organization/b": 1, "Practitioner/dr-a": 4, "Practitioner/dr-b": 1}; !maps.Equal(counts, want) {
		t.Errorf("counts %v, want %v\n%s", counts, want, a.body)
	}
	for name, want := range map[string]int{"override": 5, "without-encounter": 0, "encounter-awaited": 4, "repeated-by-practitioner": 4, "repeated-on-patient": 4, "overdue": 0} {
		if lists[name] != want {
			t.Errorf("%s: %d, want %d", name, lists[name], want)
		}
	}
	table := c.do(t, c.auditor, get(report+"?organization=a").with("Accept", "text/csv")).want(t, http.StatusOK)
	rows, err := csv.NewReader(bytes.NewReader(table.body)).ReadAll()
	if err != nil || len(rows) != 5 || rows[1][2] != "Practitioner/dr-a" || !strings.HasPrefix(table.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%v %s\n%s", err, table.header.Get("Content-Type"), table.body)
	}
	started := rows[1][slices.Index(rows[0], "started")]
	if e := decode(t, c.do(t, c.auditor, get(started)).want(t, http.StatusOK).body); text(e, "subtype", 0, "code") != "110127" {
		t.Errorf("%s is no start: %v", started, e)
	}
	for query, want := range map[string]int{
		"?practitioner=dr-b": 1, "?agent=PractitionerRole/a1": 4, "?start=2020-01-01&end=2020-12-31": 0, "?start=2020-01-01&end=2100": 5, "?organization=Organization/none": 0,
	} {
		got := 0
		for _, p := range list(decode(t, c.do(t, c.auditor, get(report+query)).want(t, http.StatusOK).body), "parameter") {
			if text(p, "name") == "override" {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d overrides, want %d", query, got, want)
		}
	}
	posted := object{"resourceType": "Parameters", "parameter": []any{object{"name": "practitioner", "valueString": "dr-b"}}}
	c.do(t, c.auditor, send(http.MethodPost, report, encode(t, posted))).want(t, http.StatusOK)
	for _, query := range []string{"?start=yesterday", "?end=2026&end=2027", "?patient=p", "?practitioner=Patient/p", "?organization=a/b"} {
		c.do(t, c.auditor, get(report+query)).want(t, http.StatusBadRequest)
	}
	c.do(t, c.auditor, get(report+"?start=2026-02-01&end=2026-01-01")).want(t, http.StatusUnprocessableEntity)
	for name, token := range map[string]string{"the doctor": c.a1, "another doctor": c.c1, "the patient": c.appP, "a system": c.systemA, "the custodian": c.root} {
		same(t, name, c.do(t, token, get("AuditEvent/$none-such")), c.do(t, token, get(report)))
		same(t, name, c.do(t, token, get("AuditEvent/$none-such?patient=p")), c.do(t, token, get(report+"?patient=p")))
	}
	statement := string(c.do(t, "", get("metadata")).want(t, http.StatusOK).body)
	for _, name := range []string{"AuditEvent-break-glass-report", "Task-review"} {
		if !strings.Contains(statement, "/OperationDefinition/"+name+`"`) {
			t.Errorf("%s is not declared", name)
		}
		defined := decode(t, c.do(t, "", get("OperationDefinition/"+name)).want(t, http.StatusOK).body)
		c.do(t, c.root, send(http.MethodPut, "OperationDefinition?url="+text(defined, "url"), encode(t, defined))).want(t, http.StatusUnprocessableEntity)
	}
}

// nricNumber is the NRIC of a number, with its check letter.
func nricNumber(n int) string {
	digits, sum := fmt.Sprintf("%07d", n), 0
	for i, weight := range []int{2, 7, 6, 5, 4, 3, 2} {
		sum += weight * int(digits[i]-'0')
	}
	return "S" + digits + string("JZIHGFEDCBA"[sum%11])
}

// TestScenario97TheSweep: a doctor who is registered with nobody asks for a thousand
// valid numbers. Whether there is such a patient changes no answer, the limit comes
// after as many requests whoever they were about, and the regulator is told, once.
func TestScenario97TheSweep(t *testing.T) {
	t.Parallel()
	const sweep = 1000
	c := newCast(t, "--client-rate", "0.1", "--client-burst", fmt.Sprint(sweep), "--alert-every", "100ms")
	c.numbers(t) // p, q and r are among the first
	sweeper := c.doctor(t, "c1", "c", "--client", "sweeper")
	ask := func(number string) answer {
		t.Helper()
		a := c.do(t, sweeper, get("Patient?identifier="+number))
		a.body = bytes.ReplaceAll(a.body, []byte(number), []byte("S0000000J"))
		return a
	}
	var first answer
	for n := range sweep {
		a := ask(nricNumber(n+1)).hides(t, secret)
		if n == 0 {
			first = a.want(t, http.StatusOK)
			if found := first.ids(t); len(found) != 0 {
				t.Fatalf("found %v", found)
			}
		}
		if x, y := first.normal(), a.normal(); x != y {
			t.Fatalf("the answers about %d and 1 differ\n%s\n%s", n+1, x, y)
		}
	}
	limited := ask(nricNumber(sweep + 1))
	for range 10 { // what came in meanwhile
		if limited.status == http.StatusTooManyRequests {
			break
		}
		limited = ask(nricNumber(sweep + 1))
	}
	limited.want(t, http.StatusTooManyRequests)
	for _, number := range []string{nricNumber(1), nricNumber(2), nricNumber(sweep + 2)} {
		same(t, "beyond the limit", limited, ask(number))
	}
	hours := map[string]int{}
	for _, alert := range c.alerted(t) {
		said := string(encode(t, alert))
		if text(alert, "reasonCode", "coding", 0, "code") != "sweep" || !strings.Contains(said, `"sweeper"`) || strings.Contains(said, "S0000001I") || strings.Contains(said, "Patient/") {
			t.Errorf("%s", said)
		}
		for _, in := range list(alert, "input") {
			if text(in, "type", "coding", 0, "code") == "span" {
				hours[text(in, "valueString")]++
			}
		}
	}
	for hour, n := range hours {
		if n != 1 {
			t.Errorf("%d alerts of the hour %s", n, hour)
		}
	}
	if found := c.do(t, c.a1, get("Task?code=alert")).want(t, http.StatusOK).ids(t); len(found) != 0 {
		t.Errorf("a doctor sees %v", found)
	}
	metrics := c.do(t, "", get(c.server.root+"/metrics")).want(t, http.StatusOK)
	if !strings.Contains(string(metrics.body), fmt.Sprintf(`vitrine_alerts_total{kind="sweep"} %d`, len(hours))) || strings.Contains(string(metrics.body), "sweeper") {
		t.Errorf("metrics:\n%s", metrics.body)
	}
}

// alerted are the alerts that the regulator finds, once there are some.
func (c *cast) alerted(t *testing.T) []object {
	t.Helper()
	tick, deadline := time.NewTicker(50*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if all := c.do(t, c.auditor, get("Task?code=alert")).want(t, http.StatusOK).matches(t); len(all) > 0 {
			return all
		}
		select {
		case <-deadline:
			t.Fatal("nobody was alerted")
		case <-tick.C:
		}
	}
}
