package consent

import (
	"context"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// Decider works out what a caller may see of one patient, at the snapshot and
// the moment it was made for. It is asked at most once per patient and request;
// an error ends the request.
type Decider func(ctx context.Context, patient string) (Decision, error)

type reach uint8

const (
	reachNothing    reach = iota // the zero value: nothing exists
	reachPatients                // the patients listed
	reachCandidates              // the patients found by the links
	reachAnyPatient              // every patient, each decided
	reachEverything              // the whole store, undecided (custodian, regulator)
	reachOwn                     // what one organisation contributed
	reachCommon                  // what the custodian keeps for all
)

// Universe is what exists for one caller in one request. A store answers reads,
// searches and counts from it alone. The zero value is empty. It is not safe
// for concurrent use.
type Universe struct {
	reach       reach
	patients    []string
	links       []search.Match
	where       func(Row) bool // nil: no limit
	parts       func(fhir.ResourceType) (alternatives [][]search.Clause, narrowed bool)
	shared      func(fhir.ResourceType) bool
	contributor string
	decide      Decider
	// one is the first decision; most requests need no other.
	one     string
	first   Decision
	any     bool
	decided map[string]Decision
}

// OfPatients is the universe of the patients listed, each at the level decide
// gives, and of the shared types.
func OfPatients(patients []string, shared func(fhir.ResourceType) bool, decide Decider) *Universe {
	return &Universe{reach: reachPatients, patients: patients, shared: shared, decide: decide}
}

// OfCandidates is the universe of the patients who own a resource that any of
// the links matches (in its full edition), each at the level decide gives, and
// of the shared types.
func OfCandidates(links []search.Match, shared func(fhir.ResourceType) bool, decide Decider) *Universe {
	return &Universe{reach: reachCandidates, links: links, shared: shared, decide: decide}
}

// OfAnyPatient is the universe of every patient at the level decide gives: for
// deployments that do not require a care relationship.
func OfAnyPatient(shared func(fhir.ResourceType) bool, decide Decider) *Universe {
	return &Universe{reach: reachAnyPatient, shared: shared, decide: decide}
}

// Everything is the custodian's universe: every full edition, quarantine
// included.
func Everything() *Universe { return &Universe{reach: reachEverything} }

// OfContributor is what one organisation contributed, whoever it is about, in
// its full edition. Only conditions of that organisation's own writes are
// answered from it.
func OfContributor(organization string) *Universe {
	return &Universe{reach: reachOwn, contributor: organization}
}

// OfCustodian is what the custodian itself keeps that belongs to no patient: the
// directory and the definitions. What others contributed is passed by unseen, so
// that however much that is, nothing takes longer.
func OfCustodian() *Universe { return &Universe{reach: reachCommon} }

// Where narrows the universe to the rows for which keep holds. It is told the
// type, the home and the labels of a row and no more: a store may ask once for
// all rows that have them in common. What was left out before stays out.
func (u *Universe) Where(keep func(Row) bool) *Universe {
	if before := u.where; before != nil {
		u.where = func(r Row) bool { return before(r) && keep(r) }
		return u
	}
	u.where = keep
	return u
}

// Parted narrows the universe further to parts of types: of a type that is narrowed
// there is only that for which every clause of one of the alternatives holds. It is
// the gate that sees to it, which asks a store nothing but what has the alternatives
// in it; a store knows nothing of it.
func (u *Universe) Parted(parts func(fhir.ResourceType) (alternatives [][]search.Clause, narrowed bool)) *Universe {
	u.parts = parts
	return u
}

// Part is what there is of a type, when it is narrowed.
func (u *Universe) Part(t fhir.ResourceType) (alternatives [][]search.Clause, narrowed bool) {
	if u == nil || u.parts == nil {
		return nil, false
	}
	return u.parts(t)
}

// Keeps reports whether Where leaves rows of the type and the home that have no
// labels in the universe. When it does not, no decision brings them back.
func (u *Universe) Keeps(t fhir.ResourceType, h Home) bool {
	return u != nil && u.reach != reachNothing && (u.where == nil || u.where(Row{Type: t, Home: h}))
}

// IsEverything reports whether rows are admitted without a decision.
func (u *Universe) IsEverything() bool { return u != nil && u.reach == reachEverything }

// IsWhole reports whether every row is admitted, whatever it is.
func (u *Universe) IsWhole() bool { return u.IsEverything() && u.where == nil }

// Contributor is the organisation whose contributions make up the universe, none for
// the custodian's; ok is false for every other universe.
func (u *Universe) Contributor() (organization string, ok bool) {
	switch {
	case u == nil:
		return "", false
	case u.reach == reachCommon:
		return "", true
	case u.reach != reachOwn || u.contributor == "":
		return "", false
	default:
		return u.contributor, true
	}
}

// Patients are the patients to whom the universe is confined; ok is false when
// it is not confined to a list.
func (u *Universe) Patients() (ids []string, ok bool) {
	if u == nil || u.reach == reachNothing {
		return nil, true
	}
	return u.patients, u.reach == reachPatients
}

// Links are the matches whose owners are the candidate patients; ok is false
// when the universe has no such links.
func (u *Universe) Links() (links []search.Match, ok bool) {
	if u == nil {
		return nil, false
	}
	return u.links, u.reach == reachCandidates
}

// Row is what a store knows of a resource when it asks whether it is admitted.
type Row struct {
	Type fhir.ResourceType
	// Home says where the row belongs; the zero value is quarantine.
	Home Home
	// Patients own the row when Home is HomePatients: each must admit it.
	Patients []string
	// Contributor is the id of the Organization that contributed the row.
	Contributor string
	// Labels are the security labels of the row, "system|code".
	Labels []string
}

// Home says to whom a resource belongs.
type Home uint8

// The homes. The zero value hides.
const (
	// HomeQuarantine: its patient is not known (yet). Invisible to all but the
	// custodian and, for its own writes, its contributor.
	HomeQuarantine Home = iota
	// HomePatients: it belongs to one or more patients.
	HomePatients
	// HomeShared: directory and definitions; no patient content.
	HomeShared
)

// Admit says in which edition the row exists in this universe; zero when it
// does not exist. Every patient who owns the row must admit it, and where there
// are several, each in full.
func (u *Universe) Admit(ctx context.Context, r Row) (Edition, error) {
	if u == nil || (u.where != nil && !u.where(Row{Type: r.Type, Home: r.Home, Labels: r.Labels})) {
		return 0, nil
	}
	switch u.reach {
	case reachEverything:
		return EditionFull, nil
	case reachOwn:
		if u.contributor != "" && r.Contributor == u.contributor {
			return EditionFull, nil
		}
		return 0, nil
	case reachCommon:
		if r.Contributor == "" && r.Home == HomeShared {
			return EditionFull, nil
		}
		return 0, nil
	case reachPatients, reachCandidates, reachAnyPatient:
		return u.admitDecided(ctx, r)
	case reachNothing:
		return 0, nil
	default:
		return 0, nil
	}
}

func (u *Universe) admitDecided(ctx context.Context, r Row) (Edition, error) {
	switch r.Home {
	case HomeShared:
		if u.shared != nil && u.shared(r.Type) {
			return EditionFull, nil
		}
		return 0, nil
	case HomePatients:
		var common Edition
		for i, p := range r.Patients {
			d, err := u.Decide(ctx, p)
			if err != nil {
				return 0, err
			}
			e := d.Edition(r.Type, r.Labels)
			if e == 0 || (i > 0 && e != common) || (len(r.Patients) > 1 && e != EditionFull) {
				return 0, nil
			}
			common = e
		}
		return common, nil
	case HomeQuarantine:
		return 0, nil
	default:
		return 0, nil
	}
}

// Decide is the memoised decision about one patient. A universe that does not
// decide admits no patient by it.
func (u *Universe) Decide(ctx context.Context, patient string) (Decision, error) {
	if u == nil || u.decide == nil {
		return Decision{}, nil
	}
	if u.any && u.one == patient {
		return u.first, nil
	}
	if d, ok := u.decided[patient]; ok {
		return d, nil
	}
	d, err := u.decide(ctx, patient)
	if err != nil {
		return Decision{}, err
	}
	if !u.any {
		u.one, u.first, u.any = patient, d, true
		return d, nil
	}
	if u.decided == nil {
		u.decided = make(map[string]Decision)
	}
	u.decided[patient] = d
	return d, nil
}
