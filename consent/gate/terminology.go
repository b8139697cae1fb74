package gate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The terminology of a query is that which ships with the server and, for what it
// does not know, the ValueSets and CodeSystems on file. Of those it counts what
// the custodian keeps, and what the caller's own organisation contributed: nobody
// else's words may change what a search finds. They are read in the caller's
// universe, like everything that a query leads to.

const (
	// termsNested bounds how deep value sets may be made of others.
	termsNested = 8
	// termsRead and termsBytes bound what is read of them for one query.
	termsRead  = 64
	termsBytes = 32 << 20
	// termsSame is how many resources of one URL may count for the caller, and
	// termsPassed how many that do not are passed by: others' must not be able to
	// make an answer too large.
	termsSame   = 256
	termsPassed = 1 << 14
	// termsWork bounds how often a code is taken up for one query, whatever value
	// sets are made of.
	termsWork = 1 << 21
)

// terminology is that of one query.
type terminology struct {
	*visit
	u *consent.Universe // nil until something is read
	// beside is where it is read, too; nil for nowhere.
	beside *consent.Universe
	// own is the contributor whose words count beside the custodian's.
	own string
	// sets and systems are those read, by URL; nil when there is none.
	sets    map[string]*fhir.Tape
	systems map[string]*codeSystem
	// known are the codes of the value sets that were worked out.
	known map[string]codeSet
	read  int
	bytes int
	work  int
}

// terminology is what knows value sets and code systems for the caller.
func (v *visit) terminology() search.Terminology {
	return &terminology{visit: v, own: v.contributor(), sets: map[string]*fhir.Tape{}, systems: map[string]*codeSystem{}, known: map[string]codeSet{}}
}

// spend notes that so many codes are taken up.
func (t *terminology) spend(codes int) error {
	if t.work += codes + 1; t.work > termsWork {
		return search.ErrTooManyCodes
	}
	return nil
}

// Members implements search.Terminology.
func (t *terminology) Members(ctx context.Context, url string) ([]search.Codes, error) {
	all, err := t.members(ctx, url, 0)
	if err == nil && all.size() > search.MaxCodes {
		err = search.ErrTooManyCodes
	}
	if err != nil {
		return nil, err
	}
	return all.codes(), nil
}

// Above implements search.Terminology.
func (t *terminology) Above(ctx context.Context, system, code string) ([]search.Codes, error) {
	return t.related(ctx, t.g.tools.Terms.Above, (*codeSystem).above, system, code)
}

// Below implements search.Terminology.
func (t *terminology) Below(ctx context.Context, system, code string) ([]search.Codes, error) {
	return t.related(ctx, t.g.tools.Terms.Below, (*codeSystem).below, system, code)
}

// related are the codes above or below one: as the shipped systems have it, and
// those on file. Without a system every one of these is asked.
func (t *terminology) related(ctx context.Context,
	shipped func(context.Context, string, string) ([]search.Codes, error), filed func(*codeSystem, string) []string, system, code string,
) ([]search.Codes, error) {
	out, err := shipped(ctx, system, code)
	if err != nil && !errors.Is(err, search.ErrUnknownTerms) || err == nil && system != "" {
		return out, err
	}
	systems := []string{system}
	if system == "" {
		if systems, err = t.everySystem(ctx); err != nil {
			return nil, err
		}
	}
	for _, url := range systems {
		s, err := t.system(ctx, url)
		if err != nil {
			return nil, err
		}
		if s == nil || slices.ContainsFunc(out, func(c search.Codes) bool { return c.System == url }) {
			continue
		}
		if err := t.spend(len(s.codes)); err != nil {
			return nil, err
		}
		if codes := filed(s, code); len(codes) > 0 {
			out = append(out, search.Codes{System: url, Codes: codes})
		}
	}
	if len(out) == 0 {
		return nil, search.ErrUnknownTerms
	}
	return out, nil
}

// members are the codes of a value set, which are not to be changed. They are
// worked out once, however often it is named.
func (t *terminology) members(ctx context.Context, canonical string, depth int) (all codeSet, err error) {
	all, known := t.known[canonical]
	if !known {
		if all, err = t.workOut(ctx, canonical, depth); err != nil {
			return nil, err
		}
		t.known[canonical] = all
	}
	return all, t.spend(all.size())
}

func (t *terminology) workOut(ctx context.Context, canonical string, depth int) (codeSet, error) {
	if depth > termsNested {
		return nil, search.ErrUnknownTerms
	}
	shipped, err := t.g.tools.Terms.Members(ctx, canonical)
	if err == nil {
		return setOfCodes(shipped), nil
	}
	if !errors.Is(err, search.ErrUnknownTerms) {
		return nil, err
	}
	tape, err := t.valueSet(ctx, canonical)
	if err != nil {
		return nil, err
	}
	if tape == nil {
		return nil, search.ErrUnknownTerms
	}
	all, err := t.composed(ctx, tape, depth)
	if errors.Is(err, search.ErrUnknownTerms) {
		return expanded(tape)
	}
	return all, err
}

// valueSet is the ValueSet on file of that URL; nil when there is none.
func (t *terminology) valueSet(ctx context.Context, canonical string) (*fhir.Tape, error) {
	if tape, ok := t.sets[canonical]; ok {
		return tape, nil
	}
	tape, err := t.filed(ctx, "ValueSet", canonical)
	if err == nil {
		t.sets[canonical] = tape
	}
	return tape, err
}

// system is the CodeSystem on file of that URL; nil when there is none that is
// complete.
func (t *terminology) system(ctx context.Context, url string) (*codeSystem, error) {
	if s, ok := t.systems[url]; ok {
		return s, nil
	}
	tape, err := t.filed(ctx, "CodeSystem", url)
	if err != nil {
		return nil, err
	}
	t.systems[url] = nil
	if tape != nil {
		t.systems[url] = readCodeSystem(tape)
	}
	return t.systems[url], nil
}

// filed is the resource of a canonical URL that counts: the custodian's before
// the organisation's own, one that is active before others, then the newest.
func (t *terminology) filed(ctx context.Context, typ fhir.ResourceType, canonical string) (*fhir.Tape, error) {
	url, version, versioned := strings.Cut(canonical, "|")
	if url == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	q, refusal := t.parser().Parse(typ, []search.Pair{{Name: "url", Value: searchEscape(url)}}, false)
	if refusal != nil {
		return nil, nil //nolint:nilerr,nilnil // what is no URL names nothing
	}
	found, err := t.found(ctx, q)
	if err != nil {
		return nil, err
	}
	var best *fhir.Tape
	var bestFound store.Found
	for _, f := range found {
		if t.bytes += len(f.JSON); t.bytes > termsBytes {
			return nil, search.ErrTooManyCodes
		}
		tape := new(fhir.Tape)
		if err := tape.Parse(f.JSON, fhir.Stored()); err != nil {
			return nil, err
		}
		if versioned && tape.Text(tape.Field(tape.Root(), "version")) != version {
			continue
		}
		if best == nil || counts(f, tape, bestFound, best) {
			best, bestFound = tape, f
		}
	}
	return best, nil
}

// counts reports whether one resource of a URL counts before another.
func counts(f store.Found, t *fhir.Tape, than store.Found, thanTape *fhir.Tape) bool {
	active := func(t *fhir.Tape) bool { return t.Text(t.Field(t.Root(), "status")) == "active" }
	switch {
	case f.Contributor != than.Contributor:
		return f.Contributor == ""
	case active(t) != active(thanTape):
		return active(t)
	case !f.Updated.Equal(than.Updated):
		return f.Updated.After(than.Updated)
	default:
		return f.ID > than.ID
	}
}

// found are what a query finds of the terminology that counts for the caller.
func (t *terminology) found(ctx context.Context, q *search.Query) ([]store.Found, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	found, err := t.among(ctx, t.u, q)
	if err != nil || t.beside == nil {
		return found, err
	}
	more, err := t.among(ctx, t.beside, q)
	return append(found, more...), err
}

// among are those in one universe.
func (t *terminology) among(ctx context.Context, u *consent.Universe, q *search.Query) (found []store.Found, err error) {
	var after []byte
	for passed := 0; passed <= termsPassed; {
		page, err := t.reader.Search(ctx, u, q, store.PageRequest{Limit: termsSame, After: after})
		if err != nil {
			return nil, err
		}
		passed += len(page.Found)
		found = append(found, slices.DeleteFunc(page.Found, func(f store.Found) bool { return f.Contributor != "" && f.Contributor != t.own })...)
		if after = page.Next; len(found) > termsSame {
			break
		}
		if len(after) == 0 {
			if t.read += len(found); t.read > termsRead {
				break
			}
			return found, nil
		}
	}
	return nil, search.ErrTooManyCodes
}

// reach works out where terminology is read.
func (t *terminology) reach(ctx context.Context) error {
	if t.u != nil {
		return nil
	}
	u, err := t.universe(ctx, nil)
	if err != nil {
		return err
	}
	if u, err = t.narrowed(ctx, u, []fhir.ResourceType{"ValueSet", "CodeSystem"}); err != nil {
		return err
	}
	t.u = u.Where(func(r consent.Row) bool { return r.Home == consent.HomeShared })
	return nil
}

// searchEscape writes a value so that nothing in it separates (R4
// search.html#escaping).
func searchEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`).Replace(s)
}
