package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

// When an organisation reads something of a patient's record for the first time,
// the patient is told, as of broken glass (DOSSIER §7.3, O2). Nothing of this
// happens where records are read: the record of access is looked through
// afterwards, leaf by leaf, so that no answer takes longer for it, and nothing that
// was released is missed. How far that has come, who has met whom and what is told
// of it are kept in one commit: of two servers that look at once one tells, and what
// one that died had not kept is found again.
//
// Who has met whom is a state for each pair and not a search of the record: it costs
// the same however long the record is, and nobody becomes new when old records are
// put away.
//
// No access is told of twice. Broken glass is told of when it is broken; the
// organisation is not new after that, whatever it reads. Nor is one whose public
// cluster was met, for patients are told of the cluster: the one that was recorded
// with the access, and where none was, the one of now, as by the access history.
//
// What was in the record when it was looked through for the first time makes known
// who is in it and is not told: nobody is to get years of notices at once. Who had
// read only what was put away by then is new.

// NoticeFirstAccess is the kind of a notice that an organisation read something of
// the record for the first time.
const NoticeFirstAccess = "first-access"

// The name spaces: how far the record was looked through, and who has met whom. The
// meetings have no end, and stateMetEnd comes after all of them.
const (
	stateNoticeSeen = "notice/seen"
	stateNoticeMet  = "notice/met/"
	stateMetEnd     = "notice/met0"
)

const (
	// leavesStep is how many leaves are looked at before it is kept how far one is. What
	// holds up other writers is the commit alone: at most toldStep patients are told in
	// it, and metStep meetings are kept.
	leavesStep = 1 << 15
	toldStep   = 20
	metStep    = 500
	// metKept is how many meetings are remembered, for an organisation that reads a
	// record reads on. They stay true.
	metKept = 1 << 16
)

// lookout is how far the record was looked through.
type lookout struct {
	// Next is the leaf that is looked at next. Patients are told of those from Since on.
	Next  int64 `json:"next"`
	Since int64 `json:"since"`
}

// meeting is an access of an organisation to the record of a patient whom it had
// not met, and the public cluster that was recorded with it. Quiet says that the
// patient is not to be told.
type meeting struct {
	patient, organization, cluster string
	at                             time.Time
	quiet                          bool
}

// key is where a meeting is kept. Ids have no slash.
func (m *meeting) key() string { return stateNoticeMet + m.patient + "/" + m.organization }

// meetingIn is the meeting that a record may be of. What cannot be read is none;
// that it cannot is for those to find who verify the log.
func meetingIn(record []byte) (m meeting, ok bool) {
	e, err := audit.Decode(record)
	if err != nil {
		return m, false
	}
	organization, ok := e.DisclosedTo()
	quiet := e.Grant != ""
	if e.Kind == audit.KindBreakGlassStart && e.Outcome == audit.OutcomeSuccess {
		organization, ok, quiet = e.Agent.Organization, true, true
	}
	m = meeting{e.Patient, organization, e.Agent.Cluster, e.Recorded, quiet}
	return m, ok && fhir.ValidID(m.patient) && fhir.ValidID(m.organization) && (m.cluster == "" || fhir.ValidID(m.cluster))
}

// TellFirstAccesses looks through what is new in the record of access and tells
// patients who read something of their record for the first time.
func (g *Gate) TellFirstAccesses(ctx context.Context, now time.Time) error {
	size, err := g.store.Grow(ctx)
	if err != nil {
		return g.failed(ctx, err)
	}
	for more := true; more && err == nil; {
		more, err = g.lookOn(ctx, size, now)
	}
	return err
}

// lookOn looks at the next leaves. more is false when there are none, and when
// another server looks at them.
func (g *Gate) lookOn(ctx context.Context, size int64, now time.Time) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	v, err := g.itself(ctx, "notice", now)
	if err != nil {
		return false, g.failed(ctx, err)
	}
	defer v.close()
	before, l, err := v.lookout(ctx, size)
	if err != nil {
		return false, g.failed(ctx, err)
	}
	if before != nil && l.Next >= size {
		return false, nil
	}
	met, next, err := v.meetings(ctx, &l, size)
	if err != nil {
		return false, g.failed(ctx, err)
	}
	l.Next = next
	mine := false
	_, err = v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem = true // nobody asked for it
		mine, err = w.keepLookout(ctx, before, &l, met)
		return Released{}, err
	})
	if err != nil || !mine {
		return false, err
	}
	for i := range met {
		g.met.put(met[i].key(), struct{}{}, basis{})
	}
	return next < size, nil
}

// lookout is how far one has come, and the state that says so; nil before the first
// time, when all there is is the past.
func (v *visit) lookout(ctx context.Context, size int64) (before []byte, l lookout, err error) {
	if before, _, err = v.reader.State(ctx, stateNoticeSeen); err != nil {
		return nil, l, err
	}
	if before != nil {
		if err := json.Unmarshal(before, &l); err != nil {
			return nil, l, fmt.Errorf("how far the record was looked through: %w", err)
		}
		return before, l, nil
	}
	l.Since = size
	if archive, ok := v.g.store.(store.Archive); ok {
		hot, err := archive.Hot(ctx)
		if err != nil {
			return nil, l, err
		}
		l.Next = min(hot, size)
	}
	return nil, l, nil
}

// meetings are those in the next leaves, and the leaf that comes after these.
func (v *visit) meetings(ctx context.Context, l *lookout, size int64) (met []meeting, next int64, err error) {
	next = min(size, l.Next+leavesStep)
	seen, told := map[string]bool{}, 0
	err = v.g.store.Leaves(ctx, l.Next, next, func(index int64, record []byte) error {
		m, ok := meetingIn(record)
		if !ok {
			return nil
		}
		key := m.key()
		if seen[key] {
			return nil
		}
		known, err := v.hasMet(ctx, key)
		if err != nil {
			return err
		}
		if !known {
			m.quiet = m.quiet || index < l.Since
			if len(met) == metStep || !m.quiet && told == toldStep {
				next = index
				return errEnough
			}
			met = append(met, m)
			if !m.quiet {
				told++
			}
		}
		seen[key] = true
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return met, next, err
}

// hasMet reports whether a meeting is kept.
func (v *visit) hasMet(ctx context.Context, key string) (bool, error) {
	if _, ok := v.g.met.get(key, v.snap, v.now); ok {
		return true, nil
	}
	value, _, err := v.reader.State(ctx, key)
	if err != nil || value == nil {
		return false, err
	}
	v.g.met.put(key, struct{}{}, basis{})
	return true, nil
}

// keepLookout keeps how far one has come and what was found on the way, unless
// another server did; mine says which.
func (w *writing) keepLookout(ctx context.Context, before []byte, l *lookout, met []meeting) (mine bool, err error) {
	now, _, err := w.tx.State(ctx, stateNoticeSeen)
	if err != nil || !bytes.Equal(now, before) {
		return false, err
	}
	for i := range met {
		if err := w.meet(ctx, met[i]); err != nil {
			return false, err
		}
	}
	value, err := json.Marshal(l)
	if err != nil {
		return false, err
	}
	return true, w.tx.SetState(stateNoticeSeen, value, time.Time{})
}

// meet keeps a meeting, and tells the patient if that is due.
func (w *writing) meet(ctx context.Context, m meeting) error {
	if known, err := w.keepMeeting(ctx, &m); err != nil || known {
		return err
	}
	shown, err := w.toldOf(ctx, &m)
	if err != nil {
		return err
	}
	if shown != m.organization {
		m.organization = shown
		if known, err := w.keepMeeting(ctx, &m); err != nil || known {
			return err
		}
	}
	if m.quiet {
		return nil
	}
	name, err := w.lastName(ctx, shown)
	if err != nil {
		return err
	}
	return w.send(ctx, &message{
		kind: NoticeFirstAccess, patient: m.patient, organization: shown,
		reason: codes(systemNotice, NoticeFirstAccess), text: toPatient().FirstAccess(name, m.at),
	})
}

// toldOf is the organisation that the patient is told of.
func (w *writing) toldOf(ctx context.Context, m *meeting) (string, error) {
	if m.cluster != "" {
		return m.cluster, nil
	}
	return w.shownAs(ctx, m.organization)
}

// keepMeeting keeps a meeting, unless it was.
func (w *writing) keepMeeting(ctx context.Context, m *meeting) (known bool, err error) {
	value, _, err := w.tx.State(ctx, m.key())
	if err != nil || value != nil {
		return value != nil, err
	}
	return false, w.tx.SetState(m.key(), []byte{}, time.Time{})
}
