package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"math"
	"slices"
	"strings"
	"time"

	"vitrine/store"
)

// The work of an export is to find out where its files begin and end. It is done a
// file at a time, in turn with that of the others, by one process at a time: each goes
// on where another stopped.

const (
	// exportLease is how long a process that is not heard of keeps its work, and
	// exportHeard how often it is heard of.
	exportLease = 10 * time.Second
	exportHeard = 3 * time.Second
	// exportLook is how often it is asked whether there is work that another process
	// was given or has left.
	exportLook = time.Second
)

// errExportLost says that an export was ended, or is another process's work.
var errExportLost = errors.New("the export is no longer this process's work")

func (g *Gate) wakeExports() {
	select {
	case g.exporting <- struct{}{}:
	default:
	}
}

// KeepExporting does the work of exports until ctx ends.
func (g *Gate) KeepExporting(ctx context.Context, clock func() time.Time) {
	tick := time.NewTicker(exportLook)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = g.WorkExports(ctx, clock); err != nil && ctx.Err() == nil {
				g.log.ErrorContext(ctx, "an export did not get on; it is tried again", "alert", "export", "error", err)
				more = false
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.exporting:
		}
	}
}

// WorkExports makes one file of every export that waits for it; more reports whether
// there was any such.
func (g *Gate) WorkExports(ctx context.Context, clock func() time.Time) (more bool, err error) {
	due, err := g.exportsDue(ctx, clock())
	for _, id := range due {
		w := &exportWork{g: g, clock: clock, id: id}
		switch failed := w.run(ctx); {
		case failed == nil:
			more = true
		case !errors.Is(failed, errExportLost):
			err = errors.Join(err, failed)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return more, err
}

// exportsDue are the exports that there is work for now. One begins a little later than
// it was asked for: what is on its way into the record then belongs to it as well.
func (g *Gate) exportsDue(ctx context.Context, now time.Time) (due []string, err error) {
	err = g.viewing(ctx, now, func(v *view) error {
		var keys []string
		err := v.reader.States(ctx, stateExportDue, "", func(key string, _ []byte, _ time.Time) error {
			keys = append(keys, key)
			return nil
		})
		for _, key := range keys {
			var l lease
			ok, failed := stateOf(ctx, v.reader, key, now, &l)
			if failed != nil {
				return failed
			}
			if ok && !l.held(g.name, now) && !now.Before(l.Begun.Add(g.cfg.ExportSettle)) {
				due = append(due, strings.TrimPrefix(key, stateExportDue))
			}
		}
		return err
	})
	return due, err
}

// held reports whether another process is at work.
func (l *lease) held(name string, now time.Time) bool { return l.Owner != name && now.Before(l.Until) }

// exportWork is the making of one file.
type exportWork struct {
	g     *Gate
	clock func() time.Time
	id    string
	x     *export
	heard time.Time
	// file is the one under way, and sum what its bytes are told by.
	file exportedFile
	sum  hash.Hash
}

func (w *exportWork) run(ctx context.Context) error {
	if err := w.hold(ctx, func(x *export, _ store.Tx) error { w.x = x; return nil }); err != nil {
		return err
	}
	if err := w.g.store.Settle(ctx); err != nil {
		return err
	}
	done, err := w.make(ctx)
	switch {
	case errors.Is(err, errExportStopped):
		return w.end(ctx)
	case errors.Is(err, store.ErrTooCostly), errors.Is(err, ErrTooCostly), errors.Is(err, store.ErrBadCursor):
		w.g.log.WarnContext(ctx, "an export was given up", "alert", "export", "error", err)
		w.file = exportedFile{}
		return w.keep(ctx, true, func(x *export) { x.Done, x.Failed = true, true })
	case err != nil:
		return err
	}
	return w.keep(ctx, done, func(x *export) {
		x.At, x.After, x.Reached, x.Done = w.x.At, w.x.After, w.file.Until, done
		x.Resources += w.file.Count
	})
}

// make walks to the end of the next file, over types that have nothing; done at the end
// of all.
func (w *exportWork) make(ctx context.Context) (done bool, err error) {
	now := w.clock()
	req := &Request{Caller: w.x.By.caller(), Now: now, Interaction: exportInteraction()}
	w.sum = sha256.New()
	for w.x.At < len(w.x.Types) {
		t := w.x.Types[w.x.At]
		walk, err := w.g.exportWalk(w.x, req, t, w.x.After)
		if err != nil {
			return false, err
		}
		if walk.chronological() && w.x.Reached.After(walk.from) {
			walk.from = w.x.Reached
		}
		w.file = exportedFile{Type: t, After: w.x.After}
		if err := w.walk(ctx, walk); err != nil {
			return false, err
		}
		w.file.Sum = hex.EncodeToString(w.sum.Sum(nil)[:16])
		if w.x.After = walk.after; walk.done {
			w.x.At, w.x.After = w.x.At+1, nil
		}
		if w.file.Count > 0 {
			return w.x.At == len(w.x.Types), nil
		}
	}
	return true, nil
}

// walk counts what belongs to the file.
func (w *exportWork) walk(ctx context.Context, walk *exportWalk) error {
	most := &w.g.cfg.ExportFile
	for !walk.done && w.file.Count < most.Resources && w.file.Size < most.Bytes {
		if w.clock().Sub(w.heard) >= exportHeard {
			if err := w.hold(ctx, nil); err != nil {
				return err
			}
		}
		err := walk.next(ctx, most.Resources-w.file.Count, func(f *store.Found, line []byte) error {
			if w.file.Count == 0 {
				w.file.From = f.Updated
			}
			w.file.Until = f.Updated
			w.file.Count++
			w.file.Size += int64(len(line))
			w.sum.Write(line)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if walk.chronological() {
		w.file.End = walk.after
	}
	return nil
}

// hold takes the work for a while, or says that it is lost; do is told how far the
// export is.
func (w *exportWork) hold(ctx context.Context, do func(*export, store.Tx) error) error {
	return w.write(ctx, func(x *export, tx store.Tx, now time.Time) error {
		w.heard = now
		if err := setState(tx, stateExportDue+x.ID, lease{w.g.name, now.Add(exportLease), x.Time}, x.Expires); err != nil || do == nil {
			return err
		}
		return do(x, tx)
	})
}

// write changes an export that is this process's work still.
func (w *exportWork) write(ctx context.Context, do func(*export, store.Tx, time.Time) error) error {
	return w.g.store.Write(ctx, func(tx store.Tx) error {
		now := w.clock()
		x, err := readExport(ctx, tx, w.id, now)
		if err != nil {
			return err
		}
		var l lease
		ok, err := stateOf(ctx, tx, stateExportDue+w.id, now, &l)
		switch {
		case err != nil:
			return err
		case x == nil || x.Done || !ok || l.held(w.g.name, now), w.x != nil && x.Files != w.x.Files:
			return errExportLost
		}
		return do(x, tx, now)
	})
}

// keep writes down the file that was made and how far the export is, and hands the work
// back.
func (w *exportWork) keep(ctx context.Context, done bool, change func(*export)) error {
	return w.write(ctx, func(x *export, tx store.Tx, now time.Time) error {
		if w.file.Count > 0 {
			if err := appendFile(ctx, tx, x, &w.file, now); err != nil {
				return err
			}
		}
		change(x)
		if err := setState(tx, stateExport+x.ID, x, x.Expires); err != nil {
			return err
		}
		if !done {
			return setState(tx, stateExportDue+x.ID, lease{Begun: x.Time}, x.Expires)
		}
		if err := tx.SetState(stateExportDue+x.ID, nil, time.Time{}); err != nil {
			return err
		}
		return changeBegun(ctx, tx, x, now, func(all []begun, i int) []begun {
			all[i].Done = true
			return all
		})
	})
}

// appendFile keeps one more file of an export.
func appendFile(ctx context.Context, tx store.Tx, x *export, f *exportedFile, now time.Time) error {
	key := filesKey(x.ID, x.Files)
	var some []exportedFile
	if _, err := stateOf(ctx, tx, key, now, &some); err != nil {
		return err
	}
	x.Files++
	return setState(tx, key, append(slices.Clip(some), *f), x.Expires)
}

// end takes away an export that who began it may not have any more.
func (w *exportWork) end(ctx context.Context) error {
	return w.write(ctx, func(x *export, tx store.Tx, now time.Time) error { return dropExport(ctx, tx, x, now) })
}

// unbounded is as many resources as there may be.
const unbounded = math.MaxInt
