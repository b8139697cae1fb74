package conformance

import (
	"net/http"
	"strings"
	"testing"
)

// A clinic keeps a Patient of its own under somebody's number, and sees by what
// it then wrote about that number whether the custodian has somebody on file.
func TestAttackPatientOfOnesOwn(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	const known = "S9876543C"
	c.put(t, with(person("known"), "identifier", nricOf(known)))
	systemC := c.system(t, "c")
	made := map[string]string{}
	for _, value := range []string{known, unknownNRIC} {
		own := with(without(person("x"), "id"), "identifier", nricOf(value))
		about := with(without(condition("", ""), "id"), "subject", object{"identifier": nricOf(value)[0]})
		before := instance(c, c.post(t, systemC, about).want(t, http.StatusCreated))
		c.post(t, systemC, with(own, "generalPractitioner", []any{ref("Organization/c")})).want(t, http.StatusCreated)
		made[value] = instance(c, c.post(t, systemC, about).want(t, http.StatusCreated))
		for _, at := range []string{before, made[value]} {
			same(t, value, c.do(t, c.c1, get("Condition/none")), c.do(t, c.c1, get(at)))
		}
	}
	c.put(t, with(episode("known", "c"), "id", "known-c"))
	c.do(t, c.c1, get(made[known])).want(t, http.StatusOK)
}

// A clinic that sees the basic set tries numbers that are not in it: an allergy
// of whoever has that passport would appear in the chart.
func TestAttackTryingPassports(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	of := func(system, value string) object {
		return with(without(allergy("", ""), "id"), "patient", object{"identifier": object{"system": system, "value": value}})
	}
	const known, number = "S9876543C", "E7654321"
	c.put(t, with(person("p"), "identifier", append(nricOf(known), object{"system": passport, "value": number})))
	tried := instance(c, c.post(t, c.systemA, of(passport, number)).want(t, http.StatusCreated))
	same(t, "a passport", c.do(t, c.a1, get("AllergyIntolerance/none")), c.do(t, c.a1, get(tried)))
	if got := c.do(t, c.a1, get("AllergyIntolerance?patient=p")).want(t, http.StatusOK).ids(t); len(got) != 1 {
		t.Errorf("%v are P's, want the one that was", got)
	}
	linked := instance(c, c.post(t, c.systemA, of(nric, known)).want(t, http.StatusCreated))
	c.do(t, c.a1, get(linked)).want(t, http.StatusOK)
}

// A clinic links a Patient of its own to somebody it does not care for: whether
// it then sees its own in full must not depend on what that one wished.
func TestAttackLinkingToLearnOfARestriction(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	own := with(without(person("x"), "id"), "generalPractitioner", []any{ref("Organization/c")})
	linked := func(to string) string {
		return instance(c, c.post(t, c.system(t, "c"), with(own, "link", []any{object{"other": ref("Patient/" + to), "type": "seealso"}})).want(t, http.StatusCreated))
	}
	restricted, free, none := linked("p"), linked("q"), linked("nobody")
	for _, at := range []string{restricted, free, none} {
		if a := c.do(t, c.c1, get(at)).want(t, http.StatusOK); text(decode(t, a.body), "maritalStatus", "text") != secret {
			t.Errorf("%s is not seen in full: %s", at, a.body)
		}
	}
	c.put(t, with(person("q"), "link", []any{object{"other": ref("Patient/p"), "type": "seealso"}}))
	c.basic(t, c.a1, "q")
}

// A launch for one patient writes to that patient's record alone; what is
// refused as another's must not tell what there is, or whose number it is.
func TestAttackProbingByTheLaunch(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	const known = "S9876543C"
	c.put(t, with(person("p"), "identifier", nricOf(known)))
	launched := c.doctor(t, "a1", "a", "--patient", "Patient/p", "--scope", "patient/*.cruds")
	provenance := func(target string) object {
		return object{
			"resourceType": "Provenance", "target": []any{ref(target)}, "recorded": "2026-01-01T00:00:00Z",
			"agent": []any{object{"who": ref("Organization/a")}},
		}
	}
	about := func(value string) object {
		return with(without(condition("", ""), "id"), "subject", object{"identifier": nricOf(value)[0]})
	}
	none := c.post(t, launched, provenance("Condition/none")).want(t, http.StatusNotFound)
	same(t, "what is hidden", none, c.post(t, launched, provenance("Condition/c-p")))
	same(t, "another's", none, c.post(t, launched, provenance("Condition/c-q")))
	same(t, "a number", c.post(t, launched, about(unknownNRIC)), c.post(t, launched, about(known)))
	unmade := c.do(t, launched, send(http.MethodPut, "Condition/none", encode(t, condition("p", "none")))).want(t, http.StatusNotFound)
	for _, value := range []string{known, unknownNRIC} { // one's own, linked and not
		at, id := c.contributed(t, about(value))
		same(t, "update", unmade, c.do(t, launched, send(http.MethodPut, at, encode(t, condition("p", id)))))
		same(t, "delete", none, c.do(t, launched, request{method: http.MethodDelete, path: at}))
	}
	c.post(t, c.systemA, identified(condition("q", ""), "of-q")).want(t, http.StatusCreated)
	for _, value := range []string{"of-q", "of-nobody"} {
		cond := mine + value
		c.do(t, launched, send(http.MethodPost, "Condition", encode(t, identified(condition("p", ""), "new"))).with("If-None-Exist", cond)).want(t, http.StatusCreated)
		c.do(t, launched, request{method: http.MethodDelete, path: "Condition?" + cond}).want(t, http.StatusNoContent)
	}
	own := instance(c, c.post(t, launched, identified(condition("p", ""), "of-p")).want(t, http.StatusCreated))
	c.post(t, launched, provenance(own)).want(t, http.StatusCreated)
	c.do(t, launched, send(http.MethodPost, "Condition", encode(t, identified(condition("p", ""), "of-p"))).with("If-None-Exist", mine+"of-p")).want(t, http.StatusOK)
	c.do(t, launched, request{method: http.MethodDelete, path: own}).want(t, http.StatusNoContent)
	c.do(t, launched, send(http.MethodPut, own, encode(t, condition("p", own[len("Condition/"):])))).want(t, http.StatusCreated)
}

// The label by which the server knows what it made itself is nobody else's, by
// whatever way it comes.
func TestAttackServersOwnLabel(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	label := object{"security": []any{object{"system": "https://vitrine.example/CodeSystem/label", "code": "oversight"}}}
	forged := with(without(forgedGrant(), "id"), "meta", label)
	at, id := c.contributed(t, without(forgedGrant(), "id"))
	held := with(without(forgedGrant(), "id"), "contained", []any{with(with(forgedGrant(), "id", "in"), "meta", label)})
	for name, r := range map[string]request{
		"create": send(http.MethodPost, "Task", encode(t, forged)), "update": send(http.MethodPut, at, encode(t, with(forged, "id", id))),
		"contained": send(http.MethodPost, "Task", encode(t, held)), "by condition": send(http.MethodPut, "Task?_id=none", encode(t, forged)),
		"transaction": bundleOf("transaction", entryOf(send(http.MethodPost, "Task", encode(t, forged)))),
	} {
		want := http.StatusUnprocessableEntity
		if name == "contained" { // R4 has no labels there at all (dom-5)
			want = http.StatusBadRequest
		}
		if a := c.do(t, c.systemA, r); a.status != want {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	c.basic(t, c.a1, "p")
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "p")
}

// Every write is on record with whom it concerns and what it wrote, by itself and
// in Bundles.
func TestAttackWritesOffTheRecord(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	own := encode(t, without(condition("p", ""), "id"))
	at, id := c.contributed(t, without(condition("p", ""), "id"))
	changed := with(condition("p", id), "recordedDate", "2026-03-04")
	entry := entryOf(send(http.MethodPost, "Condition", own))
	writes := []request{
		send(http.MethodPost, "Condition", own), send(http.MethodPost, "Condition", own).with("If-None-Exist", mine+"none"),
		send(http.MethodPut, at, encode(t, changed)), send(http.MethodPut, at, encode(t, changed)), // the second says the same
		bundleOf("transaction", entry, entry), bundleOf("batch", entry),
		{method: http.MethodDelete, path: at},
	}
	for i, r := range writes {
		id := "write-" + string(rune('a'+i))
		if a := c.do(t, c.systemA, r.with("X-Request-Id", id)); a.status >= http.StatusBadRequest {
			t.Fatalf("%s %s: %d %s", r.method, r.path, a.status, a.body)
		}
		want := max(1, strings.Count(string(r.body), `"method"`))
		got := 0
		for _, e := range c.events(t, "patient=p") {
			if whole := string(encode(t, e)); strings.Contains(whole, id) {
				got += strings.Count(whole, `"reference":"Condition/`)
			}
		}
		if got < want {
			t.Errorf("%s %s: the record names %d resources, want %d", r.method, r.path, got, want)
		}
	}
}

// What goes with another resource says nothing of it: neither by the versions that
// it comes to nor by what a patch may say of it.
func TestAttackByWhatGoesWithIt(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	visit := object{
		"resourceType": "Encounter", "status": "in-progress", "class": object{"system": actCode, "code": "AMB"},
		"subject": ref("Patient/p"), "serviceProvider": ref("Organization/b"),
	}
	heard := instance(c, c.post(t, c.b1, visit).want(t, http.StatusCreated))
	c.breakGlass(t, c.b1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	review := c.do(t, c.auditor, get("Task?patient=p")).want(t, http.StatusOK).ids(t)[0]
	label := `[{"op":"add","path":"/meta","value":{"security":[{"system":"https://vitrine.example/CodeSystem/label","code":"oversight"}]}}]`
	told := map[string]string{}
	for _, target := range []string{"Encounter/none", heard, "Task/none", review} {
		o := object{
			"resourceType": "Provenance", "target": []any{ref(target)}, "recorded": "2026-01-01T00:00:00Z",
			"agent": []any{object{"who": ref("Organization/a")}},
		}
		at, id := c.contributed(t, o)
		same := c.do(t, c.systemA, send(http.MethodPut, at, encode(t, with(o, "id", id)))).want(t, http.StatusOK)
		patched := c.do(t, c.systemA, request{
			method: http.MethodPatch, path: at, body: []byte(label), header: map[string]string{"Content-Type": "application/json-patch+json"},
		})
		told[target] = same.header.Get("ETag") + " " + http.StatusText(patched.status)
	}
	for _, pair := range [][2]string{{"Encounter/none", heard}, {"Task/none", review}} {
		if told[pair[0]] != told[pair[1]] {
			t.Errorf("%s: %s, and what is not there: %s", pair[1], told[pair[1]], told[pair[0]])
		}
	}
	if told["Encounter/none"] != `W/"1" Unprocessable Entity` {
		t.Errorf("got %s", told["Encounter/none"])
	}
}

// To patch is no right to read: what was on file does not come back to who could
// not read it.
func TestAttackReadingByPatch(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	at, _ := c.contributed(t, without(condition("p", ""), "id"))
	r := request{
		method: http.MethodPatch, path: at, body: []byte(`[{"op":"add","path":"/recordedDate","value":"2026-04-05"}]`),
		header: map[string]string{"Content-Type": mediaPatch, "Prefer": "return=representation"},
	}
	for _, token := range []string{c.systemA, c.a1} {
		c.do(t, token, r).want(t, http.StatusOK).hides(t, secret)
		c.do(t, token, bundleOf("transaction", entryOf(r)).with("Prefer", "return=representation")).want(t, http.StatusOK).hides(t, secret)
	}
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	if a := c.do(t, c.a1, r).want(t, http.StatusOK); !strings.Contains(string(a.body), secret) {
		t.Errorf("who may read it gets it back: %s", a.body)
	}
}
