package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// searchParameter is a SearchParameter that is active.
func searchParameter(code, kind, base, expression string) object {
	return object{
		"resourceType": "SearchParameter", "id": code, "status": "active", "url": "http://x.example/SearchParameter/" + code, "name": "x",
		"description": "x", "code": code, "base": []any{base}, "type": kind, "expression": expression,
	}
}

// notedObservation has a note, by an author.
func notedObservation(patient, id, note string) object {
	o := observation(patient, id)
	o["note"] = []any{object{"text": note, "authorReference": ref("Practitioner/dr-a")}}
	return o
}

// several stores resources as the custodian, in transactions.
func (s *server) several(t *testing.T, token string, resources []object) {
	t.Helper()
	for some := range slices.Chunk(resources, 100) {
		var entries []any
		for _, o := range some {
			entries = append(entries, object{
				"resource": o,
				"request":  object{"method": "PUT", "url": text(o, "resourceType") + "/" + text(o, "id")},
			})
		}
		s.do(t, token, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": entries}))).want(t, http.StatusOK)
	}
}

// indexed asks until the index of a search parameter is made, and calls meanwhile
// before each look.
func (s *server) indexed(t *testing.T, token, parameter string, meanwhile func()) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(90 * time.Second)
	last := ""
	for {
		meanwhile()
		a := s.do(t, token, get("Task?focus=SearchParameter/"+parameter+"&status=requested,in-progress")).want(t, http.StatusOK)
		under := a.matches(t)
		if len(under) == 0 {
			return
		}
		last = string(a.body)
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no index of %s in time\n%s\n%s", parameter, last, s.log)
		}
	}
}

// declares reports whether /metadata has a search parameter of a type.
func (s *server) declares(t *testing.T, typ, code string) bool {
	t.Helper()
	for _, r := range list(decode(t, s.do(t, "", get("metadata")).want(t, http.StatusOK).body), "rest", 0, "resource") {
		for _, p := range list(r, "searchParam") {
			if text(r, "type") == typ && text(p, "name") == code {
				return true
			}
		}
	}
	return false
}

// TestAddedSearchParameters: the custodian adds a search parameter to a server
// that has data. It is refused until its index is made, through a stop and a crash,
// and from then on finds all there is; then it is retired.
func TestAddedSearchParameters(t *testing.T) {
	t.Parallel()
	const before, during = 600, 20
	c := newCast(t)
	var data []object
	for i := range before {
		data = append(data, notedObservation([]string{"q", "r"}[i%2], "n"+strconv.Itoa(i), fmt.Sprintf("remark %03d", i)))
	}
	c.several(t, c.root, data)
	c.put(t, searchParameter("noted", "string", "Observation", "Observation.note.text"))
	written := before
	look := func() {
		if written < before+during {
			c.put(t, notedObservation("q", "n"+strconv.Itoa(written), fmt.Sprintf("remark %03d", written)))
			written++
		}
		a := c.do(t, c.root, get("Observation?noted=remark&_summary=count"))
		switch total := 0; a.status {
		case http.StatusBadRequest:
		case http.StatusOK:
			if total = int(at(decode(t, a.body), "total").(float64)); total != written { //nolint:forcetypeassert // a test may fail so
				t.Fatalf("used before its index is whole: %d found of %d", total, written)
			}
		default:
			t.Fatalf("status %d\n%s", a.status, a.body)
		}
	}
	look()
	c.stop(t)
	c.serve(t)
	look()
	c.kill()
	c.serve(t)
	c.indexed(t, c.root, "noted", look)
	if !c.declares(t, "Observation", "noted") || c.declares(t, "Condition", "noted") {
		t.Error("/metadata does not declare what is used")
	}
	look()

	page := c.do(t, c.root, get("Observation?noted=remark&_sort=-noted&_count=3")).want(t, http.StatusOK)
	want := []string{}
	for i := range 3 {
		want = append(want, "Observation/n"+strconv.Itoa(written-1-i))
	}
	if got := page.ids(t); !slices.Equal(got, want) {
		t.Errorf("sorted by it: got %v, want %v", got, want)
	}
	c.references(t)

	c.do(t, c.root, send(http.MethodDelete, "SearchParameter/noted", nil)).want(t, http.StatusNoContent)
	c.do(t, c.root, get("Observation?noted=remark")).want(t, http.StatusBadRequest)
	if c.declares(t, "Observation", "noted") {
		t.Error("/metadata declares what is retired")
	}
}

// references adds a reference parameter, and goes along it and against it.
func (c *cast) references(t *testing.T) {
	t.Helper()
	added := searchParameter("remarked-by", "reference", "Observation", "Observation.note.author.as(Reference)")
	added["target"] = []any{"Practitioner"}
	c.put(t, added)
	c.put(t, notedObservation("p", "n-p", secret))
	c.indexed(t, c.root, "remarked-by", func() {})
	for _, r := range []struct{ token, path, finds, lacks string }{
		{c.root, "Observation?remarked-by=Practitioner/dr-a&_count=1000", "Observation/n5", "Observation/o-q"},
		{c.root, "Observation?remarked-by:Practitioner.active=true&_count=1000", "Observation/n5", "Observation/o-q"},
		{c.root, "Practitioner?_has:Observation:remarked-by:noted=remark", "Practitioner/dr-a", "Practitioner/dr-b"},
		{c.root, "Observation?remarked-by:missing=true&_count=1000", "Observation/o-q", "Observation/n5"},
		{c.a1, "Observation?remarked-by=Practitioner/dr-a&_count=1000", "Observation/n5", "Observation/n-p"}, // p is restricted
		{c.appP, "Observation?remarked-by=Practitioner/dr-a&_count=1000", "Observation/n-p", "Observation/n5"},
	} {
		if got := c.do(t, r.token, get(r.path)).want(t, http.StatusOK).ids(t); !slices.Contains(got, r.finds) || slices.Contains(got, r.lacks) {
			t.Errorf("%s: got %d, want %s among them and %s not\n%v", r.path, len(got), r.finds, r.lacks, got[:min(len(got), 5)])
		}
	}
	with := c.do(t, c.root, get("Observation?_id=n5&_include=Observation:remarked-by")).want(t, http.StatusOK)
	if !strings.Contains(string(with.body), `"fullUrl":"`+c.base+`/Practitioner/dr-a"`) {
		t.Errorf("included along it: %s", with.body)
	}
}

// TestTwoServersOneSearchParameter: what one server is told, the other knows
// before it writes.
func TestTwoServersOneSearchParameter(t *testing.T) {
	t.Parallel()
	flags := []string{"--store", mongotest.Server(t), "--store-database", mongotest.Database(t), "--base-url", worldBase}
	c := newCast(t, flags...)
	two := start(t, c.data, flags...)
	const rows = 150
	var data []object
	for i := range rows {
		data = append(data, notedObservation("q", "n"+strconv.Itoa(i), "remark"))
	}
	c.several(t, c.root, data)
	written := rows
	for round := range 3 {
		code := "noted" + strconv.Itoa(round)
		c.put(t, searchParameter(code, "string", "Observation", "Observation.note.text"))
		c.indexed(t, c.root, code, func() {
			if written > rows*(round+2) {
				return
			}
			o := notedObservation("q", "n"+strconv.Itoa(written), "remark")
			two.do(t, c.root, send(http.MethodPut, "Observation/"+text(o, "id"), encode(t, o))).want(t, http.StatusCreated)
			written++
		})
		for i, s := range []*server{two, c.server} {
			a := s.do(t, c.root, get("Observation?"+code+"=remark&_summary=count")).want(t, http.StatusOK)
			if total, _ := at(decode(t, a.body), "total").(float64); int(total) != written {
				t.Errorf("round %d: server %d finds %v of %d", round, i, total, written)
			}
		}
		two.do(t, c.root, send(http.MethodDelete, "SearchParameter/"+code, nil)).want(t, http.StatusNoContent)
		c.do(t, c.root, get("Observation?"+code+"=remark")).want(t, http.StatusBadRequest)
	}
}
