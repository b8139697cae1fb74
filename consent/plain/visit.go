package plain

import (
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
)

// Who is in which capacity somebody came. The zero value is nobody that is known.
type Who uint8

// The capacities.
const (
	WhoUnknown Who = iota
	// WhoYou is whoever reads.
	WhoYou
	// WhoPatient is the patient, where somebody else reads.
	WhoPatient
	// WhoRepresentative acts for the patient.
	WhoRepresentative
	// WhoProfessional is a natural person who acts for an organisation.
	WhoProfessional
	// WhoSystem is the computer system of an organisation.
	WhoSystem
	// WhoMinistry is the ministry's auditor, and WhoKeeper who keeps the record.
	WhoMinistry
	WhoKeeper
)

// Code is the capacity as a code of nehr-who.
func (w Who) Code() string {
	switch w {
	case WhoYou:
		return "you"
	case WhoPatient:
		return "patient"
	case WhoRepresentative:
		return "representative"
	case WhoProfessional:
		return "professional"
	case WhoSystem:
		return "system"
	case WhoMinistry:
		return "ministry"
	case WhoKeeper:
		return "keeper"
	case WhoUnknown:
		return "unknown"
	default:
		return "unknown"
	}
}

// Deed is what was done. The zero value is something else than the rest.
type Deed string

// The deeds; each is its own code.
const (
	DeedOther    Deed = "other"
	DeedLooked   Deed = "looked"
	DeedAdded    Deed = "added"
	DeedChanged  Deed = "changed"
	DeedDeleted  Deed = "deleted"
	DeedDecided  Deed = "decided"  // who may see the record
	DeedOpened   Deed = "opened"   // by breaking the glass
	DeedClosed   Deed = "closed"   // what was opened so
	DeedHistory  Deed = "history"  // looked at who looked
	DeedSought   Deed = "sought"   // who looked, and was not shown
	DeedExported Deed = "exported" // took a copy
	DeedReviewed Deed = "reviewed" // an emergency access
	DeedNotified Deed = "notified"
	DeedAsked    Deed = "asked" // what may be seen
)

// Visit is one access, or several that are told as one.
type Visit struct {
	// From and Until are when the first and the last of them was, and Count how many
	// they were.
	From, Until time.Time
	Count       int
	Who         Who
	// Organization is the id of the organisation that is named, and Name what it is
	// called; empty for none.
	Organization, Name string
	Roles              []fhir.Coding
	Purpose            consent.Purpose
	Did                Deed
	// Data are the kinds of data; Whole says that it was the record as a whole.
	Data  []fhir.ResourceType
	Whole bool
	// Emergency says that the glass was broken for it.
	Emergency bool
	Refused   bool
	Level     consent.Level
}

// VisitOf is an event as the reader is told of it. Names are yet to be put in.
func VisitOf(e *audit.Event, r Reader) Visit {
	v := Visit{
		From: e.Recorded, Until: e.Recorded, Count: 1, Who: whoOf(&e.Agent, r), Organization: e.Agent.Told(),
		Purpose: e.Agent.Purpose, Did: deedOf(e), Level: e.Level,
		Emergency: e.Grant != "" && e.Outcome == audit.OutcomeSuccess, Refused: e.Outcome != audit.OutcomeSuccess,
	}
	if v.Emergency {
		v.Purpose = consent.BreakGlass
	}
	switch v.Who {
	case WhoProfessional:
		v.Roles = e.Agent.Roles
	case WhoSystem:
	case WhoUnknown, WhoYou, WhoPatient, WhoRepresentative, WhoMinistry, WhoKeeper:
		v.Organization = ""
	}
	v.Data, v.Whole = dataOf(e)
	return v
}

func whoOf(a *audit.Agent, r Reader) Who {
	switch a.Kind {
	case consent.Patient:
		if r.Patient {
			return WhoYou
		}
		return WhoPatient
	case consent.Representative:
		if r.User != "" && r.User == a.User {
			return WhoYou
		}
		return WhoRepresentative
	case consent.Practitioner:
		return WhoProfessional
	case consent.System:
		return WhoSystem
	case consent.Regulator:
		return WhoMinistry
	case consent.Custodian:
		return WhoKeeper
	case consent.Nobody:
		return WhoUnknown
	default:
		return WhoUnknown
	}
}

func deedOf(e *audit.Event) Deed {
	switch e.Kind {
	case audit.KindBreakGlassStart:
		return DeedOpened
	case audit.KindBreakGlassStop:
		return DeedClosed
	case audit.KindConsentChange:
		return DeedDecided
	case audit.KindExport:
		return DeedExported
	case audit.KindReview:
		return DeedReviewed
	case audit.KindNotice:
		return DeedNotified
	case audit.KindAuditUse:
		return historyDeed(e.Agent.Kind)
	case audit.KindRest:
		return interactionDeed(e)
	case audit.KindDirective, audit.KindRoleChange, audit.KindAuthentication, audit.KindOnboarding, audit.KindDecision:
		return DeedOther
	default:
		return DeedOther
	}
}

// historyDeed tells who is shown the record of access from who may ask for it, and
// finds nothing: providers are never shown it (ACCESS §6).
func historyDeed(k consent.Kind) Deed {
	if k.IsProvider() {
		return DeedSought
	}
	return DeedHistory
}

// ToldBeside reports whether an event says of a write of a Consent by itself what
// that means for access: the event of the write is told so. Within a transaction that
// is told as a change of all that was written.
func ToldBeside(e *audit.Event) bool { return e.Kind == audit.KindConsentChange && writes(e.Action) }

func writes(a audit.Action) bool {
	return a == audit.ActionCreate || a == audit.ActionUpdate || a == audit.ActionDelete
}

// decides reports whether the event is that of a write of Consents and of nothing
// else.
func decides(e *audit.Event) bool {
	return writes(e.Action) && len(e.Entities) > 0 &&
		!slices.ContainsFunc(e.Entities, func(ref string) bool { return !strings.HasPrefix(ref, "Consent/") })
}

func interactionDeed(e *audit.Event) Deed {
	if decides(e) {
		return DeedDecided
	}
	switch code := e.Interaction; code {
	case "$break-glass":
		return DeedOpened
	case "$break-glass-stop":
		return DeedClosed
	case "$access", "$simulate", "$explain", "$validate":
		return DeedAsked
	case "transaction", "batch":
		return DeedChanged
	}
	switch e.Action {
	case audit.ActionCreate:
		return DeedAdded
	case audit.ActionUpdate:
		return DeedChanged
	case audit.ActionDelete:
		return DeedDeleted
	case audit.ActionRead, audit.ActionExecute:
		return DeedLooked
	default:
		return DeedOther
	}
}

// Fold makes one visit of those that follow each other within Within and differ in
// nothing but when they were and what data they were about. It is given events the
// newest first. Nothing is lost by it: a visit says how many accesses it is.
type Fold struct {
	// Within is how long a visit lasts at most; zero folds nothing.
	Within time.Duration
	// Most is how many visits there may be.
	Most   int
	Visits []Visit
	newest map[sameness]int
}

// sameness is what the accesses of one visit have in common. The person is part of
// it, and is not told.
type sameness struct {
	who          Who
	person       string
	organization string
	purpose      consent.Purpose
	did          Deed
	emergency    bool
	refused      bool
	level        consent.Level
}

// Add takes a visit of one event, and the agent of that event; it reports whether
// there was room for it.
func (f *Fold) Add(v Visit, a *audit.Agent) bool {
	k := sameness{
		who: v.Who, person: strings.Join([]string{a.User, a.Practitioner, a.Issuer, a.Subject}, "\n"), organization: v.Organization,
		purpose: v.Purpose, did: v.Did, emergency: v.Emergency, refused: v.Refused, level: v.Level,
	}
	if i, ok := f.newest[k]; ok && f.Within > 0 && f.Visits[i].Until.Sub(v.From) <= f.Within {
		f.Visits[i].join(&v)
		return true
	}
	if len(f.Visits) >= f.Most {
		return false
	}
	if f.newest == nil {
		f.newest = make(map[sameness]int)
	}
	f.newest[k] = len(f.Visits)
	f.Visits = append(f.Visits, v)
	return true
}

// join adds an earlier access.
func (v *Visit) join(earlier *Visit) {
	v.From, v.Count = earlier.From, v.Count+earlier.Count
	v.Whole = v.Whole || earlier.Whole
	for _, t := range earlier.Data {
		if !slices.Contains(v.Data, t) {
			v.Data = append(v.Data, t)
		}
	}
}
