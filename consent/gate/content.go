package gate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/search"
	"vitrine/store"
)

// draft is a resource that is about to be stored, understood: all that can be
// worked out before the store's one writer is held up.
type draft struct {
	typ  fhir.ResourceType
	tape *fhir.Tape
	// id is that under which it will be stored; empty until it is known.
	id     string
	owners compartment.Owners
	labels []string
	// basic is the basic edition without its stamp; nil when the type has none.
	basic []byte
	// partition is what it falls into when it is new, contributor what it is in.
	partition, contributor string
	// entry is the entry of a transaction that holds it, counted from one, and
	// always says that it makes a version even if it changes nothing: another entry
	// names it.
	entry  int
	always bool
	// byServer says that the server wrote it, refiled that it is on file already
	// and only its place changes.
	byServer, refiled bool
	// first is the row as it will be if it is new and refers to all its
	// patients by their ids, and by what parameters it is indexed.
	first *editions
	by    *parameters
	// noticed are the issues that do not forbid to store it.
	noticed []fhir.Issue
}

// editions are the stored forms of one version.
type editions struct {
	full, basic store.Version
}

// draft reads content of the type that a client sent.
func (v *visit) draft(ctx context.Context, t fhir.ResourceType, c Content) (*draft, error) {
	if c.Tape == nil || c.Tape.Root() == fhir.None {
		return nil, invalid(http.StatusBadRequest, fhir.CodeInvalid, "a resource is required", "")
	}
	if got := c.Tape.Text(c.Tape.Field(c.Tape.Root(), "resourceType")); got != string(t) {
		return nil, invalid(http.StatusBadRequest, fhir.CodeInvalid,
			"resourceType must be the type in the URL, "+string(t), "resourceType")
	}
	noticed, err := v.valid(ctx, t, c)
	if err != nil {
		return nil, err
	}
	d := v.g.understand(t, c.Tape)
	d.noticed = noticed
	if err := v.unlabelled(t, d.labels, c.labels); err != nil {
		return nil, err
	}
	d.partition = v.contributor()
	d.contributor = d.partition
	return d, nil
}

// unlabelled refuses the labels that are the server's own, but for those that
// were there before. Whatever a search for them finds counts as one of them, and a
// search folds the case of codes.
func (v *visit) unlabelled(t fhir.ResourceType, labels, before []string) error {
	for _, l := range labels {
		system, code, _ := strings.Cut(l, "|")
		code = strings.ToLower(code)
		if system == consent.SystemLabel && (code == labelOversight || code == labelIndex) && !slices.Contains(before, l) {
			return invalid(statusBusiness, fhir.CodeBusinessRule, "this label is set by the server alone", string(t)+".meta.security")
		}
	}
	return nil
}

// statusBusiness is the status of content that breaks a rule of this server, and
// none of R4's (R4 http.html#create).
const statusBusiness = http.StatusUnprocessableEntity

func invalid(status int, code fhir.IssueCode, text, expression string) *Invalid {
	return &Invalid{Status: status, Issues: []fhir.Issue{errorIssue(code, text, expression)}}
}

func errorIssue(code fhir.IssueCode, text, expression string) fhir.Issue {
	return fhir.Issue{Severity: fhir.SeverityError, Code: code, Text: text, Expression: expression}
}

// understand reads what the gate must know of a resource.
func (g *Gate) understand(t fhir.ResourceType, tape *fhir.Tape) *draft {
	return &draft{typ: t, tape: tape, owners: g.tools.Compartments.Of(tape, g.cfg.BaseURL), labels: labels(tape)}
}

// labels are the security labels of a resource and of all that it holds,
// "system|code", with one for each type that it holds: a rule about what is
// within concerns the whole.
func labels(t *fhir.Tape) []string {
	out := labelsOf(nil, t, t.Root())
	switch t.Text(t.Field(t.Root(), "resourceType")) {
	case "Bundle", "Parameters":
		return labelsWithin(out, t, t.Root())
	default:
		if held := t.Field(t.Root(), "contained"); held != fhir.None {
			return labelsWithin(out, t, held)
		}
		return out
	}
}

// labelsOf appends the labels of one resource. Content that is not held to the
// structure of R4 may have one thing where a list belongs, or a list for one thing:
// the index reads both, and so must the rules.
func labelsOf(dst []string, t *fhir.Tape, resource fhir.Node) []string {
	each(t, t.Field(resource, "meta"), func(meta fhir.Node) {
		each(t, t.Field(meta, "security"), func(n fhir.Node) {
			dst = append(dst, t.Text(t.Field(n, "system"))+"|"+t.Text(t.Field(n, "code")))
		})
	})
	return dst
}

// each calls with for n, or for what is in it if it is a list.
func each(t *fhir.Tape, n fhir.Node, with func(fhir.Node)) {
	if t.Kind(n) != fhir.Array {
		if n != fhir.None {
			with(n)
		}
		return
	}
	for c := t.First(n); c != fhir.None; c = t.Next(c) {
		with(c)
	}
}

// labelsWithin appends those of the resources below n.
func labelsWithin(dst []string, t *fhir.Tape, n fhir.Node) []string {
	for c := t.First(n); c != fhir.None; c = t.Next(c) {
		if k := t.Kind(c); k != fhir.Object && k != fhir.Array {
			continue
		}
		if name := t.Text(t.Field(c, "resourceType")); name != "" {
			dst = merge(dst, append(labelsOf(nil, t, c), consent.Within(fhir.ResourceType(name))))
		}
		dst = labelsWithin(dst, t, c)
	}
	return dst
}

// contributor is the partition into which the caller writes (ACCESS §4).
func (v *visit) contributor() string {
	switch v.caller.Kind {
	case consent.Custodian:
		return ""
	case consent.Patient:
		return "Patient/" + v.caller.Patient
	case consent.Representative:
		return v.caller.User
	case consent.Practitioner, consent.System, consent.Regulator, consent.Nobody:
		return v.caller.Organization
	default:
		return v.caller.Organization
	}
}

// ready works out the stored form of a new row, outside the store's writer.
func (v *visit) ready(d *draft, id string) error {
	d.id = id
	if err := v.makeBasic(d); err != nil {
		return err
	}
	if len(d.owners.Identifiers) > 0 {
		return nil
	}
	e, err := v.editions(d, nil, nil, "1", "b1")
	if err != nil {
		return err
	}
	d.first, d.by = e, v.params
	return nil
}

// makeBasic makes the basic edition of the draft, if its type has one.
func (v *visit) makeBasic(d *draft) error {
	out, ok := v.g.tools.Basic.Edition(d.tape, nil)
	if !ok {
		return nil
	}
	d.basic = out
	return nil
}

// editions are the stored forms of the draft at the versions named. links are
// the patients its logical references stand for, awaits those still unknown.
func (v *visit) editions(d *draft, links []search.Link, awaits []fhir.Identifier, full, basic string) (*editions, error) {
	e := &editions{}
	var err error
	e.full = store.Version{
		Version: full, Updated: v.now,
		JSON: fhir.Stamp(make([]byte, 0, len(d.tape.Source())+stampRoom), d.tape, d.id, full, v.now),
	}
	if e.full.Entries, err = v.entries(d.tape, d, homing{links: links, awaits: awaits}, v.now); err != nil {
		return nil, err
	}
	if d.basic == nil {
		return e, nil
	}
	e.basic, err = v.basicVersion(d, links, basic)
	return e, err
}

// stampRoom is about what a stamp adds.
const stampRoom = 160

func (v *visit) basicVersion(d *draft, links []search.Link, version string) (store.Version, error) {
	t := v.g.tape()
	defer v.g.tapes.Put(t)
	if err := t.Parse(d.basic, fhir.Stored()); err != nil {
		return store.Version{}, fmt.Errorf("parse basic edition of %s: %w", d.typ, err)
	}
	b := store.Version{
		Version: version, Updated: v.now,
		JSON: fhir.Stamp(make([]byte, 0, len(d.basic)+stampRoom), t, d.id, version, v.now),
	}
	var err error
	b.Entries, err = v.entries(t, &draft{typ: d.typ, id: d.id}, homing{links: links}, v.now)
	return b, err
}

// entries are the index entries of content that was updated at a moment: of the
// draft itself, or of another edition of it, which waits for nothing.
func (v *visit) entries(content *fhir.Tape, d *draft, h homing, updated time.Time) (*search.Entries, error) {
	e := &search.Entries{}
	index := v.params.indexer.Index
	if d.contributor != "" { // its contributor may ask what it says
		index = v.params.indexer.IndexSaid
	}
	if err := index(e, content, h.links...); err != nil {
		return nil, fmt.Errorf("index %s: %w", d.typ, err)
	}
	search.AppendCommon(e, d.id, updated)
	for _, id := range h.awaits {
		search.AppendAwaits(e, id)
	}
	for _, ref := range d.owners.Inherits {
		search.AppendAwaits(e, companion(ref.Local()))
	}
	e.Sort()
	return e, nil
}

// labelled is the resource with the server's own label added.
func labelled(t *fhir.Tape) []byte {
	label := `{"system":"` + consent.SystemLabel + `","code":"` + labelOversight + `"}`
	insert := func(container fhir.Node, text string) []byte {
		at, _ := t.Span(container)
		if t.First(container) != fhir.None {
			text += ","
		}
		return fhir.Splice(nil, t.Source(), []fhir.Edit{{Start: at + 1, End: at + 1, Text: []byte(text)}})
	}
	meta := t.Field(t.Root(), "meta")
	security := t.Field(meta, "security")
	switch {
	case t.Kind(security) == fhir.Array:
		return insert(security, label)
	case t.Kind(meta) == fhir.Object:
		return insert(meta, `"security":[`+label+`]`)
	default:
		return insert(t.Root(), `"meta":{"security":[`+label+`]}`)
	}
}

// next is the version after one: "4" after "3", "b4" after "b3".
func next(version string) string {
	digits := strings.TrimPrefix(version, "b")
	n := 0
	for _, c := range digits {
		n = n*10 + int(c-'0')
	}
	return fmt.Sprintf("%s%d", version[:len(version)-len(digits)], n+1)
}
