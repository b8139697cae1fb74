package gate_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/smart"
)

// narrow is the regulator with no scope but for the record of access.
func narrow() consent.Caller {
	c := regulator()
	c.Scopes = smart.ParseScopes("system/AuditEvent.rs system/Task.rus")
	return c
}

// numbered is a world in which clinics, doctors and their roles have numbers, and
// doctors of A and B have looked at p and at q.
func numbered(t *testing.T) *world {
	w := newClinics(t, nil)
	for _, o := range []string{"A", "B"} {
		w.put("Practitioner", "d"+o, `"active":true,"identifier":[{"system":"https://smc.example","value":"M1`+o+`"}]`)
		w.put("Organization", o, `"active":true,"name":"Clinic","identifier":[{"system":"https://hci.example","value":"20`+o+`"}]`)
		c := doctor(o)
		c.Client = "emr-" + o
		for _, p := range []string{"p", "q"} {
			if _, err := w.read(c, "Condition", "c-"+p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// TestEventsByNumbers: the regulator finds the record of access by the numbers of
// whom it is about, though it sees none of them.
func TestEventsByNumbers(t *testing.T) {
	w := numbered(t)
	const reads = "subtype=read&"
	for query, want := range map[string]int{
		"patient.identifier=" + nrics["p"]:                                                   2,
		"patient:Patient.identifier=https://fhir.synapxe.sg/NamingSystem/nric|" + nrics["p"]: 2,
		"patient:identifier=" + strings.ToLower(nrics["q"]):                                  2,
		"entity.identifier=" + nrics["p"]:                                                    2,
		"entity:identifier=" + nrics["p"]:                                                    2,
		"patient.identifier=" + nrics["r"]:                                                   0,
		"patient.identifier=S9999999Z":                                                       0,
		"patient.identifier=https://passport.example|" + nrics["p"]:                          0,
		"patient.identifier=" + nrics["p"] + "," + nrics["q"]:                                4,
		"agent.identifier=https://smc.example|M1A":                                           2,
		"agent:identifier=M1B":                                                               2,
		"agent:Practitioner.identifier=M1B":                                                  2,
		"agent.identifier=https://hci.example|20A":                                           2,
		"agent.identifier=emr-A":                                                             2,
		"agent:identifier=dr-A":                                                              2,
		"agent:Organization.identifier=M1A":                                                  0,
		"agent.identifier=M1C":                                                               0,
		"agent.identifier=M1A&patient.identifier=" + nrics["p"]:                              1,
		"agent.identifier=M1A&patient:identifier=" + nrics["r"]:                              0,
		"source.identifier=nehr.example":                                                     4,
		"source:identifier=elsewhere.example":                                                0,
		"entity:identifier=req-1":                                                            4,
	} {
		for name, c := range map[string]consent.Caller{"whole": regulator(), "narrow": narrow()} {
			r, err := w.search(c, "AuditEvent", reads+"purpose=TREAT&"+query)
			if err != nil || len(r.Items()) != want {
				t.Errorf("%s, %s: %d events, %v; want %d", name, query, len(r.Items()), err, want)
			}
		}
	}
	w.want("a Patient by its number", w.sees(regulator(), "Patient", "identifier="+nrics["p"]), "")
	for _, c := range []consent.Caller{doctor("A"), doctor("C")} { // theirs are chains as ever
		w.want("a provider's", w.sees(c, "AuditEvent", "patient.identifier="+nrics["p"]), "")
	}
	if r, err := w.search(person("p"), "AuditEvent", reads+"patient.identifier="+nrics["q"]); err != nil || len(r.Items()) != 0 {
		t.Errorf("a patient finds %d events by another's number, %v", len(r.Items()), err)
	}
}

// TestEventsOfARoleThatIsGone are still those of the person.
func TestEventsOfARoleThatIsGone(t *testing.T) {
	w := numbered(t)
	if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "PractitionerRole"), "PractitionerRole", "A1", ""); err != nil {
		t.Fatal(err)
	}
	if got := len(w.events("subtype=read&agent.identifier=M1A")); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
}

// TestNumbersAreOnRecord: who was asked about by number is named in the record of
// the question.
func TestNumbersAreOnRecord(t *testing.T) {
	w := numbered(t)
	w.events("patient.identifier=" + nrics["q"])
	if got := w.events("patient=Patient/q&purpose=AUDIT"); len(got) != 1 {
		t.Errorf("%d events of the auditor's questions about q, want 1", len(got))
	}
}

// TestWhatComesWithEvents are those whom they name, and of a patient the number.
func TestWhatComesWithEvents(t *testing.T) {
	w := numbered(t)
	for query, want := range map[string]string{
		"_include=AuditEvent:patient":            "Patient/p",
		"_include=AuditEvent:entity":             "Patient/p",
		"_include=AuditEvent:agent":              "Organization/A PractitionerRole/A1",
		"_include=AuditEvent:agent:Organization": "Organization/A",
		"_include=*":                             "Organization/A Patient/p PractitionerRole/A1",
		"_include=AuditEvent:agent&_include:iterate=PractitionerRole:practitioner":  "Organization/A Practitioner/dA PractitionerRole/A1",
		"_include=AuditEvent:patient&_revinclude:iterate=Condition:patient":         "Patient/p",
		"_include=AuditEvent:patient&_include:iterate=Patient:general-practitioner": "Patient/p",
	} {
		r, err := w.search(regulator(), "AuditEvent", "subtype=read&agent=PractitionerRole/A1&patient=p&"+query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var with []string
		for _, i := range r.Items()[1:] {
			with = append(with, string(i.Resource.Type)+"/"+i.Resource.ID)
			if s := string(i.Resource.JSON); i.Resource.Type == "Patient" && (!strings.Contains(s, nrics["p"]) || strings.Contains(s, "birthDate") || strings.Contains(s, "Boston")) {
				t.Errorf("%s: %s", query, s)
			}
		}
		slices.Sort(with)
		w.want(query, strings.Join(with, " "), want)
	}
	r, err := w.search(narrow(), "AuditEvent", "subtype=read&agent=PractitionerRole/A1&patient=p&_include=*")
	if err != nil || strings.Join(answered(r)[1:], " ") != "include Patient/p" {
		t.Errorf("without a scope for the directory: %q %v", answered(r), err)
	}
}

// happened records events of a few patients, beginning at a moment.
func (w *world) happened(n int, at time.Time) {
	w.Helper()
	records := make([][]byte, 0, n)
	for i := range n {
		e := audit.Event{
			Recorded: at.Add(time.Duration(i) * time.Millisecond), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead,
			Patient: fmt.Sprintf("many%d", i%7), Level: consent.Full, Site: "nehr.example", Observer: "nehr.example",
			Agent: audit.Agent{Kind: consent.Practitioner, Client: "emr", User: "PractitionerRole/many", Purpose: consent.Treatment},
		}
		binary.BigEndian.PutUint64(e.ID[:], uint64(e.Recorded.UnixMilli())<<16) //nolint:gosec // after 1970
		e.ID[6] = e.ID[6]&0x0f | 0x70
		e.ID[8] = 0x80
		binary.BigEndian.PutUint32(e.ID[12:], uint32(i)) //nolint:gosec // not many
		records = append(records, e.AppendBinary(nil))
	}
	if _, err := w.store.Record(w.ctx(), records...); err != nil {
		w.Fatal(err)
	}
}

// TestPagesOfEventsWhileOthersLook: each event that was there is on one page, in
// its place, whatever is added meanwhile, before and behind; the pages outlive
// every view. VITRINE_EVENTS asks for more than a few thousand.
func TestPagesOfEventsWhileOthersLook(t *testing.T) {
	all := 3_000
	if n, err := strconv.Atoi(os.Getenv("VITRINE_EVENTS")); err == nil {
		all = n
	}
	for _, order := range []string{"", "&_sort=date", "&_sort=-date"} {
		t.Run(order, func(t *testing.T) {
			w := newWorld(t, nil)
			const more = 6
			w.happened(all, w.now.Add(-time.Hour))
			q := w.query("AuditEvent", "agent=PractitionerRole/many&_count=100&_total=accurate"+order)
			r := w.searched(regulator(), q)
			if r.Total() != all {
				t.Errorf("total %d, want %d", r.Total(), all)
			}
			seen, last := map[string]bool{}, ""
			for pages := 0; ; pages++ {
				for _, i := range r.Items() {
					id := i.Resource.ID
					if seen[id] {
						t.Fatalf("page %d repeats %s", pages, id)
					}
					seen[id] = true
					at := i.Resource.Updated.Format("15:04:05.000000")
					if order == "&_sort=date" && at < last || order == "&_sort=-date" && last != "" && at > last {
						t.Fatalf("page %d: %s after %s", pages, at, last)
					}
					last = at
				}
				if r.Next() == "" {
					break
				}
				if pages < more {
					w.happened(20, w.now.Add(-2*time.Hour+time.Duration(pages)*time.Second)) // before all of them
					w.happened(20, w.now.Add(time.Duration(pages)*time.Second))              // and behind
				}
				var err error
				if r, err = w.next(regulator(), q, r); err != nil {
					t.Fatal(err)
				}
			}
			begin, n := w.now.Add(-time.Hour), 0
			for id := range seen {
				var ms int64
				_, _ = fmt.Sscanf(strings.ReplaceAll(id, "-", "")[:12], "%x", &ms)
				if at := time.UnixMilli(ms); !at.Before(begin) && at.Before(begin.Add(time.Duration(all)*time.Millisecond)) {
					n++
				}
			}
			if n != all {
				t.Errorf("%d of the %d that were there", n, all)
			}
		})
	}
}
