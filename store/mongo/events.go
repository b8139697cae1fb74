package mongo

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

const typeAuditEvent fhir.ResourceType = "AuditEvent"

// eventPosition is the length of the position of an event: when it was, and its
// id.
const eventPosition = 24

// event is one that was read: its row, and what it is made from.
type event struct {
	n   []byte
	row consent.Row
	ev  audit.Event
	id  string
	// record is what the event was read from.
	record []byte
}

func (d *eventDocument) event() (event, error) {
	ev, err := audit.Decode(d.Record)
	if err != nil {
		return event{}, err
	}
	e := event{n: d.N, ev: ev, record: d.Record, id: uuid.UUID(ev.ID).String(), row: consent.Row{Type: typeAuditEvent, Home: consent.HomeQuarantine}}
	if ev.Patient != "" {
		e.row.Home, e.row.Patients = consent.HomePatients, []string{ev.Patient}
	}
	return e, nil
}

// document is the event as a resource, in an edition.
func (e *event) document(edition consent.Edition) document {
	d := document{
		ID: name(typeAuditEvent, e.id), N: e.n, W: classOf(e.row.Home, nil), P: e.ev.Patient, Version: "1", Count: 1,
		Updated: e.ev.Recorded.UnixMilli(), JSON: e.ev.AppendJSON(nil, e.id, edition),
		record: e.record,
	}
	if edition == consent.EditionBasic {
		d.Version = "b1"
	}
	return d
}

// admitEvent finds an event in the edition admitted.
func (v *view) admitEvent(in context.Context, u *consent.Universe, id string) (document, consent.Edition, error) {
	bounds, ok := eventIDs(id)
	if !ok || v.db.events == nil {
		return document{}, 0, store.ErrNotFound
	}
	var d eventDocument
	err := v.db.collection(collEvents).FindOne(in, is("_id", bounds)).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return document{}, 0, store.ErrNotFound
	}
	if err != nil {
		return document{}, 0, clean(err)
	}
	one, err := d.event()
	if err != nil {
		return document{}, 0, store.ErrNotFound
	}
	e, err := u.Admit(in, one.row)
	if err != nil {
		return document{}, 0, err
	}
	if e == 0 {
		return document{}, 0, store.ErrNotFound
	}
	return one.document(e), e, nil
}

// eventIDs are the bounds of the keys of an event.
func eventIDs(id string) (bson.D, bool) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return nil, false
	}
	return idsOf(parsed), true
}

func idsOf(id [16]byte) bson.D {
	return bson.D{
		{Key: "$gte", Value: append(id[:len(id):len(id)], make([]byte, 8)...)},
		{Key: "$lte", Value: append(id[:len(id):len(id)], bytes.Repeat([]byte{0xFF}, 8)...)},
	}
}
