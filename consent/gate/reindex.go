package gate

import (
	"context"
	"errors"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The index of an added parameter is made in small commits, between which others
// write. Whatever is written after the registration has it already (learn), so
// what is walked is what was there before. How far that is stands in the Task,
// from which any process goes on.

const (
	// reindexPage is how many resources are looked at between two commits.
	reindexPage = 64
	// reindexPause bounds how long is left to others after a commit: as long as
	// it took.
	reindexPause = 100 * time.Millisecond
	// reindexKeep is how often it is written down how far it is, and reindexLease
	// how long a process that is not heard of keeps its work.
	reindexKeep  = 2 * time.Second
	reindexLease = 15 * time.Second
	// reindexLook is how often it is asked whether there is work that another
	// process has left.
	reindexLook = 5 * time.Second
	// reindexEnd is how long there is to hand back what is under way.
	reindexEnd = 5 * time.Second
)

// errLost says that a registration was retired, or is another process's work.
var errLost = errors.New("the index is no longer this process's to make")

// wake tells that there is a parameter without an index.
func (g *Gate) wake() {
	select {
	case g.reindex <- struct{}{}:
	default:
	}
}

// KeepIndexed makes the indexes of search parameters that are added, until ctx
// ends: one process at a time, each going on where another stopped.
func (g *Gate) KeepIndexed(ctx context.Context, clock func() time.Time) {
	tick := time.NewTicker(reindexLook)
	defer tick.Stop()
	for {
		if err := g.Reindex(ctx, clock); err != nil && ctx.Err() == nil {
			g.log.ErrorContext(ctx, "the index of a search parameter was not made; it is tried again",
				"alert", "search-parameter-index", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.reindex:
		}
	}
}

// Reindex makes the indexes that nobody else is at work on, and returns when
// there are none.
func (g *Gate) Reindex(ctx context.Context, clock func() time.Time) error {
	if _, err := g.Learn(ctx); err != nil {
		return err
	}
	var failed error
	for _, j := range g.present.Load().jobs {
		if j.status == statusCompleted {
			continue
		}
		r := &reindexing{g: g, clock: clock, job: j}
		if err := r.run(ctx); err != nil && !errors.Is(err, errLost) {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// reindexing is the making of one index by this process.
type reindexing struct {
	g     *Gate
	clock func() time.Time
	job   job
	kept  time.Time // when it was last written down how far it is
}

func (r *reindexing) run(ctx context.Context) error {
	if err := r.claim(ctx); err != nil {
		return err
	}
	log := r.g.log.With("parameter", r.job.parameter, "code", r.job.search.Code)
	log.InfoContext(ctx, "the index of a search parameter is being made", "done", r.job.done, "total", r.job.total)
	err := r.walk(ctx)
	if err == nil {
		err = r.note(ctx, statusCompleted)
	}
	switch {
	case err == nil:
		log.InfoContext(ctx, "a search parameter is used from now on", "done", r.job.done)
	case !errors.Is(err, errLost):
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), reindexEnd)
		defer cancel()
		err = errors.Join(err, r.note(last, statusRequested))
	}
	return err
}

// visit is one of the server itself, to what is there now. The caller closes it.
func (r *reindexing) visit(ctx context.Context) (*visit, error) {
	v, err := r.g.itself(ctx, "update", r.clock())
	if err != nil {
		return nil, err
	}
	if err := v.learn(ctx); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// commit runs do in a commit of the server itself. Nothing of anybody's record is
// released or said anew, so there is nothing to record.
func (r *reindexing) commit(ctx context.Context, v *visit, do func(*writing) error) error {
	_, err := v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem = true
		return Released{}, do(w)
	})
	return err
}

// claim takes the work, unless another process is at it, and counts what there is
// to do.
func (r *reindexing) claim(ctx context.Context) error {
	v, err := r.visit(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	j, err := v.jobAt(ctx, r.job.task.ID)
	if err != nil {
		return err
	}
	if j.leased(r.g.name, v.now) {
		return errLost
	}
	total := 0
	for _, t := range r.job.search.Bases {
		page, err := v.reader.Search(ctx, consent.Everything(), &search.Query{Type: t, CountOnly: true}, store.PageRequest{Count: true})
		if err != nil {
			return err
		}
		total += page.Total
	}
	return r.write(ctx, v, func(j *job) error {
		if j.leased(r.g.name, v.now) {
			return errLost
		}
		j.status, j.total = statusProgress, total
		j.owner, j.lease = r.g.name, v.now.Add(reindexLease)
		return nil
	})
}

// write changes the registration as it stands, and takes it over.
func (r *reindexing) write(ctx context.Context, v *visit, change func(*job) error) error {
	lost := false
	err := r.commit(ctx, v, func(w *writing) error {
		now := w.params.jobOf(r.job.parameter)
		if lost = now == nil || now.number != r.job.number; lost {
			return nil
		}
		fresh, err := w.jobAt(ctx, now.task.ID)
		if err != nil {
			return err
		}
		fresh.search = r.job.search
		if lost = fresh.status == statusCompleted || change(&fresh) != nil; lost {
			return nil
		}
		if fresh.status == statusCompleted {
			w.tx.Touch(keyParameters)
		}
		r.job, r.kept = fresh, v.now
		return w.keep(ctx, &fresh)
	})
	if err == nil && lost {
		return errLost
	}
	return err
}

// jobAt reads the registration in a Task.
func (v *view) jobAt(ctx context.Context, task string) (j job, err error) {
	found, err := v.read(ctx, "Task", task, func(f store.Found, t *fhir.Tape) error {
		var ok bool
		if j, ok = jobOf(f, t); !ok {
			return errLost
		}
		return nil
	})
	if err == nil && !found {
		err = errLost
	}
	return j, err
}

// note writes down how far it is, and hands the work back unless it goes on.
func (r *reindexing) note(ctx context.Context, status string) error {
	v, err := r.visit(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	done := r.job
	return r.write(ctx, v, func(j *job) error {
		if j.owner != r.g.name {
			return errLost
		}
		j.status, j.done, j.at, j.position = status, done.done, done.at, done.position
		j.lease = v.now.Add(reindexLease)
		if status != statusProgress {
			j.owner = ""
		}
		if status == statusCompleted {
			j.at, j.position = "", nil
		}
		return nil
	})
}

// walk looks at every resource of the types, from where it was left.
func (r *reindexing) walk(ctx context.Context) error {
	for i, t := range r.job.search.Bases {
		if r.job.at != "" && t < r.job.at {
			continue
		}
		if t != r.job.at {
			r.job.at, r.job.position = t, nil
		}
		for more := true; more; {
			began := r.clock()
			var err error
			if more, err = r.page(ctx, t); err != nil {
				return err
			}
			if !more && i+1 < len(r.job.search.Bases) {
				r.job.at, r.job.position = r.job.search.Bases[i+1], nil
			}
			if err := r.rest(ctx, began); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest writes down how far it is when that is due, and leaves the store to others
// for as long as the last page took.
func (r *reindexing) rest(ctx context.Context, began time.Time) error {
	now := r.clock()
	if now.Sub(r.kept) >= reindexKeep {
		if err := r.note(ctx, statusProgress); err != nil {
			return err
		}
		r.g.log.InfoContext(ctx, "the index of a search parameter is being made",
			"parameter", r.job.parameter, "code", r.job.search.Code, "done", r.job.done, "total", r.job.total)
	}
	pause := time.NewTimer(min(now.Sub(began), reindexPause))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// page indexes one page of a type; more is false at its end.
func (r *reindexing) page(ctx context.Context, t fhir.ResourceType) (more bool, err error) {
	v, err := r.visit(ctx)
	if err != nil {
		return false, err
	}
	defer v.close()
	page, err := v.reader.Search(ctx, consent.Everything(), &search.Query{Type: t, Count: unspecifiedCount},
		store.PageRequest{Limit: reindexPage, After: r.job.position})
	if errors.Is(err, store.ErrBadCursor) { // the store that gave it was another
		r.job.position = nil
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var puts []store.Put
	for _, f := range page.Found {
		p, concerned, err := v.reindexed(ctx, f, r.job.number)
		if err != nil {
			return false, err
		}
		if concerned {
			puts = append(puts, p)
		}
	}
	if len(puts) > 0 {
		if err := r.commit(ctx, v, func(w *writing) error { return w.putUnchanged(ctx, t, puts) }); err != nil {
			return false, err
		}
	}
	r.job.position = page.Next
	r.job.done += len(page.Found)
	return len(page.Next) > 0, nil
}
