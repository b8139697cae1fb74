package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const form = "application/x-www-form-urlencoded"

// found are what a Bundle holds, "mode Type/id"; outcomes by their code.
func (b bundle) found() []string {
	out := []string{}
	for _, e := range b.Entry {
		what := e.Resource.ResourceType + "/" + e.Resource.ID
		if len(e.Resource.Issue) > 0 {
			what = e.Resource.Issue[0].Code
		}
		out = append(out, e.Search.Mode+" "+what)
	}
	return out
}

// below is an address below the base.
func below(link string) string { return strings.TrimPrefix(strings.TrimPrefix(link, base), "/") }

// walk follows a link from page to page and returns what the pages hold.
func (h *house) walk(token, path, relation string) (pages [][]string, last bundle) {
	h.t.Helper()
	for path != "" {
		if len(pages) > 100 {
			h.t.Fatal("the pages do not end")
		}
		last = bundleOf(h.t, h.want(token, "GET", below(path), "", 200))
		pages = append(pages, last.found())
		path = last.link(relation)
	}
	return pages, last
}

// equip adds what the stories of searches need.
func (h *house) equip() {
	h.t.Helper()
	h.furnish()
	for i := range 7 {
		h.put("Condition", fmt.Sprintf("q%d", i), fmt.Sprintf(`"subject":{"reference":"Patient/q"},"code":{"text":"cough"},"onsetDateTime":"20%02d-01-01"`, 20-i))
		h.put("Observation", fmt.Sprintf("q%d", i), fmt.Sprintf(`"status":"final","subject":{"reference":"Patient/q"},"code":{"text":"w"},"effectiveDateTime":"20%02d-01-01"`, 10+i))
	}
	h.put("Observation", "p0", `"status":"final","subject":{"reference":"Patient/p"},"code":{"text":"w"}`)
}

// put stores a resource as the custodian does.
func (h *house) put(kind, id, members string) {
	h.t.Helper()
	h.as("good", "PUT", kind+"/"+id, `{"resourceType":"`+kind+`","id":"`+id+`",`+members+`}`)
}

// TestPagesGoForthAndBack: the pages of every size put together are the whole, in
// both directions, of one type and of several, sorted and not.
func TestPagesGoForthAndBack(t *testing.T) {
	h := build(t)
	h.equip()
	for _, search := range []string{
		"Condition?subject=Patient/q", "Condition?_sort=-onset-date,_id&subject=Patient/q", "?_type=Observation,Condition",
		"?_type=Condition,Observation&_sort=_id", "?_type=Observation,Condition,Patient&_sort=-_lastUpdated", "?_lastUpdated=gt2000-01-01",
		"Patient/q/*?_sort=_id", "Patient/q/Observation?",
	} {
		whole, only := h.walk("doctor", search+"&_count=200", "next")
		if len(whole) != 1 || len(whole[0]) < 7 || only.link("first") != "" || only.link("last") != "" || only.link("previous") != "" {
			t.Fatalf("%s: %q %v", search, whole, only.Link)
		}
		for _, count := range []int{1, 2, 3, 7, 20} {
			pages, last := h.walk("doctor", fmt.Sprintf("%s&_count=%d", search, count), "next")
			if got := slices.Concat(pages...); !slices.Equal(got, whole[0]) {
				t.Errorf("%s by %d: %q\nnot %q", search, count, got, whole[0])
			}
			if len(pages) < 2 {
				continue
			}
			if !strings.HasSuffix(last.link("first"), fmt.Sprintf("_count=%d", count)) || last.link("last") == "" {
				t.Errorf("%s by %d: the last page links to %v", search, count, last.Link)
			}
			back, first := h.walk("doctor", last.link("previous"), "previous")
			slices.Reverse(back)
			if len(back) != len(pages)-1 || !slices.EqualFunc(back, pages[:len(pages)-1], slices.Equal[[]string]) || first.link("next") == "" {
				t.Errorf("%s by %d, backwards: %q\nnot %q", search, count, back, pages[:len(pages)-1])
			}
		}
	}
}

// TestSearchesByPostStandAlone: in a Bundle there is no form, and what to send in
// its place is said.
func TestSearchesByPostStandAlone(t *testing.T) {
	for kind, status := range map[string]int{"batch": 200, "transaction": 400} {
		h := build(t)
		got := h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"request":{"method":"POST","url":"Patient/_search"}}]}`, status)
		if !strings.Contains(got.Body.String(), "a search in one is a GET") {
			t.Errorf("%s: %s", kind, got.Body)
		}
		h.furnish()
		all := bundleOf(t, h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"request":{"method":"POST","url":"Patient/_search?_id=q"}}]}`, 200))
		if len(all.Entry) != 1 || len(all.Entry[0].Resource.Entry) != 1 {
			t.Errorf("%s: found %+v", kind, all.Entry)
		}
	}
}

// TestPagesOfALongQuestion: what is too long for an address comes by POST, and its
// pages have addresses all the same.
func TestPagesOfALongQuestion(t *testing.T) {
	h := build(t)
	h.equip()
	ids := "_id=" + strings.Repeat("nobody-nobody-nobody,", 600) + "q1,q2,q3,q4&_count="
	post := func(count string) bundle {
		return bundleOf(t, h.want("doctor", "POST", "Condition/_search", ids+count, 200, "Content-Type", "application/x-www-form-urlencoded"))
	}
	first := post("1")
	rest, last := h.walk("doctor", first.link("next"), "next")
	got := slices.Concat(append([][]string{first.found()}, rest...)...)
	if want := post("9").found(); !slices.Equal(got, want) || len(want) < 2 {
		t.Errorf("%q\nnot %q", got, want)
	}
	h.want("doctor", "GET", below(last.link("previous")), "", 200)
	h.want("doctor", "GET", "Condition?"+ids+"1", "", 414)
}

// TestPagesAreOfOneViewAndOfThePresent: what is written between two pages neither
// repeats nor skips a row, what is changed is sent as it is now, and what is gone
// or restricted is not sent.
func TestPagesAreOfOneViewAndOfThePresent(t *testing.T) {
	for _, search := range []string{"Condition?_sort=-onset-date&_count=3&subject=Patient/q,Patient/p", "Condition?_count=3"} {
		t.Run(search, func(t *testing.T) {
			h := build(t)
			h.equip()
			whole, _ := h.walk("doctor", search, "next")
			first := bundleOf(t, h.want("doctor", "GET", search, "", 200))
			h.put("Condition", "new", `"subject":{"reference":"Patient/q"},"code":{"text":"new"},"onsetDateTime":"2015-06-01"`)
			h.put("Condition", "q3", `"subject":{"reference":"Patient/q"},"code":{"text":"changed"},"onsetDateTime":"2030-01-01"`)
			h.want("good", "DELETE", "Condition/q4", "", 204)
			second := h.want("doctor", "GET", below(first.link("next")), "", 200)
			if !strings.Contains(second.Body.String(), "changed") {
				t.Errorf("not as it is now: %s", second.Body)
			}
			rest, _ := h.walk("doctor", first.link("next"), "next")
			got := slices.Concat(append([][]string{first.found()}, rest...)...)
			want := slices.DeleteFunc(slices.Concat(whole...), func(s string) bool { return s == "match Condition/q4" })
			if !slices.Equal(got, want) {
				t.Errorf("%q\nnot %q", got, want)
			}
		})
	}
}

// TestSearchesOfSeveralTypes: each type is open or not as for a search of its own.
func TestSearchesOfSeveralTypes(t *testing.T) {
	h := build(t)
	h.equip()
	refused := h.want("narrow", "GET", "Observation?_id=q1", "", 403, "X-Request-Id", "r").Body.String()
	for _, path := range []string{"?_type=Observation&_id=q1", "?_type=Condition,Observation&_id=q1", "_search?_type=Observation"} {
		if got := h.want("narrow", "GET", path, "", 403, "X-Request-Id", "r").Body.String(); got != refused {
			t.Errorf("%s: %s\nnot %s", path, got, refused)
		}
	}
	for _, row := range []struct{ token, path, want string }{
		{"narrow", "?_id=q1", "match Condition/q1"},
		{"narrow", "?_type=Condition&_id=q1", "match Condition/q1"},
		{"doctor", "?_id=q1", "match Condition/q1 match Observation/q1"},
		{"doctor", "?_id=q1,p0,c-p", "match Condition/q1 match Observation/q1"},
		{"good", "?_id=q1,p0,c-p&_sort=_id", "match Condition/c-p match Observation/p0 match Condition/q1 match Observation/q1"},
		{"self", "?_id=q1,p0,c-p", "match Condition/c-p match Observation/p0"},
		{"self", "?_type=Observation,Condition&_id=q1,p0,c-p&_sort=-_id", "match Observation/p0 match Condition/c-p"},
		{"regulator", "?_id=q1,p0,c-p", ""},
		{"regulator", "?_id=a1", "match PractitionerRole/a1"},
		{"elsewhere", "?_id=q1", "match Condition/q1 match Observation/q1"},
	} {
		b := bundleOf(t, h.want(row.token, "GET", row.path, "", 200))
		if got := strings.Join(b.found(), " "); got != row.want {
			t.Errorf("%s %s: %s\nwant %s", row.token, row.path, got, row.want)
		}
		_, query, _ := strings.Cut(row.path, "?")
		posted := h.want(row.token, "POST", "_search", query, 200, "Content-Type", form)
		if got := bundleOf(t, posted); !slices.Equal(got.found(), b.found()) || got.link("self") != b.link("self") {
			t.Errorf("%s POST %s: %s", row.token, row.path, posted.Body)
		}
		batch := bundleOf(t, h.want(row.token, "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"`+row.path+`"}}]}`, 200))
		if len(batch.Entry) != 1 || len(batch.Entry[0].Resource.Entry) != len(b.Entry) {
			t.Errorf("%s in a batch, %s: %+v", row.token, row.path, batch)
		}
	}
	counted := bundleOf(t, h.want("doctor", "GET", "?_type=Observation,Condition&_summary=count", "", 200))
	if counted.Total == nil || *counted.Total != 14 || len(counted.Entry) != 0 {
		t.Errorf("%+v", counted)
	}
}

// TestWhatComesWithMatches over HTTP, by every way of searching.
func TestWhatComesWithMatches(t *testing.T) {
	h := build(t)
	h.equip()
	want := "match Condition/q1 include Patient/q include EpisodeOfCare/q-a include Organization/a"
	query := "_id=q1&_include=Condition:subject&_revinclude:iterate=EpisodeOfCare:patient&_include:iterate=EpisodeOfCare:organization"
	for _, path := range []string{"Condition?" + query, "Patient/q/Condition?" + query, "?_type=Condition&" + query} {
		b := bundleOf(t, h.want("doctor", "GET", path, "", 200))
		if got := strings.Join(b.found(), " "); got != want || b.Total == nil && !strings.HasPrefix(path, "?") || b.Total != nil && *b.Total != 1 {
			t.Errorf("%s: %s, total %v", path, got, b.Total)
		}
	}
	posted := bundleOf(t, h.want("doctor", "POST", "Condition/_search", query, 200, "Content-Type", form))
	if got := strings.Join(posted.found(), " "); got != want {
		t.Errorf("by POST: %s", got)
	}
	narrow := bundleOf(t, h.want("narrow", "GET", "Condition?"+query, "", 200))
	if got := strings.Join(narrow.found(), " "); got != "match Condition/q1" {
		t.Errorf("beyond the scopes: %s", got)
	}
}

// TestManyIncludedAreSaidToBeMore: an answer ends, and says that it did.
func TestManyIncludedAreSaidToBeMore(t *testing.T) {
	h := build(t)
	h.furnish()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i := range 1001 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"resource":{"resourceType":"Flag","status":"active","code":{"text":"x"},"subject":{"reference":"Patient/q"}},"request":{"method":"POST","url":"Flag"}}`)
	}
	h.want("good", "POST", "", b.String()+`]}`, 200)
	all := bundleOf(t, h.want("doctor", "GET", "Patient?_id=q&_revinclude=Flag:subject", "", 200)).found()
	if len(all) != 1002 || all[0] != "match Patient/q" || all[1001] != "outcome too-costly" {
		t.Errorf("%d entries, the last %s", len(all), all[len(all)-1])
	}
}

// TestContained over HTTP: the container, the contained, or both.
func TestContained(t *testing.T) {
	h := build(t)
	h.equip()
	h.put("MedicationRequest", "mr", `"status":"active","intent":"order","subject":{"reference":"Patient/q"},"medicationReference":{"reference":"#m1"},"supportingInformation":[{"reference":"#m2"}],`+
		`"contained":[{"resourceType":"Medication","id":"m1","status":"active","code":{"coding":[{"system":"http://x","code":"a"}]}},{"resourceType":"Medication","id":"m2","code":{"coding":[{"system":"http://x","code":"b"}]}}]`)
	h.put("MedicationRequest", "hidden", `"status":"active","intent":"order","subject":{"reference":"Patient/p"},"medicationReference":{"reference":"#m1"},`+
		`"contained":[{"resourceType":"Medication","id":"m1","status":"active","code":{"coding":[{"system":"http://x","code":"a"}]}}]`)
	h.put("Medication", "m", `"status":"active","code":{"coding":[{"system":"http://x","code":"a"}]}`)
	for _, row := range []struct{ token, query, want string }{
		{"doctor", "code=a", "Medication/m"},
		{"doctor", "code=a&_contained=true", "MedicationRequest/mr"},
		{"doctor", "code=a&_contained=true&_containedType=contained", "MedicationRequest/mr#m1"},
		{"doctor", "_contained=true&_containedType=contained", "MedicationRequest/mr#m1 MedicationRequest/mr#m2"},
		{"doctor", "code=a&_contained=both", "Medication/m MedicationRequest/mr"},
		{"doctor", "code=c&_contained=both", ""},
		{"good", "code=a&_contained=true", "MedicationRequest/hidden MedicationRequest/mr"},
		{"self", "code=a&_contained=true", "MedicationRequest/hidden"},
		{"regulator", "code=a&_contained=true", ""},
	} {
		b := bundleOf(t, h.want(row.token, "GET", "Medication?"+row.query, "", 200))
		var got []string
		for _, e := range b.Entry {
			got = append(got, strings.TrimPrefix(e.FullURL, base+"/"))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s %s: %s\nwant %s", row.token, row.query, got, row.want)
		}
		n := bundleOf(t, h.want(row.token, "GET", "Medication?"+row.query+"&_summary=count", "", 200))
		if n.Total == nil || *n.Total != len(got) {
			t.Errorf("%s %s: total %v, want %d", row.token, row.query, n.Total, len(got))
		}
	}
	for _, query := range []string{"_contained=true&_sort=code", "_contained=true&manufacturer.name=x", "_contained=some", "_containedType=x"} {
		h.want("doctor", "GET", "Medication?"+query, "", 400)
	}
}

// TestThePlanIsTheCustodians: for everybody else there is no such parameter.
func TestThePlanIsTheCustodians(t *testing.T) {
	h := build(t)
	h.equip()
	told := h.want("good", "GET", "Condition?_id=q1&_explain=true", "", 200)
	if got := bundleOf(t, told).found(); !slices.Equal(got, []string{"match Condition/q1", "outcome informational"}) {
		t.Errorf("%s", told.Body)
	}
	h.want("good", "GET", "Condition?_explain=perhaps", "", 400)
	for _, token := range []string{"doctor", "self", "regulator"} {
		one := h.want(token, "GET", "Basic?_explain=true", "", 400, "X-Request-Id", "r").Body.String()
		other := h.want(token, "GET", "Basic?_expound=true", "", 400, "X-Request-Id", "r").Body.String()
		if strings.ReplaceAll(one, "_explain", "_expound") != other {
			t.Errorf("%s: %s\nnot %s", token, one, other)
		}
		if got := h.want(token, "GET", "Basic?_explain=true", "", 200, "Prefer", "handling=lenient"); strings.Contains(got.Body.String(), "informational") {
			t.Errorf("%s: %s", token, got.Body)
		}
	}
}

// TestAsMuchAsIsAskedFor: _summary and _elements of searches and of reads.
func TestAsMuchAsIsAskedFor(t *testing.T) {
	h := build(t)
	h.equip()
	for _, row := range []struct {
		path   string
		status int
		has    []string
		lacks  []string
	}{
		{"Observation?_id=q1&_summary=true", 200, []string{"SUBSETTED", `"status"`}, nil},
		{"Observation?_id=q1&_summary=data", 200, []string{"SUBSETTED", "effectiveDateTime"}, nil},
		{"Observation?_id=q1&_elements=subject", 200, []string{"SUBSETTED", `"subject"`, `"status"`}, []string{"effectiveDateTime"}},
		{"Observation?_id=q1&_elements=nonsense", 400, []string{"_elements"}, nil},
		{"Observation/q1?_elements=subject", 200, []string{"SUBSETTED", `"subject"`, `"status"`}, []string{"effectiveDateTime"}},
		{"Observation/q1/_history/1?_summary=text", 200, []string{"SUBSETTED"}, []string{"effectiveDateTime"}},
		{"Observation/q1?_summary=count", 400, []string{"_summary"}, nil},
		{"Observation/q1?_summary=nonsense", 400, []string{"_summary"}, nil},
		{"Observation/q1", 200, []string{"effectiveDateTime"}, []string{"SUBSETTED"}},
		{"Condition?_id=q1&_include=Condition:subject&_elements=code", 200, []string{`"gender"`, "cough", "birthDate"}, []string{"onset"}},
	} {
		got := h.want("doctor", "GET", row.path, "", row.status).Body.String()
		for _, s := range row.has {
			if !strings.Contains(got, s) {
				t.Errorf("%s: no %s in %s", row.path, s, got)
			}
		}
		for _, s := range row.lacks {
			if strings.Contains(got, s) {
				t.Errorf("%s: %s in %s", row.path, s, got)
			}
		}
	}
}

// TestBadCursorsAreOneAnswer: another caller's, another search's, an altered one.
func TestBadCursorsAreOneAnswer(t *testing.T) {
	h := build(t)
	h.equip()
	first := bundleOf(t, h.want("doctor", "GET", "Condition?_sort=onset-date&_count=2", "", 200))
	next := below(first.link("next"))
	h.want("doctor", "GET", next, "", 200)
	want := h.want("doctor", "GET", "Condition?_cursor=x", "", 400, "X-Request-Id", "r").Body.String()
	for token, path := range map[string]string{
		"good": next, "self": next, "elsewhere": next,
		"doctor": strings.Replace(next, "onset-date", "-onset-date", 1),
		"narrow": next[:len(next)-4] + "AAAA",
	} {
		if got := h.want(token, "GET", path, "", 400, "X-Request-Id", "r").Body.String(); got != want {
			t.Errorf("%s: %s", token, got)
		}
	}
	h.want("doctor", "GET", strings.Replace(next, "_count=2", "_count=3", 1), "", 200)
	h.want("doctor", "GET", "Observation?"+strings.SplitN(next, "?", 2)[1], "", 400)
}
