package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// The name spaces of exports: what each is, its files, the work that is left, and
// what each party has. All of it ends when the export does, and is then forgotten as
// any state is.
const (
	stateExport     = "export/job/"
	stateExportFile = "export/file/"
	stateExportDue  = "export/due/"
	stateExportBy   = "export/by/"
)

// filesTogether is how many files are kept in one state.
const filesTogether = 100

// export is an export as it is kept.
type export struct {
	ID string
	By exporter
	// Patient is whose record it is; empty for the record of access of all.
	Patient           string `json:",omitempty"`
	Types             []fhir.ResourceType
	Since             time.Time
	Filters, Elements []string `json:",omitempty"`
	URL               string
	// Time is the moment that is exported, to the millisecond.
	Time, Expires time.Time
	// At is which of the types is under way, and After the position in it behind which
	// the next file begins.
	At    int
	After []byte `json:",omitempty"`
	// Reached is the time of the last event so far.
	Reached time.Time
	// Files and Resources are how many there are so far.
	Files, Resources int
	Done, Failed     bool
}

// exporter is who began an export: enough to open the same visit again.
type exporter struct {
	Kind                             consent.Kind
	Issuer, Subject, Client, TokenID string
	Grant                            string `json:",omitempty"`
	ByHand                           bool   `json:",omitempty"`
	User, Organization, Patient      string `json:",omitempty"`
	Purpose                          consent.Purpose
	Scopes                           string
}

func exporterOf(c *consent.Caller) exporter {
	return exporter{
		Kind: c.Kind, Issuer: c.Issuer, Subject: c.Subject, Client: c.Client, TokenID: c.TokenID, Grant: c.Grant, ByHand: c.ByHand,
		User: c.User, Organization: c.Organization, Patient: c.Patient, Purpose: c.Purpose, Scopes: c.Scopes.String(),
	}
}

// caller is who asks when the export is worked on.
func (e *exporter) caller() consent.Caller {
	return consent.Caller{
		Kind: e.Kind, Issuer: e.Issuer, Subject: e.Subject, Client: e.Client, TokenID: e.TokenID, Grant: e.Grant, ByHand: e.ByHand,
		User: e.User, Organization: e.Organization, Patient: e.Patient, Purpose: e.Purpose, Scopes: smart.ParseScopes(e.Scopes),
	}
}

// party is whose exports are counted together: the client, and whom it acts for. A
// token is renewed, its scopes are worded in many ways, and its purpose is asked for
// anew by every request.
func (e *exporter) party() string {
	h := sha256.New()
	for _, part := range []string{e.Kind.String(), e.Issuer, e.Subject, e.Client, e.User, e.Organization, e.Patient} {
		writePart(h, part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// began reports whether an export is of who asks: of the same party and, where scopes
// narrow types to parts of them, by the same scopes.
func (e *exporter) began(asks *exporter) bool {
	return e.party() == asks.party() && e.narrowing() == asks.narrowing()
}

func (e *exporter) narrowing() string {
	if scopes := smart.ParseScopes(e.Scopes); scopes.Granular() {
		return e.Scopes
	}
	return ""
}

// exportedFile is where a file begins and ends. One of events, in the order of time,
// ends at a position; one of a record when it has as many resources as were counted.
type exportedFile struct {
	Type       fhir.ResourceType
	After, End []byte `json:",omitempty"`
	// From and Until are the times of the first and the last event.
	From, Until time.Time
	Count       int
	Size        int64
	// Sum is what the bytes were told by when they were counted.
	Sum string
}

// told is what is said of an export to who began it.
func (x *export) told(files []exportedFile) Export {
	out := Export{
		ID: x.ID, Done: x.Done, Failed: x.Failed, Resources: x.Resources, Time: x.Time, Expires: x.Expires, URL: x.URL,
		Files: make([]ExportedFile, len(files)),
	}
	for i := range files {
		out.Files[i] = ExportedFile{Name: strconv.Itoa(i + 1), Type: files[i].Type, Count: files[i].Count}
	}
	return out
}

// begun is one export among those of a party.
type begun struct {
	ID      string
	Expires time.Time
	Done    bool
}

// lease is who works on an export, and until when nobody else does.
type lease struct {
	Owner string
	Until time.Time
	// Begun is the moment that is exported.
	Begun time.Time
}

// reads is what states are read by: a reader, or a write.
type reads interface {
	State(ctx context.Context, key string) (value []byte, until time.Time, err error)
	States(ctx context.Context, prefix, beyond string, each func(key string, value []byte, until time.Time) error) error
}

// stateOf reads a state into a value; ok is false when there is none, or its time is
// over.
func stateOf(ctx context.Context, r reads, key string, now time.Time, into any) (ok bool, err error) {
	if !isKey(key) {
		return false, nil
	}
	value, until, err := r.State(ctx, key)
	if err != nil || value == nil || isOver(until, now) {
		return false, err
	}
	if err := json.Unmarshal(value, into); err != nil {
		return false, fmt.Errorf("state of an export: %w", err)
	}
	return true, nil
}

// setState keeps a value for as long as the export.
func setState(tx store.Tx, key string, value any, until time.Time) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("state of an export: %w", err)
	}
	return tx.SetState(key, b, until)
}

// readExport is the export with an id; nil when there is none.
func readExport(ctx context.Context, r reads, id string, now time.Time) (*export, error) {
	var x export
	if !fhir.ValidID(id) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	ok, err := stateOf(ctx, r, stateExport+id, now, &x)
	if !ok || err != nil {
		return nil, err
	}
	return &x, nil
}

// beginExport keeps a new export, unless the party has as many as it may.
func (w *writing) beginExport(ctx context.Context, x *export) error {
	key := stateExportBy + x.By.party()
	var all []begun
	if _, err := stateOf(ctx, w.tx, key, w.now, &all); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(k begun) bool { return isOver(k.Expires, w.now) })
	under := 0
	for _, k := range all {
		if !k.Done {
			under++
		}
	}
	if under >= w.g.cfg.Exports || len(all) >= exportsKept {
		return ErrExports
	}
	all = append(all, begun{ID: x.ID, Expires: x.Expires})
	return errors.Join(
		setState(w.tx, key, all, x.Expires),
		setState(w.tx, stateExport+x.ID, x, x.Expires),
		setState(w.tx, stateExportDue+x.ID, lease{Begun: x.Time}, x.Expires),
	)
}

// dropExport takes away all that is kept of an export.
func dropExport(ctx context.Context, tx store.Tx, x *export, now time.Time) error {
	gone := []string{stateExport + x.ID, stateExportDue + x.ID}
	for i := 0; i < x.Files; i += filesTogether {
		gone = append(gone, filesKey(x.ID, i))
	}
	for _, key := range gone {
		if err := tx.SetState(key, nil, time.Time{}); err != nil {
			return err
		}
	}
	return changeBegun(ctx, tx, x, now, func(all []begun, i int) []begun { return slices.Delete(all, i, i+1) })
}

// changeBegun changes what is said of an export among those of its party.
func changeBegun(ctx context.Context, tx store.Tx, x *export, now time.Time, change func(all []begun, i int) []begun) error {
	key := stateExportBy + x.By.party()
	var all []begun
	if ok, err := stateOf(ctx, tx, key, now, &all); !ok || err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(k begun) bool { return k.ID == x.ID })
	if i < 0 {
		return nil
	}
	all = change(all, i)
	if len(all) == 0 {
		return tx.SetState(key, nil, time.Time{})
	}
	last := slices.MaxFunc(all, func(a, b begun) int { return a.Expires.Compare(b.Expires) })
	return setState(tx, key, all, last.Expires)
}

// filesKey is the key of the state that has the file at an index.
func filesKey(id string, i int) string {
	return fmt.Sprintf("%s%s/%06d", stateExportFile, id, i/filesTogether)
}

// exportedFiles are all files of an export.
func (v *visit) exportedFiles(ctx context.Context, x *export) (all []exportedFile, err error) {
	for i := 0; i < x.Files; i += filesTogether {
		var some []exportedFile
		if _, err := stateOf(ctx, v.reader, filesKey(x.ID, i), v.now, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// exportedFile is the file with a name; nil when there is none.
func (v *visit) exportedFile(ctx context.Context, x *export, name string) (*exportedFile, error) {
	n, err := strconv.Atoi(name)
	if err != nil || n < 1 || n > x.Files || name != strconv.Itoa(n) {
		return nil, nil //nolint:nilnil,nilerr // there is none, and that is no error
	}
	var some []exportedFile
	ok, err := stateOf(ctx, v.reader, filesKey(x.ID, n-1), v.now, &some)
	if at := (n - 1) % filesTogether; ok && at < len(some) {
		return &some[at], nil
	}
	return nil, err
}
