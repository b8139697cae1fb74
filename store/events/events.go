// Package events owns how AuditEvents are found: which of their index entries a
// store posts, and how those are made from a record. It keeps nothing, which is
// a store's, and it does not write the AuditEvent, which is consent/audit's.
package events

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// Index knows how AuditEvents are found. An event is written with every answer,
// so it has few postings: those that tell events apart. What nearly every event
// says, or what is only asked for beside something else, has none; queries for
// it are answered by looking at rows. The basic edition, which is read by one
// patient at a time, has no postings at all. Safe for concurrent use.
type Index struct {
	indexer                                                      *search.Indexer
	date, agent, patient, entity, altID, policy, source, address search.Param
	// common are the codes that nearly every event has, by token parameter.
	common map[search.Param][]string
	// usual is the name of the server that nearly every event has, and usualAddress
	// the entry of it as an address.
	usual        string
	usualAddress []byte
}

var errNoEvents = errors.New("definitions without AuditEvent")

// New makes an index of what x indexes. usual is the name under which this store's
// events are recorded as a rule, and of which they have no postings then: it must
// stay the same for as long as the store is kept.
func New(x *search.Indexer, d *r4.Definitions, usual string) (*Index, error) {
	t := d.Resource("AuditEvent")
	if t == nil {
		return nil, errNoEvents
	}
	i := &Index{indexer: x, common: map[search.Param][]string{}, usual: usual}
	for code, p := range map[string]*search.Param{
		"date": &i.date, "agent": &i.agent, "patient": &i.patient, "entity": &i.entity, "altid": &i.altID, "policy": &i.policy,
		"source": &i.source, "address": &i.address,
	} {
		param := t.Param(code)
		if param == nil {
			return nil, errNoEvents
		}
		*p = search.Param(param.Number)
	}
	for code, common := range map[string][]string{
		"type": {"rest"}, "action": {"r", "e"}, "outcome": {"0"}, "purpose": {"treat", "patrqt"},
		"subtype": {"read", "search-type", "full", "basic", "self", "none"}, "site": {usual},
		"entity-type": {"1", "2", "xrequestid", "consent"}, "entity-role": {"1", "4", "24"},
	} {
		param := t.Param(code)
		if param == nil {
			return nil, errNoEvents
		}
		i.common[search.Param(param.Number)] = common
	}
	var e search.Entries
	if search.AppendText(&e, i.address, usual); e.Len() > 0 {
		_, i.usualAddress = e.At(0)
	}
	return i, nil
}

// Date is AuditEvent's parameter date.
func (i *Index) Date() search.Param { return i.date }

// Chronological reports whether a parameter says when the event was recorded. A
// store may file such entries in a form of its own.
func (i *Index) Chronological(p search.Param) bool {
	return p == i.date || p == search.ParamLastUpdated
}

// posted reports whether an entry of the full edition has a posting.
func (i *Index) posted(p search.Param, value []byte) bool {
	switch p { //nolint:exhaustive // most parameters have no constant
	case i.date, search.ParamLastUpdated, i.policy:
		return true
	case i.agent: // by the code of an identifier, whatever its system
		return unversioned(value) || i.unusual(value)
	case i.patient:
		return unversioned(value)
	case i.source:
		return i.unusual(value)
	case i.address:
		return search.IsText(value) && !bytes.Equal(value, i.usualAddress)
	case i.entity: // patients are found by the parameter that is theirs
		return unversioned(value) && !bytes.HasPrefix(value[1:], []byte(toPatient))
	case i.altID:
		_, twin := search.CodeOf(value)
		return !twin
	}
	common, ok := i.common[p]
	if !ok {
		return false
	}
	code, twin := search.CodeOf(value)
	if twin {
		return false
	}
	for _, c := range common {
		if strings.EqualFold(c, string(code)) {
			return false
		}
	}
	return true
}

// unusual reports whether the value is the code of an identifier, without its
// system, that is not this server's own.
func (i *Index) unusual(value []byte) bool {
	code, whole, twin, ok := search.IdentifierOf(value)
	return ok && !twin && bytes.Equal(whole, value) && !strings.EqualFold(i.usual, string(code))
}

// unversioned reports whether the value is a literal reference without version.
func unversioned(value []byte) bool {
	return search.IsLiteral(value) && !bytes.Contains(value, []byte(history))
}

const (
	toPatient = "Patient/"
	history   = "/_history/"
)

// Lead is the match by which postings are followed to every event of an edition
// that m holds for, and maybe to more; false when they do not lead to all.
func (i *Index) Lead(e consent.Edition, m search.Match) (search.Match, bool) {
	if i == nil || e != consent.EditionFull {
		return search.Match{}, false
	}
	if m.Param == i.entity && m.Op == search.OpEqual && unversioned(m.Key) && bytes.HasPrefix(m.Key[1:], []byte(toPatient)) {
		m.Param = i.patient
	}
	if _, whole, _, ok := search.IdentifierOf(m.Key); ok && m.Op == search.OpEqual && (m.Param == i.agent || m.Param == i.source) {
		m.Key = whole
	}
	switch m.Op {
	case search.OpEqual:
		return m, i.posted(m.Param, m.Key) && !i.Chronological(m.Param)
	case search.OpRange:
		return m, i.Chronological(m.Param)
	case search.OpPrefix:
		return m, m.Param == i.address && search.IsText(m.Key) && !bytes.HasPrefix(i.usualAddress, m.Key)
	case search.OpContains, search.OpIn, search.OpBelow, search.OpAbove:
		return m, false
	default:
		return m, false
	}
}

// nobody stands for the patient in a shape. It is no id, so nothing is indexed
// of a reference to it.
const nobody = "?"

// shapesKept bounds the memory of shapes; beyond it all are forgotten.
const shapesKept = 1 << 12

// Maker makes the entries of events. Events that differ in nothing but when,
// about whom and what they are have the same postings otherwise: those are made
// once, by the general indexer, and kept by shape. Not safe for concurrent use.
type Maker struct {
	*Index
	shapes map[string]search.Encoded
	key    []byte
	json   []byte
	tape   fhir.Tape
	all    search.Entries
}

// NewMaker is a maker with nothing kept yet.
func (i *Index) NewMaker() *Maker { return &Maker{Index: i, shapes: map[string]search.Encoded{}} }

// Postings appends the postings of an event to e, in no order; some may be there
// twice.
func (m *Maker) Postings(e *search.Entries, ev *audit.Event) error {
	shape, err := m.shape(ev)
	if err != nil {
		return err
	}
	for p, v := range shape.All() {
		e.Add(p, v)
	}
	search.AppendInstant(e, m.date, ev.Recorded)
	search.AppendUpdated(e, ev.Recorded)
	if fhir.ValidID(ev.Patient) {
		search.AppendReference(e, m.patient, toPatient+ev.Patient)
	}
	for _, ref := range ev.Entities {
		ref, _, _ = strings.Cut(ref, history)
		if typ, id, ok := strings.Cut(ref, "/"); !ok || typ == "" || !fhir.ValidID(id) {
			continue
		}
		p := m.entity
		if strings.HasPrefix(ref, toPatient) {
			p = m.patient
		}
		search.AppendReference(e, p, ref)
	}
	return nil
}

// shape are the postings that an event has in common with others.
func (m *Maker) shape(ev *audit.Event) (search.Encoded, error) {
	one := *ev
	one.ID, one.Recorded, one.Entities, one.Before, one.Query, one.RequestID = [16]byte{}, time.Time{}, nil, "", "", ""
	one.Agent.Cluster = "" // the full edition does not say it
	if one.Patient != "" {
		one.Patient = nobody
	}
	m.key = one.AppendBinary(m.key[:0])
	if known, ok := m.shapes[string(m.key)]; ok {
		return known, nil
	}
	if err := m.index(&one, "", consent.EditionFull); err != nil {
		return nil, err
	}
	var common search.Entries
	for n := range m.all.Len() {
		p, v := m.all.At(n)
		if !m.Chronological(p) && m.posted(p, v) {
			common.Add(p, v)
		}
	}
	if len(m.shapes) >= shapesKept {
		clear(m.shapes)
	}
	made := search.Encoded(common.AppendBinary(nil))
	m.shapes[string(m.key)] = made
	return made, nil
}

// index makes all entries of an edition.
func (m *Maker) index(ev *audit.Event, id string, e consent.Edition) error {
	m.json = ev.AppendJSON(m.json[:0], id, e)
	if err := m.tape.Parse(m.json, fhir.Stored()); err != nil {
		return err
	}
	m.all.Reset()
	if err := m.indexer.Index(&m.all, &m.tape); err != nil {
		return err
	}
	search.AppendCommon(&m.all, id, ev.Recorded)
	m.all.Sort()
	return nil
}

// Entries appends all entries of an edition of an event to dst[:0].
func (m *Maker) Entries(dst search.Encoded, ev *audit.Event, id string, e consent.Edition) (search.Encoded, error) {
	if err := m.index(ev, id, e); err != nil {
		return nil, err
	}
	return m.all.AppendBinary(dst[:0]), nil
}
