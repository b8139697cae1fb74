package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

const auditEvents fhir.ResourceType = "AuditEvent"

// Oversees reports whether a kind of caller has the history of a type, or with no
// type of all of them: it answers about the writes of everybody (DOSSIER §7.9).
func Oversees(k consent.Kind, t fhir.ResourceType) bool {
	return k == consent.Custodian || k == consent.Regulator && t == auditEvents
}

// Changes answers R4 http.html#history of a type, or of all types with none.
func (g *Gate) Changes(ctx context.Context, req *Request, t fhir.ResourceType, page HistoryPage) (Released, error) {
	if !Oversees(req.Caller.Kind, t) {
		return Released{}, ErrMethod
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	types, err := v.admitHistory(ctx, t)
	if err != nil {
		return Released{}, err
	}
	var out Released
	var events []audit.Event
	if t == auditEvents {
		out, events, err = v.occurred(ctx, types, &page)
	} else {
		out, events, err = v.changes(ctx, t, types, &page)
	}
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}

// admitHistory passes the history through the gates that depend on the caller
// alone. That of all types is of those that are open.
func (v *visit) admitHistory(ctx context.Context, t fhir.ResourceType) ([]admitted, error) {
	if t != "" {
		if err := v.admit(ctx, v.req.Interaction, t); err != nil {
			return nil, err
		}
		return []admitted{{t, v.caller.Confined}}, nil
	}
	var all []fhir.ResourceType
	for _, d := range v.g.tools.Definitions.Resources() {
		all = append(all, d.Resource())
	}
	return v.admitAny(ctx, all)
}

// changes is a page of what the store tells of types.
func (v *visit) changes(ctx context.Context, t fhir.ResourceType, types []admitted, page *HistoryPage) (Released, []audit.Event, error) {
	question := v.historyQuestion("changes", t, "", page)
	after, err := v.unsealed(page.Cursor, question)
	if err != nil {
		return Released{}, nil, err
	}
	u, err := v.universe(ctx, nil)
	if err != nil {
		return Released{}, nil, err
	}
	q := store.ChangesRequest{Since: page.Since, From: page.From, Until: page.Until, Limit: v.g.page(page.Count), After: after}
	for _, one := range types {
		if !one.confined {
			q.Types = append(q.Types, one.name)
		}
	}
	var some store.ChangesPage
	if page.List != "" {
		some, err = v.changesListed(ctx, u, &q, page)
	} else {
		some, err = v.reader.Changes(ctx, u, q)
	}
	if err != nil {
		return Released{}, nil, err
	}
	out := Released{items: make([]Item, len(some.Found)), total: -1, next: v.sealed(some.Next, question)}
	var patients []string
	for i := range some.Found {
		out.items[i] = Item{Resource: some.Found[i].Resource}
		patients = merge(patients, some.Found[i].Patients)
	}
	events, err := v.concerning(ctx, u, patients)
	if err != nil {
		return out, nil, err
	}
	also, err := v.alsoRead(ctx, u)
	return out, append(events, also...), err
}

// occurred is the history of AuditEvents: each has one version, so that it is a
// search of them by time.
func (v *visit) occurred(ctx context.Context, types []admitted, page *HistoryPage) (Released, []audit.Event, error) {
	pairs := []search.Pair{{Name: "_sort", Value: "-_lastUpdated"}, {Name: "_count", Value: strconv.Itoa(v.g.page(page.Count))}}
	if !page.Since.IsZero() {
		pairs = append(pairs, search.Pair{Name: "_lastUpdated", Value: "ge" + fhir.FormatInstant(page.Since)})
	}
	if !page.Until.IsZero() {
		pairs = append(pairs, search.Pair{Name: "_lastUpdated", Value: "lt" + fhir.FormatInstant(page.Until)})
	}
	if page.List != "" {
		pairs = append(pairs, search.Pair{Name: "_list", Value: page.List})
	}
	q, refusal := v.parser().Parse(auditEvents, pairs, false)
	if refusal != nil {
		return Released{}, nil, refusal
	}
	return v.search(ctx, q, types, page.Cursor)
}

// listedMost bounds the resources that a List may refer to for a history of them,
// and versionsMost the versions that are looked at for a page from which some are
// left out.
const (
	listedMost   = 1000
	versionsMost = 10_000
)

// roster is what a List refers to: resources, by "Type/id", and of each the
// versions, or all of them with none.
type roster struct{ members map[string][]string }

// refers reports whether the List refers to a version. Without a List nothing is
// left out.
func (l *roster) refers(t fhir.ResourceType, id, version string) bool {
	if l == nil {
		return true
	}
	versions, ok := l.members[string(t)+"/"+id]
	return ok && (len(versions) == 0 || slices.Contains(versions, version))
}

// listed reads a List that exists for the caller and that scopes and directives
// let be read; of any other it is as if it were empty.
func (v *visit) listed(ctx context.Context, id string) (*roster, error) {
	out := &roster{members: map[string][]string{}}
	u, err := v.instance(ctx)
	if err != nil {
		return nil, err
	}
	if u, err = v.narrowed(ctx, u, []fhir.ResourceType{"List"}); err != nil {
		return nil, err
	}
	f, err := v.reader.Read(ctx, u, "List", id)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	v.notes.also = append(v.notes.also, f)
	return out, v.g.parsed(f, func(_ store.Found, t *fhir.Tape) error {
		whole := map[string]bool{}
		elements(t, t.Root(), "entry", func(n fhir.Node) {
			ref := v.g.reference(t, t.Field(n, "item"))
			if ref.ID == "" {
				return
			}
			key := string(ref.Type) + "/" + ref.ID
			whole[key] = whole[key] || ref.Version == ""
			if out.members[key] = append(out.members[key], ref.Version); whole[key] {
				out.members[key] = nil
			}
		})
		return nil
	})
}

// changesListed are the changes of what a List refers to, read resource by
// resource.
func (v *visit) changesListed(ctx context.Context, u *consent.Universe, q *store.ChangesRequest, page *HistoryPage) (store.ChangesPage, error) {
	var after store.Change
	if len(q.After) > 0 {
		var err error
		if after, err = store.ReadChange(q.After); err != nil {
			return store.ChangesPage{}, err
		}
	}
	all, err := v.listedVersions(ctx, u, q, page)
	if err != nil {
		return store.ChangesPage{}, err
	}
	slices.SortFunc(all, func(a, b change) int { return a.Compare(b.Change) })
	var out store.ChangesPage
	for i := range all {
		if after.ID != "" && all[i].Compare(after) <= 0 {
			continue
		}
		if len(out.Found) == q.Limit {
			out.Next = all[i-1].Append(nil)
			return out, nil
		}
		out.Found = append(out.Found, all[i].Found)
	}
	return out, nil
}

// change is a version with its place.
type change struct {
	store.Change
	store.Found
}

// listedVersions are all versions that a List refers to and that are asked for.
func (v *visit) listedVersions(ctx context.Context, u *consent.Universe, q *store.ChangesRequest, page *HistoryPage) (all []change, err error) {
	list, err := v.listed(ctx, page.List)
	if err != nil {
		return nil, err
	}
	if len(list.members) > listedMost {
		return nil, ErrTooCostly
	}
	passed := 0
	for key := range list.members {
		ref := fhir.ParseReference(key, v.g.cfg.BaseURL)
		if !slices.Contains(q.Types, ref.Type) || ref.Type == auditEvents {
			continue
		}
		w := versionsWalk{visit: v, u: u, t: ref.Type, id: ref.ID, page: page, members: list, passed: passed}
		found, err := w.fill(ctx, versionsMost-len(all))
		passed = w.passed
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(w.rest) > 0 {
			return nil, ErrTooCostly
		}
		for i := range found {
			count, err := strconv.ParseUint(found[i].Version, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("version of %s: %w", ref.Type, err)
			}
			all = append(all, change{store.Change{At: found[i].Updated.UnixMilli(), Type: ref.Type, ID: ref.ID, Count: count}, found[i]})
		}
	}
	return all, nil
}
