package gate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

// notes are what the events of one request say beyond who asked.
type notes struct {
	entities []string
	labels   []string
	// act is the word for what is done to a directive.
	act string
	// also are what was read for the sake of the answer, and is not in it.
	also []store.Found
}

// event is the record of the request, concerning no patient yet.
func (v *visit) event() audit.Event {
	req, c := v.req, &v.caller
	e := audit.Event{
		Recorded: req.Now, Kind: audit.KindRest, Interaction: req.Interaction.Code, Action: action(req.Interaction.Code),
		Agent: audit.Agent{
			Kind: c.Kind, Issuer: c.Issuer, Subject: c.Subject, Client: c.Client, TokenID: c.TokenID,
			User: c.User, Practitioner: c.Practitioner, Roles: c.RoleCodes, Organization: c.Organization,
			Cluster: v.g.clusterIn(c.Lineage), Purpose: c.Purpose, Address: req.Address,
		},
		Entities: v.notes.entities, Labels: shown(v.notes.labels),
		RequestID: req.ID, Site: v.g.cfg.Site, Observer: v.g.cfg.Site,
	}
	e.ID = newEventID(req.Now)
	if req.Type == "AuditEvent" || c.Kind == consent.Regulator && req.Type == "" {
		e.Kind = audit.KindAuditUse
	}
	if e.Action == audit.ActionExecute {
		e.Query = v.query()
	}
	return e
}

// query is the request line and the lines of the header that are kept
// (DOSSIER §3.2).
func (v *visit) query() string {
	line := v.req.Method + " " + withoutSecrets(v.req.Target)
	if v.req.Header != "" {
		line += "\n" + v.req.Header
	}
	return shortened(line)
}

// queryMost is how many bytes of a query are kept: the record has it once for each
// patient found, and one request must not fill it.
const queryMost = 16 << 10

// shortened is s, or its beginning with its length and hash.
func shortened(s string) string {
	if len(s) <= queryMost {
		return s
	}
	return fmt.Sprintf("%s ... (%d bytes, SHA-256 %x)", strings.ToValidUTF8(s[:queryMost], ""), len(s), sha256.Sum256([]byte(s)))
}

// newEventID is a UUID that begins with the time (RFC 9562 §5.7): ids of events
// that follow each other lie side by side in a store.
func newEventID(now time.Time) (id [16]byte) {
	id = newUUID()
	ms := uint64(now.UnixMilli()) //nolint:gosec // after 1970
	binary.BigEndian.PutUint16(id[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms)) //nolint:gosec // its lower half
	id[6] = id[6]&0x0f | 0x70
	return id
}

// newUUID is a random UUID (RFC 9562 §5.4).
func newUUID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // it never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// action is AuditEvent.action of an interaction (DOSSIER §3.2).
func action(code string) audit.Action {
	switch code {
	case "read", "vread", "history-instance":
		return audit.ActionRead
	case "create":
		return audit.ActionCreate
	case "update", "patch":
		return audit.ActionUpdate
	case "delete":
		return audit.ActionDelete
	default:
		return audit.ActionExecute
	}
}

// about makes e, an event of the request, one concerning a patient.
func (v *visit) about(ctx context.Context, u *consent.Universe, patient string, e *audit.Event) error {
	d, err := v.decision(ctx, u, patient)
	if err != nil {
		return err
	}
	v.decided(e, patient, &d)
	if d.Level == consent.Basic {
		v.suspect(ctx)
	}
	return nil
}

// decided makes e an event about a patient, for whom that was decided.
func (v *visit) decided(e *audit.Event, patient string, d *consent.Decision) {
	e.Patient, e.Level, e.Grant, e.Consents, e.Reason = patient, d.Level, d.Grant, d.Consents, d.Reason
	if d.Level == consent.Basic {
		e.BasicSet = v.g.tools.Basic.Version()
	}
}

// shown are the labels of a resource, without the one that is the row's alone.
func shown(labels []string) (out []fhir.Coding) {
	for _, l := range labels {
		if system, code, ok := strings.Cut(l, "|"); ok && l != consent.LabelHearsay {
			out = append(out, fhir.Coding{System: system, Code: code})
		}
	}
	return out
}

// suspect raises an alert when somebody says that there is an emergency and has
// not broken the glass: that opens nothing, and is worth a look (DOSSIER §2.1).
func (v *visit) suspect(ctx context.Context) {
	if v.req.ClaimsEmergency || v.caller.Purpose == consent.BreakGlass {
		v.claimed(ctx)
	}
}

// decision is what the request may see of the patient. Those for whom nothing
// is decided see all or nothing.
func (v *visit) decision(ctx context.Context, u *consent.Universe, patient string) (consent.Decision, error) {
	switch v.caller.Kind {
	case consent.Custodian:
		return consent.Decision{Level: consent.Full}, nil
	case consent.Nobody, consent.System, consent.Regulator:
		return consent.Decision{}, nil
	case consent.Practitioner, consent.Patient, consent.Representative:
		return u.Decide(ctx, patient)
	default:
		return consent.Decision{}, nil
	}
}

// record makes the events durable; the receipt is what releases.
func (v *visit) record(ctx context.Context, out Released, events []audit.Event) (Released, error) {
	records, buffer := v.g.encode(events)
	receipt, err := v.g.store.Record(ctx, records...)
	v.g.keep(buffer)
	if err != nil || !receipt.Valid() {
		v.g.log.ErrorContext(ctx, "access could not be recorded; nothing released", "error", err, "request", v.req.ID)
		return Released{}, ErrUnavailable
	}
	out.receipt = receipt
	return out, nil
}

// recordGone is record of what was attempted, by whoever does not wait for an answer
// too: to leave in time is no way to stay off the record.
func (v *visit) recordGone(ctx context.Context, out Released, events []audit.Event) (Released, error) {
	out, err := v.record(context.WithoutCancel(ctx), out, events)
	if err == nil && ctx.Err() != nil {
		return Released{}, ErrUnavailable
	}
	return out, err
}

// encode lays the records out in one buffer, to be kept for the next ones.
func (g *Gate) encode(events []audit.Event) (records [][]byte, buffer *[]byte) {
	buffer, ok := g.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	b := (*buffer)[:0]
	ends := make([]int, len(events))
	for i := range events {
		b = events[i].AppendBinary(b)
		ends[i] = len(b)
	}
	*buffer = b
	records = make([][]byte, len(events))
	start := 0
	for i, end := range ends {
		records[i] = b[start:end:end]
		start = end
	}
	return records, buffer
}

func (g *Gate) keep(buffer *[]byte) {
	if cap(*buffer) <= recordBufferToKeep {
		g.buffers.Put(buffer)
	}
}
