package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

// File is one file of an export, on record as handed out and not read yet. It is made
// as it goes out; every part of it is authorised by what is on file then.
type File struct {
	g    *Gate
	req  Request
	x    *export
	file exportedFile
	// known says that size and sum are those of now.
	known bool
}

// ExportFile hands out a file of an export to who began it.
func (g *Gate) ExportFile(ctx context.Context, req *Request, id, name string) (Released, error) {
	v, x, err := g.atExport(ctx, req, id)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	file, err := v.exportedFile(ctx, x, name)
	switch {
	case err != nil:
		return Released{}, g.failed(ctx, err)
	case file == nil || !x.Done || x.Failed:
		return Released{}, v.denied(ctx, ErrNotFound, "export-file", nil)
	}
	f := &File{g: g, req: *req, x: x, file: *file}
	if x.Patient != "" { // what was deleted since is not in it
		if err := f.Check(ctx); err != nil {
			return Released{}, err
		}
	}
	return v.record(ctx, Released{file: f}, []audit.Event{v.exported(x)})
}

// Tag tells the bytes of the file from others.
func (f *File) Tag() string { return f.file.Sum }

// Size is how many bytes the file has; ok is false when they were not counted again
// since the export was made.
func (f *File) Size() (size int64, ok bool) { return f.file.Size, f.known }

// Check counts the bytes that the file has now, of which a part is asked for.
func (f *File) Check(ctx context.Context) error {
	if f.known {
		return nil
	}
	size, sum := int64(0), sha256.New()
	err := f.lines(ctx, func(line []byte) error {
		size += int64(len(line))
		sum.Write(line)
		return nil
	})
	if err != nil {
		return f.g.failed(ctx, err)
	}
	f.known, f.file.Size, f.file.Sum = true, size, hex.EncodeToString(sum.Sum(nil)[:16])
	return nil
}

// pourAtOnce is about how much goes out at once.
const pourAtOnce = 256 << 10

// errPoured says that all that was asked for is out.
var errPoured = errors.New("enough was poured")

// Pour writes the bytes of the file from one on, so many at most.
func (f *File) Pour(ctx context.Context, from, most int64, write func([]byte) error) error {
	at, out := int64(0), make([]byte, 0, pourAtOnce+64<<10)
	err := f.lines(ctx, func(line []byte) error {
		begin := at
		if at += int64(len(line)); at <= from {
			return nil
		}
		line = line[max(from-begin, 0):]
		if left := most - int64(len(out)); int64(len(line)) >= left {
			out = append(out, line[:left]...)
			return errPoured
		}
		if out = append(out, line...); len(out) < pourAtOnce {
			return nil
		}
		most -= int64(len(out))
		err := write(out)
		out = out[:0]
		return err
	})
	if err != nil && !errors.Is(err, errPoured) {
		return f.g.failed(ctx, err)
	}
	return write(out)
}

// lines hands out the lines of the file.
func (f *File) lines(ctx context.Context, each func(line []byte) error) error {
	walk, err := f.g.exportWalk(f.x, &f.req, f.file.Type, f.file.After)
	if err != nil {
		return err
	}
	var end *store.Position
	if walk.chronological() {
		last, err := store.ReadPosition(f.file.End, 1)
		if err != nil {
			return err
		}
		end = &last
		walk.from, walk.until, walk.last = f.file.From, f.file.Until, f.file.Until
	}
	for count := 0; !walk.done && (end != nil || count < f.file.Count); {
		most := unbounded
		if end == nil {
			most = f.file.Count - count
		}
		err := walk.next(ctx, most, func(found *store.Found, line []byte) error {
			if end != nil && beyond(end, found) {
				walk.done = true
				return nil
			}
			count++
			return each(line)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// beyond reports whether an event comes after a position in the order of time.
func beyond(end *store.Position, f *store.Found) bool {
	at := store.Position{Keys: f.Keys, ID: f.ID}
	return end.Behind(make([]search.SortKey, len(end.Keys)), &at)
}
