package gate

import (
	"context"
	"errors"
	"hash"
	"net/http"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// AccessPage says which part of a patient's access history is wanted.
type AccessPage struct {
	// Count is the page size wished for; -1 when none was named.
	Count int
	// Cursor is the Next of the page before.
	Cursor string
	// Since and Until bound when it was; the zero time bounds nothing.
	Since, Until time.Time
	// Organization is the id of an organisation; those that are part of it are meant
	// too, and within a public cluster the cluster. Empty for all.
	Organization string
	// Emergency leaves the accesses for which the glass was broken.
	Emergency bool
	// Each tells every access by itself, and does not make visits of them.
	Each bool
}

const (
	// visitLength is how long a visit lasts at most.
	visitLength = time.Hour
	// accessesMost is how many accesses one page tells of; accessesStep is how many
	// are read at once.
	accessesMost = 5000
	accessesStep = 250
)

// Concerned reports whether what is about the own record is there for a kind of
// caller: for all others there is no such operation.
func Concerned(k consent.Kind) bool { return k == consent.Patient || k == consent.Representative }

// ConcernedOrKeeping is the same for what is the custodian's as well.
func ConcernedOrKeeping(k consent.Kind) bool { return Concerned(k) || k == consent.Custodian }

// AccessHistory answers Patient/$access-history: who looked at the record, and why,
// newest first, as far as patients may know (DOSSIER §3.5).
func (g *Gate) AccessHistory(ctx context.Context, req *Request, patient string, page AccessPage) (Released, error) {
	if !Concerned(req.Caller.Kind) {
		return Released{}, ErrNotFound
	}
	if !page.Since.IsZero() && !page.Until.IsZero() && !page.Since.Before(page.Until) {
		return Released{}, errBackwards()
	}
	if err := g.store.Settle(ctx); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if err := v.admit(ctx, req.Interaction, auditEvents); err != nil {
		return Released{}, err
	}
	if _, _, err := v.find(ctx, "Patient", patient, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, "Patient", patient)
	}); err != nil {
		return Released{}, err
	}
	u, err := v.universe(ctx, []string{patient})
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	out, err := v.visits(ctx, u, patient, &page)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.recordUse(ctx, u, out, patient)
}

// errBackwards refuses a period that is none.
func errBackwards() error {
	return invalid(statusBusiness, fhir.CodeValue, "the period must begin before it ends", "Parameters.parameter")
}

// recordUse records a look at the record of access itself.
func (v *visit) recordUse(ctx context.Context, u *consent.Universe, out Released, patients ...string) (Released, error) {
	events, err := v.concerning(ctx, u, patients)
	if err != nil {
		return Released{}, v.g.failed(ctx, err)
	}
	for i := range events {
		events[i].Kind = audit.KindAuditUse
	}
	return v.record(ctx, out, events)
}

// listener is whom things are told in plain words.
func (v *visit) listener() plain.Reader {
	if v.caller.Kind == consent.Representative {
		return plain.Reader{User: v.caller.User}
	}
	return plain.Reader{Patient: v.caller.Kind == consent.Patient}
}

// visits are a page of the history. Accesses are read until the page is full or
// has told of enough of them; the next page goes on behind the last one told.
func (v *visit) visits(ctx context.Context, u *consent.Universe, patient string, page *AccessPage) (Released, error) {
	question := v.question("$access-history", func(h hash.Hash) {
		writePart(h, patient)
		writePart(h, page.Organization)
		writePart(h, page.Since.UTC().String()+page.Until.UTC().String())
		writeNumbers(h, bit(page.Emergency), bit(page.Each))
	})
	after, err := v.unsealed(page.Cursor, question)
	if err != nil {
		return Released{}, err
	}
	want, err := v.wants(ctx, page)
	if err != nil {
		return Released{}, err
	}
	q, err := v.accessQuery(ctx, patient, page, want.cluster != "")
	if err != nil {
		return Released{}, err
	}
	fold := plain.Fold{Within: visitLength, Most: v.g.page(page.Count)}
	if page.Each {
		fold.Within = 0
	}
	names := map[string]string{}
	for told := 0; ; {
		found, err := v.reader.Search(ctx, u, q, store.PageRequest{Limit: accessesStep, After: after})
		if err != nil {
			return Released{}, err
		}
		for i := range found.Found {
			f := &found.Found[i]
			full := told == accessesMost
			if !full {
				if full, err = v.tell(ctx, &fold, f, want, names); err != nil {
					return Released{}, err
				}
			}
			if full {
				return v.told(&fold, v.sealed(after, question)), nil
			}
			told++
			after = store.Position{Keys: f.Keys, ID: f.ID}.Append(nil)
		}
		if len(found.Next) == 0 {
			return v.told(&fold, ""), nil
		}
	}
}

func (v *visit) told(fold *plain.Fold, next string) Released {
	return Released{visits: fold.Visits, reader: v.listener(), total: -1, next: next}
}

// tell adds one access to the visits, unless they are full. Who claims an emergency
// without a grant was in none.
func (v *visit) tell(ctx context.Context, fold *plain.Fold, f *store.Found, want wanted, names map[string]string) (full bool, err error) {
	e, err := audit.Decode(f.Record)
	if err != nil {
		return false, err
	}
	if e.Kind == audit.KindDecision || plain.ToldBeside(&e) { // it stands beside the event of the attempt, or of the write
		return false, nil
	}
	one, err := v.toldAs(ctx, &e, names)
	if err != nil {
		return false, err
	}
	if want.emergency && !one.Emergency || want.cluster != "" && one.Organization != want.cluster {
		return false, nil
	}
	return !fold.Add(one, &e.Agent), nil
}

// toldAs is an event as the caller is told of it, with the name of the organisation.
func (v *visit) toldAs(ctx context.Context, e *audit.Event, names map[string]string) (plain.Visit, error) {
	one := plain.VisitOf(e, v.listener())
	if one.Organization == "" {
		return one, nil
	}
	var err error
	if one.Organization, err = v.shownAs(ctx, one.Organization); err != nil {
		return one, err
	}
	name, known := names[one.Organization]
	if !known {
		if name, err = v.lastName(ctx, one.Organization); err != nil {
			return one, err
		}
		names[one.Organization] = name
	}
	one.Name = name
	return one, nil
}

// lastName is what an organisation is called, or was when it was on file last.
func (v *view) lastName(ctx context.Context, id string) (string, error) {
	name := ""
	err := v.lastly(ctx, "Organization", id, func(_ store.Found, t *fhir.Tape) error {
		name = nameIn(t)
		return nil
	})
	return name, err
}

// accessQuery is what the page looks for; of a public cluster, everywhere.
func (v *visit) accessQuery(ctx context.Context, patient string, page *AccessPage, cluster bool) (*search.Query, error) {
	pairs := []search.Pair{{Name: "patient", Value: "Patient/" + patient}, {Name: "_sort", Value: "-date"}}
	for _, bound := range []struct {
		prefix string
		at     time.Time
	}{{"ge", page.Since}, {"lt", page.Until}} {
		if !bound.at.IsZero() {
			pairs = append(pairs, search.Pair{Name: "date", Value: bound.prefix + fhir.FormatInstant(bound.at)})
		}
	}
	if page.Emergency {
		pairs = append(pairs, search.Pair{Name: "purpose", Value: consent.SystemActReason + "|" + consent.BreakGlass.String()})
	}
	q, refusal := v.g.tools.Parser.Parse(auditEvents, pairs, false)
	if refusal != nil {
		return nil, refusal
	}
	if page.Organization == "" || cluster {
		return q, nil
	}
	parts, err := v.andParts(ctx, page.Organization)
	if err != nil {
		return nil, err
	}
	q.Clauses = append(q.Clauses, v.g.refers(auditEvents, "agent", parts...))
	return q, nil
}

// andParts are references to the organisation and to all that are part of it.
func (v *view) andParts(ctx context.Context, organization string) ([]string, error) {
	ids, err := v.partsOf(ctx, organization)
	if tooMany := (*Invalid)(nil); errors.As(err, &tooMany) {
		return nil, invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "the organisation has too many parts; name one of them", "Parameters.parameter.where(name='organization')")
	}
	refs := make([]string, len(ids))
	for i, id := range ids {
		refs[i] = "Organization/" + id
	}
	return refs, err
}
