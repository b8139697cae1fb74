package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// The refusals of a copy.
var (
	// ErrCopying: the store is the target of a copy that was not finished.
	ErrCopying = errors.New("the copy into this store is not finished")
	// ErrNotEmpty: a copy begins in an empty store.
	ErrNotEmpty = errors.New("the target of a copy is not empty")
	// ErrDiffers: the copy is not what was copied. Somebody wrote to one of the
	// stores, or one of them is damaged.
	ErrDiffers = errors.New("the copy differs from what was copied")
	// ErrMark: the mark in the target is of a copy of another store.
	ErrMark = errors.New("the copy in the target is of another store")
)

// Chronicle is everything that a store holds of one resource.
type Chronicle struct {
	Type fhir.ResourceType
	ID   string
	// Full and Basic are the versions of the editions, oldest first. The last is
	// the current one, unless BasicEnded: then the resource has no basic edition
	// any more.
	Full, Basic []Chapter
	BasicEnded  bool
}

// Chapter is one version of an edition with the row as it was then. The current
// version has the row as it is.
type Chapter struct {
	consent.Row
	Version string
	Updated time.Time
	Deleted bool
	JSON    []byte
	// Entries are those of a current version that is not deleted.
	Entries search.Encoded
}

// Size is how much a store holds: resources, and records of accesses.
type Size struct{ Chronicles, Records uint64 }

// Source is a store that can be copied. Nobody may write to it meanwhile.
type Source interface {
	// Extent counts, or estimates, what there is.
	Extent(ctx context.Context) (Size, error)
	// Chronicles returns some resources after the position, in an order of the
	// store's own, and the position of the last: none at the end. Nil is the
	// position before the first. AuditEvents made from records are not among
	// them. ErrBadCursor when another store gave the position.
	Chronicles(ctx context.Context, after []byte) (some []Chronicle, next []byte, err error)
	// Records returns some records of accesses in the same manner: those that are
	// leaves of its Log in the order of the leaves.
	Records(ctx context.Context, after []byte) (some [][]byte, next []byte, err error)
	// AllStates returns some states in the same manner.
	AllStates(ctx context.Context, after []byte) (some []State, next []byte, err error)
}

// Target is a store that can become a copy, and then is one.
type Target interface {
	Source
	// Mark is what came with the last batch; nil in an empty store.
	Mark(ctx context.Context) ([]byte, error)
	// Copy writes a batch and its mark; both are durable when it returns nil. A
	// batch that was written already changes nothing.
	Copy(ctx context.Context, b Batch) error
	// Finish takes the mark away, and with it what keeps the store shut.
	Finish(ctx context.Context) error
}

// Batch is a part of a copy.
type Batch struct {
	Chronicles []Chronicle
	Records    [][]byte
	States     []State
	Mark       []byte
}

// Phase is a part of the work of a copy.
type Phase uint8

// The phases, in order.
const (
	CopyingChronicles Phase = iota + 1
	CopyingRecords
	CopyingStates
	Comparing
)

// Progress says how far a phase has come. Copies go on from where they were
// interrupted, so Done need not begin at zero.
type Progress struct {
	Phase       Phase
	Done, Total uint64
}

// Copy carries a store into another, perhaps of another kind. It does so in
// batches that each leave a mark in the target, so that it goes on where it was
// interrupted; then Compare holds the two against each other, and Finish takes
// the mark away. A store with a mark is half a record, in which the Consent that
// restricts the other half may be missing: it is not to be opened for anything
// but the rest of the copy.
//
// What was written stays what it was: ids, versions, times, bytes, rows, entries,
// the records of accesses in their order as leaves, so that what was signed of
// their tree holds for the copy's, and the states. The numbers a store gives for itself do not, so
// cursors and positions are worth nothing in the copy.
func Copy(ctx context.Context, from Source, to Target, tell func(Progress)) error {
	raw, err := to.Mark(ctx)
	if err != nil {
		return err
	}
	m, err := readMark(raw)
	if err != nil {
		return err
	}
	if l, ok := from.(Log); ok && raw == nil { // so that the order of its leaves is settled
		if _, err := l.Grow(ctx); err != nil {
			return err
		}
	}
	size, err := from.Extent(ctx)
	if err != nil {
		return err
	}
	if raw == nil { // from here on the target is half a record
		if err := to.Copy(ctx, Batch{Mark: m.bytes()}); err != nil {
			return err
		}
	}
	if m.phase == CopyingChronicles {
		tell(Progress{m.phase, m.done, size.Chronicles})
		err := ahead(ctx, m.at, from.Chronicles, func(some []Chronicle, next []byte) error {
			m.at, m.done = next, m.done+uint64(len(some))
			tell(Progress{m.phase, m.done, size.Chronicles})
			return to.Copy(ctx, Batch{Chronicles: some, Mark: m.bytes()})
		})
		if err != nil {
			return badMark(err)
		}
		m = mark{phase: CopyingRecords}
	}
	if m.phase == CopyingRecords {
		tell(Progress{m.phase, m.done, size.Records})
		err := ahead(ctx, m.at, from.Records, func(some [][]byte, next []byte) error {
			m.at, m.done = next, m.done+uint64(len(some))
			tell(Progress{m.phase, m.done, size.Records})
			return to.Copy(ctx, Batch{Records: some, Mark: m.bytes()})
		})
		if err != nil {
			return badMark(err)
		}
		m = mark{phase: CopyingStates}
	}
	return badMark(copyStates(ctx, m, from, to, tell))
}

// copyStates is the last phase. How many there are nobody counts beforehand.
func copyStates(ctx context.Context, m mark, from Source, to Target, tell func(Progress)) error {
	tell(Progress{m.phase, m.done, m.done})
	return ahead(ctx, m.at, from.AllStates, func(some []State, next []byte) error {
		m.at, m.done = next, m.done+uint64(len(some))
		tell(Progress{m.phase, m.done, m.done})
		return to.Copy(ctx, Batch{States: some, Mark: m.bytes()})
	})
}

func badMark(err error) error {
	if errors.Is(err, ErrBadCursor) {
		return ErrMark
	}
	return err
}

// ahead reads part after part and hands each on, while the next is being read.
func ahead[T any](ctx context.Context, at []byte, read func(context.Context, []byte) ([]T, []byte, error), do func([]T, []byte) error) error {
	type part struct {
		some []T
		next []byte
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	parts := make(chan part, 1)
	go func() {
		defer close(parts)
		for {
			some, next, err := read(ctx, at)
			if err == nil && len(some) == 0 {
				return
			}
			select {
			case parts <- part{some, next, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			at = next
		}
	}()
	var err error
	for p := range parts {
		if err == nil {
			err = p.err
		}
		if err == nil {
			err = do(p.some, p.next)
		}
		if err != nil {
			cancel()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	cancel()
	return err
}

// mark is how far a copy has come.
type mark struct {
	phase Phase
	done  uint64
	at    []byte // of the source; nil: from the first
}

func (m mark) bytes() []byte {
	return append(binary.AppendUvarint([]byte{byte(m.phase)}, m.done), m.at...)
}

func readMark(raw []byte) (mark, error) {
	if raw == nil {
		return mark{phase: CopyingChronicles}, nil
	}
	if len(raw) < 2 || raw[0] < byte(CopyingChronicles) || raw[0] > byte(CopyingStates) {
		return mark{}, ErrMark
	}
	done, n := binary.Uvarint(raw[1:])
	if n <= 0 {
		return mark{}, ErrMark
	}
	m := mark{phase: Phase(raw[0]), done: done}
	if at := raw[1+n:]; len(at) > 0 {
		m.at = at
	}
	return m, nil
}
