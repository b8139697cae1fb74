package mongo

import (
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// document is one version of one edition.
type document struct {
	// ID is "Observation/o1"; a row of several patients lies among the rows of
	// each, under "Observation/o1 p2" from the second on. A former version has
	// the edition before and the count behind.
	ID string `bson:"_id"`
	// N is the place in the order.
	N []byte `bson:"n"`
	// P is the patient among whose rows this document lies.
	P string `bson:"p"`
	// K says how the row is admitted.
	K kind `bson:"k"`
	// W is the class.
	W string `bson:"w"`
	// Owners are the patients, where they are several.
	Owners []string `bson:"o,omitempty"`
	// Labels are the labels that are not in the class.
	Labels      []string `bson:"l,omitempty"`
	Contributor string   `bson:"c,omitempty"`
	Version     string   `bson:"v"`
	// Count is how many versions of the edition there are, this one included;
	// Basics how many of the basic edition, on the full one.
	Count  int64 `bson:"i"`
	Basics int64 `bson:"j,omitempty"`
	// Updated is in milliseconds since 1970.
	Updated int64    `bson:"u"`
	Deleted bool     `bson:"d,omitempty"`
	Entries []string `bson:"x,omitempty"`
	JSON    []byte   `bson:"b,omitempty"`
	// Of is the resource that a former version is of, in its edition: "f
	// Observation/o1".
	Of string `bson:"f,omitempty"`
	// Type is set where the document is found among the changes of its type: on
	// every version of the full edition, once.
	Type string `bson:"t,omitempty"`
	// Replaced is when a former version was, in milliseconds since 1970.
	Replaced int64 `bson:"z,omitempty"`
	// record is what an event was read from.
	record []byte
}

const (
	// mostBytes is how large a document may be that the servers take (16 MiB),
	// with something to spare.
	mostBytes = 16<<20 - 64<<10
	// mostKeys bounds the entries of a row over all its owners, each of whom has
	// all of them: their product is what a write costs, while all others wait.
	mostKeys = 500_000
)

// fits reports whether the servers take the document. Its name for each entry
// grows with their number.
func (d *document) fits() bool {
	const around = 16
	size := len(d.JSON)
	for _, parts := range [][]string{d.Entries, d.Owners, d.Labels, {d.W, d.Contributor}} {
		for _, s := range parts {
			size += len(s) + around
		}
	}
	return size <= mostBytes && len(d.Entries)*max(1, len(d.Owners)) <= mostKeys
}

// kind says how a row is admitted. The zero value is the rule.
type kind int32

const (
	kindClassed kind = iota // by its class
	kindLoose               // by itself, before it counts
	kindCopy                // by itself; another document of the row is loose
)

func name(t fhir.ResourceType, id string) string { return string(t) + "/" + id }

// row is what the universe asks about.
func (d *document) row(t fhir.ResourceType) consent.Row {
	r := consent.Row{Type: t, Home: homeOf(d.W), Contributor: d.Contributor}
	if r.Home == consent.HomePatients {
		if r.Patients = slices.Clone(d.Owners); len(d.Owners) == 0 {
			r.Patients = []string{d.P}
		}
	}
	r.Labels = append(labelsOf(d.W), d.Labels...)
	return r
}

func (d *document) id() string {
	_, id, _ := strings.Cut(d.ID, "/")
	id, _, _ = strings.Cut(id, " ")
	return id
}

func (d *document) updated() time.Time { return time.UnixMilli(d.Updated).UTC() }

func (d *document) found(t fhir.ResourceType, id string, e consent.Edition) store.Found {
	return store.Found{
		Resource: fhir.Resource{Type: t, ID: id, Version: d.Version, Updated: d.updated(), JSON: d.JSON, Deleted: d.Deleted},
		Row:      d.row(t), Edition: e, Record: d.record,
	}
}

// A class is the letter of a home with the labels behind it, a line each.
const (
	classPatients   = "p"
	classShared     = "s"
	classQuarantine = "q"
)

func classOf(h consent.Home, labels []string) string {
	letter := classQuarantine
	switch h {
	case consent.HomePatients:
		letter = classPatients
	case consent.HomeShared:
		letter = classShared
	case consent.HomeQuarantine:
	}
	return strings.Join(append([]string{letter}, labels...), "\n")
}

func homeOf(class string) consent.Home {
	switch {
	case strings.HasPrefix(class, classPatients):
		return consent.HomePatients
	case strings.HasPrefix(class, classShared):
		return consent.HomeShared
	default:
		return consent.HomeQuarantine
	}
}

// severs reports whether a class could not be told from that of other labels: one
// of them has a line break, which R4 allows in a code.
func severs(labels []string) bool {
	return slices.ContainsFunc(labels, func(l string) bool { return strings.Contains(l, "\n") })
}

func labelsOf(class string) []string {
	if all := strings.Split(class, "\n"); len(all) > 1 {
		return all[1:]
	}
	return nil
}
