package gate

import (
	"context"
	"encoding/json"
	"strings"

	"vitrine/consent"
	"vitrine/consent/plain"
	"vitrine/fhir"
)

// systemNotice has the kinds of notices that no code of others is for.
const systemNotice = consent.Canon + "/CodeSystem/nehr-notice"

// message is what a patient is told: a Communication in the record, under the
// server's own label, so that providers see nothing of it (consent.Decision), and an
// entry in the outbox.
type message struct {
	// kind is that of the Notice.
	kind string
	// patient is the id of whom it is for, and organization that of whom it is about,
	// as patients are told of it.
	patient, organization string
	reason                concept
	text                  string
}

// toPatient says things as notices do, which are the patient's to read.
func toPatient() *plain.Speaker { return plain.NewSpeaker(plain.English, plain.Reader{Patient: true}) }

// notify tells of a grant, without the justification (DOSSIER §7.7).
func (w *writing) notify(ctx context.Context, k consent.Grant) error {
	shown, err := w.shownAs(ctx, k.Organization)
	if err != nil {
		return err
	}
	return w.send(ctx, &message{
		kind: NoticeEmergency, patient: k.Patient, organization: shown,
		reason: codes(consent.SystemActReason, "BTG"), text: toPatient().Opened(),
	})
}

// send leaves the message in the record and in the outbox.
func (w *writing) send(ctx context.Context, m *message) error {
	type payload struct {
		Text string `json:"contentString"`
	}
	patient := reference{"Patient/" + m.patient}
	resource, err := json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Meta         ownMeta     `json:"meta"`
		Status       string      `json:"status"`
		Category     []concept   `json:"category"`
		Subject      reference   `json:"subject"`
		Sent         string      `json:"sent"`
		Recipient    []reference `json:"recipient"`
		Sender       reference   `json:"sender"`
		ReasonCode   []concept   `json:"reasonCode"`
		Payload      []payload   `json:"payload"`
	}{
		"Communication", marked(), "completed",
		[]concept{codes("http://terminology.hl7.org/CodeSystem/communication-category", "notification")},
		patient, fhir.FormatInstant(w.now),
		[]reference{patient},
		reference{"Organization/" + m.organization},
		[]concept{m.reason},
		[]payload{{m.text}},
	})
	if err != nil {
		return err
	}
	ref, err := w.putOwn(ctx, resource, "Communication", "")
	if err != nil {
		return err
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	return w.announce(ctx, m, ref)
}
