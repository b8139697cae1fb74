package storetest

import (
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

func contains(key string) search.Clause {
	return search.Clause{Any: []search.Match{{Param: paramName, Op: search.OpContains, Key: []byte(key)}}}
}

// testContains: a part of a text is found wherever it stands in what is folded,
// byte by byte, and not in what follows or in entries with another tag.
func testContains(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1"), "o1", name("tabc\x00ABC")),
		first(of("Observation", "p1"), "o2", name("ta.c\x00A.C"), code("abc")),
		first(of("Observation", "p1"), "o3", name("txabcx\x00")),
		first(of("Observation", "p1"), "o4", name("mabc"), name("uabc\x00abc")),
		first(of("Observation", "p1"), "o5", name("t\xff\x00a"), name("t[$^\\\x00")),
		first(of("Observation", "p1"), "o6"),
		first(of("Observation", "p1"), "o7", name("tab\x00cabc")),
		first(of("Observation", "p1"), "o8", name("tABC\x00")),
		first(of("Observation", "hidden"), "o9", name("tabc\x00")),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full}
	holds(t, s, "Observation", map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1") }}, []asked{
		{"the whole", group(contains("tabc")), []string{"o1/1", "o3/1"}},
		{"within", group(contains("tbc")), []string{"o1/1", "o3/1"}},
		{"a point", group(contains("t.")), []string{"o2/1"}},
		{"what some store might give a meaning", group(contains("t[$^\\")), []string{"o5/1"}},
		{"a byte that is no character", group(contains("t\xff")), []string{"o5/1"}},
		{"the end", group(contains("tc\x00")), []string{"o1/1", "o2/1"}},
		{"the whole end", group(contains("tabc\x00")), []string{"o1/1"}},
		{"beyond the end", group(contains("t\x00A")), nil},
		{"nothing of it", group(contains("t")), []string{"o1/1", "o2/1", "o3/1", "o5/1", "o7/1", "o8/1"}},
		{"no tag", group(contains("")), nil},
		{"another case", group(contains("tABC")), []string{"o8/1"}},
		{"not", group(not(contains("tb"))), []string{"o2/1", "o4/1", "o5/1", "o6/1", "o8/1"}},
		{"with a match", group(is("abc"), contains("ta")), []string{"o2/1"}},
		{"either", group(search.Clause{Any: append(contains("t.").Any, is("nothing").Any...)}), []string{"o2/1"}},
	})
}

// testNamed: what only a terminology could say holds for nothing as long as none
// has said it.
func testNamed(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("a"), one{paramCode, []byte("http://example.org/vs")}), first(of("Observation", "p1"), "o2"))
	s := open(t, st)
	for _, op := range []search.Op{search.OpIn, search.OpBelow, search.OpAbove, 0, 99} {
		for _, key := range []string{"", "ca", "http://example.org/vs"} {
			c := search.Clause{Any: []search.Match{{Param: paramCode, Op: op, Key: []byte(key)}}}
			beside := search.Clause{Any: append(is("a").Any, c.Any...)}
			holds(t, s, "Observation", map[string]func() *consent.Universe{"everything": consent.Everything, "any": levels{"p1": consent.Full}.any}, []asked{
				{"holds", group(c), nil},
				{"not", group(not(c)), []string{"o1/1", "o2/1"}},
				{"beside a match", group(beside), []string{"o1/1"}},
				{"within a group", group(either(group(c, is("a")))), nil},
			})
		}
	}
}
