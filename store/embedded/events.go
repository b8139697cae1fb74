package embedded

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

// eventIndex knows how AuditEvents are found. An event is written with every
// answer, so it has few postings: those that tell events apart. What nearly
// every event says, or what is only asked for beside something else, has none;
// queries for it are answered by looking at rows. The basic edition, which is
// read by one patient at a time, has no postings at all. The entries themselves
// are not stored: they are made from the record when a row is looked at.
type eventIndex struct {
	indexer                                     *search.Indexer
	date, agent, patient, entity, altID, policy search.Param
	// common are the codes that nearly every event has, by token parameter.
	common map[search.Param][]string
}

var errNoEvents = errors.New("definitions without AuditEvent")

func newEventIndex(x *search.Indexer, d *r4.Definitions) (*eventIndex, error) {
	t := d.Resource(string(typeAuditEvent))
	if t == nil {
		return nil, errNoEvents
	}
	i := &eventIndex{indexer: x, common: map[search.Param][]string{}}
	for code, p := range map[string]*search.Param{
		"date": &i.date, "agent": &i.agent, "patient": &i.patient, "entity": &i.entity, "altid": &i.altID, "policy": &i.policy,
	} {
		param := t.Param(code)
		if param == nil {
			return nil, errNoEvents
		}
		*p = search.Param(param.Number)
	}
	for code, common := range map[string][]string{
		"type": {"rest"}, "action": {"r", "e"}, "outcome": {"0"}, "purpose": {"treat", "patrqt"},
		"subtype": {"read", "search-type", "full", "basic", "self", "none"},
	} {
		param := t.Param(code)
		if param == nil {
			return nil, errNoEvents
		}
		i.common[search.Param(param.Number)] = common
	}
	return i, nil
}

// posted reports whether an entry of the full edition has a posting.
func (i *eventIndex) posted(p search.Param, value []byte) bool {
	switch p { //nolint:exhaustive // most parameters have no constant
	case i.date, search.ParamLastUpdated, i.policy:
		return true
	case i.agent, i.patient:
		return unversioned(value)
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

// unversioned reports whether the value is a literal reference without version.
func unversioned(value []byte) bool {
	return search.IsLiteral(value) && !bytes.Contains(value, []byte(history))
}

const (
	toPatient = "Patient/"
	history   = "/_history/"
)

// leads reports whether postings have every event of an edition that a match
// holds for, so that a walk may follow them.
func (i *eventIndex) leads(e consent.Edition, m *search.Match) bool {
	if i == nil || e != consent.EditionFull {
		return false
	}
	switch m.Op {
	case search.OpEqual:
		return i.posted(m.Param, m.Key) && !i.timed(m.Param)
	case search.OpRange:
		return i.timed(m.Param)
	case search.OpPrefix:
		return false
	default:
		return false
	}
}

// timed reports whether the postings of a parameter are the times of events, in
// the order of which they are followed.
func (i *eventIndex) timed(p search.Param) bool { return p == i.date || p == search.ParamLastUpdated }

// nobody stands for the patient in a shape. It is no id, so nothing is indexed
// of a reference to it.
const nobody = "?"

// shapesKept bounds the memory of shapes; beyond it all are forgotten.
const shapesKept = 1 << 12

// eventPostings makes the postings of events. Events that differ in nothing but
// when, about whom and what they are have the same postings otherwise: those are
// made once, by the general indexer, and kept by shape. Not safe for concurrent
// use.
type eventPostings struct {
	*eventIndex
	shapes map[string]search.Encoded
	key    []byte
	// encoded is what entriesOfEvent hands out.
	encoded search.Encoded
	json    []byte
	tape    fhir.Tape
	all     search.Entries
}

func newEventPostings(i *eventIndex) *eventPostings {
	return &eventPostings{eventIndex: i, shapes: map[string]search.Encoded{}}
}

// of appends the postings of an event to e, in no order; some may be there
// twice.
func (m *eventPostings) of(e *search.Entries, ev *audit.Event) error {
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
func (m *eventPostings) shape(ev *audit.Event) (search.Encoded, error) {
	one := *ev
	one.ID, one.Recorded, one.Entities, one.Before, one.Query, one.RequestID = [16]byte{}, time.Time{}, nil, "", "", ""
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
		if p != m.date && p != search.ParamLastUpdated && m.posted(p, v) {
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
func (m *eventPostings) index(ev *audit.Event, id string, e consent.Edition) error {
	m.json = ev.AppendJSON(m.json[:0], id, e)
	if err := m.tape.Parse(m.json, fhir.Limits{}); err != nil {
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

// entriesOfEvent are all entries of an edition of an event, made from its
// record. They are valid until m makes others.
func (v *view) entriesOfEvent(m **eventPostings, at placed, e consent.Edition) (search.Encoded, error) {
	if v.db.events == nil {
		return nil, errNoEvents
	}
	if *m == nil {
		*m = newEventPostings(v.db.events)
	}
	raw, err := v.record(at)
	if err != nil {
		return nil, err
	}
	ev, err := audit.Decode(raw)
	if err != nil {
		return nil, err
	}
	if err := (*m).index(&ev, formatUUID(ev.ID), e); err != nil {
		return nil, err
	}
	(*m).encoded = (*m).all.AppendBinary((*m).encoded[:0])
	return (*m).encoded, nil
}

// eventStream streams the events that a match holds for, or more of them; every
// row is looked at again. errMany when postings do not lead to all of them.
func (v *view) eventStream(e consent.Edition, t typeNumber, m search.Match, limit int) (stream, error) {
	i := v.db.events
	switch {
	case i == nil:
		return nil, errMany
	case m.Param == search.ParamID && m.Op == search.OpEqual:
		return v.identified(m)
	case m.Param == i.entity && m.Op == search.OpEqual && unversioned(m.Key) && bytes.HasPrefix(m.Key[1:], []byte(toPatient)):
		m.Param = i.patient
	}
	switch {
	case !i.leads(e, &m):
		return nil, errMany
	case m.Op == search.OpEqual:
		return newBlocks(v.src, prefixValue(nil, e, m.Param, t, m.Key))
	default:
		return v.matchStream(e, t, m, limit)
	}
}

// identified streams the number of the row with an id.
func (v *view) identified(m search.Match) (stream, error) {
	code, _ := search.CodeOf(m.Key)
	id, ok := parseUUID(string(code))
	if !ok {
		return nothing{}, nil
	}
	n, ok, err := findEvent(v.src, id)
	if err != nil || !ok {
		return nothing{}, err
	}
	return sorted{n}, nil
}
