package gate

import (
	"context"
	"net/http"
	"strconv"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// referencesMost bounds the resources that the references of one commit are looked
// up for.
const referencesMost = 20_000

// refers notes what must be looked up once everything is written: what a
// reference means may come later in the same transaction. Others than the
// custodian are never told what there is.
func (w *writing) refers(d *draft) {
	if w.g.cfg.RefuseDangling && w.caller.Kind == consent.Custodian && !d.byServer && !d.refiled {
		w.referring = append(w.referring, d)
	}
}

// resolved refuses a commit that refers to what is not there.
func (w *writing) resolved(ctx context.Context) error {
	known := map[string]bool{}
	for _, d := range w.referring {
		if d.typ == "Bundle" || d.typ == "Parameters" {
			continue // what they hold refers to what they hold
		}
		l := lookup{writing: w, known: known, tape: d.tape}
		err := l.walk(ctx, d.tape.Root(), string(d.typ))
		if err != nil && d.entry > 0 {
			return &EntryError{Index: d.entry - 1, Err: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookup looks for what the references of one resource mean.
type lookup struct {
	*writing
	known map[string]bool
	tape  *fhir.Tape
}

func (l *lookup) walk(ctx context.Context, n fhir.Node, place string) error {
	switch l.tape.Kind(n) {
	case fhir.Object:
		for c := l.tape.First(n); c != fhir.None; c = l.tape.Next(c) {
			key := string(l.tape.Key(c))
			if key == "reference" && l.tape.Kind(c) == fhir.String {
				if err := l.look(ctx, n, place); err != nil {
					return err
				}
				continue
			}
			if err := l.walk(ctx, c, place+"."+key); err != nil {
				return err
			}
		}
	case fhir.Array:
		i := 0
		for c := l.tape.First(n); c != fhir.None; c = l.tape.Next(c) {
			if err := l.walk(ctx, c, place+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
			i++
		}
	case fhir.Invalid, fhir.String, fhir.Number, fhir.True, fhir.False, fhir.Null:
	}
	return nil
}

// look finds what one Reference means, if that is a resource of this server.
func (l *lookup) look(ctx context.Context, n fhir.Node, place string) error {
	ref := fhir.ParseReference(l.tape.Text(l.tape.Field(n, "reference")), l.g.cfg.BaseURL)
	switch ref.Form {
	case fhir.RefLocal:
	case fhir.RefURN:
		return errDangling(place) // what names an entry of the transaction is replaced by now
	case fhir.RefInvalid, fhir.RefExternal, fhir.RefContained, fhir.RefConditional:
		return nil
	}
	there, met := l.known[ref.Local()]
	if !met {
		if len(l.known) >= referencesMost {
			return ErrTooCostly
		}
		var err error
		if there, err = l.read(ctx, ref.Type, ref.ID, func(store.Found, *fhir.Tape) error { return nil }); err != nil {
			return err
		}
		l.known[ref.Local()] = there
	}
	if !there {
		return errDangling(place)
	}
	return nil
}

func errDangling(place string) error {
	return invalid(http.StatusUnprocessableEntity, fhir.CodeNotFound, "the resource that is referred to is not here", place+".reference")
}
