package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// keyParameters is the epoch of the search parameters that the custodian added.
const keyParameters = "search-parameters"

// parameters are the search parameters at one state of the store: R4's, and those
// that the custodian added. They are shared and never change.
type parameters struct {
	indexer *search.Indexer
	parser  *search.Parser
	// jobs are the registrations of those added.
	jobs []job
	// epoch is that of keyParameters, if it is known.
	epoch uint64
	known bool
}

// at reports whether p is what there is at an epoch.
func (p *parameters) at(epoch uint64, known bool) bool {
	return p != nil && known && p.known && p.epoch == epoch
}

// Parser is what understands queries, as the gate last heard: other processes may
// have added a parameter since, or taken one away. See Learn.
func (g *Gate) Parser() *search.Parser { return g.present.Load().parser }

// Learn is Parser after a look at what is there now.
func (g *Gate) Learn(ctx context.Context) (*search.Parser, error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	v := &visit{view: view{g: g, reader: snap, snap: snap}}
	defer v.close()
	if err := v.learn(ctx); err != nil {
		return nil, g.failed(ctx, err)
	}
	return v.params.parser, nil
}

// learn is told which parameters there are at the visit's snapshot.
func (v *visit) learn(ctx context.Context) error {
	epoch, known := v.snap.Epoch(keyParameters)
	if v.params = v.g.present.Load(); v.params.at(epoch, known) {
		return nil
	}
	v.g.learning.Lock()
	defer v.g.learning.Unlock()
	kept := v.g.present.Load()
	if v.params = kept; kept.at(epoch, known) {
		return nil
	}
	fresh, err := v.loadParameters(ctx)
	if err != nil {
		return err
	}
	fresh.epoch, fresh.known = epoch, known
	if known && (!kept.known || epoch > kept.epoch) {
		v.g.present.Store(fresh)
	}
	v.params = fresh
	return nil
}

// learn is told which parameters there are in the state that the commit builds
// on: whatever is written from then on has an index for each of them.
func (w *writing) learn(ctx context.Context) error {
	epoch, known := w.tx.Epoch(keyParameters)
	for _, p := range []*parameters{w.params, w.g.present.Load()} {
		if p.at(epoch, known) {
			w.params = p
			return nil
		}
	}
	fresh, err := w.loadParameters(ctx)
	if err == nil {
		w.params = fresh
	}
	return err
}

// loadParameters reads the registrations. One whose SearchParameter does not say
// what it said is left out; that cannot be, and is told.
func (v *view) loadParameters(ctx context.Context) (*parameters, error) {
	p := &parameters{indexer: v.g.tools.Indexer, parser: v.g.tools.Parser}
	jobs, err := v.jobs(ctx)
	if err != nil {
		return nil, err
	}
	var added []search.Added
	for _, j := range jobs {
		if !j.live() {
			continue
		}
		_, err := v.read(ctx, "SearchParameter", j.parameter, func(_ store.Found, t *fhir.Tape) error {
			if sp, problem := v.g.definition(t); problem == nil && sp != nil && fingerprint(sp) == j.definition {
				sp.Number = uint16(j.number)
				j.search = sp
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if j.search == nil {
			v.g.log.ErrorContext(ctx, "a search parameter is not what was registered; it is left out",
				"alert", "search-parameter-lost", "parameter", j.parameter)
			continue
		}
		p.jobs = append(p.jobs, j)
		added = append(added, search.Added{SearchParam: j.search, Used: j.status == statusCompleted})
	}
	return v.compiled(ctx, p, added)
}

// compiled puts the parameters together. One that no longer fits, because this
// program knows others than the one that registered it, is left out and told.
func (v *view) compiled(ctx context.Context, p *parameters, added []search.Added) (*parameters, error) {
	for len(added) > 0 {
		x, err := v.g.tools.Indexer.With(added)
		if err == nil {
			p.indexer, p.parser = x, x.Parser()
			return p, nil
		}
		var cause *search.AddedError
		if !errors.As(err, &cause) {
			return nil, err
		}
		v.g.log.ErrorContext(ctx, "a search parameter does not fit in with the others; it is left out",
			"alert", "search-parameter-lost", "code", cause.Code)
		last := len(added) - 1
		for last > 0 && added[last].Code != cause.Code {
			last--
		}
		p.jobs = slices.DeleteFunc(p.jobs, func(j job) bool { return uint16(j.number) == added[last].Number })
		added = slices.Delete(added, last, last+1)
	}
	return p, nil
}

// served refuses a query that was understood by a parameter which is no longer
// used: what it finds would not be all there is.
func (v *visit) served(q *search.Query) error {
	if v.params.parser.Serves(q) {
		return nil
	}
	return invalid(http.StatusBadRequest, fhir.CodeNotSupported,
		"the search names a parameter that is no longer used; /metadata lists what is", "")
}

// jobOf is the registration of a SearchParameter that is in force; nil for none.
func (p *parameters) jobOf(id string) *job {
	if i := slices.IndexFunc(p.jobs, func(j job) bool { return j.parameter == id }); i >= 0 {
		return &p.jobs[i]
	}
	return nil
}
