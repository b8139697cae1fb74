package gate

import (
	"context"
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/consent/relation"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// linkedMost is how many records of one person are followed by Patient.link.
const linkedMost = 32

// keyPatient is the epoch of the facts about one patient.
func keyPatient(id string) string { return "Patient/" + id }

// bearsOnFacts reports whether resources of the type are read for facts, so
// that writing one changes the epoch of its patients.
func bearsOnFacts(t fhir.ResourceType) bool {
	switch t {
	case "Patient", "Consent", "EpisodeOfCare", "Encounter", "RelatedPerson", "Task":
		return true
	default:
		return false
	}
}

// facts are what is on file about the patient. All look-ups are made whether
// or not the patient exists, so that time does not tell.
func (v *view) facts(ctx context.Context, patient string) (*consent.Facts, error) {
	if f, ok := v.g.facts.get(patient, v.snap, v.now); ok {
		return f, nil
	}
	l := &factsLoad{view: v, facts: &consent.Facts{Patient: patient}}
	v.gathered = append(v.gathered, patient)
	if err := l.run(ctx); err != nil {
		return nil, err
	}
	if fhir.ValidID(patient) { // any text may be asked for, of any length
		v.g.facts.put(patient, l.facts, l.basis)
	}
	return l.facts, nil
}

// factsLoad is the gathering of the facts about one patient.
type factsLoad struct {
	*view
	facts *consent.Facts
	basis basis
}

func (l *factsLoad) run(ctx context.Context) error {
	l.basis.on(l.snap, keyPatient(l.facts.Patient))
	links, err := l.patient(ctx)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{l.episodes, l.encounters, l.grants, l.representatives} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return l.restrictions(ctx, links)
}

// patient reads the Patient: whether it is there, whom it names as its general
// practitioners, and the links it makes.
func (l *factsLoad) patient(ctx context.Context) (links []string, err error) {
	exists, err := l.read(ctx, "Patient", l.facts.Patient, func(f store.Found, t *fhir.Tape) error {
		links = l.g.links(f.Contributor, t)
		if !l.vouched(f) {
			return nil
		}
		var failure error
		registrations := relation.FromPatient(t, l.source(ctx, f, &failure), func(ref string) []string {
			ids, err := l.workplaces(ctx, &l.basis, ref)
			if err != nil {
				failure = err
			}
			return ids
		})
		l.facts.Registrations = append(l.facts.Registrations, registrations...)
		return failure
	})
	l.facts.Exists = exists
	return links, err
}

// links are the ids of the Patients that a Patient is linked to. Only the
// custodian's link records: by one that a contributor made up it would learn
// whether somebody has a restriction whom it cares for in no way.
func (g *Gate) links(contributor string, t *fhir.Tape) []string {
	if contributor != "" {
		return nil
	}
	var ids []string
	elements(t, t.Root(), "link", func(n fhir.Node) {
		if r := g.reference(t, t.Field(n, "other")); r.Type == "Patient" {
			ids = append(ids, r.ID)
		}
	})
	return ids
}

// source is where a row came from, as relation asks.
func (l *factsLoad) source(ctx context.Context, f store.Found, failure *error) relation.Source {
	return relation.Source{Base: l.g.cfg.BaseURL, Contributor: f.Contributor, Ancestors: func(id string) []string {
		l.basis.on(l.snap, keyDirectory)
		line, err := l.lineage(ctx, id)
		if err != nil {
			*failure = err
			return nil
		}
		if line.broken && len(line.ids) > 1 {
			return line.ids[:1]
		}
		return line.ids
	}}
}

// own reports whether the row belongs to the patient, for certain.
func (l *factsLoad) own(f store.Found) bool {
	return f.Home == consent.HomePatients && slices.Contains(f.Patients, l.facts.Patient)
}

// vouched reports whether the row may register its patient.
func (l *factsLoad) vouched(f store.Found) bool {
	return l.own(f) && !slices.Contains(f.Labels, consent.LabelHearsay)
}

func (l *factsLoad) episodes(ctx context.Context) error {
	clauses := []search.Clause{l.of("EpisodeOfCare"), l.g.coded("EpisodeOfCare", "status", fhir.Coding{Code: "active"})}
	return l.each(ctx, "EpisodeOfCare", clauses, func(f store.Found, t *fhir.Tape) error {
		var failure error
		if r, ok := relation.FromEpisode(t, l.source(ctx, f, &failure)); ok && l.vouched(f) {
			l.facts.Registrations = append(l.facts.Registrations, r)
		}
		return failure
	})
}

// encounters reads those that can still count: what is going on, and what
// ended within the grace period.
func (l *factsLoad) encounters(ctx context.Context) error {
	with := func(f store.Found, t *fhir.Tape) error {
		var failure error
		if r, ok := relation.FromEncounter(t, l.source(ctx, f, &failure), l.g.cfg.Grace); ok && l.vouched(f) {
			l.facts.Registrations = append(l.facts.Registrations, r)
		}
		return failure
	}
	underway := l.g.coded("Encounter", "status", fhir.Coding{Code: "planned"}, fhir.Coding{Code: "arrived"},
		fhir.Coding{Code: "triaged"}, fhir.Coding{Code: "in-progress"}, fhir.Coding{Code: "onleave"})
	if err := l.each(ctx, "Encounter", []search.Clause{l.of("Encounter"), underway}, with); err != nil {
		return err
	}
	// A day more than the grace period, because a partial date may mean less.
	since := l.now.Add(-l.g.cfg.Grace - 24*time.Hour)
	q, refusal := l.g.tools.Parser.Parse("Encounter", []search.Pair{
		{Name: "status", Value: "finished"},
		{Name: "date", Value: "ge" + fhir.FormatInstant(since)},
	}, false)
	if refusal != nil {
		return refusal
	}
	return l.each(ctx, "Encounter", append(q.Clauses, l.of("Encounter")), with)
}

// of is the clause that a resource of the type is about the patient.
func (l *factsLoad) of(t fhir.ResourceType) search.Clause {
	return l.g.refers(t, "patient", "Patient/"+l.facts.Patient)
}

// grants reads the review Tasks, which hold the break-glass grants.
func (l *factsLoad) grants(ctx context.Context) error {
	clauses := []search.Clause{l.of("Task"), l.g.oversight("Task")}
	return l.each(ctx, "Task", clauses, func(f store.Found, t *fhir.Tape) error {
		if k, ok := l.g.grantOf(t); ok && l.own(f) && isOversight(f) {
			l.facts.Grants = append(l.facts.Grants, k)
		}
		return nil
	})
}

// representatives reads those whom the registry lets act for the patient: only
// what the custodian keeps confers authority.
func (l *factsLoad) representatives(ctx context.Context) error {
	return l.each(ctx, "RelatedPerson", []search.Clause{l.of("RelatedPerson")}, func(f store.Found, t *fhir.Tape) error {
		a, p, ok := relation.FromRelatedPerson(t)
		if f.Contributor != "" || !l.own(f) || !ok {
			return nil
		}
		switch {
		case p.Contains(l.now):
			l.facts.Representatives = append(l.facts.Representatives, consent.Delegate{User: "RelatedPerson/" + f.ID, Authority: a})
			if !p.Until.IsZero() {
				l.basis.within(p.Until.Add(time.Nanosecond))
			}
		case l.now.Before(p.From):
			l.basis.within(p.From)
		}
		return nil
	})
}

// restrictions reads the Consents of the patient and of every record linked to
// it. When they cannot be read, the patient's wish is not known: the basic set
// is all there is (ACCESS §3).
func (l *factsLoad) restrictions(ctx context.Context, links []string) error {
	err := l.consents(ctx, links)
	if err == nil || ctx.Err() != nil {
		return err
	}
	l.basis.loose = true
	l.facts.Unreadable = true
	l.g.log.ErrorContext(ctx, "consents could not be read; releasing the basic set at most", "alert", "consent-unreadable")
	return nil
}

func (l *factsLoad) consents(ctx context.Context, links []string) error {
	people := []string{l.facts.Patient}
	for i := 0; i < len(people); i++ {
		if i > 0 {
			l.basis.on(l.snap, keyPatient(people[i]))
		}
		next, err := l.linked(ctx, people[i], links, i == 0)
		if err != nil {
			return err
		}
		for _, id := range next {
			if !slices.Contains(people, id) {
				people = append(people, id)
			}
		}
		if len(people) > linkedMost {
			l.facts.Unreadable = true
			return nil
		}
	}
	for _, id := range people {
		if err := l.consentsOf(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// linked are the records linked to one, in both directions.
func (l *factsLoad) linked(ctx context.Context, id string, known []string, first bool) ([]string, error) {
	ids := known
	if !first {
		ids = nil
		if _, err := l.read(ctx, "Patient", id, func(f store.Found, t *fhir.Tape) error {
			ids = l.g.links(f.Contributor, t)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	err := l.each(ctx, "Patient", []search.Clause{l.g.refers("Patient", "link", "Patient/"+id)},
		func(f store.Found, _ *fhir.Tape) error {
			if f.Contributor == "" {
				ids = append(ids, f.ID)
			}
			return nil
		})
	return ids, err
}

func (l *factsLoad) consentsOf(ctx context.Context, patient string) error {
	clauses := []search.Clause{l.g.refers("Consent", "patient", "Patient/"+patient)}
	return l.each(ctx, "Consent", clauses, func(f store.Found, t *fhir.Tape) error {
		r, _ := restriction.Compile(t, l.g.tools.Definitions, l.g.cfg.BaseURL, versioned(f.Resource))
		if err := l.resolveActors(ctx, &r); err != nil {
			return err
		}
		if r.Malformed && !r.Inert {
			l.g.log.WarnContext(ctx, "a consent on file is in doubt; releasing the basic set at most",
				"alert", "consent-malformed", "consent", r.Version[0])
		}
		l.facts.Restrictions = append(l.facts.Restrictions, r)
		return nil
	})
}

// resolveActors puts a restriction in doubt that denies somebody who is not on
// file: what was to be hidden from whom is not known (DOSSIER §7.5).
func (l *factsLoad) resolveActors(ctx context.Context, r *consent.Restriction) error {
	var failure error
	r.Names(func(a consent.Actor, e consent.Effect) bool {
		if e == consent.Permit {
			return true
		}
		l.basis.on(l.snap, keyDirectory)
		ref := fhir.ParseReference(a.Reference(), l.g.cfg.BaseURL)
		found, err := l.read(ctx, ref.Type, ref.ID, func(store.Found, *fhir.Tape) error { return nil })
		if err != nil {
			failure = err
			return false
		}
		r.Malformed = r.Malformed || !found
		return !r.Malformed
	})
	return failure
}

// versioned names one version of a resource.
func versioned(r fhir.Resource) string {
	return string(r.Type) + "/" + r.ID + "/_history/" + r.Version
}
