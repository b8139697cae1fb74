package gate

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/subset"
	"vitrine/store"
)

// Bulk Data Access 2.0.0. An export copies nothing. What is kept is a State, which
// says who asked for what and when, and where each file begins and ends; a file is
// made from the store whenever it is fetched, by who began the export and through the
// gates of that moment. AuditEvents never change, so that a file of them is the same
// bytes every time. A file of a patient's record has what was current when the export
// began; what was deleted since is not in it. Files written beside the store would be
// a second copy of the record, which consent, directives and erasure would have to
// find, and which another server on the same database would not have.

// ExportLevel is where $export is asked. The zero value is nowhere.
type ExportLevel uint8

// The levels.
const (
	ExportSystem   ExportLevel = iota + 1 // $export
	ExportPatients                        // Patient/$export
	ExportPatient                         // Patient/[id]/$export
	ExportGroup                           // Group/[id]/$export
)

// Exports reports whether a kind of caller has exports at a level: the regulator that
// of the record of access, and people that of their own record. For everybody else
// there is one refusal, whatever is asked (DOSSIER §5).
func Exports(k consent.Kind, l ExportLevel) bool {
	switch k {
	case consent.Regulator:
		return l == ExportSystem
	case consent.Patient, consent.Representative:
		return l == ExportPatients || l == ExportPatient
	case consent.Nobody, consent.Practitioner, consent.System, consent.Custodian:
		return false
	default:
		return false
	}
}

// ExportRequest is what is to be exported.
type ExportRequest struct {
	Level ExportLevel
	// Patient is the one named in the address; empty for one's own.
	Patient string
	// Patients are those named in the body, as references; each must be one's own.
	Patients []string
	// Types are those named; nil for all that there are for the caller.
	Types []fhir.ResourceType
	// Since leaves out what was last changed before; the zero time leaves out nothing.
	Since time.Time
	// Filters are searches for AuditEvents, as "AuditEvent?type=rest", of which one must
	// find an event; nil for all events.
	Filters []string
	// Elements are those of _elements; nil for all.
	Elements []string
	// URL is the request as the manifest repeats it.
	URL string
}

// Export is how far an export is.
type Export struct {
	ID   string
	Done bool
	// Failed says that it came to nothing, and that nothing more will come.
	Failed bool
	// Resources is how many there are so far.
	Resources int
	// Time is the moment whose state is exported, and Expires when the export ends.
	Time, Expires time.Time
	URL           string
	Files         []ExportedFile
}

// ExportedFile is one file of an export.
type ExportedFile struct {
	// Name is what the file is asked for by.
	Name  string
	Type  fhir.ResourceType
	Count int
}

const (
	// exportLife is how long an export can be fetched.
	exportLife = 24 * time.Hour
	// exportsKept is how many exports of one party are kept at once.
	exportsKept = 32
	// exportPatientsMost is how many patients one export names.
	exportPatientsMost = 100
	// exportWords bounds what the parameters of an export may have, in bytes.
	exportWords = 8 << 10
)

// Export begins an export.
func (g *Gate) Export(ctx context.Context, req *Request, e ExportRequest) (Released, error) {
	if !Exports(req.Caller.Kind, e.Level) {
		return Released{}, g.Deny(ctx, req, &Refused{Status: http.StatusForbidden, Code: string(consent.RefusedRole)}, "export-not-for-kind")
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	x := &export{
		ID: newID(), By: exporterOf(&req.Caller), Since: e.Since, Filters: e.Filters, Elements: e.Elements, URL: e.URL,
		Time: v.now.Truncate(time.Millisecond), Expires: v.now.Add(exportLife),
	}
	var problem *Invalid
	if problem = g.exportFault(&e); problem == nil {
		_, problem = v.exportFilter(e.Filters)
	}
	if problem != nil {
		return Released{}, problem
	}
	e.Types, e.Patients = distinct(e.Types), distinct(e.Patients)
	if err := v.exportable(ctx, x, &e); err != nil {
		return Released{}, err
	}
	out, err := v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem, w.extra = true, []audit.Event{v.exported(x)}
		return Released{export: x.told(nil)}, w.beginExport(ctx, x)
	})
	if err == nil {
		g.wakeExports()
	}
	return out, err
}

// distinct is a list without what stands in it twice.
func distinct[T cmp.Ordered](all []T) []T { return slices.Compact(slices.Sorted(slices.Values(all))) }

// exportFault is what is wrong with a request in itself; nil for nothing.
func (g *Gate) exportFault(e *ExportRequest) *Invalid {
	switch {
	case len(e.Types) > len(g.tools.Definitions.Resources()):
		return invalid(http.StatusBadRequest, fhir.CodeTooLong, "_type: there are more types than R4 has", "")
	case len(e.Patients) > exportPatientsMost:
		return invalid(http.StatusBadRequest, fhir.CodeTooLong, "patient: there are more than "+strconv.Itoa(exportPatientsMost), "")
	}
	size := len(e.URL)
	for _, words := range [][]string{e.Filters, e.Elements} {
		for _, one := range words {
			size += len(one)
		}
	}
	if size > exportWords {
		return invalid(http.StatusBadRequest, fhir.CodeTooLong, "the parameters are longer than this server accepts", "")
	}
	if len(e.Filters) > 0 && len(e.Types) > 0 && !slices.Contains(e.Types, auditEvents) {
		return invalid(http.StatusBadRequest, fhir.CodeInvalid, "_typeFilter is of AuditEvent, which _type leaves out", "")
	}
	_, err := g.exportForm(e.Types, e.Elements)
	if unknown := (*subset.Unknown)(nil); errors.As(err, &unknown) {
		return invalid(http.StatusBadRequest, fhir.CodeInvalid, "_elements: "+unknown.Error(), "")
	}
	return nil
}

// exportForm is what _elements leaves of resources; nil for the whole.
func (g *Gate) exportForm(types []fhir.ResourceType, elements []string) (*subset.Form, error) {
	if len(elements) == 0 {
		return nil, nil //nolint:nilnil // the whole
	}
	if len(types) == 0 {
		types = append(slices.Clone(g.record), auditEvents)
	}
	return g.subsets.Elements(types, elements)
}

// exportable finds out whose record and which types are exported. What is named and
// not open is refused, on record.
func (v *visit) exportable(ctx context.Context, x *export, e *ExportRequest) error {
	if v.caller.Kind == consent.Regulator {
		for _, t := range e.Types {
			if t != auditEvents {
				return v.denied(ctx, invalid(http.StatusForbidden, fhir.CodeForbidden,
					"the type that is open to the regulator is AuditEvent, and no other", ""), "export-type", nil)
			}
		}
		x.Types = []fhir.ResourceType{auditEvents}
		return v.admit(ctx, exportInteraction(), auditEvents)
	}
	if err := v.admit(ctx, exportInteraction(), "Patient"); err != nil {
		return err
	}
	id := e.Patient
	if e.Level == ExportPatients {
		u, err := v.universe(ctx, nil)
		if err != nil {
			return v.g.failed(ctx, err)
		}
		if all, _ := u.Patients(); len(all) == 1 {
			id = all[0]
		}
	}
	own, err := v.exportOwn(ctx, id)
	if err != nil {
		return err
	}
	for _, said := range e.Patients {
		ref := fhir.ParseReference(said, v.g.cfg.BaseURL)
		if one, err := v.exportOwn(ctx, ref.ID); err != nil {
			return err
		} else if one != own || ref.Type != "Patient" {
			return v.denied(ctx, ErrNotFound, "not-own", nil)
		}
	}
	x.Patient = own
	for _, t := range e.Types {
		if err := v.admit(ctx, exportInteraction(), t); err != nil {
			return err
		}
	}
	for _, t := range append(slices.Clone(v.g.record), auditEvents) {
		if len(e.Types) > 0 && !slices.Contains(e.Types, t) {
			continue
		}
		verdict, err := v.verdict(ctx, exportInteraction(), t)
		if err != nil {
			return v.g.failed(ctx, err)
		}
		if opensExport(&verdict, &v.caller, own) {
			x.Types = append(x.Types, t)
		}
	}
	return nil
}

// exportInteraction is what an export does at whatever step of it.
func exportInteraction() Interaction { return Interaction{Code: "$export", Letter: 'r'} }

// opensExport reports whether a verdict lets a type of somebody's record be exported.
func opensExport(verdict *consent.Verdict, c *consent.Caller, patient string) bool {
	return verdict.Admitted && (!verdict.Confined || c.Patient == patient)
}

// exportOwn is whose record is meant. Whoever is not there for the caller is not
// found, as by any other interaction.
func (v *visit) exportOwn(ctx context.Context, id string) (string, error) {
	f, u, err := v.find(ctx, "Patient", id, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, "Patient", id)
	})
	if err != nil {
		return "", err
	}
	d, err := u.Decide(ctx, f.ID)
	switch {
	case err != nil:
		return "", v.g.failed(ctx, err)
	case d.Level != consent.Self:
		return "", v.denied(ctx, ErrNotFound, "not-own", nil)
	default:
		return f.ID, nil
	}
}

// exported is the event of a step of an export: of the regulator's it concerns no
// patient, whoever the events that are exported are about.
func (v *visit) exported(x *export) audit.Event {
	e := v.event()
	e.Kind, e.Action, e.Query = audit.KindExport, audit.ActionRead, v.query()
	if x.Patient != "" {
		e.Patient, e.Level = x.Patient, consent.Self
	}
	return e
}

// ExportStatus tells how far an export is, to who began it.
func (g *Gate) ExportStatus(ctx context.Context, req *Request, id string) (Released, error) {
	v, x, err := g.atExport(ctx, req, id)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	var files []exportedFile
	if x.Done {
		if files, err = v.exportedFiles(ctx, x); err != nil {
			return Released{}, g.failed(ctx, err)
		}
	}
	return v.record(ctx, Released{export: x.told(files)}, []audit.Event{v.exported(x)})
}

// CancelExport ends an export and takes away what was kept of it.
func (g *Gate) CancelExport(ctx context.Context, req *Request, id string) (Released, error) {
	v, x, err := g.atExport(ctx, req, id)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	return v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem, w.extra = true, []audit.Event{v.exported(x)}
		return Released{export: x.told(nil)}, dropExport(ctx, w.tx, x, v.now)
	})
}

// atExport opens a visit to an export, through the gates of now. Who did not begin
// it, and who may not have all of it any more, is told that there is none; so is
// everybody when what it was begun with was revoked.
func (g *Gate) atExport(ctx context.Context, req *Request, id string) (*visit, *export, error) {
	v, err := g.open(ctx, req)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return nil, nil, ErrNotFound // and on record
	}
	if err != nil {
		return nil, nil, err
	}
	x, reason, err := v.export(ctx, id)
	switch {
	case err != nil:
		err = g.failed(ctx, err)
	case reason != "":
		err = v.denied(ctx, ErrNotFound, reason, nil)
	}
	if err != nil {
		v.close()
		return nil, nil, err
	}
	return v, x, nil
}

// export is the export with an id, if it is the caller's; or the reason why it is not.
func (v *visit) export(ctx context.Context, id string) (x *export, reason string, err error) {
	x, err = readExport(ctx, v.reader, id, v.now)
	if err != nil {
		return nil, "", err
	}
	asks := exporterOf(&v.req.Caller)
	switch {
	case x == nil:
		return nil, consent.ReasonAbsent, nil
	case !x.By.began(&asks):
		return nil, "export-of-another", nil
	}
	if void, err := v.revoked(ctx, x.By.TokenID, x.By.Grant); err != nil || void {
		return nil, "token-revoked", err
	}
	reason, err = v.exportRefused(ctx, x, x.Types)
	return x, reason, err
}

// exportRefused is why types of an export are not open to the caller now; empty when
// all are.
func (v *visit) exportRefused(ctx context.Context, x *export, types []fhir.ResourceType) (reason string, err error) {
	for _, t := range types {
		verdict, err := v.verdict(ctx, exportInteraction(), t)
		if err != nil {
			return "", err
		}
		if x.Patient == "" && verdict.Admitted || x.Patient != "" && opensExport(&verdict, &v.caller, x.Patient) {
			continue
		}
		return "export-" + verdict.Reason, nil
	}
	if x.Patient == "" {
		return "", nil
	}
	d, err := v.decide(ctx, x.Patient)
	if err == nil && d.Level != consent.Self {
		reason = "not-own"
	}
	return reason, err
}
