package relation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/relation"
	"vitrine/fhir"
)

const base = "https://nehr.example/fhir"

func ancestors(id string) []string {
	if id == "ward" {
		return []string{"hospital", "cluster"}
	}
	return nil
}

func day(d int) time.Time { return time.Date(2026, 8, d, 0, 0, 0, 0, time.FixedZone("SGT", 8*60*60)) }

func TestEncountersRegister(t *testing.T) {
	const provider = `"serviceProvider":{"reference":"Organization/ward"}`
	for name, row := range map[string]struct {
		src, contributor string
		want             consent.Registration
		ok               bool
	}{
		"in progress":       {`"status":"in-progress","period":{"start":"2026-08-02"},` + provider, "ward", consent.Registration{Organization: "ward"}, true},
		"planned":           {`"status":"planned",` + provider, "ward", consent.Registration{Organization: "ward"}, true},
		"by the custodian":  {`"status":"arrived",` + provider, "", consent.Registration{Organization: "ward"}, true},
		"by the cluster":    {`"status":"triaged",` + provider, "cluster", consent.Registration{Organization: "ward"}, true},
		"by somebody else":  {`"status":"onleave",` + provider, "clinic", consent.Registration{}, false},
		"finished":          {`"status":"finished","period":{"start":"2026-08-01","end":"2026-08-02"},` + provider, "ward", consent.Registration{Organization: "ward", Period: consent.Period{From: day(1), Until: day(10).Add(-1)}}, true},
		"begun and ended":   {`"status":"in-progress","period":{"start":"2026-08-01","end":"2026-08-02"},` + provider, "ward", consent.Registration{Organization: "ward", Period: consent.Period{Until: day(10).Add(-1)}}, true},
		"finished, no end":  {`"status":"finished","period":{"start":"2026-08-01"},` + provider, "ward", consent.Registration{}, false},
		"cancelled":         {`"status":"cancelled",` + provider, "ward", consent.Registration{}, false},
		"entered in error":  {`"status":"entered-in-error",` + provider, "ward", consent.Registration{}, false},
		"no status":         {provider, "ward", consent.Registration{}, false},
		"no provider":       {`"status":"planned"`, "ward", consent.Registration{}, false},
		"a practitioner":    {`"status":"planned","serviceProvider":{"reference":"Practitioner/ward"}`, "ward", consent.Registration{}, false},
		"bad period":        {`"status":"planned","period":{"end":"x"},` + provider, "ward", consent.Registration{}, false},
		"modifier":          {`"status":"planned","modifierExtension":[{"url":"x"}],` + provider, "ward", consent.Registration{}, false},
		"for an employer":   {`"status":"finished","period":{"end":"2026-08-02"},"type":[{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"Z02.1"}]}],` + provider, "ward", consent.Registration{}, false},
		"for an insurer":    {`"status":"planned","reasonCode":[{"coding":[{"code":"x"}]},{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-visit","code":"insurance-examination"}]}],` + provider, "ward", consent.Registration{}, false},
		"flagged by class":  {`"status":"planned","class":{"system":"https://vitrine.example/CodeSystem/nehr-purpose","code":"EMPLOYMENT"},` + provider, "ward", consent.Registration{}, false},
		"an ordinary class": {`"status":"planned","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},` + provider, "ward", consent.Registration{Organization: "ward"}, true},
	} {
		s := relation.Source{Base: base, Contributor: row.contributor, Ancestors: ancestors}
		got, ok := relation.FromEncounter(parse(t, `{"resourceType":"Encounter",`+row.src+`}`), s, 7*24*time.Hour)
		if diff := cmp.Diff(row.want, got); diff != "" || ok != row.ok {
			t.Errorf("%s: %v (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestEpisodesRegister(t *testing.T) {
	const manager = `"managingOrganization":{"reference":"https://nehr.example/fhir/Organization/a"}`
	for name, row := range map[string]struct {
		src, contributor string
		want             consent.Registration
		ok               bool
	}{
		"active":           {`"status":"active","period":{"start":"2026-08-01","end":"2026-08-31"},` + manager, "a", consent.Registration{Organization: "a", Period: consent.Period{From: day(1), Until: day(32).Add(-1)}}, true},
		"open":             {`"status":"active",` + manager, "", consent.Registration{Organization: "a"}, true},
		"finished":         {`"status":"finished",` + manager, "a", consent.Registration{}, false},
		"planned":          {`"status":"planned",` + manager, "a", consent.Registration{}, false},
		"by somebody else": {`"status":"active",` + manager, "b", consent.Registration{}, false},
		"for an employer":  {`"status":"active","type":[{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-visit","code":"employment-examination"}]}],` + manager, "a", consent.Registration{}, false},
	} {
		got, ok := relation.FromEpisode(parse(t, `{"resourceType":"EpisodeOfCare",`+row.src+`}`), relation.Source{Base: base, Contributor: row.contributor})
		if diff := cmp.Diff(row.want, got); diff != "" || ok != row.ok {
			t.Errorf("%s: %v (-want +got):\n%s", name, ok, diff)
		}
	}
	if _, ok := relation.FromEpisode(parse(t, `{"resourceType":"Encounter","status":"active",`+manager+`}`), relation.Source{Base: base}); ok {
		t.Error("an Encounter was read as an EpisodeOfCare")
	}
}

func TestGeneralPractitionersRegister(t *testing.T) {
	tape := parse(t, `{"resourceType":"Patient","generalPractitioner":[{"reference":"Organization/a"},{"reference":"Practitioner/x"},
		{"reference":"PractitionerRole/y"},{"display":"Dr Z"},{"reference":"https://elsewhere.example/Organization/q"},{"reference":"Organization/a"}]}`)
	works := func(ref string) []string {
		return map[string][]string{"Practitioner/x": {"a", "b"}, "PractitionerRole/y": {"ward"}}[ref]
	}
	for contributor, want := range map[string][]consent.Registration{
		"":        {{Organization: "a"}, {Organization: "b"}, {Organization: "ward"}},
		"a":       {{Organization: "a"}},
		"cluster": {{Organization: "ward"}},
		"clinic":  nil,
	} {
		got := relation.FromPatient(tape, relation.Source{Base: base, Contributor: contributor, Ancestors: ancestors}, works)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("contributed by %q (-want +got):\n%s", contributor, diff)
		}
	}
	if got := relation.FromPatient(tape, relation.Source{Base: base}, nil); len(got) != 1 {
		t.Errorf("without a directory: %v", got)
	}
}

func parse(t *testing.T, src string) *fhir.Tape {
	t.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	return &tape
}
