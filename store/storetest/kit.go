package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The parameters of the suite. A store asks nothing of their numbers. Their
// values carry the tags of package search, by which it knows what sorts.
const (
	paramCode  search.Param = 7   // tokens
	paramName  search.Param = 8   // text, for prefixes
	paramDate  search.Param = 9   // ranges under the key "d"
	paramOwner search.Param = 300 // who cares for a patient
)

// mark is a label.
const mark = "http://example.org/labels|marked"

// marked gives a row the label.
func marked(p store.Put) store.Put {
	p.Labels = []string{mark}
	return p
}

func isMarked(r consent.Row) bool { return slices.Contains(r.Labels, mark) }

// moment is a fixed time; versions are minutes apart.
func moment(minute int) time.Time {
	return time.Date(2026, 3, 1, 8, 0, 0, 250e6, time.UTC).Add(time.Duration(minute) * time.Minute)
}

// one is an index entry of the suite.
type one struct {
	param search.Param
	value []byte
}

func code(s string) one  { return one{paramCode, []byte("c" + s)} }
func name(s string) one  { return one{paramName, []byte(s)} }
func owner(s string) one { return one{paramOwner, []byte(s)} }

func date(low, high uint64) one {
	v := binary.BigEndian.AppendUint64([]byte("d"), low)
	return one{paramDate, binary.BigEndian.AppendUint64(v, high)}
}

func entries(all ...one) *search.Entries {
	e := &search.Entries{}
	for _, x := range all {
		e.Add(x.param, x.value)
	}
	e.Sort()
	return e
}

// version is one edition at one version, with the entries and that of its id.
func version(t fhir.ResourceType, id, v string, minute int, all ...one) store.Version {
	all = append(all[:len(all):len(all)], one{search.ParamID, search.IDMatch(id).Key})
	return store.Version{
		Version: v, Updated: moment(minute), JSON: content(t, id, v), Entries: entries(all...),
	}
}

// content stands for a resource; the versions of all editions differ.
func content(t fhir.ResourceType, id, v string) []byte {
	return fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"meta":{"versionId":%q}}`, t, id, v)
}

// of is a row that belongs to patients, or to nobody.
func of(t fhir.ResourceType, patients ...string) consent.Row {
	r := consent.Row{Type: t, Home: consent.HomePatients, Patients: patients, Contributor: "A"}
	if len(patients) == 0 {
		r.Home = consent.HomeQuarantine
	}
	return r
}

func shared(t fhir.ResourceType) consent.Row {
	return consent.Row{Type: t, Home: consent.HomeShared, Contributor: "A"}
}

// first is the first version of a resource with a full edition only.
func first(row consent.Row, id string, all ...one) store.Put {
	return store.Put{Row: row, ID: id, Full: version(row.Type, id, "1", 1, all...)}
}

// twofold adds a basic edition.
func twofold(p store.Put, all ...one) store.Put {
	v := version(p.Type, p.ID, "b1", 1, all...)
	p.Basic = &v
	return p
}

func write(t *testing.T, st store.Store, puts ...store.Put) {
	t.Helper()
	err := st.Write(t.Context(), func(tx store.Tx) error {
		for _, p := range puts {
			if err := tx.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
}

func open(t *testing.T, st store.Store) store.Snapshot {
	t.Helper()
	s, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// levels decides by patient; who is not named is denied.
type levels map[string]consent.Level

func (l levels) decide(_ context.Context, patient string) (consent.Decision, error) {
	return consent.Decision{Level: l[patient]}, nil
}

func directory(t fhir.ResourceType) bool { return t == "Organization" }

// to is the universe of the patients listed.
func (l levels) to(patients ...string) *consent.Universe {
	return consent.OfPatients(patients, directory, l.decide)
}

// through is the universe of the patients in the care of an organisation.
func (l levels) through(organization string) *consent.Universe {
	m := search.Match{Param: paramOwner, Op: search.OpEqual, Key: []byte(organization)}
	return consent.OfCandidates([]search.Match{m}, directory, l.decide)
}

func (l levels) any() *consent.Universe { return consent.OfAnyPatient(directory, l.decide) }

// query asks for all of a type that satisfy the clauses.
func query(t fhir.ResourceType, clauses ...search.Clause) *search.Query {
	return &search.Query{Type: t, Clauses: clauses, Count: -1}
}

func is(values ...string) search.Clause {
	var c search.Clause
	for _, v := range values {
		c.Any = append(c.Any, search.Match{Param: paramCode, Op: search.OpEqual, Key: []byte("c" + v)})
	}
	return c
}

func startsWith(prefix string) search.Clause {
	return search.Clause{Any: []search.Match{{Param: paramName, Op: search.OpPrefix, Key: []byte(prefix)}}}
}

func within(b search.Bounds) search.Clause {
	return search.Clause{Any: []search.Match{{Param: paramDate, Op: search.OpRange, Key: []byte("d"), Bounds: b}}}
}

func byDate(descending bool) search.SortKey {
	return search.SortKey{Param: paramDate, Range: true, Descending: descending}
}

// all reads the whole answer in one page and counts it.
func all(t *testing.T, r store.Reader, u *consent.Universe, q *search.Query) []store.Found {
	t.Helper()
	page, err := r.Search(t.Context(), u, q, store.PageRequest{Limit: 1 << 20, Count: true})
	if err != nil {
		t.Fatalf("search %v: %v", q, err)
	}
	if page.Total != len(page.Found) || len(page.Next) > 0 {
		t.Fatalf("search %v: total %d, next %x, with %d found", q, page.Total, page.Next, len(page.Found))
	}
	return page.Found
}

// labels names what was found: "Type/id/version".
func labels(found []store.Found) []string {
	names := []string{}
	for _, f := range found {
		names = append(names, string(f.Resource.Type)+"/"+f.ID+"/"+f.Version)
	}
	return names
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// found is what a store must answer for a version of a put.
func found(p store.Put, v store.Version, e consent.Edition) store.Found {
	return store.Found{
		Resource: fhir.Resource{Type: p.Type, ID: p.ID, Version: v.Version, Updated: v.Updated, JSON: v.JSON},
		Row:      p.Row, Edition: e,
	}
}
