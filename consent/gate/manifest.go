package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The manifest of a direction to destroy is everything that was disclosed to whom
// it is given to, by the record of access and by nothing else. It is made part by
// part beside answering: a part and how far it is are kept in one commit, so that
// whoever is next goes on from there, on this server or another, and two who do so
// at once make one part and not two.

const (
	// stateManifest is the name space of how far manifests are.
	stateManifest = "manifest/"
	// manifestPartSize is about how many bytes one part has, and manifestPages how
	// many pages of events are looked through for it.
	manifestPartSize = 1 << 20
	manifestPages    = 40
	// partsOfMost is how many organisations one direction is for, with its parts.
	partsOfMost = 1000
	// manifestBegunMost is how many bytes a manifest has that is begun; the position
	// and the counts come to these.
	manifestBegunMost = store.MostStateValue - 8<<10
)

// manifest is how far one is.
type manifest struct {
	Begun time.Time `json:"begun"`
	// Organizations are those whose accesses count, of which Done were looked through;
	// After is the position within the next.
	Organizations []string `json:"organizations"`
	Done          int      `json:"done"`
	After         []byte   `json:"after,omitempty"`
	// Person and Client narrow it.
	Person string `json:"person,omitempty"`
	Client string `json:"client,omitempty"`
	// From is when the oldest record is of, if older ones were put away by the time
	// that all were looked through.
	From        time.Time `json:"from"`
	Parts       int       `json:"parts"`
	Disclosures int       `json:"disclosures"`
}

// beginManifest has the manifest of a direction made.
func (w *writing) beginManifest(ctx context.Context, task, organization, within string) error {
	m := manifest{Begun: w.now}
	var err error
	if m.Organizations, err = w.partsOf(ctx, organization); err != nil {
		return err
	}
	switch ref := fhir.ParseReference(within, ""); ref.Type {
	case "Practitioner":
		m.Person = within
	case "Device":
		if m.Client, err = w.clientOf(ctx, ref.ID); err != nil {
			return err
		}
	}
	if value, err := json.Marshal(&m); err != nil || len(value) > manifestBegunMost {
		return errors.Join(err, tooManyParts())
	}
	return w.keepManifest(task, &m)
}

func tooManyParts() error {
	return invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "the organisation has too many parts for one direction", "Basic.extension")
}

func (w *writing) keepManifest(task string, m *manifest) error {
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return w.tx.SetState(stateManifest+task, value, time.Time{})
}

// partsOf are an organisation and its parts, as the custodian keeps them.
func (v *view) partsOf(ctx context.Context, organization string) ([]string, error) {
	all := []string{organization}
	for i := 0; i < len(all); i++ {
		clauses := []search.Clause{v.g.refers("Organization", "partof", "Organization/"+all[i])}
		if err := v.each(ctx, "Organization", clauses, func(f store.Found, _ *fhir.Tape) error {
			if f.Contributor == "" {
				all = merge(all, []string{f.ID})
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if len(all) > partsOfMost {
			return nil, tooManyParts()
		}
	}
	return all, nil
}

// clientOf is the client_id of a Device that the custodian keeps, or kept.
func (v *view) clientOf(ctx context.Context, device string) (client string, err error) {
	err = v.lastly(ctx, "Device", device, func(f store.Found, t *fhir.Tape) error {
		elements(t, t.Root(), "identifier", func(n fhir.Node) {
			if f.Contributor == "" && t.Text(t.Field(n, "system")) == consent.SystemClient {
				client = t.Text(t.Field(n, "value"))
			}
		})
		return nil
	})
	if err == nil && client == "" {
		err = unreadable("the Device is not that of a client", "Basic")
	}
	return client, err
}

// KeepManifests goes on with the manifests that are to be made, until they are ready
// or ctx ends.
func (g *Gate) KeepManifests(ctx context.Context, now time.Time) error {
	tasks, err := g.manifests(ctx)
	if err != nil || len(tasks) == 0 {
		return err
	}
	if err := g.store.Settle(ctx); err != nil {
		return g.failed(ctx, err)
	}
	for _, task := range tasks {
		for more := true; more && ctx.Err() == nil; {
			var failed error
			if more, failed = g.continueManifest(ctx, task, now); failed != nil { // the others go on
				err = errors.Join(err, fmt.Errorf("manifest of Task/%s: %w", task, failed))
			}
		}
	}
	return err
}

// manifests are the Tasks whose manifests are to be made.
func (g *Gate) manifests(ctx context.Context) (tasks []string, err error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	defer func() { _ = snap.Close() }()
	err = snap.States(ctx, stateManifest, "", func(key string, _ []byte, _ time.Time) error {
		tasks = append(tasks, strings.TrimPrefix(key, stateManifest))
		return nil
	})
	return tasks, err
}

// continueManifest makes the next part. It begins no sooner than all is on record
// that was read before the direction was agreed to.
func (g *Gate) continueManifest(ctx context.Context, task string, now time.Time) (more bool, err error) {
	v, err := g.itself(ctx, "$agree", now)
	if err != nil {
		return false, err
	}
	defer v.close()
	value, _, err := v.snap.State(ctx, stateManifest+task)
	if err != nil || value == nil {
		return false, err
	}
	var m manifest
	if err := json.Unmarshal(value, &m); err != nil {
		return false, err
	}
	if now.Before(m.Begun.Add(g.cfg.ManifestAfter)) {
		return false, nil
	}
	n, err := v.directed(ctx, task)
	if err != nil {
		return false, err
	}
	var part []byte
	if n != nil && n.status != statusCancelled {
		if part, err = v.disclosures(ctx, &m, n); err != nil {
			return false, err
		}
	}
	if m.Done == len(m.Organizations) { // whatever was put away meanwhile may be missing
		if m.From, err = g.oldestRecord(ctx, now); err != nil {
			return false, err
		}
	}
	_, err = v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem = true // nobody asked for it
		more, err = w.advance(ctx, task, value, part, m)
		return Released{}, err
	})
	return more && err == nil, err
}

// oldestRecord is the moment of the oldest record that is here, when older ones were
// put away: of what was disclosed before, a manifest cannot tell. Zero when all are
// here.
func (g *Gate) oldestRecord(ctx context.Context, now time.Time) (at time.Time, err error) {
	log, ok := g.store.(store.Archive)
	if !ok {
		return at, nil
	}
	hot, err := log.Hot(ctx)
	if err != nil || hot == 0 {
		return at, err
	}
	size, err := log.Grow(ctx)
	if err != nil || hot >= size {
		return now, err
	}
	err = log.Leaves(ctx, hot, hot+1, func(_ int64, record []byte) error {
		e, err := audit.Decode(record)
		at = e.Recorded
		return err
	})
	return at, err
}

// disclosures looks for the entries of the next part.
func (v *visit) disclosures(ctx context.Context, m *manifest, n *direction) (part []byte, err error) {
	for pages := 0; m.Done < len(m.Organizations) && pages < manifestPages && len(part) < manifestPartSize; pages++ {
		q := search.Query{Type: auditEvents, Count: unspecifiedCount, Clauses: []search.Clause{
			v.g.refers(auditEvents, "agent", "Organization/"+m.Organizations[m.Done]),
		}}
		page, err := v.reader.Search(ctx, consent.Everything(), &q, store.PageRequest{Limit: factsPage, After: m.After})
		if err != nil {
			return nil, err
		}
		for i := range page.Found {
			e, err := audit.Decode(page.Found[i].Record)
			if err != nil {
				return nil, err
			}
			if m.counts(&e) && n.window.Contains(e.Recorded) {
				count := 0
				part, count = e.AppendDisclosures(part, page.Found[i].ID)
				m.Disclosures += count
			}
		}
		if m.After = page.Next; len(m.After) == 0 {
			m.Done++
		}
	}
	return part, nil
}

// counts reports whether an access of one of the organisations is one of those that
// the direction is about.
func (m *manifest) counts(e *audit.Event) bool {
	return e.Discloses() && slices.Contains(m.Organizations, e.Agent.Organization) &&
		(m.Person == "" || m.Person == e.Agent.Practitioner || m.Person == e.Agent.User) &&
		(m.Client == "" || m.Client == e.Agent.Client)
}

// advance keeps a part and how far the manifest is then, unless another did. It
// reports whether there is more to do here.
func (w *writing) advance(ctx context.Context, task string, before, part []byte, m manifest) (more bool, err error) {
	value, _, err := w.tx.State(ctx, stateManifest+task)
	if err != nil || !bytes.Equal(value, before) {
		return false, err
	}
	n, err := w.directed(ctx, task)
	if err != nil {
		return false, err
	}
	if n == nil || n.status == statusCancelled {
		return false, w.tx.SetState(stateManifest+task, nil, time.Time{})
	}
	if len(part) > 0 {
		if err := w.putPart(ctx, manifestPart(task, m.Parts), part); err != nil {
			return false, err
		}
		m.Parts++
	}
	if m.Done < len(m.Organizations) {
		return true, w.keepManifest(task, &m)
	}
	n.business, n.parts, n.disclosures, n.from = manifestReady, m.Parts, m.Disclosures, m.From
	if _, err := w.keepDirection(ctx, n); err != nil {
		return false, err
	}
	return false, w.tx.SetState(stateManifest+task, nil, time.Time{})
}

// putPart stores a part of a manifest, under the server's own label. What somebody
// put under its id stays as a former version.
func (w *writing) putPart(ctx context.Context, id string, part []byte) error {
	resource, err := json.Marshal(struct {
		ResourceType string  `json:"resourceType"`
		Meta         ownMeta `json:"meta"`
		ContentType  string  `json:"contentType"`
		Data         []byte  `json:"data"`
	}{"Binary", marked(), "application/x-ndjson", part})
	if err != nil {
		return err
	}
	d, err := w.own(resource, "Binary", "")
	if err != nil {
		return err
	}
	if err := w.ready(d, id); err != nil {
		return err
	}
	d.byServer = true
	prior, err := newest(ctx, w.reader, consent.Everything(), "Binary", id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = w.put(ctx, d, prior)
	return err
}
