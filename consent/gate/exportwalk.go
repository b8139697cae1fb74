package gate

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/subset"
	"vitrine/store"
)

// How much is read at once: events are small, and a resource of a record may have
// MaxBody.
const (
	eventsAtOnce    = 1000
	resourcesAtOnce = 100
)

// errExportStopped says that who began an export may not have it any more.
var errExportStopped = errors.New("the export is not open to its caller any more")

// exportWalk goes over what an export has of a type, a page at a time. Every page is
// a visit of its own, through the gates of now; nothing is held open in between,
// however slow the client is.
type exportWalk struct {
	g    *Gate
	req  *Request
	x    *export
	t    fhir.ResourceType
	form *subset.Form
	// after is the position behind which the next page begins.
	after []byte
	// from and until bound the times of events that are asked for at once. They are
	// drawn closer where a search looks at too much, and apart again; last bounds all.
	from, until, last time.Time
	// most is how many resources a page may have.
	most int
	done bool
	tape fhir.Tape
	line []byte
}

// exportWalk begins at a position of a type.
func (g *Gate) exportWalk(x *export, req *Request, t fhir.ResourceType, after []byte) (*exportWalk, error) {
	form, err := g.exportForm(x.Types, x.Elements)
	if err != nil {
		return nil, err
	}
	w := &exportWalk{g: g, req: req, x: x, t: t, form: form, after: after, from: x.Since, until: x.Time, last: x.Time, most: resourcesAtOnce}
	if t == auditEvents {
		w.most = eventsAtOnce
	}
	return w, nil
}

// chronological reports whether the walk goes in the order of time. Those of a record
// go in the order of the store, in which nothing ever comes before what was there.
func (w *exportWalk) chronological() bool { return w.x.Patient == "" }

// next hands out the lines of the next page; done is set behind the last.
func (w *exportWalk) next(ctx context.Context, most int, each func(f *store.Found, line []byte) error) error {
	v, u, err := w.visit(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	page, err := w.page(ctx, v, u, min(most, w.most))
	if err != nil {
		return err
	}
	for i := range page.Found {
		f, ok, err := w.then(ctx, v, u, &page.Found[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := w.print(&f); err != nil {
			return err
		}
		if err := each(&f, w.line); err != nil {
			return err
		}
	}
	return nil
}

// visit is one to the export by who began it, and the universe it is made from.
func (w *exportWalk) visit(ctx context.Context) (*visit, *consent.Universe, error) {
	v, err := w.g.open(ctx, w.req)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return nil, nil, errExportStopped
	}
	if err != nil {
		return nil, nil, err
	}
	reason, err := v.exportRefused(ctx, w.x, []fhir.ResourceType{w.t})
	if err == nil && reason != "" {
		err = errExportStopped
	}
	if err != nil {
		v.close()
		return nil, nil, err
	}
	if w.x.Patient == "" {
		u, err := v.universe(ctx, nil)
		return v, u, err
	}
	return v, v.parted(consent.OfPatients([]string{w.x.Patient}, nil, v.decide)), nil
}

// page reads the next page.
func (w *exportWalk) page(ctx context.Context, v *visit, u *consent.Universe, most int) (store.Page, error) {
	for {
		q, err := w.query(v)
		if err != nil {
			return store.Page{}, err
		}
		page, err := v.reader.Search(ctx, u, q, store.PageRequest{Limit: most, After: w.after})
		if errors.Is(err, store.ErrTooCostly) && w.chronological() {
			closer, failed := w.closer(ctx, v, u)
			if failed == nil && closer {
				continue
			}
			err = errors.Join(failed, err)
		}
		if err != nil {
			return store.Page{}, err
		}
		if !w.chronological() {
			w.after, w.done = page.Next, len(page.Next) == 0
			return page, nil
		}
		if n := len(page.Found); n > 0 {
			last := &page.Found[n-1]
			w.after, w.from = store.Position{Keys: last.Keys, ID: last.ID}.Append(nil), last.Updated
		}
		if len(page.Next) == 0 {
			w.apart()
		}
		return page, nil
	}
}

// query is what a page is found by.
func (w *exportWalk) query(v *visit) (*search.Query, error) {
	if w.t != auditEvents {
		return &search.Query{Type: w.t, Count: unspecifiedCount}, nil
	}
	pairs := []search.Pair{{Name: "_lastUpdated", Value: "le" + fhir.FormatInstant(w.until)}}
	if !w.from.IsZero() {
		pairs = append(pairs, search.Pair{Name: "_lastUpdated", Value: "ge" + fhir.FormatInstant(w.from)})
	}
	if w.chronological() {
		pairs = append(pairs, search.Pair{Name: "_sort", Value: "_lastUpdated"})
	}
	q, refusal := v.parser().Parse(auditEvents, pairs, false)
	if refusal != nil {
		return nil, refusal
	}
	alternatives, problem := v.exportFilter(w.x.Filters)
	switch {
	case problem != nil:
		return nil, problem
	case len(alternatives) == 1:
		q.Clauses = append(q.Clauses, alternatives[0]...)
	case len(alternatives) > 1:
		q.Clauses = append(q.Clauses, search.Clause{All: alternatives})
	}
	return q, nil
}

// exportFilter understands the filters of an export. One is a condition on the event
// itself, by which what is exported does not depend on anything else that is on file.
func (v *visit) exportFilter(filters []string) (alternatives [][]search.Clause, problem *Invalid) {
	for _, one := range filters {
		t, query, ok := strings.Cut(one, "?")
		if !ok || fhir.ResourceType(t) != auditEvents {
			return nil, badFilter("it must be one search for AuditEvent or several, separated by commas, such as AuditEvent?type=rest")
		}
		var pairs []search.Pair
		for part := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(part, "=")
			name, failed := url.PathUnescape(name)
			value, failedToo := url.PathUnescape(value)
			switch {
			case failed != nil || failedToo != nil:
				return nil, badFilter("a percent sign must begin an escape")
			case !isCondition(name) || value == "":
				return nil, badFilter("parameters that lead to other resources or shape an answer, such as _sort, are not open here")
			}
			pairs = append(pairs, search.Pair{Name: name, Value: value})
		}
		q, refusal := v.parser().Parse(auditEvents, pairs, false)
		if refusal != nil {
			return nil, &Invalid{Status: http.StatusBadRequest, Issues: refusal.Issues}
		}
		for i := range q.Clauses {
			if !q.Clauses[i].Own() || named(q.Clauses) {
				return nil, badFilter("it must be answered by the event itself")
			}
		}
		alternatives = append(alternatives, q.Clauses)
	}
	return alternatives, nil
}

func badFilter(text string) *Invalid {
	return invalid(http.StatusBadRequest, fhir.CodeInvalid, "_typeFilter: "+text, "")
}

// closer draws the times together, to half of what is left; false when they are as
// close as can be.
func (w *exportWalk) closer(ctx context.Context, v *visit, u *consent.Universe) (bool, error) {
	if w.from.IsZero() {
		q := search.Query{Type: auditEvents, Count: unspecifiedCount}
		sorted, refusal := v.parser().Parse(auditEvents, []search.Pair{{Name: "_sort", Value: "_lastUpdated"}}, false)
		if refusal != nil {
			return false, refusal
		}
		q.Sort = sorted.Sort
		page, err := v.reader.Search(ctx, u, &q, store.PageRequest{Limit: 1})
		if err != nil || len(page.Found) == 0 {
			return false, err
		}
		w.from = page.Found[0].Updated
	}
	half := w.until.Sub(w.from) / 2
	if half < time.Millisecond {
		return false, nil
	}
	w.until = w.from.Add(half).Truncate(time.Millisecond)
	return true, nil
}

// apart goes on to the times that follow, twice as many at once; done behind the last.
func (w *exportWalk) apart() {
	if !w.until.Before(w.last) {
		w.done = true
		return
	}
	wide := max(w.until.Sub(w.from), time.Millisecond)
	w.from = w.until.Add(time.Millisecond)
	if w.until = w.from.Add(2 * wide); w.until.After(w.last) {
		w.until = w.last
	}
}

// then is a resource as it was when the export began; ok is false when it was not
// there, or is too old.
func (w *exportWalk) then(ctx context.Context, v *visit, u *consent.Universe, now *store.Found) (f store.Found, ok bool, err error) {
	f = *now
	if end := w.x.Time.Add(time.Millisecond); !f.Updated.Before(end) {
		if w.t == auditEvents {
			return f, false, nil
		}
		if f, ok, err = w.former(ctx, v, u, f.ID, end); !ok || err != nil {
			return f, false, err
		}
	}
	return f, !f.Updated.Before(w.x.Since), nil
}

// former is the newest version of a resource before a moment.
func (w *exportWalk) former(ctx context.Context, v *visit, u *consent.Universe, id string, end time.Time) (store.Found, bool, error) {
	var after []byte
	for passed := 0; passed < versionsMost; {
		versions, next, _, err := v.reader.History(ctx, u, w.t, id, w.g.cfg.PageDefault, after)
		if errors.Is(err, store.ErrNotFound) {
			return store.Found{}, false, nil
		}
		if err != nil {
			return store.Found{}, false, err
		}
		for i := range versions {
			if versions[i].Updated.Before(end) {
				return versions[i], !versions[i].Deleted, nil
			}
		}
		if after, passed = next, passed+len(versions); len(next) == 0 {
			return store.Found{}, false, nil
		}
	}
	return store.Found{}, false, ErrTooCostly
}

// print makes the line of a resource, which is one whatever form the resource has: a
// line can end only between the tokens of JSON.
func (w *exportWalk) print(f *store.Found) error {
	w.line = append(w.line[:0], f.JSON...)
	if w.form != nil {
		if err := w.tape.Parse(f.JSON, fhir.Stored()); err != nil {
			return err
		}
		w.line = w.form.Append(w.line[:0], &w.tape)
	}
	if bytes.ContainsAny(w.line, "\r\n") {
		kept := w.line[:0]
		for _, c := range w.line {
			if c != '\n' && c != '\r' {
				kept = append(kept, c)
			}
		}
		w.line = kept
	}
	w.line = append(w.line, '\n')
	return nil
}
