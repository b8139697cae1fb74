package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// deletes has the custodian delete something.
func (w *world) deletes(t fhir.ResourceType, id string) {
	w.Helper()
	if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", t), t, id, ""); err != nil {
		w.Fatal(explain(err))
	}
}

// TestDirectivesReachWhoIsDeleted: whoever is deleted before two have agreed, or
// before it is proposed, is not let go by that: roles, parts and whoever comes back
// under the id are still kept out.
func TestDirectivesReachWhoIsDeleted(t *testing.T) {
	for _, late := range []bool{false, true} {
		w := newClinics(t, nil)
		w.put("Organization", "ward", `"active":true,"name":"Ward","partOf":{"reference":"Organization/B"}`)
		w.put("PractitionerRole", "ward1", `"active":true,"practitioner":{"reference":"Practitioner/dC"},"organization":{"reference":"Organization/ward"},"code":[`+
			concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
		w.register("q", "ward")
		look := func(organization string) string {
			return w.sees(doctor(organization), "Observation", "patient=Patient/q")
		}
		gone := func() {
			w.deletes("Practitioner", "dA")
			w.deletes("Organization", "B")
		}
		proposed := func(who string) string {
			return w.created(regulator(), "Basic", blockReads(who))
		}
		if late {
			gone()
		}
		person, place := proposed("Practitioner/dA"), proposed("Organization/B")
		if !late {
			gone()
		}
		w.want("a role that is left", look("A"), "o-q")
		w.want("a part that is left", look("ward"), "o-q")
		w.want("agreed about the person", w.directs("$agree", second(), person, "1"), "")
		w.want("agreed about the organisation", w.directs("$agree", second(), place, "1"), "")
		w.want("the role, blocked", look("A"), "403 blocked")
		w.want("the part, blocked", look("ward"), "403 blocked")
		w.put("Organization", "B", `"active":true,"name":"Clinic"`)
		w.want("who comes back, blocked", look("B"), "403 blocked")
		w.deletes("Organization", "B")
		w.lifted(place, 2)
		w.want("the part, after it was lifted", look("ward"), "o-q")
	}
}

// TestDestroyReachesWhoIsGone: an organisation that has ended, or is deleted, still
// has what was disclosed to it. The ministry gets its manifest.
func TestDestroyReachesWhoIsGone(t *testing.T) {
	for name, row := range map[string]struct {
		who []string
		end func(*world)
	}{
		"an organisation that has ended":  {[]string{"Organization/A"}, func(w *world) { w.put("Organization", "A", `"active":false,"name":"Clinic"`) }},
		"an organisation that is deleted": {[]string{"Organization/A"}, func(w *world) { w.deletes("Organization", "A") }},
		"a person of it who is deleted":   {[]string{"Organization/A", "Practitioner/dA"}, func(w *world) { w.deletes("Practitioner", "dA") }},
		"a client there that is deleted":  {[]string{"Organization/A", "Device/x"}, func(w *world) { w.deletes("Device", "x") }},
	} {
		for _, late := range []bool{false, true} {
			w := newClinics(t, nil)
			w.put("Device", "x", `"status":"active","identifier":[{"system":"`+consent.SystemClient+`","value":"`+doctor("A").Client+`"}]`)
			w.reads(doctor("A"), "Observation", "o-q")
			if late {
				row.end(w)
			}
			id := w.created(regulator(), "Basic", destroys("", row.who...))
			if !late {
				row.end(w)
			}
			w.want(name+": agreed", w.directs("$agree", second(), id, "1"), "")
			w.now = w.now.Add(time.Minute)
			if err := w.gate.KeepManifests(w.ctx(), w.now); err != nil {
				t.Fatal(explain(err))
			}
			if lines := w.manifestOf(w.taskOf(id)); len(lines) != 1 || !strings.Contains(lines[0], "Observation/o-q") {
				t.Errorf("%s, late %v: the manifest is %q", name, late, lines)
			}
		}
	}
}

// TestDirectivesThatWouldReachNobody: who has become something else than of the
// directory is looked for again when another person agrees. Nothing is done then, and
// the proposal waits.
func TestDirectivesThatWouldReachNobody(t *testing.T) {
	w := newClinics(t, nil)
	const client = `"status":"active","identifier":[{"system":"` + consent.SystemClient + `","value":"emr-x"}]`
	target := func(who string) string {
		return `{"url":"` + consent.Canon + `/StructureDefinition/directive-target","valueReference":{"reference":"` + who + `"}}`
	}
	code := func(effect string) string { return `"code":` + concept(consent.SystemDirective, effect) }
	for name, row := range map[string]struct{ members, place string }{
		"the subject":                 {code("BLOCK_READ") + `,"subject":{"reference":"Device/x"}`, "Basic.subject"},
		"the second target":           {code("BLOCK_WRITE") + `,"extension":[` + target("Organization/A") + "," + target("Device/x") + `]`, "Basic.extension[1]"},
		"a client that is to destroy": {destroys("", "Organization/A", "Device/x"), "Basic.extension[0]"},
	} {
		w.put("Device", "x", client)
		id := w.created(regulator(), "Basic", row.members)
		w.put("Device", "x", client+`,"patient":{"reference":"Patient/q"}`)
		before, tasks := w.stored("Basic", id), w.sees(regulator(), "Task", "_count=1000")
		req := w.request(second(), "$agree", "Basic")
		req.Interaction.Letter, req.Interaction.Write = 'u', true
		_, err := w.gate.Agree(w.ctx(), req, id, "1")
		w.want(name, outcomeOf(err), "409")
		if got := explain(err); !strings.Contains(got, row.place) || !strings.Contains(got, "not in the directory") {
			t.Errorf("%s: %s", name, got)
		}
		w.want(name+", afterwards", w.stored("Basic", id), before)
		w.want(name+", Tasks afterwards", w.sees(regulator(), "Task", "_count=1000"), tasks)
		w.deletes("Device", "x")
		w.want(name+", deleted as a patient's", w.directs("$agree", second(), id, "1"), "409")
		w.put("Device", "x", client)
		w.want(name+", once it is of the directory again", w.directs("$agree", second(), id, "1"), "")
		_, err = w.create(regulator(), "Basic", strings.ReplaceAll(row.members, "Device/x", "Device/nope"))
		w.want(name+", of nobody", outcomeOf(err), "422")
		if got := explain(err); !strings.Contains(got, row.place) {
			t.Errorf("%s, of nobody: %s", name, got)
		}
		w.lifted(id, 2)
	}
	w.wantActs("refused:no-target")
}

// TestLiftingAsksForNoTarget: what is in force is lifted whoever is left of it.
func TestLiftingAsksForNoTarget(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Device", "x", `"status":"active"`)
	id := w.ordered(blockReads("Device/x"))
	w.put("Device", "x", `"status":"active","patient":{"reference":"Patient/q"}`)
	w.lifted(id, 2)
	state := w.stored("Basic", id)
	if !strings.Contains(state, `"lifted"`) {
		t.Error(state)
	}
}

// TestWhoWasInTheDirectoryOwnsNoReview: it is people of now who review.
func TestWhoWasInTheDirectoryOwnsNoReview(t *testing.T) {
	w := newClinics(t, nil)
	w.breaks("q")
	w.deletes("Practitioner", "dB")
	tasks := strings.Fields(w.sees(regulator(), "Task", "status=requested"))
	if len(tasks) == 0 {
		t.Fatal("no Task")
	}
	slices.Sort(tasks)
	req := w.request(regulator(), "$review", "Task")
	req.Interaction.Letter, req.Interaction.Write = 'u', true
	_, err := w.gate.Review(w.ctx(), req, tasks[0], gate.ReviewRequest{State: gate.ReviewInReview, Owner: "Practitioner/dB"}, "")
	w.want(fmt.Sprint("an owner who is deleted, of ", tasks[0]), outcomeOf(err), "422")
}
