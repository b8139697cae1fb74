package audit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class is for how long the record of an event is kept, together with others of the
// same weight. The zero value is the one that is kept longest.
type Class uint8

// The classes.
const (
	// ClassOverride is what went on while a glass was broken: its start, its end, its
	// review, and every access under it.
	ClassOverride Class = iota
	// ClassRights is who changed what somebody may see or do: Consents, directives,
	// roles, onboarding, and what was decided by a Consent.
	ClassRights
	// ClassSecurity is signing in, tokens, use of the log itself, copies on their way
	// out, and notices.
	ClassSecurity
	// ClassAccess is every other interaction.
	ClassAccess
)

// classes are the names of the classes, in their order.
func classes() []string { return []string{"break-glass", "rights", "security", "access"} }

func (c Class) String() string {
	if int(c) < len(classes()) {
		return classes()[c]
	}
	return classes()[0]
}

// Class is the class of an event. A kind that is not known is kept longest.
func (e *Event) Class() Class {
	if e.Grant != "" {
		return ClassOverride
	}
	switch e.Kind {
	case KindRest:
		return ClassAccess
	case KindAuthentication, KindAuditUse, KindExport, KindNotice:
		return ClassSecurity
	case KindConsentChange, KindDirective, KindRoleChange, KindOnboarding, KindDecision:
		return ClassRights
	case KindBreakGlassStart, KindBreakGlassStop, KindReview:
		return ClassOverride
	default:
		return ClassOverride
	}
}

// Retention is for how many years the records of each class are kept. The zero value
// keeps everything for ever.
type Retention struct{ years [4]int }

// leastYears is what no deployment may go below, and usualYears the default: records
// of care are commonly kept for six or seven years after they were made, and for
// those of a child until it has been of age for as long.
var (
	leastYears = [4]int{7, 7, 2, 6}   //nolint:gochecknoglobals // never changes
	usualYears = [4]int{21, 21, 7, 7} //nolint:gochecknoglobals // never changes
)

// mostYears is more than anybody means.
const mostYears = 200

// ErrRetention says that it is not said how long to keep records, or shorter than
// allowed.
var ErrRetention = errors.New("retention")

// DefaultRetention is what holds where nothing is said.
func DefaultRetention() Retention { return Retention{usualYears} }

// ParseRetention reads "access=7,break-glass=21": years by class. What is not named
// is kept as by default.
func ParseRetention(text string) (Retention, error) {
	r := DefaultRetention()
	if strings.TrimSpace(text) == "" {
		return r, nil
	}
	seen := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		class := slices.Index(classes(), name)
		if !ok || class < 0 || seen[class] {
			return Retention{}, fmt.Errorf("%w: want CLASS=YEARS, once for each of %s", ErrRetention, strings.Join(classes(), ", "))
		}
		seen[class] = true
		years, err := strconv.Atoi(value)
		if err != nil || years > mostYears {
			return Retention{}, fmt.Errorf("%w: %s: want a number of years, at most %d", ErrRetention, name, mostYears)
		}
		if years < leastYears[class] {
			return Retention{}, fmt.Errorf("%w: %s: records of this class are kept for %d years at least", ErrRetention, name, leastYears[class])
		}
		r.years[class] = years
	}
	return r, nil
}

// String is what ParseRetention reads.
func (r Retention) String() string {
	parts := make([]string, 0, len(r.years))
	for class, years := range r.years {
		parts = append(parts, classes()[class]+"="+strconv.Itoa(years))
	}
	return strings.Join(parts, ",")
}

// Over reports whether a record need not be kept any longer. One that cannot be read
// is kept.
func (r Retention) Over(record []byte, now time.Time) bool {
	e, err := Decode(record)
	if err != nil || e.Recorded.IsZero() {
		return false
	}
	years := r.years[ClassOverride]
	if c := e.Class(); int(c) < len(r.years) {
		years = r.years[c]
	}
	return years > 0 && e.Recorded.AddDate(years, 0, 0).Before(now)
}
