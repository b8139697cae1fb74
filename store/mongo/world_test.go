package mongo

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// worldTime is when everything in the world of these tests was last updated.
func worldTime() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }

// maker makes puts of records.
type maker struct {
	t       testing.TB
	indexer *search.Indexer
	defs    *r4.Definitions
	tape    fhir.Tape
}

func newMaker(t testing.TB) *maker {
	t.Helper()
	m := &maker{t: t}
	var err error
	if m.defs, err = r4.Load(); err != nil {
		t.Fatal(err)
	}
	if m.indexer, err = search.NewIndexer(m.defs, "http://localhost/fhir"); err != nil {
		t.Fatal(err)
	}
	return m
}

// sheet is one record of Synthea: the resources of a patient.
type sheet struct {
	patient string
	entries []sheetEntry
}

type sheetEntry struct {
	typ  fhir.ResourceType
	id   string
	json []byte
}

// sheets are the records of testdata, their references made literal.
func (m *maker) sheets() []sheet {
	m.t.Helper()
	files, err := filepath.Glob("../../testdata/synthea/*.json.gz")
	if err != nil || len(files) == 0 {
		m.t.Fatalf("no records: %v", err)
	}
	slices.Sort(files)
	var all []sheet
	for _, path := range files {
		if s := m.sheet(path); s.patient != "" {
			all = append(all, s)
		}
	}
	return all
}

func (m *maker) sheet(path string) sheet {
	m.t.Helper()
	packed, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		m.t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		m.t.Fatal(err)
	}
	var bundle struct {
		Entry []struct {
			Resource json.RawMessage `json:"resource"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		m.t.Fatal(err)
	}
	var s sheet
	var names []string
	for _, e := range bundle.Entry {
		var head struct {
			Type fhir.ResourceType `json:"resourceType"`
			ID   string            `json:"id"`
		}
		if err := json.Unmarshal(e.Resource, &head); err != nil {
			m.t.Fatal(err)
		}
		if head.Type == "Patient" {
			s.patient = head.ID
		}
		names = append(names, "urn:uuid:"+head.ID, name(head.Type, head.ID))
		s.entries = append(s.entries, sheetEntry{head.Type, head.ID, e.Resource})
	}
	literal := strings.NewReplacer(names...)
	for i := range s.entries {
		s.entries[i].json = []byte(literal.Replace(string(s.entries[i].json)))
	}
	return s
}

// puts are the resources of a record as those of another patient; the first copy
// is the record itself.
func (m *maker) puts(s sheet, copied int) []store.Put {
	m.t.Helper()
	names := make([]string, 0, 2*len(s.entries))
	other := func(id string) string { return id[:len(id)-3] + fmt.Sprintf("%03x", copied) }
	for _, e := range s.entries {
		names = append(names, e.id, other(e.id))
	}
	rename := strings.NewReplacer(names...)
	var all []store.Put
	for _, e := range s.entries {
		p := store.Put{ID: other(e.id), Row: consent.Row{
			Type: e.typ, Home: consent.HomePatients, Patients: []string{other(s.patient)}, Contributor: fmt.Sprintf("clinic-%d", copied%10),
		}}
		if e.typ == "Organization" || e.typ == "Practitioner" {
			p.Home, p.Patients = consent.HomeShared, nil
		}
		p.Full = m.version(p.ID, "1", []byte(rename.Replace(string(e.json))))
		if e.typ == "Patient" || e.typ == "Immunization" || e.typ == "AllergyIntolerance" {
			b := p.Full // the basic edition is all of it here, which is the most it can be
			b.Version = "b1"
			p.Basic = &b
		}
		all = append(all, p)
	}
	return all
}

func (m *maker) version(id, version string, text []byte) store.Version {
	m.t.Helper()
	if err := m.tape.Parse(text, fhir.Limits{}); err != nil {
		m.t.Fatal(err)
	}
	v := store.Version{Version: version, Updated: worldTime(), Entries: &search.Entries{}}
	v.JSON = fhir.Stamp(nil, &m.tape, id, version, v.Updated)
	if err := m.indexer.Index(v.Entries, &m.tape); err != nil {
		m.t.Fatal(err)
	}
	search.AppendCommon(v.Entries, id, v.Updated)
	v.Entries.Sort()
	return v
}

// parse reads a search string.
func (m *maker) parse(t fhir.ResourceType, text string) *search.Query {
	m.t.Helper()
	var pairs []search.Pair
	for part := range strings.SplitSeq(text, "&") {
		if key, v, ok := strings.Cut(part, "="); ok {
			pairs = append(pairs, search.Pair{Name: key, Value: v})
		}
	}
	q, refusal := m.indexer.Parser().Parse(t, pairs, false)
	if refusal != nil {
		m.t.Fatalf("%s?%s: %v", t, text, refusal)
	}
	return q
}

// accesses are records of access, some of each patient.
func accesses(patients []string, each int) [][]byte {
	all := make([][]byte, 0, len(patients)*each)
	for i := range each {
		for n, p := range patients {
			e := audit.Event{
				Recorded: worldTime().Add(time.Duration(i*len(patients)+n) * time.Minute), Kind: audit.KindRest,
				Interaction: "read", Action: audit.ActionRead, Patient: p, Level: consent.Full, Reason: "relationship",
				Agent: audit.Agent{
					Kind: consent.Practitioner, User: fmt.Sprintf("PractitionerRole/d%d", n%50), Practitioner: fmt.Sprintf("Practitioner/d%d", n%50),
					Issuer: "https://login.nehr.example", Subject: fmt.Sprintf("subject-%d", n%50), Client: "clinic-app",
					TokenID: fmt.Sprintf("%016x", n), Name: "Dr. Some Body", Organization: "o1", Purpose: consent.Treatment, Address: "192.0.2.1",
				},
				Entities: []string{fmt.Sprintf("Observation/o%d/_history/1", n*each+i)}, RequestID: fmt.Sprintf("r%d", i),
				Observer: "Device/vitrine",
			}
			binary.BigEndian.PutUint64(e.ID[:], uint64(n+1)<<32|uint64(i)) //nolint:gosec // small
			all = append(all, e.AppendBinary(nil))
		}
	}
	return all
}

// salted opens a new store whose salt is known, so that its order is the same
// each time.
func salted(t testing.TB, opt Options) *DB {
	t.Helper()
	opt.URI, opt.Database = mongotest.Server(t), mongotest.Database(t)
	ctx := context.Background()
	if err := Init(ctx, opt); err != nil {
		t.Fatal(err)
	}
	db, err := connect(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.collection(collMeta).UpdateOne(ctx, is("_id", metaSalt), is("$set", is("bytes", make([]byte, 32)))); err != nil {
		t.Fatal(err)
	}
	if err := db.disconnect(ctx); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(ctx, opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func put(t testing.TB, st store.Store, puts []store.Put) {
	t.Helper()
	err := st.Write(context.Background(), func(tx store.Tx) error {
		for _, p := range puts {
			if err := tx.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// full gives everything of whoever is asked about, basic only the basic set.
func full(context.Context, string) (consent.Decision, error) {
	return consent.Decision{Level: consent.Full}, nil
}

func self(context.Context, string) (consent.Decision, error) {
	return consent.Decision{Level: consent.Self}, nil
}

func basicOnly(context.Context, string) (consent.Decision, error) {
	return consent.Decision{Level: consent.Basic}, nil
}

func directory(t fhir.ResourceType) bool { return t == "Organization" || t == "Practitioner" }
