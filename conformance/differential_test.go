package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/fhir/r4"
)

// envQueries is how many queries the differential test makes; VITRINE_QUERIES_SEED
// names another world and other queries.
const (
	envQueries     = "VITRINE_QUERIES"
	envQueriesSeed = "VITRINE_QUERIES_SEED"
)

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestDifferential holds every kind of search against a plain evaluation of the
// specification's text: what is found, in which order, page by page.
func TestDifferential(t *testing.T) {
	t.Parallel()
	seed := uint64(fromEnv(t, envQueriesSeed, 1))
	n := fromEnv(t, envQueries, 500)
	s := start(t, t.TempDir()+"/data", "--base-url", worldBase, "--validation", "structure") // periods that end before they begin are searched, too
	g := newSpecMaker(t, seed, worldBase+"/fhir")
	resources := g.world(max(1, min(8, n/1000)))
	g.load(t, s, resources)
	w := newSpecWorld(t, g.base, resources)
	d := &differential{t: t, server: s, token: s.custodian(t), w: w}
	g.rand = rand.New(rand.NewPCG(seed, uint64(n)))
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{specMaker: g, w: w, defs: defs}
	for range n {
		q := a.query()
		if q.typ != "" && q.contained == "" && g.chance(8) {
			a.confined(&q)
		}
		q.posted = g.chance(12)
		if q.contained == "" && g.chance(20) {
			q.includes = a.includesOf(q.typ)
		}
		d.ask(q, pick(g, 1, 2, 3, 5, 10, 20, 50, 1000))
	}
	t.Logf("%d queries over %d resources, %d of which found something: %d requests, %d matches, %d included, %d pages from the other side; of those that found something %d were of what is contained, %d by POST, %d in compartments; %d asked for the count alone",
		n, len(resources), d.hits, d.requests, d.found, d.came, d.back, d.within, d.posted, d.confined, d.counts)
	if d.failures > 0 {
		t.Errorf("%d queries differ", d.failures)
	}
}

// load stores the resources in transactions, and notes what the server adds.
func (g *specMaker) load(t *testing.T, s *server, resources []object) {
	t.Helper()
	for part := range slices.Chunk(resources, 200) {
		entries := []any{}
		for _, o := range part {
			name := text(o, "resourceType") + "/" + text(o, "id")
			entries = append(entries, object{"resource": o, "request": object{"method": "PUT", "url": name}})
		}
		b := encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": entries})
		a := s.do(t, s.custodian(t), send(http.MethodPost, "", b))
		if a.status != http.StatusOK {
			t.Fatalf("transaction: %d\n%.2000s", a.status, a.body)
		}
		for i, e := range list(decode(t, a.body), "entry") {
			meta, _ := part[i]["meta"].(object)
			if meta == nil {
				meta = object{}
				part[i]["meta"] = meta
			}
			meta["lastUpdated"], meta["versionId"] = text(e, "response", "lastModified"), "1"
		}
	}
}

// differential asks the server and the evaluator the same.
type differential struct {
	t        *testing.T
	server   *server
	token    string
	w        *specWorld
	requests int
	found    int
	hits     int
	came     int
	back     int
	counts   int
	within   int
	posted   int
	confined int
	failures int
}

const (
	// most is how many differences are told in full.
	most = 12
	// mostPages is how many pages of one answer are read.
	mostPages = 30
)

func (d *differential) differ(q query, format string, args ...any) {
	d.t.Helper()
	if d.failures++; d.failures <= most {
		d.t.Errorf("%s\n"+format, append([]any{q.path()}, args...)...)
	}
}

// page is one page of an answer.
type page struct {
	ids, included  []string
	total          int // -1 when not told
	next, previous string
}

func (d *differential) page(q query, r request) (page, bool) {
	a := d.server.do(d.t, d.token, r)
	d.requests++
	if a.status != http.StatusOK {
		d.differ(q, "status %d: %.500s", a.status, a.body)
		return page{}, false
	}
	var bundle struct {
		Total *int
		Link  []struct{ Relation, URL string }
		Entry []struct {
			FullURL string
			Search  struct{ Mode string }
		}
	}
	if err := json.Unmarshal(a.body, &bundle); err != nil {
		d.t.Fatalf("%s: %v", r.path, err)
	}
	p := page{ids: []string{}, total: -1}
	if bundle.Total != nil {
		p.total = *bundle.Total
	}
	for _, l := range bundle.Link {
		switch l.Relation {
		case "next":
			p.next = d.server.local(l.URL)
		case "previous":
			p.previous = d.server.local(l.URL)
		}
	}
	for _, e := range bundle.Entry {
		switch name := strings.TrimPrefix(e.FullURL, d.w.base+"/"); e.Search.Mode {
		case "match":
			p.ids = append(p.ids, name)
		case "include":
			p.included = append(p.included, name)
		}
	}
	return p, true
}

// ask compares one query, in pages of the size given.
func (d *differential) ask(q query, count int) {
	names := d.wanted(q)
	d.noted(q, names)
	count = max(count, len(names)/mostPages+1)
	if q.contained != "" {
		count = max(count, len(names)/4+1) // every page goes through all types
	}
	var pages []page
	var got []string
	for r := q.request(given{"_count", fmt.Sprint(count)}, given{"_total", "accurate"}); r.path != ""; {
		p, ok := d.page(q, r)
		if !ok {
			return
		}
		if p.next != "" && len(p.ids) != count && q.contained == "" {
			d.differ(q, "a page of %d before the end, want %d", len(p.ids), count)
			return
		}
		if len(pages) == 0 && p.total != len(names) {
			d.explain(q, names, p.total)
		}
		if !d.comesWith(q, p) {
			return
		}
		pages, got = append(pages, p), append(got, p.ids...)
		if r = get(p.next); len(pages) > mostPages+1 {
			d.differ(q, "pages without end")
			return
		}
	}
	sorted := slices.Clone(got)
	if len(q.sort) == 0 {
		slices.Sort(sorted)
		slices.Sort(names)
	}
	if diff := cmp.Diff(names, sorted, cmpopts.EquateEmpty()); diff != "" {
		d.differ(q, "by %d (-want +got):\n%s%s", count, diff, d.evidence(names, sorted))
		return
	}
	d.backwards(q, pages)
	if d.requests%8 < 2 {
		d.counted(q, len(names))
	}
}

// wanted is what the evaluator finds, by name and in order.
func (d *differential) wanted(q query) []string {
	if q.contained != "" {
		return d.w.searchWithin(q)
	}
	var want []*specResource
	for _, typ := range q.searched() {
		for _, r := range d.w.search(typ, q.all) {
			if q.owner == "" || d.w.inCompartment(r, q.owner) {
				want = append(want, r)
			}
		}
	}
	d.w.order(want, q.sort)
	names := []string{}
	for _, r := range want {
		names = append(names, r.name())
	}
	return names
}

// noted counts the kinds of queries that found something.
func (d *differential) noted(q query, names []string) {
	if d.found += len(names); len(names) == 0 {
		return
	}
	d.hits++
	for n, is := range map[*int]bool{&d.within: q.contained != "", &d.posted: q.posted, &d.confined: q.owner != ""} {
		if is {
			*n++
		}
	}
}

// comesWith compares what a page includes, each of it once.
func (d *differential) comesWith(q query, p page) bool {
	var matches []*specResource
	for _, name := range p.ids {
		matches = append(matches, d.w.byName[name])
	}
	d.came += len(p.included)
	want, got := d.w.included(matches, q.includes), slices.Sorted(slices.Values(p.included))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		d.differ(q, "with %v comes (-want +got):\n%s%s", p.ids, diff, d.evidence(want, got))
		return false
	}
	return true
}

func (d *differential) explain(q query, names []string, total int) {
	d.t.Helper()
	d.differ(q, "total %d, want %d: %.300s", total, len(names), strings.Join(names, " "))
}

// evidence is the content of one resource that only one side found.
func (d *differential) evidence(want, got []string) string {
	for _, lists := range [][2][]string{{want, got}, {got, want}} {
		for _, name := range lists[0] {
			if !slices.Contains(lists[1], name) {
				container, _, _ := strings.Cut(name, "#")
				return fmt.Sprintf("%s is %s", name, mustJSON(d.w.byName[container].body))
			}
		}
	}
	return ""
}

// backwards goes from the last page to the first by the links to the one before,
// as far as there are any.
func (d *differential) backwards(q query, pages []page) {
	for i := len(pages) - 1; i > 0; i-- {
		if pages[i].previous == "" {
			return
		}
		p, ok := d.page(q, get(pages[i].previous))
		if !ok {
			return
		}
		if d.back++; !slices.Equal(p.ids, pages[i-1].ids) {
			d.differ(q, "the page before page %d is %v, want %v", i+1, p.ids, pages[i-1].ids)
			return
		}
	}
}
