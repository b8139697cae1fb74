package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// newCluster is the clinics' world where A and B are parts of the public cluster K.
func newCluster(t *testing.T) *world {
	t.Helper()
	w := newClinics(t, nil)
	w.put("Organization", "K", `"active":true,"name":"Eastern Cluster"`)
	for id, name := range map[string]string{"A": "Institute of Mental Health", "B": "Polyclinic"} {
		w.put("Organization", id, `"active":true,"name":"`+name+`","partOf":{"reference":"Organization/K"}`)
	}
	w.gate = w.clustered("K")
	return w
}

// clustered is a gate on the same store, with public clusters.
func (w *world) clustered(clusters ...string) *gate.Gate {
	return gate.New(gate.Config{
		BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Clusters: clusters, Notifies: true,
	}, w.tools, w.store)
}

// visited are the organisations of which the access history tells.
func (w *world) visited(c consent.Caller, organization string) string {
	w.Helper()
	r, err := w.gate.AccessHistory(w.ctx(), w.request(c, "$access-history", "Patient"), c.Patient, gate.AccessPage{Count: -1, Organization: organization})
	if err != nil {
		w.Fatal(explain(err))
	}
	var out []string
	for _, v := range r.Visits() {
		if v.Organization != "" {
			out = append(out, fmt.Sprintf("%s (%s) %d", v.Organization, v.Name, v.Count))
		}
	}
	return strings.Join(out, ", ")
}

// TestScenario96AClusterStandsForItsParts in whatever way the patient, or who acts
// for the patient, reads the record of access; the regulator sees the part.
func TestScenario96AClusterStandsForItsParts(t *testing.T) {
	w := newCluster(t)
	w.put("RelatedPerson", "kin", `"active":true,"patient":{"reference":"Patient/p"},`+authority("family"))
	w.want("the look", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.register("p", "C")
	w.now = w.now.Add(time.Second)
	w.want("a look from elsewhere", w.sees(doctor("C"), "Observation", "patient=Patient/p"), "o-p")
	kin := consent.Caller{
		Kind: consent.Representative, ByHand: true, Issuer: base, Subject: "kin", Client: "app", User: "RelatedPerson/kin", Patient: "p",
		Purpose: consent.FamilyRequest, Scopes: smart.ParseScopes("patient/*.rs"),
	}
	for name, c := range map[string]consent.Caller{"patient": person("p"), "representative": kin} {
		w.want(name+" by the part", w.sees(c, "AuditEvent", "agent=Organization/A"), "")
		w.want(name+" by its name", w.sees(c, "AuditEvent", "agent:Organization.name=Institute"), "")
		found := w.sees(c, "AuditEvent", "agent=Organization/K")
		if found == "" || strings.Contains(found, " ") {
			t.Fatalf("%s by the cluster: %q, want one", name, found)
		}
		w.want(name+" by the cluster's name", w.sees(c, "AuditEvent", "agent:Organization.name=Eastern"), found)
		w.want(name+" included", w.sees(c, "AuditEvent", "_id="+found+"&_include=AuditEvent:agent"), found+" K")
		if doc := w.reads(c, "AuditEvent", found); strings.Contains(doc, "Organization/A") || !strings.Contains(doc, "Organization/K") {
			t.Errorf("%s reads %s", name, doc)
		}
		for _, asked := range []string{"A", "B", "K"} {
			w.want(name+" history of "+asked, w.visited(c, asked), "K (Eastern Cluster) 1")
		}
		w.want(name+" history of C", w.visited(c, "C"), "C (Clinic) 1")
		w.want(name+" history", w.visited(c, ""), "C (Clinic) 1, K (Eastern Cluster) 1")
	}
	if seen := w.events("agent=Organization/A&patient=Patient/p&type=rest&action=E"); len(seen) != 1 || strings.Contains(seen[0], "Organization/K") {
		t.Errorf("the regulator sees %v", seen)
	}
	w.want("the regulator by the cluster", fmt.Sprint(w.events("agent=Organization/K&patient=Patient/p")), "[]")
}

// TestAClusterIsRecorded: what the patient is told of an access does not change with
// the directory, and what was recorded before there was a cluster is told as it is.
func TestAClusterIsRecorded(t *testing.T) {
	w := newCluster(t)
	w.gate = w.clustered()
	w.want("before", w.sees(doctor("B"), "Observation", "patient=Patient/p"), "o-p")
	w.gate, w.now = w.clustered("K"), w.now.Add(time.Second)
	w.want("since", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.want("both are of the cluster", w.visited(person("p"), "A"), "K (Eastern Cluster) 1, K (Eastern Cluster) 1")
	w.put("Organization", "A", `"active":true,"name":"Institute of Mental Health"`)
	w.want("A has left", w.visited(person("p"), "A"), "")
	w.want("and is told of as then", w.visited(person("p"), "B"), "K (Eastern Cluster) 1, K (Eastern Cluster) 1")
	w.want("read as then", w.sees(person("p"), "AuditEvent", "agent=Organization/A"), "")
	w.gate = w.clustered()
	w.want("without the setting", w.visited(person("p"), ""), "K (Eastern Cluster) 1, B (Polyclinic) 1")
}

// TestAClusterBreaksTheGlass: its part is in nothing that a patient finds of it, the
// start, the use, the end that nobody asked for, and the message; nor is it in what the
// authorization server records of the patient.
func TestAClusterBreaksTheGlass(t *testing.T) {
	w := newCluster(t)
	w.restrict("p", optOut, closed)
	w.breaks("p")
	w.want("opened", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.now = w.now.Add(5 * time.Hour)
	if err := w.gate.Sweep(w.ctx(), w.now); err != nil {
		t.Fatal(explain(err))
	}
	launch := smart.Event{Kind: smart.EventLaunch, When: w.now, Client: "emr", User: "PractitionerRole/A1", Organization: "A", Patient: "p"}
	if err := w.gate.Note(w.ctx(), &launch); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []fhir.ResourceType{"AuditEvent", "Communication", "Task"} {
		r, err := w.search(person("p"), kind, "patient=Patient/p&_count=200")
		if err != nil {
			t.Fatal(explain(err))
		}
		told := 0
		for _, i := range r.Items() {
			doc := string(i.Resource.JSON)
			if strings.Contains(doc, "Organization/A") {
				t.Errorf("the patient finds %s", doc)
			}
			if strings.Contains(doc, "Organization/K") {
				told++
			}
		}
		if want := map[fhir.ResourceType]int{"AuditEvent": 4, "Communication": 1}[kind]; told < want {
			t.Errorf("%s: %d name the cluster, want %d at least", kind, told, want)
		}
	}
	if got := w.events("agent=Organization/A&patient=Patient/p"); len(got) < 4 {
		t.Errorf("the regulator sees %d", len(got))
	}
}

// TestAPatientsExportNamesTheCluster, as a read does.
func TestAPatientsExportNamesTheCluster(t *testing.T) {
	w := newCluster(t)
	w.want("the look", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	x := &exports{world: w}
	id := x.begin(person("p"), gate.ExportRequest{Level: gate.ExportPatients, Types: []fhir.ResourceType{"AuditEvent"}})
	x.work(w.now.Add(time.Minute))
	e, err := x.status(person("p"), id)
	if err != nil || !e.Done || len(e.Files) == 0 {
		t.Fatalf("%+v %v", e, err)
	}
	all := ""
	for _, f := range e.Files {
		all += string(x.pour(x.file(person("p"), id, f.Name), 0, 1<<40))
	}
	if strings.Contains(all, "Organization/A") || !strings.Contains(all, "Organization/K") {
		t.Errorf("the export says %s", all)
	}
}
