package gate

import (
	"context"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// sifted is a store in which nothing is but what the parts of a universe leave
// (Universe.Parted). It puts them into every question; from universes that have none
// it answers as the store does.
type sifted struct {
	store.Reader
	v *visit
}

// sifted is what the visit reads by.
func (v *visit) sifted(r store.Reader) store.Reader {
	if !v.caller.Scopes.Granular() {
		return r
	}
	return sifted{r, v}
}

// Epoch is that of what is read.
func (s sifted) Epoch(key string) (epoch uint64, ok bool) {
	if e, tells := s.Reader.(epochs); tells {
		return e.Epoch(key)
	}
	return 0, false
}

// Read is of what the part has, as a search finds it. Whether a resource that was
// deleted was in the part nobody can tell: it is not there.
func (s sifted) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	f, err := s.Reader.Read(ctx, u, t, id)
	if _, narrowed := u.Part(t); !narrowed {
		return f, err
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone) {
		return store.Found{}, err
	}
	q := search.Query{Type: t, Clauses: []search.Clause{{Any: []search.Match{search.IDMatch(id)}}}, Count: unspecifiedCount}
	page, failure := s.Search(ctx, u, &q, store.PageRequest{Limit: 1}) // also for what is not there: it takes as long
	if failure != nil {
		return store.Found{}, failure
	}
	if err != nil || len(page.Found) == 0 {
		return store.Found{}, store.ErrNotFound
	}
	return f, nil
}

// Version is of what the part has now, and had then.
func (s sifted) Version(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id, version string) (store.Found, error) {
	alternatives, narrowed := u.Part(t)
	if !narrowed {
		return s.Reader.Version(ctx, u, t, id, version)
	}
	if _, err := s.Read(ctx, u, t, id); err != nil {
		return store.Found{}, err
	}
	f, err := s.Reader.Version(ctx, u, t, id, version)
	if errors.Is(err, store.ErrGone) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Found{}, err
	}
	if ok, err := s.had(&f, alternatives); !ok || err != nil {
		return store.Found{}, errors.Join(err, store.ErrNotFound)
	}
	return f, nil
}

// History is of the versions that the part had, of what it has now. A position is
// the version before it.
func (s sifted) History(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, limit int, after []byte) (versions []store.Found, next []byte, total int, err error) {
	alternatives, narrowed := u.Part(t)
	if !narrowed {
		return s.Reader.History(ctx, u, t, id, limit, after)
	}
	if _, err := s.Read(ctx, u, t, id); err != nil {
		return nil, nil, 0, err
	}
	all, err := s.versions(ctx, u, t, id, alternatives)
	if err != nil {
		return nil, nil, 0, err
	}
	from := 0
	if len(after) > 0 {
		if from = slices.IndexFunc(all, func(f store.Found) bool { return f.Version == string(after) }) + 1; from == 0 {
			return nil, nil, 0, store.ErrBadCursor
		}
	}
	total, all = len(all), all[from:]
	if limit = max(limit, 0); len(all) <= limit {
		return all, nil, total, nil
	}
	if all = all[:limit]; limit > 0 {
		next = []byte(all[limit-1].Version)
	}
	return all, next, total, nil
}

// versions are all that the part had, newest first.
func (s sifted) versions(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, alternatives [][]search.Clause) (all []store.Found, err error) {
	var after []byte
	for passed := 0; ; {
		some, next, _, err := s.Reader.History(ctx, u, t, id, s.v.g.cfg.PageMax, after)
		if err != nil {
			return nil, err
		}
		if passed += len(some); passed > versionsMost {
			return nil, store.ErrTooCostly
		}
		for i := range some {
			ok, err := s.had(&some[i], alternatives)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, some[i])
			}
		}
		if after = next; len(after) == 0 {
			return all, nil
		}
	}
}

// had reports whether one of the alternatives holds for a version. A deletion is of
// no part.
func (s sifted) had(f *store.Found, alternatives [][]search.Clause) (ok bool, err error) {
	if f.Deleted {
		return false, nil
	}
	err = s.v.g.parsed(*f, func(f store.Found, t *fhir.Tape) error {
		entries, err := s.v.entriesOf(&f, t)
		if err != nil {
			return err
		}
		for _, clauses := range alternatives {
			if ok, err = search.AllHold(clauses, entries, alone(nil)); ok || err != nil {
				return err
			}
		}
		return nil
	})
	return ok && err == nil, err
}

// Changes are of whole types.
func (s sifted) Changes(ctx context.Context, u *consent.Universe, q store.ChangesRequest) (store.ChangesPage, error) {
	q.Types = slices.DeleteFunc(slices.Clone(q.Types), func(t fhir.ResourceType) bool {
		_, narrowed := u.Part(t)
		return narrowed
	})
	return s.Reader.Changes(ctx, u, q)
}

// Search asks for what is in the part, and has every join lead to parts.
func (s sifted) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	one := *q
	one.Clauses = search.CloneClauses(q.Clauses)
	eachJoin(one.Clauses, func(j *search.Join) {
		if alternatives, narrowed := u.Part(j.Type); narrowed {
			j.Clauses = append(j.Clauses, search.Clause{All: alternatives})
		}
	})
	if alternatives, narrowed := u.Part(q.Type); narrowed {
		one.Clauses = append(one.Clauses, search.Clause{All: alternatives})
	}
	return s.Reader.Search(ctx, u, &one, p)
}
