package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// relabel is what $meta-add, or $meta-delete with a minus before, makes of the
// labels of a resource: the version and its meta, or the refusal.
func (w *world) relabel(c consent.Caller, t fhir.ResourceType, id, code, meta string) string {
	w.Helper()
	tape := w.content(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":` + meta + `}]}`).Tape
	change := gate.MetaChange{Tape: tape, Remove: code == "$meta-delete"}
	change.Meta = tape.Field(tape.First(tape.Field(tape.Root(), "parameter")), "valueMeta")
	req := w.request(c, code, t)
	req.Interaction = gate.Interaction{Code: code, Letter: 'u', Write: true}
	r, err := w.gate.Relabel(w.ctx(), req, t, id, change, "")
	if err != nil {
		return outcome(err)
	}
	got := r.Items()[0].Resource
	_, list, _ := strings.Cut(string(got.JSON), `"lastUpdated":"`)
	_, list, _ = strings.Cut(list, `"`)
	list, _, _ = strings.Cut(list, `},"s`)
	return got.Version + " " + list
}

const hiv = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}`

func TestLabels(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(system("A"), "Observation", observation("Patient/q"))
	add := func(meta string) string {
		return w.relabel(doctor("A"), "Observation", id, "$meta-add", meta)
	}
	take := func(meta string) string {
		return w.relabel(doctor("A"), "Observation", id, "$meta-delete", meta)
	}
	const tags = `{"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b","display":"B"}],"profile":["http://example.org/p"],"versionId":"9"}`
	w.want("add", add(tags), `2 ,"profile":["http://example.org/p"],"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b","display":"B"}]`)
	w.want("once more", add(tags), `2 ,"profile":["http://example.org/p"],"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b","display":"B"}]`)
	w.want("delete", take(`{"tag":[{"system":"urn:t","code":"b"},{"system":"urn:t","code":"none"}],"profile":["http://example.org/p"]}`), `3 ,"tag":[{"system":"urn:t","code":"a"}]`)
	w.want("delete the last", take(`{"tag":[{"system":"urn:t","code":"a"}]}`), `4 `)
	w.want("no list", add(`{"tag":{"code":"a"}}`), "400")
	w.want("no coding", add(`{"tag":["a"]}`), "400")
	w.want("the server's own", add(`{"security":[{"system":"`+consent.SystemLabel+`","code":"oversight"}]}`), "422")
	for _, other := range []string{"o-q", "none", "a b"} { // what others wrote is as good as absent
		w.want("of "+other, w.relabel(system("A"), "Observation", other, "$meta-add", tags), "not found")
		w.want("of "+other+", wrong", w.relabel(system("A"), "Observation", other, "$meta-add", `{"security":[{"system":"`+consent.SystemLabel+`","code":"oversight"}]}`), "not found")
	}
	w.want("of the record of access", w.relabel(custodian(), "AuditEvent", "none", "$meta-add", tags), "method not allowed")
	if got := len(w.events("entity=Observation/" + id)); got < 5 {
		t.Errorf("%d events", got)
	}
}

// TestLabelsForWhoMayNotRead: what a label was added to may have others, which came
// from elsewhere, and to write is no right to read.
func TestLabelsForWhoMayNotRead(t *testing.T) {
	w := newClinics(t, nil)
	const tag = `{"tag":[{"system":"urn:t","code":"b"}]}`
	id := w.created(system("A"), "Observation", `"meta":{"tag":[{"system":"urn:t","code":"a"}],"security":[`+hiv+`]},`+observation("Patient/q"))
	for range 2 { // the second changes nothing
		w.want("a system", w.relabel(system("A"), "Observation", id, "$meta-add", tag), "2 }}")
	}
	w.want("a doctor", w.relabel(doctor("A"), "Observation", id, "$meta-add", tag),
		`2 ,"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b"}],"security":[`+hiv+`]`)
	before := len(w.events("patient=Patient/q&outcome=0"))
	writer := doctor("A")
	writer.Scopes = smart.ParseScopes("user/*.u")
	w.want("without the scope to read", w.relabel(writer, "Observation", id, "$meta-delete", tag), "3 }}")
	w.restrict("q", "OPTIN", `{"type":"permit","provision":[{"type":"deny","securityLabel":[`+hiv+`]}]}`)
	w.want("whom the patient excludes", w.relabel(doctor("A"), "Observation", id, "$meta-add", tag), "4 }}")
	if got := len(w.events("patient=Patient/q&outcome=0")); got < before+2 {
		t.Errorf("%d events, of which %d before", got, before)
	}
}

// TestLabelsOfWhatItGoesWith: the server's label on what a Provenance is about says
// nothing of what may be put on the Provenance.
func TestLabelsOfWhatItGoesWith(t *testing.T) {
	w := newClinics(t, nil)
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(explain(err))
	}
	tasks, err := w.search(custodian(), "Task", "patient=Patient/p")
	if err != nil || len(tasks.Items()) != 1 {
		t.Fatal(explain(err))
	}
	w.put("SearchParameter", "colour", parameter("colour", "token", "Observation", "Observation.code"))
	jobs, err := w.search(custodian(), "Task", "_security="+consent.SystemLabel+"|search-index")
	if err != nil || len(jobs.Items()) != 1 {
		t.Fatal(explain(err))
	}
	const tag = `{"tag":[{"system":"urn:t","code":"a"}]}`
	for _, target := range []string{"Task/" + tasks.Items()[0].Resource.ID, "Task/" + jobs.Items()[0].Resource.ID, "Task/none", "Observation/o-p"} {
		id := w.created(system("C"), "Provenance", `"target":[{"reference":"`+target+`"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]`)
		for _, code := range []string{"oversight", "search-index", "OverSight"} {
			w.want(code+" of "+target, w.relabel(system("C"), "Provenance", id, "$meta-add", `{"security":[{"system":"`+consent.SystemLabel+`","code":"`+code+`"}]}`), "422")
		}
		w.want("a tag of "+target, w.relabel(system("C"), "Provenance", id, "$meta-add", tag), "2 }}")
	}
}

// TestLabelsDecide: a label that is added or taken away counts with the next
// request.
func TestLabelsDecide(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("q", "OPTIN", `{"type":"permit","provision":[{"type":"deny","securityLabel":[`+hiv+`]}]}`)
	seen := func() string {
		_, err := w.read(doctor("A"), "Observation", "o-q")
		return fmt.Sprint(err)
	}
	w.want("before", seen(), "<nil>")
	w.relabel(custodian(), "Observation", "o-q", "$meta-add", `{"security":[`+hiv+`]}`)
	w.want("labelled", seen(), "not found")
	w.want("in a search", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "")
	w.relabel(custodian(), "Observation", "o-q", "$meta-delete", `{"security":[`+hiv+`]}`)
	w.want("after", seen(), "<nil>")
}

func TestLabelsOfTypes(t *testing.T) {
	w := newWorld(t, nil)
	w.put("Basic", "a", `"meta":{"tag":[{"system":"urn:t","code":"a"}],"security":[`+hiv+`]},"code":{"text":"x"}`)
	w.put("Basic", "b", `"meta":{"tag":[{"system":"urn:t","code":"a","display":"again"},{"system":"urn:t","code":"b"}]},"code":{"text":"x"}`)
	w.put("Basic", "c", `"code":{"text":"x"}`)
	w.put("List", "l", `"meta":{"profile":["http://example.org/p"]},"status":"current","mode":"working"`)
	get := func(c consent.Caller, typ fhir.ResourceType) string {
		req := w.request(c, "$meta", typ)
		req.Interaction.Letter = 's'
		r, err := w.gate.Labels(w.ctx(), req, typ)
		if errors.Is(err, gate.ErrMethod) {
			return "method"
		}
		if err != nil {
			return outcome(err)
		}
		return string(r.Items()[0].Resource.JSON)
	}
	const basics = `"security":[` + hiv + `],"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b"}]`
	if got := get(custodian(), "Basic"); got != `{"meta":{`+basics+`}}` && !strings.Contains(got, `"again"`) {
		t.Errorf("of Basic: %s", got)
	}
	if got := get(custodian(), ""); !strings.Contains(got, `"profile":["http://example.org/p"]`) || !strings.Contains(got, "HIV") {
		t.Errorf("of all: %s", got)
	}
	w.want("of what has none", get(custodian(), "Patient"), `{"meta":{}}`)
	for _, c := range []consent.Caller{doctor("A"), system("A"), person("p"), regulator(), {}} {
		w.want("of others", get(c, "Basic")+get(c, ""), "methodmethod")
	}
}
