package storetest

import (
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Parts of clauses.

func not(c search.Clause) search.Clause {
	c.Not = !c.Not
	return c
}

// either holds when every clause of one group does.
func either(groups ...[]search.Clause) search.Clause { return search.Clause{All: groups} }

func group(clauses ...search.Clause) []search.Clause { return clauses }

// present holds for what has any value of the parameter.
func present(p search.Param) search.Clause {
	return search.Clause{Any: []search.Match{{Param: p, Op: search.OpPrefix}}}
}

// asked is a query and what it must find, "id/version", in any order.
type asked struct {
	name    string
	clauses []search.Clause
	want    []string
}

// holds compares the answers about a type with what they must be, in one page and
// in small ones, in every universe given.
func holds(t *testing.T, s store.Snapshot, typ fhir.ResourceType, universes map[string]func() *consent.Universe, cases []asked) {
	t.Helper()
	for _, c := range cases {
		want := make([]string, 0, len(c.want))
		for _, id := range c.want {
			want = append(want, string(typ)+"/"+id)
		}
		q := query(typ, c.clauses...)
		for name, u := range universes {
			whole := labels(all(t, s, u(), q))
			same(t, c.name+", "+name, sortedCopy(whole), sortedCopy(want))
			for _, limit := range []int{1, 2} {
				same(t, c.name+", "+name+", in pages", labels(paged(t, s, u, q, limit)), whole)
			}
		}
	}
}

// testNegation: Not turns a clause round for the rows of the universe, those
// without any value included, in the edition admitted.
func testNegation(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1"), "o1", code("a"), name("tan")),
		first(of("Observation", "p1"), "o2", code("b")),
		first(of("Observation", "p1"), "o3"),
		first(of("Observation", "p1", "p2"), "o4", code("a"), code("b"), date(5, 5)),
		first(of("Observation", "hidden"), "o5", code("b")),
		first(of("Observation", "hidden"), "o6"),
		first(of("Media", "p1"), "m1"),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	universes := map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p2", "p1") }}
	cases := []asked{
		{"not one", group(not(is("a"))), []string{"o2/1", "o3/1"}},
		{"not either", group(not(is("a", "b"))), []string{"o3/1"}},
		{"not a value that none has", group(not(is("z"))), []string{"o1/1", "o2/1", "o3/1", "o4/1"}},
		{"not nothing", group(not(search.Clause{})), []string{"o1/1", "o2/1", "o3/1", "o4/1"}},
		{"one and not another", group(is("b"), not(is("a"))), []string{"o2/1"}},
		{"not one and not another", group(not(is("a")), not(present(paramDate))), []string{"o2/1", "o3/1"}},
		{"present", group(present(paramName)), []string{"o1/1"}},
		{"missing", group(not(present(paramName))), []string{"o2/1", "o3/1", "o4/1"}},
		{"missing dates", group(not(present(paramDate))), []string{"o1/1", "o2/1", "o3/1"}},
		{"not a range", group(not(within(search.Bounds{LowMax: 9, HighMax: 9}))), []string{"o1/1", "o2/1", "o3/1"}},
	}
	holds(t, s, "Observation", universes, cases)
	every := levels{"p1": consent.Full, "p2": consent.Full, "hidden": consent.Full}
	permit := map[string]func() *consent.Universe{"with the hidden": every.any}
	holds(t, s, "Observation", permit, []asked{
		{"not one", group(not(is("a"))), []string{"o2/1", "o3/1", "o5/1", "o6/1"}},
		{"missing", group(not(present(paramCode))), []string{"o3/1", "o6/1"}},
	})
}

// testNegationEditions: what an edition does not say is missing from it, whatever
// the other one says.
func testNegationEditions(t *testing.T, st store.Store) {
	write(t, st,
		twofold(first(of("Patient", "p1"), "p1", code("secret"), name("anna")), code("open")),
		twofold(first(of("Patient", "p2"), "p2", code("secret"), name("berta")), code("open")),
		twofold(first(of("Patient", "p3"), "p3", code("secret")), code("open")))
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Basic, "p3": consent.Full}
	holds(t, s, "Patient", map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2", "p3") }}, []asked{
		{"not the secret", group(not(is("secret"))), []string{"p2/b1"}},
		{"not the open", group(not(is("open"))), []string{"p1/1", "p3/1"}},
		{"missing", group(not(present(paramName))), []string{"p2/b1", "p3/1"}},
		{"present", group(present(paramName)), []string{"p1/1"}},
	})
}

// testGroups: a clause holds when all of one group does, however groups and
// negations are nested.
func testGroups(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1"), "o1", code("a"), name("tan")),
		first(of("Observation", "p1"), "o2", code("a"), name("lim")),
		first(of("Observation", "p1"), "o3", code("b"), name("tan")),
		first(of("Observation", "p1"), "o4", code("c"), date(1, 1)),
		first(of("Observation", "p1"), "o5"),
		first(of("Observation", "hidden"), "o6", code("a"), name("tan")),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full}
	withMatch := either(group(is("b"), startsWith("tan")))
	withMatch.Any = is("c").Any
	holds(t, s, "Observation", map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1") }}, []asked{
		{"one group", group(either(group(is("a"), startsWith("tan")))), []string{"o1/1"}},
		{"two groups", group(either(group(is("a"), startsWith("lim")), group(is("c")))), []string{"o2/1", "o4/1"}},
		{"groups that overlap", group(either(group(is("a")), group(startsWith("tan")))), []string{"o1/1", "o2/1", "o3/1"}},
		{"beside a match", group(withMatch), []string{"o3/1", "o4/1"}},
		{"an empty group", group(either(group())), []string{"o1/1", "o2/1", "o3/1", "o4/1", "o5/1"}},
		{"a group with a negation", group(either(group(is("a"), not(startsWith("tan"))))), []string{"o2/1"}},
		{"a group of negations", group(either(group(not(is("a")), not(is("b"))))), []string{"o4/1", "o5/1"}},
		{"neither group", group(not(either(group(is("a"), startsWith("tan")), group(is("c"))))), []string{"o2/1", "o3/1", "o5/1"}},
		{"nested", group(either(group(either(group(is("a")), group(is("b"))), not(either(group(startsWith("lim"))))))), []string{"o1/1", "o3/1"}},
		{"groups and clauses", group(present(paramName), either(group(is("b")), group(startsWith("lim")))), []string{"o2/1", "o3/1"}},
	})
}

// word holds for content with that word.
type word string

// Holds implements search.Reading.
func (w word) Holds(content *fhir.Tape) bool {
	return content.Text(content.Field(content.Root(), "word")) == string(w)
}

func reads(words ...string) search.Clause {
	var c search.Clause
	for _, w := range words {
		c.Read = append(c.Read, word(w))
	}
	return c
}

// saying gives an edition a word.
func saying(v *store.Version, word string) {
	v.JSON = append(v.JSON[:len(v.JSON)-1:len(v.JSON)-1], `,"word":"`+word+`"}`...)
}

// testReadings: what entries do not answer is read from the content of the
// edition admitted.
func testReadings(t *testing.T, st store.Store) {
	patient := func(id, full, basic string) store.Put {
		p := twofold(first(of("Patient", id), id, code("x")), code("x"))
		saying(&p.Full, full)
		saying(p.Basic, basic)
		return p
	}
	write(t, st, patient("p1", "secret", "open"), patient("p2", "secret", "open"), patient("p3", "open", "secret"), patient("hidden", "secret", "secret"))
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Basic, "p3": consent.Full}
	alternative := reads("secret")
	alternative.Any = is("x").Any
	grouped := either(group(reads("secret"), is("x")))
	universes := map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2", "p3") }}
	holds(t, s, "Patient", universes, []asked{
		{"one word", group(reads("secret")), []string{"p1/1"}},
		{"the other", group(reads("open")), []string{"p2/b1", "p3/1"}},
		{"either", group(reads("open", "secret")), []string{"p1/1", "p2/b1", "p3/1"}},
		{"neither", group(not(reads("open"))), []string{"p1/1"}},
		{"with a match", group(is("x"), reads("secret")), []string{"p1/1"}},
		{"with a match that fails", group(is("y"), reads("secret")), nil},
		{"beside a match", group(alternative), []string{"p1/1", "p2/b1", "p3/1"}},
		{"within a group", group(grouped), []string{"p1/1"}},
	})
	permit := levels{"p1": consent.Full, "p2": consent.Full, "p3": consent.Basic, "hidden": consent.Full}
	holds(t, s, "Patient", map[string]func() *consent.Universe{"others": permit.any}, []asked{
		{"one word", group(reads("secret")), []string{"hidden/1", "p1/1", "p2/1", "p3/b1"}},
	})
	next := patient("p1", "new", "open")
	next.Full.Version = "2"
	write(t, st, next)
	holds(t, open(t, st), "Patient", universes, []asked{
		{"after a change", group(reads("new")), []string{"p1/2"}},
		{"what it said before", group(reads("secret")), nil},
	})
	holds(t, s, "Patient", universes, []asked{{"the view before", group(reads("secret")), []string{"p1/1"}}})
}
