package patch

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vitrine/fhir"
)

// Why a patch cannot be read or applied.
var (
	// ErrMalformed: the document is no patch, whatever it is applied to.
	ErrMalformed = errors.New("not a patch")
	// ErrPath: there is no such place in the resource, or more than one.
	ErrPath = errors.New("no such place")
	// ErrTest: a test of JSON Patch does not hold.
	ErrTest = errors.New("test failed")
	// ErrValue: the value does not fit the place.
	ErrValue = errors.New("value does not fit")
	// ErrFixed: the type and the id of a resource do not change.
	ErrFixed = errors.New("fixed")
	// ErrTooMuch: the patch is more work than allowed, or makes a resource that
	// is too large or too deep.
	ErrTooMuch = errors.New("too much")
)

// Error says which operation failed, where, and why. It names no value of the
// resource.
type Error struct {
	// Index counts the operations from zero; negative when the whole document is
	// meant.
	Index int
	// At is the path as the document has it; may be empty.
	At string
	// Kind is one of the errors above.
	Kind error
	// Reason says what is wrong.
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Index < 0 {
		return e.Reason
	}
	out := "operation " + strconv.Itoa(e.Index)
	if e.At != "" {
		out += " at " + shortened(e.At)
	}
	return out + ": " + e.Reason
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// shortened is as much of a path as is worth repeating.
func shortened(path string) string {
	const most = 120
	path = strings.ToValidUTF8(path, "�")
	if len(path) <= most {
		return path
	}
	end := most
	for !utf8.RuneStart(path[end]) {
		end--
	}
	return path[:end] + "…"
}

func fault(kind error, reason string) error { return &Error{Index: -1, Kind: kind, Reason: reason} }

// Limits bound what a patch may do. A field that is not positive means its
// default.
type Limits struct {
	// Size is how many bytes the resource may have after each operation; 16 MiB
	// by default.
	Size int
	// Work is how many bytes all operations together may read and write anew;
	// 32 MiB by default.
	Work int
}

// operationsMost is how many operations a document may have.
const operationsMost = 10_000

// Document is a patch that was read. It refers to the bytes it was read from
// and is safe for concurrent use.
type Document struct {
	steps []step
}

// Len is the number of operations.
func (d *Document) Len() int { return len(d.steps) }

// step is one operation of either kind of patch.
type step interface {
	// path is the place as the document has it.
	path() string
	// do changes the resource of the worker.
	do(w *worker) error
}

// Apply makes the operations one after the other, each on what the one before
// has left, and returns the resource that comes out: the source of t itself when
// nothing was changed. All of them are made or none.
func (d *Document) Apply(t *fhir.Tape, lim Limits) ([]byte, error) {
	if lim.Size <= 0 {
		lim.Size = 16 << 20
	}
	if lim.Work <= 0 {
		lim.Work = 32 << 20
	}
	w := worker{tape: t, size: max(lim.Size, len(t.Source())), left: lim.Work}
	for i, s := range d.steps {
		err := w.spend(len(w.tape.Source()))
		if err == nil {
			err = s.do(&w)
		}
		if known := (*Error)(nil); errors.As(err, &known) {
			known.Index, known.At = i, s.path()
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range [...]string{"resourceType", "id"} {
		if !equal(t, t.Field(t.Root(), name), w.tape, w.tape.Field(w.tape.Root(), name)) {
			return nil, fault(ErrFixed, "the "+name+" of a resource cannot be changed")
		}
	}
	return w.tape.Source(), nil
}

// worker is the resource on its way from one operation to the next.
type worker struct {
	tape *fhir.Tape
	size int
	left int
	// spare is the tape before the present one, and room its bytes, to be used
	// again; own says that the present one may become it.
	spare *fhir.Tape
	room  []byte
	own   bool
}

// spend takes from what may yet be done.
func (w *worker) spend(n int) error {
	if w.left -= n; w.left < 0 {
		return fault(ErrTooMuch, "the patch is too much work: it needs fewer operations")
	}
	return nil
}

// edit makes edits that do not overlap and reads what comes out.
func (w *worker) edit(edits ...fhir.Edit) error {
	src := w.tape.Source()
	size := len(src)
	for _, e := range edits {
		size += len(e.Text) - (e.End - e.Start)
	}
	if size > w.size {
		return fault(ErrTooMuch, "the resource becomes larger than this server accepts")
	}
	if err := w.spend(size); err != nil {
		return err
	}
	slices.SortStableFunc(edits, func(a, b fhir.Edit) int { return a.Start - b.Start })
	out := fhir.Splice(slices.Grow(w.room[:0], size), src, edits)
	next := w.spare
	if next == nil {
		next = new(fhir.Tape)
	}
	if err := next.Parse(out, fhir.Limits{Size: w.size, Nodes: w.size / 4}); err != nil {
		syntax := (*fhir.SyntaxError)(nil)
		if errors.As(err, &syntax) && syntax.Limit {
			return fault(ErrTooMuch, "the resource becomes larger or deeper than this server accepts")
		}
		return fault(ErrValue, "no resource comes out")
	}
	if w.own {
		w.spare, w.room = w.tape, src
	} else {
		w.spare, w.room = nil, nil
	}
	w.tape, w.own = next, true
	return nil
}

// raw is a copy of the bytes of a value, good after the next edit.
func (w *worker) raw(n fhir.Node) []byte { return bytes.Clone(w.tape.Raw(n)) }

// Issue is the error as an issue of an OperationOutcome.
func (e *Error) Issue() fhir.Issue {
	text := e.Error()
	out := fhir.Issue{
		Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Detail: "invalid",
		Text: strings.ToUpper(text[:1]) + text[1:] + ".",
	}
	switch {
	case errors.Is(e.Kind, ErrTest):
		out.Code = fhir.CodeConflict
	case errors.Is(e.Kind, ErrValue):
		out.Code = fhir.CodeValue
	case errors.Is(e.Kind, ErrFixed):
		out.Code = fhir.CodeBusinessRule
	case errors.Is(e.Kind, ErrTooMuch):
		out.Code = fhir.CodeTooCostly
	}
	return out
}
