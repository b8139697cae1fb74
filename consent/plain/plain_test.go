package plain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/plain"
	"vitrine/fhir"
)

var (
	at   = time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	mine = plain.Reader{Patient: true}
)

// looked is an event of a doctor's.
func looked(change func(*audit.Event)) audit.Event {
	e := audit.Event{
		Recorded: at, Kind: audit.KindRest, Interaction: "search-type", Action: audit.ActionExecute, Patient: "p", Level: consent.Full,
		Agent: audit.Agent{
			Kind: consent.Practitioner, Issuer: "https://as.example", Subject: "sub-secret", Client: "client-secret", TokenID: "jti-secret",
			User: "PractitionerRole/r-secret", Practitioner: "Practitioner/x-secret", Name: "Dr Secret", Organization: "clinic-a",
			Roles:   []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
			Purpose: consent.Treatment, Address: "203.0.113.9",
		},
		Query: "GET /fhir/Observation?patient=p&code=secret&_revinclude=Provenance:target\nAccept: secret", RequestID: "request-secret",
		Glass: audit.Glass{Justification: "justification-secret"},
	}
	if change != nil {
		change(&e)
	}
	return e
}

func say(e audit.Event, l plain.Language, r plain.Reader) string {
	v := plain.VisitOf(&e, r)
	v.Name = map[string]string{"clinic-a": "Clinic A"}[v.Organization]
	return plain.NewSpeaker(l, r).Summary(&v)
}

func TestSummary(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*audit.Event)
		want   string
	}{
		{"search", nil, "A doctor of Clinic A looked at measurements and laboratory results and where information came from in your record, to treat you."},
		{"basic", func(e *audit.Event) { e.Level, e.Query = consent.Basic, "GET /fhir/Patient/p/AllergyIntolerance" }, "A doctor of Clinic A looked at allergies in your record, to treat you. Only the basic set was shown: the name, identity number, birth date, gender and race, and allergies and vaccinations."},
		{"read", func(e *audit.Event) {
			e.Interaction, e.Action, e.Query, e.Entities = "read", audit.ActionRead, "", []string{"Condition/c/_history/1"}
		}, "A doctor of Clinic A looked at diagnoses and problems in your record, to treat you."},
		{"everything", func(e *audit.Event) {
			e.Interaction, e.Query = "$everything", "GET /fhir/Patient/p/$everything?_count=2"
		}, "A doctor of Clinic A looked at all of your record, to treat you."},
		{"everything of a type", func(e *audit.Event) {
			e.Interaction, e.Query = "$everything", "GET /fhir/Patient/p/$everything?_type=Goal%2CFlag"
		}, "A doctor of Clinic A looked at goals of care and alerts in your record, to treat you."},
		{"an export", func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Query, e.Agent.Kind = audit.KindExport, "$export", audit.ActionRead, "GET /fhir/Patient/$export", consent.Representative
		}, "Somebody who acts for you took a copy of all of your record."},
		{"an export of a type", func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Query, e.Agent.Kind = audit.KindExport, "$export", audit.ActionRead, "GET /fhir/Patient/$export?_type=Goal", consent.Representative
		}, "Somebody who acts for you took a copy of goals of care in your record."},
		{"all types", func(e *audit.Event) { e.Interaction, e.Query = "search-system", "GET /fhir?patient=p" }, "A doctor of Clinic A looked at all of your record, to treat you."},
		{"glass", func(e *audit.Event) { e.Grant = "urn:uuid:secret" }, "A doctor of Clinic A looked at measurements and laboratory results and where information came from in your record in an emergency that set your restriction aside."},
		{"opened", func(e *audit.Event) { e.Kind, e.Grant = audit.KindBreakGlassStart, "urn:uuid:secret" }, "A doctor of Clinic A opened your record in an emergency. This is reviewed."},
		{"closed", func(e *audit.Event) { e.Kind, e.Grant = audit.KindBreakGlassStop, "urn:uuid:secret" }, "The emergency access of a doctor of Clinic A to your record ended."},
		{"refused", func(e *audit.Event) { e.Outcome, e.Reason = audit.OutcomeMinor, "no-relationship" }, "A doctor of Clinic A tried to look at measurements and laboratory results and where information came from in your record and was refused."},
		{"contributed", func(e *audit.Event) {
			e.Interaction, e.Action, e.Query, e.Entities, e.Agent.Kind = "create", audit.ActionCreate, "", []string{"Condition/c/_history/1"}, consent.System
		}, "The computer system of Clinic A added diagnoses and problems to your record."},
		{"a decision", func(e *audit.Event) {
			e.Interaction, e.Action, e.Query, e.Entities, e.Agent.Kind, e.Agent.User = "update", audit.ActionUpdate, "", []string{"Consent/c/_history/2"}, consent.Patient, "Patient/p"
		}, "You changed who may see your record."},
		{"oneself", func(e *audit.Event) { e.Agent.Kind, e.Agent.User = consent.Patient, "Patient/p" }, "You looked at measurements and laboratory results and where information came from in your record."},
		{"a relative", func(e *audit.Event) {
			e.Agent.Kind, e.Agent.User, e.Agent.Purpose = consent.Representative, "RelatedPerson/secret", consent.FamilyRequest
		}, "A relative who acts for you looked at measurements and laboratory results and where information came from in your record."},
		{"the auditor", func(e *audit.Event) { e.Agent.Kind, e.Kind = consent.Regulator, audit.KindAuditUse }, "An auditor of the Ministry of Health looked at who has seen your record."},
		{"a doctor after the record of access", func(e *audit.Event) {
			e.Kind, e.Level, e.Query = audit.KindAuditUse, consent.Basic, "GET /fhir/AuditEvent?patient=p"
		}, "A doctor of Clinic A asked who has seen your record, and was not shown."},
		{"a system after the record of access", func(e *audit.Event) {
			e.Kind, e.Agent.Kind, e.Outcome = audit.KindAuditUse, consent.System, audit.OutcomeMinor
		}, "The computer system of Clinic A tried to use your record and was refused."},
		{"a strange role", func(e *audit.Event) { e.Agent.Roles, e.Agent.Organization = nil, "nowhere" }, "A health professional of an organisation that is not named looked at measurements and laboratory results and where information came from in your record, to treat you."},
	} {
		e := looked(row.change)
		if got := say(e, plain.English, mine); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.name, got, row.want)
		}
	}
	e := looked(nil)
	if got, want := say(e, plain.English, plain.Reader{User: "RelatedPerson/r"}), "A doctor of Clinic A looked at measurements and laboratory results and where information came from in the patient's record, to treat the patient."; got != want {
		t.Errorf("to a representative:\ngot  %s\nwant %s", got, want)
	}
}

// TestNeverMoreThanPatientsMayKnow: whatever the event, no secret of it is in the
// words, nor an empty sentence, nor a part that was not put in.
func TestNeverMoreThanPatientsMayKnow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := looked(func(e *audit.Event) {
			e.Kind = audit.Kind(rapid.Uint8Range(0, uint8(audit.KindDecision)+2).Draw(t, "kind"))
			e.Agent.Kind = consent.Kind(rapid.Uint8Range(0, uint8(consent.Custodian)+1).Draw(t, "agent"))
			e.Agent.Purpose = consent.Purpose(rapid.Uint8().Draw(t, "purpose"))
			e.Level = consent.Level(rapid.Uint8Range(0, 5).Draw(t, "level"))
			e.Action = rapid.SampledFrom([]audit.Action{0, 'C', 'R', 'U', 'D', 'E'}).Draw(t, "action")
			e.Interaction = rapid.SampledFrom([]string{"", "read", "create", "update", "transaction", "search-system", "$access", "$break-glass", "$everything", "$made-up"}).Draw(t, "interaction")
			e.Outcome = rapid.SampledFrom([]audit.Outcome{0, 0, 4, 8}).Draw(t, "outcome")
			e.Grant = rapid.SampledFrom([]string{"", "urn:uuid:secret"}).Draw(t, "grant")
			e.Query = rapid.OneOf(rapid.Just(e.Query), rapid.String()).Draw(t, "query")
			e.Entities = rapid.SliceOfN(rapid.SampledFrom([]string{"Observation/o-secret/_history/1", "Consent/secret", "Nonsense/secret"}), 0, 3).Draw(t, "entities")
		})
		r := rapid.SampledFrom([]plain.Reader{mine, {}, {User: "RelatedPerson/r-secret"}}).Draw(t, "reader")
		for _, l := range []plain.Language{plain.English, plain.Chinese, plain.Malay, plain.Tamil, 77} {
			v := plain.VisitOf(&e, r)
			v.Name = "Clinic A"
			s := plain.NewSpeaker(l, r)
			for _, text := range []string{s.Summary(&v), s.By(&v), s.Profession(&v) + "-", s.Purpose(v.Purpose), s.View(v.Level), s.Type("Observation"), s.Type("Newtype"), s.Rest(), v.Who.Code(), string(v.Did)} {
				if text == "" || strings.Contains(text, "secret") || strings.Contains(text, "Secret") || strings.ContainsAny(text, "{}") || strings.Contains(text, "203.0.113.9") {
					t.Fatalf("language %d: %q of %+v", l, text, e)
				}
			}
		}
	})
}

func TestLanguages(t *testing.T) {
	for _, row := range []struct{ accept, want string }{
		{"", "en"},
		{"zh", "zh"},
		{"ms-SG,en;q=0.5", "ms"},
		{"en;q=0.5, ta;q=0.8", "ta"},
		{"fr, de", "en"},
		{"*", "en"},
		{"fr,*;q=0.1", "en"},
		{"zh;q=0, ms;q=0.1", "ms"},
		{"zh;q=x, ms", "ms"},
		{"ZH-Hans-SG", "zh"},
		{strings.Repeat("fr,", 100) + "zh", "en"},
	} {
		if got := plain.Choose(row.accept).Tag(); got != row.want {
			t.Errorf("%.40q: %s, want %s", row.accept, got, row.want)
		}
	}
	s := plain.NewSpeaker(plain.Chinese, mine)
	if got := s.Type("AllergyIntolerance"); got != "过敏" || s.Languages() != "zh" {
		t.Errorf("%s in %s", got, s.Languages())
	}
	e := looked(nil)
	v := plain.VisitOf(&e, mine)
	if got := s.Summary(&v); !strings.HasPrefix(got, "A doctor of ") || s.Languages() != "zh, en" {
		t.Errorf("half and half, or untold: %s in %s", got, s.Languages())
	}
}

// TestFoldLosesNothing: the visits of a page are as many accesses as were taken,
// and between them have all their data, at all their times.
func TestFoldLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := plain.Fold{Within: rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "within"), Most: rapid.IntRange(1, 6).Draw(t, "most")}
		when, taken := at, 0
		seen := map[fhir.ResourceType]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			when = when.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			e := looked(func(e *audit.Event) {
				e.Recorded = when
				e.Agent.Practitioner = rapid.SampledFrom([]string{"Practitioner/1", "Practitioner/2"}).Draw(t, "person")
				e.Level = rapid.SampledFrom([]consent.Level{consent.Basic, consent.Full}).Draw(t, "level")
				e.Query = "GET /fhir/" + rapid.SampledFrom([]string{"Observation", "Condition", "Flag"}).Draw(t, "type")
			})
			v := plain.VisitOf(&e, mine)
			if !f.Add(v, &e.Agent) {
				break
			}
			taken++
			seen[v.Data[0]] = true
		}
		count, told := 0, map[fhir.ResourceType]bool{}
		for i, v := range f.Visits {
			count += v.Count
			for _, typ := range v.Data {
				told[typ] = true
			}
			if v.Until.Sub(v.From) > f.Within || v.Until.Before(v.From) || v.Count > 1 && f.Within == 0 {
				t.Fatalf("a visit of %s, from %s until %s", v.Until.Sub(v.From), v.From, v.Until)
			}
			if i > 0 && v.Until.After(f.Visits[i-1].Until) {
				t.Fatal("not the newest first")
			}
		}
		if count != taken || len(f.Visits) > f.Most {
			t.Fatalf("%d accesses in %d visits, of %d", count, len(f.Visits), taken)
		}
		if diff := cmp.Diff(seen, told); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestFirstAccess: the day is that of Singapore, and nothing is said of what was
// looked at.
func TestFirstAccess(t *testing.T) {
	for name, want := range map[string]string{
		"Clinic A": "Clinic A looked at your record for the first time on 2 September 2026.",
		"{date}":   "{date} looked at your record for the first time on 2 September 2026.",
		"":         "An organisation that is not named looked at your record for the first time on 2 September 2026.",
	} {
		if got := plain.NewSpeaker(plain.English, mine).FirstAccess(name, at.Add(6*time.Hour)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
