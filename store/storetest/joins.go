package storetest

import (
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The parameters of references.
const (
	paramSubject  search.Param = 400 // references to resources of this server, and others
	paramVisit    search.Param = 401
	paramFollows  search.Param = 402 // references by canonical
	paramURL      search.Param = 403 // the uri by which a canonical names a resource
	paramOwnURL   search.Param = 404 // another uri of the same resources
	elsewhereBase              = "http://elsewhere.example.org/fhir/"
)

func subject(t fhir.ResourceType, id string) one {
	return one{paramSubject, search.ReferenceKey(t, id)}
}
func visit(t fhir.ResourceType, id string) one { return one{paramVisit, search.ReferenceKey(t, id)} }
func follows(canonical string) one             { return one{paramFollows, []byte("R" + canonical)} }
func url(u string) one                         { return one{paramURL, []byte("u" + u)} }

// along is a chain, against a _has.
func along(p search.Param, t fhir.ResourceType, clauses ...search.Clause) search.Clause {
	return search.Clause{Via: []search.Join{{Param: p, Type: t, Clauses: clauses}}}
}

func against(p search.Param, t fhir.ResourceType, clauses ...search.Clause) search.Clause {
	return search.Clause{Via: []search.Join{{Param: p, Reverse: true, Type: t, Clauses: clauses}}}
}

// byURL turns the joins of a clause into ones by canonical.
func byURL(c search.Clause) search.Clause {
	for i := range c.Via {
		c.Via[i].By = paramURL
	}
	return c
}

// family writes three patients, one of them hidden in what follows, visits,
// observations of the visits, and shared organisations.
func family(t *testing.T, st store.Store) {
	t.Helper()
	person := func(id, full, basic string, more ...one) store.Put {
		return twofold(first(of("Patient", id), id, append(more, name(full), owner("A"))...), name(basic))
	}
	write(t, st,
		person("p1", "anna", "zoe", subject("Organization", "A")),
		person("p2", "berta", "anna", subject("Organization", "B")),
		person("hidden", "anna", "zoe", subject("Organization", "A")),
		first(shared("Organization"), "A", name("alpha"), subject("Organization", "B")),
		first(shared("Organization"), "B", name("beta")),
		first(of("Encounter", "p1"), "e1", code("in"), subject("Patient", "p1"), visit("Organization", "A")),
		first(of("Encounter", "p2"), "e2", code("out"), subject("Patient", "p2"), visit("Organization", "B")),
		first(of("Encounter", "hidden"), "eh", code("in"), subject("Patient", "hidden"), visit("Organization", "A")),
		first(of("Observation", "p1"), "o1", code("x"), subject("Patient", "p1"), visit("Encounter", "e1")),
		first(of("Observation", "p2"), "o2", code("y"), subject("Patient", "p2"), visit("Encounter", "e2")),
		first(of("Observation", "hidden"), "oh", code("x"), subject("Patient", "hidden"), visit("Encounter", "eh")),
		// What refers to something hidden, to two, to nothing that is there, to a
		// resource elsewhere, to itself, and to nothing.
		first(of("Observation", "p1"), "across", code("x"), subject("Patient", "hidden"), visit("Encounter", "eh")),
		first(of("Observation", "p1", "p2"), "both", code("y"), subject("Patient", "p1"), subject("Patient", "p2")),
		first(of("Observation", "p1"), "lost", code("x"), subject("Patient", "nobody"), subject("Encounter", "p1")),
		first(of("Observation", "p1"), "away", code("x"), one{paramSubject, []byte("R" + elsewhereBase + "Patient/p1")}, one{paramSubject, []byte("iPatient/p1")}),
		first(of("Observation", "p1"), "self", code("y"), visit("Observation", "self")),
		first(of("Observation", "p1"), "none", code("y")),
	)
}

// seen are universes in which p1 and p2 are there in full and the hidden one is
// not.
func seen() map[string]func() *consent.Universe {
	l := levels{"p1": consent.Full, "p2": consent.Full}
	return map[string]func() *consent.Universe{
		"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2") },
		"listed with the denied": func() *consent.Universe { return l.to("hidden", "p2", "p1") },
		"linked":                 func() *consent.Universe { return l.through("A") },
	}
}

// permitted are universes in which all three are.
func permitted() map[string]func() *consent.Universe {
	l := levels{"p1": consent.Full, "p2": consent.Full, "hidden": consent.Full}
	return map[string]func() *consent.Universe{
		"any, permitted": l.any, "listed, permitted": func() *consent.Universe { return l.to("p1", "p2", "hidden") },
		"everything": consent.Everything,
	}
}

// testChains: a join along a reference holds when a resource of the universe
// that it leads to satisfies all clauses, and one outside satisfies nothing.
func testChains(t *testing.T, st store.Store) {
	family(t, st)
	s := open(t, st)
	anna := along(paramSubject, "Patient", startsWith("anna"))
	twoTypes := anna
	twoTypes.Via = append(twoTypes.Via, along(paramVisit, "Encounter", is("out")).Via...)
	beside := along(paramSubject, "Patient", startsWith("berta"))
	beside.Any = is("x").Any
	atAlpha := along(paramVisit, "Encounter", along(paramVisit, "Organization", startsWith("alpha")))
	holds(t, s, "Observation", seen(), []asked{
		{"one step", group(anna), []string{"o1/1", "both/1"}},
		{"with a clause", group(is("x"), anna), []string{"o1/1"}},
		{"without clauses", group(along(paramSubject, "Patient")), []string{"o1/1", "o2/1", "both/1"}},
		{"several clauses", group(along(paramSubject, "Patient", startsWith("anna"), startsWith("b"))), nil},
		{"two joins, each by another", group(anna, along(paramSubject, "Patient", startsWith("berta"))), []string{"both/1"}},
		{"several types", group(twoTypes), []string{"o1/1", "o2/1", "both/1"}},
		{"beside a match", group(beside), []string{"o1/1", "o2/1", "across/1", "both/1", "lost/1", "away/1"}},
		{"two steps", group(atAlpha), []string{"o1/1"}},
		{"two steps to a shared type", group(along(paramSubject, "Patient", along(paramSubject, "Organization", startsWith("beta")))), []string{"o2/1", "both/1"}},
		{"three steps", group(along(paramSubject, "Patient", along(paramSubject, "Organization", along(paramSubject, "Organization", startsWith("beta"))))), []string{"o1/1", "both/1"}},
		{"to itself", group(along(paramVisit, "Observation", is("y"))), []string{"self/1"}},
		{"round and round", group(along(paramVisit, "Observation", along(paramVisit, "Observation", along(paramVisit, "Observation", is("y"))))), []string{"self/1"}},
		{"of another type", group(along(paramSubject, "Organization")), nil},
		{"not", group(not(anna)), []string{"o2/1", "across/1", "lost/1", "away/1", "self/1", "none/1"}},
		{"to what is not", group(along(paramSubject, "Patient", not(startsWith("anna")))), []string{"o2/1", "both/1"}},
		{"to what has none", group(along(paramSubject, "Patient", not(present(paramCode)))), []string{"o1/1", "o2/1", "both/1"}},
		{"to an id", group(along(paramSubject, "Patient", startsWith("berta"), not(is("x")))), []string{"o2/1", "both/1"}},
		{"within a group", group(either(group(is("y"), anna), group(is("x"), not(along(paramSubject, "Patient"))))), []string{"both/1", "across/1", "lost/1", "away/1"}},
		{"then read", group(along(paramSubject, "Patient", reads("secret"))), nil},
	})
	holds(t, s, "Observation", permitted(), []asked{
		{"one step", group(anna), []string{"o1/1", "both/1", "oh/1", "across/1"}},
		{"two steps", group(atAlpha), []string{"o1/1", "oh/1", "across/1"}},
		{"not", group(not(anna)), []string{"o2/1", "lost/1", "away/1", "self/1", "none/1"}},
	})
}

// testReferred: a join against a reference holds when a resource of the universe
// that refers to it satisfies all clauses.
func testReferred(t *testing.T, st store.Store) {
	family(t, st)
	s := open(t, st)
	observed := against(paramSubject, "Observation", is("x"))
	holds(t, s, "Patient", seen(), []asked{
		{"one step", group(observed), []string{"p1/1"}},
		{"with a clause", group(startsWith("b"), against(paramSubject, "Observation", is("y"))), []string{"p2/1"}},
		{"without clauses", group(against(paramSubject, "Observation")), []string{"p1/1", "p2/1"}},
		{"all clauses of one", group(against(paramSubject, "Observation", is("x"), is("y"))), nil},
		{"two, of different ones", group(observed, against(paramSubject, "Observation", is("y"))), []string{"p1/1"}},
		{"not", group(not(observed)), []string{"p2/1"}},
		{"not any", group(not(against(paramSubject, "Encounter"))), nil},
		{"two steps", group(against(paramSubject, "Encounter", against(paramVisit, "Observation", is("y")))), []string{"p2/1"}},
		{"back and forth", group(against(paramSubject, "Encounter", along(paramVisit, "Organization", startsWith("alpha")))), []string{"p1/1"}},
		{"forth and back", group(along(paramSubject, "Organization", against(paramVisit, "Encounter", is("in")))), []string{"p1/1"}},
		{"by what is not", group(against(paramSubject, "Observation", not(is("x")))), []string{"p1/1", "p2/1"}},
	})
	holds(t, s, "Patient", permitted(), []asked{
		{"one step", group(observed), []string{"p1/1", "hidden/1"}},
		{"not", group(not(observed)), []string{"p2/1"}},
	})
	// A shared resource says nothing of the hidden that refer to it.
	holds(t, s, "Organization", seen(), []asked{
		{"by whom", group(against(paramVisit, "Encounter", is("in"))), []string{"A/1"}},
		{"by two steps", group(against(paramVisit, "Encounter", against(paramVisit, "Observation", is("x")))), []string{"A/1"}},
		{"by itself", group(against(paramSubject, "Organization")), []string{"B/1"}},
	})
	l := levels{"p2": consent.Full}
	holds(t, s, "Organization", map[string]func() *consent.Universe{"one patient": l.any, "one listed": func() *consent.Universe { return l.to("p2") }}, []asked{
		{"by nobody", group(against(paramVisit, "Encounter", is("in"))), nil},
		{"by one", group(against(paramVisit, "Encounter", is("out"))), []string{"B/1"}},
		{"not by one", group(not(against(paramVisit, "Encounter", is("in")))), []string{"A/1", "B/1"}},
	})
}

// testJoinEditions: each step asks the edition admitted.
func testJoinEditions(t *testing.T, st store.Store) {
	write(t, st,
		twofold(first(of("Patient", "p1"), "p1", name("secret")), name("open")),
		twofold(first(of("Patient", "p2"), "p2", name("secret")), name("open")),
		twofold(first(of("Immunization", "p1"), "i1", code("secret"), subject("Patient", "p1")), code("open"), subject("Patient", "p1")),
		twofold(first(of("Immunization", "p2"), "i2", code("secret"), subject("Patient", "p2")), code("open"), subject("Patient", "p2")),
		// Only the full edition refers.
		twofold(first(of("Immunization", "p2"), "i3", code("secret"), subject("Patient", "p2")), code("open")),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Basic}
	universes := map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2") }}
	holds(t, s, "Immunization", universes, []asked{
		{"the full one", group(along(paramSubject, "Patient", startsWith("secret"))), []string{"i1/1"}},
		{"the basic one", group(along(paramSubject, "Patient", startsWith("open"))), []string{"i2/b1"}},
		{"any", group(along(paramSubject, "Patient")), []string{"i1/1", "i2/b1"}},
		{"not", group(not(along(paramSubject, "Patient", startsWith("secret")))), []string{"i2/b1", "i3/b1"}},
	})
	holds(t, s, "Patient", universes, []asked{
		{"by the full one", group(against(paramSubject, "Immunization", is("secret"))), []string{"p1/1"}},
		{"by the basic one", group(against(paramSubject, "Immunization", is("open"))), []string{"p2/b1"}},
	})
	// An edition that is missing is no resource, though the full one is there.
	write(t, st, first(of("Observation", "p2"), "o2", code("x"), subject("Patient", "p2")))
	s = open(t, st)
	holds(t, s, "Patient", universes, []asked{{"by what has no basic edition", group(against(paramSubject, "Observation")), nil}})
	full := levels{"p1": consent.Full, "p2": consent.Full}
	holds(t, s, "Patient", map[string]func() *consent.Universe{"full": full.any}, []asked{
		{"by what has no basic edition", group(against(paramSubject, "Observation")), []string{"p2/1"}},
		{"by the full one", group(against(paramSubject, "Immunization", is("secret"))), []string{"p1/1", "p2/1"}},
	})
}

// testCanonicalJoins: a canonical leads to what has it as its uri, and to nothing
// by type and id.
func testCanonicalJoins(t *testing.T, st store.Store) {
	known := func(id string, e ...one) store.Put { return first(shared("Organization"), id, e...) }
	const a, b = "http://example.org/a", "http://example.org/b"
	write(t, st,
		known("a1", url(a), code("x")), known("a2", url(a), code("y")), known("b", url(b), code("x"), one{paramOwnURL, []byte("u" + a)}),
		known("Organization", url("Organization/b"), code("z")),
		first(of("Observation", "p1"), "oa", follows(a)),
		first(of("Observation", "p1"), "ob", follows(b+"|2"), follows(b)),
		first(of("Observation", "p1"), "oid", follows("Organization/b")),
		first(of("Observation", "p1"), "oi", one{paramFollows, []byte("i" + a)}),
		first(of("Observation", "hidden"), "oh", follows(a)),
		first(of("Questionnaire", "hidden"), "qh", url(b), code("x")),
		first(of("Questionnaire", "p1"), "q1", url(a), code("x")),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full}
	universes := map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1") }}
	holds(t, s, "Observation", universes, []asked{
		{"one of two", group(byURL(along(paramFollows, "Organization", is("y")))), []string{"oa/1"}},
		{"any", group(byURL(along(paramFollows, "Organization", is("x")))), []string{"oa/1", "ob/1"}},
		{"no id", group(along(paramFollows, "Organization", is("x"))), []string{"oid/1"}},
		{"a uri that looks like an id", group(byURL(along(paramFollows, "Organization", is("z")))), []string{"oid/1"}},
		{"to a patient's", group(byURL(along(paramFollows, "Questionnaire", is("x")))), []string{"oa/1"}},
		{"not", group(not(byURL(along(paramFollows, "Organization", is("x"))))), []string{"oi/1", "oid/1"}},
	})
	holds(t, s, "Organization", universes, []asked{
		{"against", group(byURL(against(paramFollows, "Observation"))), []string{"Organization/1", "a1/1", "a2/1", "b/1"}},
		{"against, with a clause", group(is("x"), byURL(against(paramFollows, "Observation"))), []string{"a1/1", "b/1"}},
	})
	every := levels{"p1": consent.Full, "hidden": consent.Full}
	holds(t, s, "Observation", map[string]func() *consent.Universe{"permitted": every.any}, []asked{
		{"to a patient's", group(byURL(along(paramFollows, "Questionnaire", is("x")))), []string{"oa/1", "ob/1", "oh/1"}},
	})
}

// testJoinsNarrowed: what Where leaves out is left out of every step.
func testJoinsNarrowed(t *testing.T, st store.Store) {
	family(t, st)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	without := func(hidden fhir.ResourceType) map[string]func() *consent.Universe {
		where := func(r consent.Row) bool { return r.Type != hidden }
		return map[string]func() *consent.Universe{
			"any": func() *consent.Universe { return l.any().Where(where) }, "listed": func() *consent.Universe { return l.to("p1", "p2").Where(where) },
			"everything": func() *consent.Universe { return consent.Everything().Where(where) },
		}
	}
	throughVisit := along(paramVisit, "Encounter", along(paramVisit, "Organization", startsWith("beta")))
	holds(t, s, "Observation", without("Encounter"), []asked{
		{"through what is left out", group(throughVisit), nil},
		{"against what is left out", group(along(paramSubject, "Patient", against(paramSubject, "Encounter"))), nil},
	})
	holds(t, s, "Observation", without("Organization"), []asked{
		{"to what is left out", group(throughVisit), nil},
		{"not to what is left out", group(is("y"), along(paramSubject, "Patient", startsWith("berta")), not(throughVisit)), []string{"both/1", "o2/1"}},
	})
	holds(t, s, "Observation", without("Media"), []asked{{"with nothing left out", group(throughVisit), []string{"o2/1"}}})
}

// testJoinsFollowChange: a join sees the view it is asked of.
func testJoinsFollowChange(t *testing.T, st store.Store) {
	family(t, st)
	before := open(t, st)
	moved := first(of("Observation", "p1"), "o1")
	moved.Full = version("Observation", "o1", "2", 2, code("x"), subject("Patient", "p2"))
	renamed := first(of("Patient", "p2"), "p2")
	renamed.Full = version("Patient", "p2", "2", 2, name("carla"), owner("A"))
	basic := version("Patient", "p2", "b2", 2, name("anna"))
	renamed.Basic = &basic
	write(t, st, moved, renamed)
	if err := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete("Encounter", "e2", "2", "", moment(3)) }); err != nil {
		t.Fatalf("delete: %v", err)
	}
	s := open(t, st)
	carla, berta := along(paramSubject, "Patient", startsWith("carla")), along(paramSubject, "Patient", startsWith("berta"))
	holds(t, s, "Observation", seen(), []asked{
		{"the new name", group(carla), []string{"both/1", "o1/2", "o2/1"}},
		{"the old name", group(berta), nil},
		{"to what was deleted", group(along(paramVisit, "Encounter", is("out"))), nil},
	})
	holds(t, s, "Patient", seen(), []asked{
		{"by what moved", group(against(paramSubject, "Observation", is("x"))), []string{"p2/2"}},
		{"by what was deleted", group(against(paramSubject, "Encounter")), []string{"p1/1"}},
	})
	holds(t, before, "Observation", seen(), []asked{
		{"the new name, before", group(carla), nil}, {"the old name, before", group(berta), []string{"both/1", "o2/1"}},
	})
}
