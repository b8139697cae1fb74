package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/fhir/validate"
	"vitrine/store"
)

// What a write is held against beside R4 are the StructureDefinitions that the
// custodian keeps and, for its own writes, those that the caller's organisation
// contributed: nobody else's words may change what a write does, and whether
// anybody else has such words must not be told from it. They are compiled once
// and kept until something of the same contributor changes by which they are made.

// keyProfiles is the epoch of the definitions of the custodian that bear on
// writes, and with a contributor behind it of those of that contributor.
const keyProfiles = "profiles"

const (
	profilesKept    = 1 << 12 // of the custodian's
	ownProfilesKept = 1 << 6
	// absentKept is how many canonicals are remembered for which nothing is on file.
	absentKept = 1 << 15
	// canonicalMost is how many bytes a canonical that is looked up has at most. A
	// longer one names nothing: what is remembered of canonicals is theirs in words.
	canonicalMost = 2048
	// claimedMost is how many profiles $validate may be asked about.
	claimedMost = 32
	// profilesAsked is how many canonicals that were not asked for before one
	// request may name.
	profilesAsked = 1 << 10
	// profilesBytes is how much of StructureDefinitions is read for one request, and
	// profilesSets how many value sets are worked out, beyond what is kept.
	profilesBytes = 32 << 20
	profilesSets  = 1 << 11
	// profilesTerms and profilesWork are what all these value sets may cost together.
	profilesTerms = 2 * termsBytes
	profilesWork  = 4 * termsWork
	// profilesSame is how many StructureDefinitions of one URL may count.
	profilesSame = 1 << 8
)

// errTooManyProfiles refuses a resource that names more definitions than are
// looked up for one request.
var errTooManyProfiles = errors.New("too many definitions are named")

// filing is where a profile is looked for, and by which name.
type filing struct{ partition, canonical string }

// keptProfiles are what is known of profiles.
type keptProfiles struct {
	custodian *cache[filing, *validate.Profile]
	own       *cache[filing, *validate.Profile]
	absent    *cache[filing, struct{}]
}

func newKeptProfiles() keptProfiles {
	return keptProfiles{
		custodian: newCache[filing, *validate.Profile](profilesKept),
		own:       newCache[filing, *validate.Profile](ownProfilesKept),
		absent:    newCache[filing, struct{}](absentKept),
	}
}

func (k *keptProfiles) of(partition string) *cache[filing, *validate.Profile] {
	if partition == "" {
		return k.custodian
	}
	return k.own
}

// profiles are those that count for one request.
type profiles struct {
	*visit
	// asked is how many were looked for that are not kept, bytes and sets how much
	// was read for them, and read and work what the sets have cost.
	asked, bytes, sets, read, work int
	// shelves compile what is not kept, by partition, from the definitions in force,
	// by URL.
	shelves map[string]*validate.Shelf
	inForce map[filing][]definition
	// err is why the store could not be asked.
	err error
}

// profiles is what knows the profiles that count for the caller's writes.
func (v *visit) profiles() *profiles {
	return &profiles{visit: v, shelves: map[string]*validate.Shelf{}, inForce: map[filing][]definition{}}
}

// find is validate.How.Profiles. What goes wrong on the way is in err.
func (p *profiles) find(ctx context.Context) func(canonical string) (*validate.Profile, bool) {
	return func(canonical string) (*validate.Profile, bool) {
		if len(canonical) > canonicalMost {
			return nil, false
		}
		for _, partition := range p.partitions() {
			if found, ok := p.filed(ctx, filing{partition, canonical}); ok {
				return found, true
			}
		}
		return nil, false
	}
}

// failure is why the resource cannot be held against its profiles.
func (p *profiles) failure() error {
	if errors.Is(p.err, errTooManyProfiles) {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly,
			"the resource leads to more definitions of profiles and extensions than are looked up for one request", "")
	}
	return p.err
}

// partitions are those whose profiles count, the custodian's first.
func (p *profiles) partitions() []string {
	if own := p.contributor(); own != "" {
		return []string{"", own}
	}
	return []string{""}
}

// basis is what a profile of the partition is made from.
func (p *profiles) basis(partition string) (b basis) {
	b.on(p.state(), keyProfiles)
	if partition != "" {
		b.on(p.state(), keyProfiles+"/"+partition)
	}
	return b
}

// state tells what has changed: what is read is that of a snapshot or, within a
// commit, of the state it builds on.
func (p *profiles) state() epochs {
	e, _ := p.reader.(epochs)
	return e
}

// filed is a profile of a partition; nil when it cannot be used.
func (p *profiles) filed(ctx context.Context, at filing) (*validate.Profile, bool) {
	known := &p.g.profiles
	if found, ok := known.of(at.partition).get(at, p.state(), p.now); ok {
		return found, true
	}
	if _, ok := known.absent.get(at, p.state(), p.now); ok {
		return nil, false
	}
	if p.spend(&p.asked, 1, profilesAsked); p.err != nil {
		return nil, false
	}
	found, _, ok := p.shelf(ctx, at.partition).Profile(at.canonical)
	switch {
	case p.err != nil:
		return nil, false
	case ok:
		known.of(at.partition).put(at, found, p.basis(at.partition))
	default:
		known.absent.put(at, struct{}{}, p.basis(at.partition))
	}
	return found, ok
}

// shelf compiles the profiles of a partition: a contributor's may build on the
// custodian's, and not the other way round.
func (p *profiles) shelf(ctx context.Context, partition string) *validate.Shelf {
	if s := p.shelves[partition]; s != nil {
		return s
	}
	terms := p.terms(partition)
	s := p.g.tools.Validator.Shelf()
	s.Fetch = func(canonical string) *fhir.Tape {
		if p.err != nil {
			return nil
		}
		for _, of := range slices.Compact([]string{"", partition}) {
			t, err := p.definition(ctx, of, canonical)
			if err != nil {
				p.err = err
			}
			if t != nil || err != nil {
				return t
			}
		}
		return nil
	}
	s.Codes = func(canonical string) ([]r4.Include, bool) {
		if p.spend(&p.sets, 1, profilesSets); p.err != nil {
			return nil, false
		}
		terms.read, terms.bytes, terms.work = 0, 0, 0 // what one set may cost does not hang on others
		codes, err := terms.Members(ctx, canonical)
		p.spend(&p.read, terms.bytes, profilesTerms)
		p.spend(&p.work, terms.work, profilesWork)
		if err != nil && !errors.Is(err, search.ErrUnknownTerms) && !errors.Is(err, search.ErrTooManyCodes) {
			p.err = err
		}
		return included(codes), err == nil
	}
	p.shelves[partition] = s
	return s
}

// spend notes what a request costs, and ends it at a bound.
func (p *profiles) spend(what *int, n, most int) {
	if *what += n; *what > most && p.err == nil {
		p.err = errTooManyProfiles
	}
}

// terms is what knows the value sets that count in a partition, whatever the
// caller may read.
func (p *profiles) terms(partition string) *terminology {
	var beside *consent.Universe
	if partition != "" {
		beside = consent.OfContributor(partition)
	}
	return &terminology{
		visit: p.visit, u: consent.OfCustodian(), beside: beside, own: partition,
		sets: map[string]*fhir.Tape{}, systems: map[string]*codeSystem{}, known: map[string]codeSet{},
	}
}

// included are codes as a profile takes them; nil codes stand for a whole system.
func included(all []search.Codes) []r4.Include {
	out := make([]r4.Include, len(all))
	for i, c := range all {
		out[i].System = c.System
		if !c.Whole {
			out[i].Codes = slices.Clone(c.Codes)
		}
	}
	return out
}

// definition is a StructureDefinition on file.
type definition struct {
	found store.Found
	tape  *fhir.Tape
}

// definition is the StructureDefinition of a canonical that a partition has in
// force: not a retired one, an active one before others, then the newest.
func (p *profiles) definition(ctx context.Context, partition, canonical string) (*fhir.Tape, error) {
	url, version, versioned := strings.Cut(canonical, "|")
	at := filing{partition, url}
	all, known := p.inForce[at]
	if !known {
		var err error
		if all, err = p.definitions(ctx, partition, url); err != nil {
			return nil, err
		}
		p.inForce[at] = all
	}
	var best definition
	for _, d := range all {
		if versioned && d.tape.Text(d.tape.Field(d.tape.Root(), "version")) != version {
			continue
		}
		if best.tape == nil || counts(d.found, d.tape, best.found, best.tape) {
			best = d
		}
	}
	return best.tape, nil
}

// definitions are those of a URL that a partition has and that are not retired.
func (p *profiles) definitions(ctx context.Context, partition, url string) (all []definition, err error) {
	q, refusal := p.parser().Parse("StructureDefinition", []search.Pair{{Name: "url", Value: searchEscape(url)}}, false)
	if url == "" || len(url) > canonicalMost || refusal != nil {
		return nil, nil //nolint:nilerr // what is no URL names nothing
	}
	u := consent.OfCustodian()
	if partition != "" {
		u = consent.OfContributor(partition)
	}
	page, err := p.reader.Search(ctx, u, q, store.PageRequest{Limit: profilesSame})
	if err != nil {
		return nil, err
	}
	if len(page.Next) > 0 {
		return nil, errTooManyProfiles
	}
	for _, f := range page.Found {
		if p.spend(&p.bytes, len(f.JSON), profilesBytes); p.err != nil {
			return nil, p.err
		}
		t := new(fhir.Tape)
		if err := t.Parse(f.JSON, fhir.Stored()); err != nil {
			return nil, err
		}
		if t.Text(t.Field(t.Root(), "status")) != "retired" {
			all = append(all, definition{f, t})
		}
	}
	return all, nil
}

// profiling refuses a StructureDefinition of the custodian that would be in force
// and cannot be compiled. Those of others are kept like any definition: they bind
// nobody else.
func (p *profiles) profiling(ctx context.Context, t *fhir.Tape) error {
	if p.caller.Kind != consent.Custodian || t.Text(t.Field(t.Root(), "status")) == "retired" {
		return nil
	}
	_, issues := p.shelf(ctx, "").Compile(t)
	if err := p.failure(); err != nil {
		return p.g.failed(ctx, err)
	}
	if severe(issues) {
		return &Invalid{Status: http.StatusUnprocessableEntity, Issues: issues}
	}
	return nil
}

// defined notes that a definition that may bear on writes has changed.
func (w *writing) defined(t fhir.ResourceType, contributor string) {
	switch t {
	case "StructureDefinition", "ValueSet", "CodeSystem":
		if contributor == "" {
			w.tx.Touch(keyProfiles)
			return
		}
		w.tx.Touch(keyProfiles + "/" + contributor)
	}
}
