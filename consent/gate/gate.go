// Package gate owns the one inner door: for every request it works out the
// universe of the caller, asks the store within it, writes the record of the
// access and only then releases the answer. It does not decide what a caller
// may see, which is consent's; it does not parse requests or write responses,
// which is fhir/rest's; it does not keep anything, which is store's.
//
// Nothing of a store leaves by another way: a [Released] can only be made here,
// from the receipt of a durable audit record.
package gate

import (
	"log/slog"
	"time"

	"vitrine/consent"
	"vitrine/consent/basic"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
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
	// CursorKey seals cursors. It must stay the same across restarts and be
	// kept secret.
	CursorKey [32]byte
	// Site is AuditEvent.source.site.
	Site string
	Log  *slog.Logger
}

// Tools are the parts that know FHIR. All are required.
type Tools struct {
	Definitions  *r4.Definitions
	Indexer      *search.Indexer
	Parser       *search.Parser
	Validator    *validate.Validator
	Compartments *compartment.Compartments
	Basic        *basic.Set
}

// Gate is the inner door. It is safe for concurrent use.
type Gate struct {
	cfg   Config
	tools Tools
	store store.Store
}

// New returns the door to a store.
func New(cfg Config, tools Tools, st store.Store) *Gate {
	return &Gate{cfg: cfg, tools: tools, store: st}
}
