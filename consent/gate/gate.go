// Package gate owns the one inner door: for every request it works out the
// universe of the caller, asks the store within it, writes the record of the
// access and only then releases the answer. To the authorization server it says who
// is registered and in which role, and gives it the memory it keeps in the store. It
// does not decide what a caller
// may see, which is consent's; it does not parse requests or write responses,
// which is fhir/rest's; it does not keep anything, which is store's.
//
// Nothing of a store leaves by another way: a [Released] can only be made here,
// from the receipt of a durable audit record. There is no step called release: a
// reading becomes valid in record (audit.go), a write in commit (commit.go),
// which stores what was written and its record together.
package gate

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/consent"
	"vitrine/consent/basic"
	"vitrine/consent/directive"
	"vitrine/consent/relation"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/fhir/subset"
	"vitrine/fhir/validate"
	"vitrine/store"
)

// Config is what a deployment chooses. Zero durations and sizes mean the
// defaults of ACCESS.md.
type Config struct {
	Policy consent.Policy
	// BaseURL is the FHIR base, such as "https://nehr.example/fhir", without a
	// slash at the end.
	BaseURL string
	// Grace is how long a finished Encounter still counts as a registration.
	Grace time.Duration
	// GrantTTL and GrantMax are the life of a break-glass grant and the longest
	// that may be asked for.
	GrantTTL, GrantMax time.Duration
	// PageDefault and PageMax bound a page of a search or a history.
	PageDefault, PageMax int
	// DeleteMost is how many resources one conditional delete may delete; 1 where
	// nothing is said. More than that and nothing is deleted.
	DeleteMost int
	// RefuseDangling refuses what the custodian writes if it refers to a resource of
	// this server that is not there. For others the answer never depends on what
	// there is.
	RefuseDangling bool
	// MaxBody is how many bytes a resource may have after a patch; 16 MiB where
	// nothing is said.
	MaxBody int
	// CursorKey seals cursors. It must stay the same across restarts and be
	// kept secret.
	CursorKey [cursorKeySize]byte
	// Validation is how much is checked of what is written.
	Validation validate.Level
	// ManifestAfter is how long after a direction to destroy was agreed to its manifest
	// is begun: what was read before is on record by then.
	ManifestAfter time.Duration
	// Exports is how many exports of one party may be under way, and ExportFile how
	// much one file has. ExportSettle is how long one waits for what is on its way into
	// the record.
	Exports      int
	ExportFile   FileSize
	ExportSettle time.Duration
	// Notifies says that there is somewhere to send notices to patients to: only then
	// do they wait for it.
	Notifies bool
	// Alone says that no other server shares the store: what one before this left
	// under way is nobody's.
	Alone bool
	// Clusters are the ids of public clusters: patients are told of these where the
	// organisation that looked is part of one.
	Clusters []string
	// Reserved are the addresses, such as "OperationDefinition/x", at which there is
	// something that no store has: nothing is written to them, which would be hidden.
	Reserved []string
	// Site is AuditEvent.source.site.
	Site string
	Log  *slog.Logger
	// Ledger is who signs the log of accesses.
	Ledger LedgerConfig
	// Oversight is what the regulator wants to look at.
	Oversight consent.Oversight
}

// FileSize is how much a file of an export has at most, but for its last resources.
type FileSize struct {
	Resources int
	Bytes     int64
}

// Tools are the parts that know FHIR. All are required.
type Tools struct {
	Definitions  *r4.Definitions
	Indexer      *search.Indexer
	Parser       *search.Parser
	Validator    *validate.Validator
	Compartments *compartment.Compartments
	Basic        *basic.Set
	// Terms are the value sets and code systems that ship with the server.
	Terms search.Terminology
	// Codes are the same, for what is written.
	Codes *r4.Terms
}

// Defaults of ACCESS.md and of the porch.
const (
	defaultGrantTTL = 4 * time.Hour
	defaultGrantMax = 24 * time.Hour
	defaultPage     = 50
	defaultPageMax  = 1000
	standingsKept   = 1 << 14
	lineagesKept    = 1 << 14
	factsKept       = 1 << 17
	cursorKeySize   = 32
	defaultSite     = "vitrine"
	defaultExports  = 4

	defaultFileResources = 100_000
	defaultFileBytes     = 64 << 20

	directivesKey      = "directives"
	unspecifiedCount   = -1
	recordBufferToKeep = 64 << 10
)

// Gate is the inner door. It is safe for concurrent use.
type Gate struct {
	cfg   Config
	tools Tools
	store store.Store
	log   *slog.Logger
	seal  cipher.AEAD
	// record are the types of which a record consists, in the order of
	// $everything.
	record []fhir.ResourceType

	standings  *cache[party, *standing]
	lineages   *cache[string, lineage]
	registrars *cache[string, []search.Match]
	facts      *cache[string, *consent.Facts]
	directives *cache[string, directive.Set]
	// met are meetings, by their keys.
	met *cache[string, struct{}]
	// revocations are those that were heard of last.
	revocations atomic.Pointer[revocations]
	profiles    keptProfiles
	swept       sweeper
	watch       watch
	noticesLeft atomic.Pointer[string] // where the next round of notices begins
	tapes       sync.Pool
	buffers     sync.Pool

	// present are the search parameters that were heard of last; learning is held
	// by who reads them again.
	present  atomic.Pointer[parameters]
	learning sync.Mutex
	subsets  *subset.Subsets
	// exporting says that there is an export to be worked on.
	exporting chan struct{}
	// reindex says that there may be a parameter without an index; name is what
	// this process calls itself when it makes one.
	reindex chan struct{}
	name    string
}

// New returns the door to a store.
func New(cfg Config, tools Tools, st store.Store) *Gate {
	cfg.fill()
	g := &Gate{
		cfg: cfg, tools: tools, store: st, log: cfg.Log, seal: sealer(cfg.CursorKey),
		standings:  newCache[party, *standing](standingsKept),
		lineages:   newCache[string, lineage](lineagesKept),
		registrars: newCache[string, []search.Match](lineagesKept),
		facts:      newCache[string, *consent.Facts](factsKept),
		directives: newCache[string, directive.Set](1),
		met:        newCache[string, struct{}](metKept),
		profiles:   newKeptProfiles(),
	}
	g.record = g.recordTypes()
	g.present.Store(&parameters{indexer: tools.Indexer, parser: tools.Parser})
	g.reindex, g.name = make(chan struct{}, 1), newID()
	g.exporting, g.subsets = make(chan struct{}, 1), subset.New(tools.Definitions)
	return g
}

// fill puts the defaults where nothing was chosen.
func (c *Config) fill() {
	if c.Grace <= 0 {
		c.Grace = relation.DefaultGrace
	}
	if c.GrantTTL <= 0 {
		c.GrantTTL = defaultGrantTTL
	}
	if c.GrantMax <= 0 {
		c.GrantMax = defaultGrantMax
	}
	if c.PageDefault <= 0 {
		c.PageDefault = defaultPage
	}
	if c.PageMax <= 0 {
		c.PageMax = defaultPageMax
	}
	if c.Exports <= 0 {
		c.Exports = defaultExports
	}
	if c.ExportFile.Resources <= 0 {
		c.ExportFile.Resources = defaultFileResources
	}
	if c.ExportFile.Bytes <= 0 {
		c.ExportFile.Bytes = defaultFileBytes
	}
	if c.Site == "" {
		c.Site = defaultSite
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Oversight.Fill()
}

// sealer seals cursors with the key.
func sealer(key [cursorKeySize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("gate: " + err.Error()) // the key has one of the sizes of AES
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("gate: " + err.Error()) // AES has the block size of GCM
	}
	return aead
}

// DeletesMany reports whether a conditional delete may delete several resources.
func (g *Gate) DeletesMany() bool { return g.cfg.DeleteMost > 1 }

// Transactions reports whether several resources can be kept as one.
func (g *Gate) Transactions() bool {
	t, ok := g.store.(store.Transactional)
	return !ok || t.Transactions()
}

// pinger is a store that is elsewhere and may be out of reach.
type pinger interface {
	// Ping reports whether the store can be reached and written to.
	Ping(ctx context.Context) error
}

// pingTimeout bounds how long a store may take to say that it is there.
const pingTimeout = 2 * time.Second

// Ready reports whether the store answers, and can be written to: what cannot
// be recorded is not released.
func (g *Gate) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if p, ok := g.store.(pinger); ok && p.Ping(ctx) != nil {
		return ErrUnavailable
	}
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return ErrUnavailable
	}
	if err := snap.Close(); err != nil {
		return ErrUnavailable
	}
	return nil
}
