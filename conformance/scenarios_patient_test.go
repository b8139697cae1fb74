package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// partOf is the value of a part of a parameter, whatever its type, as text.
func partOf(p any, name string) string {
	for _, one := range list(p, "part") {
		if text(one, "name") != name {
			continue
		}
		o, _ := one.(object)
		for k, v := range o {
			switch v := v.(type) {
			case string:
				if k != "name" {
					return v
				}
			case bool:
				return map[bool]string{true: "true", false: "false"}[v]
			case object:
				if code := text(v, "coding", 0, "code"); code != "" {
					return code
				}
				if ref := text(v, "reference"); ref != "" {
					return ref
				}
				return text(v, "text")
			}
		}
	}
	return ""
}

// toldAs are the parameters of that name.
func toldAs(t *testing.T, a answer, name string) (out []any) {
	t.Helper()
	for _, p := range list(decode(t, a.body), "parameter") {
		if text(p, "name") == name {
			out = append(out, p)
		}
	}
	return out
}

// history is the whole of a patient's access history, page by page.
func (c *cast) history(t *testing.T, token, patient, query string) (visits []any, pages []answer) {
	t.Helper()
	for r := get("Patient/" + patient + "/$access-history?" + query); ; {
		a := c.do(t, token, r).want(t, http.StatusOK)
		pages = append(pages, a)
		visits = append(visits, toldAs(t, a, "access")...)
		next := toldAs(t, a, "next")
		if len(next) == 0 {
			return visits, pages
		}
		r = get(c.local(text(next[0], "valueUri")))
	}
}

// TestScenario96PatientReadsWhoLooked: newest first, organisations of a public
// cluster as the cluster, broken glass marked, one's own accesses and those of
// representatives among them, and never more than DOSSIER §3.5 allows.
func TestScenario96PatientReadsWhoLooked(t *testing.T) {
	t.Parallel()
	c := newCast(t, "--base-url", worldBase, "--public-cluster", "Organization/east")
	east := organization("east", "")
	east["name"] = "Eastern Cluster"
	c.put(t, east)
	c.put(t, with(organization("a", "east"), "name", "Ward Nine"))
	c.put(t, object{"resourceType": "RelatedPerson", "id": "kin-of-p", "active": true, "patient": ref("Patient/p"), "extension": []any{authority("family")}})
	kin := c.token(t, "--kind", "representative", "--user", "RelatedPerson/kin-of-p", "--patient", "Patient/p", "--purpose", "FAMRQT")

	c.do(t, c.b1, get("AllergyIntolerance?patient=p")).want(t, http.StatusOK)
	c.do(t, c.c1, get("Condition/c-p")).want(t, http.StatusNotFound)
	c.do(t, kin, get("Immunization?patient=p")).want(t, http.StatusOK)
	c.do(t, c.appP, get("Condition/c-p")).want(t, http.StatusOK)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.do(t, c.a1, get("Observation?patient=p&code=29463-7&_include=Observation:encounter")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Observation?patient=q")).want(t, http.StatusOK)

	visits, pages := c.history(t, c.appP, "p", "_count=2")
	var got []string
	last := "9"
	for _, v := range visits {
		if when := partOf(v, "when"); when > last {
			t.Errorf("not the newest first: %s after %s", when, last)
		} else {
			last = when
		}
		if partOf(v, "did") == "added" || partOf(v, "did") == "changed" {
			continue // how the stage was set
		}
		got = append(got, strings.Join([]string{partOf(v, "who"), partOf(v, "organization"), partOf(v, "did"), partOf(v, "data"), partOf(v, "emergency"), partOf(v, "refused"), partOf(v, "view")}, " "))
	}
	want := []string{
		"professional Organization/east looked Observation true false full",
		"professional Organization/east opened  true false ",
		"you  looked Condition false false self",
		"representative  looked Immunization false false self",
		"professional Organization/c looked Condition false true ",
		"professional Organization/b looked AllergyIntolerance false false basic",
	}
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "you  history") || strings.HasPrefix(s, "keeper") })
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(pages) < 3 {
		t.Errorf("%d pages", len(pages))
	}
	for _, page := range pages {
		page.hides(t, secret, emergency, "dr-a", "dr-b", "PractitionerRole/", "RelatedPerson/", "127.0.0.1", "29463-7", "_include", "jti", "urn:uuid", "Ward Nine", "Organization/a\"", "Patient/q")
	}
	first := toldAs(t, c.do(t, c.appP, get("Patient/p/$access-history?emergency=true")).want(t, http.StatusOK), "access")
	if len(first) != 2 || partOf(first[0], "summary") != "A doctor of Eastern Cluster looked at measurements and laboratory results in your record in an emergency that set your restriction aside." {
		t.Errorf("emergencies: %v", first)
	}
	if of := toldAs(t, c.do(t, c.appP, get("Patient/p/$access-history?organization=b&start=2020&end=2100")).want(t, http.StatusOK), "access"); len(of) != 1 || partOf(of[0], "organization") != "Organization/b" {
		t.Errorf("of clinic B: %v", of)
	}
	for _, id := range []string{"east", "a"} {
		if of := toldAs(t, c.do(t, c.appP, get("Patient/p/$access-history?organization="+id)).want(t, http.StatusOK), "access"); len(of) != 2 {
			t.Errorf("of the cluster, by %s: %v", id, of)
		}
	}
	for id, want := range map[string]bool{"east": true, "a": false} {
		r := c.do(t, c.appP, get("AuditEvent?patient=p&agent=Organization/"+id)).want(t, http.StatusOK)
		r.hides(t, `"Organization/a"`)
		if strings.Contains(string(r.body), `"Organization/east"`) != want {
			t.Errorf("events by Organization/%s: %s", id, r.body)
		}
	}
	if of := toldAs(t, c.do(t, c.appP, get("Patient/p/$access-history?end=2020")).want(t, http.StatusOK), "access"); len(of) != 0 {
		t.Errorf("long ago: %v", of)
	}
	by := toldAs(t, c.do(t, kin, get("Patient/p/$access-history")).want(t, http.StatusOK), "access")
	if !slices.ContainsFunc(by, func(v any) bool { return partOf(v, "who") == "you" }) || !slices.ContainsFunc(by, func(v any) bool { return partOf(v, "who") == "patient" }) {
		t.Errorf("told to the representative: %v", by)
	}
	c.nobodyElse(t, func(id string) request { return get("Patient/" + id + "/$access-history") })
}

// nobodyElse fails unless an operation about P is as good as absent for another
// patient, and no operation at all for everybody who is neither P nor acts for P.
func (c *cast) nobodyElse(t *testing.T, make func(id string) request) {
	t.Helper()
	same(t, "another patient", c.do(t, c.appQ, make("none")).want(t, http.StatusNotFound), c.do(t, c.appQ, make("p")))
	for name, token := range map[string]string{"a doctor": c.a1, "a stranger": c.c1, "a system": c.systemA, "the auditor": c.auditor} {
		unknown := c.do(t, token, get("Patient/p/$made-up")).want(t, http.StatusNotFound)
		for _, id := range []string{"p", "none", "*"} {
			same(t, name+" "+id, unknown, c.do(t, token, make(id)))
		}
	}
}

func TestAccessHistoryIsFoldedAndUnfolded(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for range 5 {
		c.do(t, c.a1, get("Observation?patient=q")).want(t, http.StatusOK)
		c.do(t, c.b1, get("Condition?patient=q")).want(t, http.StatusOK)
	}
	folded, _ := c.history(t, c.appQ, "q", "")
	each, pages := c.history(t, c.appQ, "q", "fold=false&_count=3")
	of := func(visits []any, org string) (lines, accesses int) {
		for _, v := range visits {
			if partOf(v, "organization") == "Organization/"+org {
				lines++
				for _, p := range list(v, "part") {
					if n, ok := at(p, "valueInteger").(float64); ok {
						accesses += int(n)
					}
				}
			}
		}
		return lines, accesses
	}
	for _, org := range []string{"a", "b"} {
		if lines, accesses := of(folded, org); lines != 1 || accesses != 5 {
			t.Errorf("folded, of %s: %d accesses in %d lines", org, accesses, lines)
		}
		if lines, accesses := of(each, org); lines != 5 || accesses != 5 {
			t.Errorf("each, of %s: %d accesses in %d lines", org, accesses, lines)
		}
	}
	if len(pages) < 4 {
		t.Errorf("%d pages of three", len(pages))
	}
	tampered := strings.Replace(text(toldAs(t, pages[0], "next")[0], "valueUri"), "fold=false", "fold=true", 1)
	c.do(t, c.appQ, get(tampered)).want(t, http.StatusBadRequest)
	c.do(t, c.appP, get(text(toldAs(t, pages[0], "next")[0], "valueUri"))).want(t, http.StatusNotFound)
	for _, wrong := range []string{"fold=perhaps", "_count=0", "start=yesterday", "organization=a%2Fb", "nonsense=1", "emergency=1"} {
		c.do(t, c.appQ, get("Patient/q/$access-history?"+wrong)).want(t, http.StatusBadRequest)
	}
	params := object{"resourceType": "Parameters", "parameter": []any{object{"name": "organization", "valueReference": ref("Organization/a")}, object{"name": "fold", "valueBoolean": false}}}
	if got := toldAs(t, c.do(t, c.appQ, send(http.MethodPost, "Patient/q/$access-history", encode(t, params))).want(t, http.StatusOK), "access"); len(got) != 5 {
		t.Errorf("by POST: %d", len(got))
	}
}

func TestAccessHistoryInLanguages(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.do(t, c.a1, get("AllergyIntolerance?patient=q")).want(t, http.StatusOK)
	for _, row := range []struct {
		r          request
		said, word string
	}{
		{get("Patient/q/$access-history"), "en", "allergies"},
		{get("Patient/q/$access-history").with("Accept-Language", "fr, zh-SG;q=0.8"), "zh, en", "过敏"},
		{get("Patient/q/$access-history?_language=ms").with("Accept-Language", "zh"), "ms, en", "alahan"},
	} {
		a := c.do(t, c.appQ, row.r).want(t, http.StatusOK)
		if a.header.Get("Content-Language") != row.said || !strings.Contains(string(a.body), row.word) {
			t.Errorf("%s: in %q, want %q and %q", row.r.path, a.header.Get("Content-Language"), row.said, row.word)
		}
	}
}
