package ledger

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Check is what an export is held against.
type Check struct {
	// Keys are the verifier keys that are trusted; without any, those in the export
	// are.
	Keys []note.Verifier
	// Witnesses are the witnesses' keys, one of whom must have signed; without any,
	// those in the export.
	Witnesses []note.Verifier
	// Since is a signed checkpoint seen before, which the log must go on from; nil
	// for none.
	Since []byte
	// MayBeGone is the index before which records may have been deleted, once they
	// were kept for as long as they had to be. What they were is not told then; that
	// they were, is.
	MayBeGone int64
	// Segments are where records may have been moved to: what is gone from the export
	// is looked for there.
	Segments []fs.FS
	// Each, if set, gets the records in order; one that is gone is nil.
	Each func(index int64, record []byte) error
	// Progress, if set, is called now and then.
	Progress func(done, size int64)
}

// Result is what holds.
type Result struct {
	Checkpoint
	// Span is what was checked: all of the log, or a segment of it.
	Span Span
	// Gone is how many records were deleted, and Spans where they were, in so many
	// stretches at most; Moved is how many were found in segments.
	Gone, Moved int64
	Spans       []Span
	// Earlier are the sizes of the checkpoints the log goes on from, and Cosigned of
	// those that witnesses signed.
	Earlier, Cosigned []int64
	// OwnKey and OwnWitnesses say that keys were taken from the export itself: who
	// made the export is then trusted not to have made up the key.
	OwnKey, OwnWitnesses bool
}

// run is a check under way.
type run struct {
	*Check
	fsys fs.FS
	// keys are those that the export has for the log.
	keys []note.Verifier
	// signed are the checkpoints by the names of their files, and top the one that
	// covers all.
	signed map[string]*Signed
	top    *Signed
	since  *Signed
	// successions are the keys that name each other, by the names of their files.
	successions map[string][2]note.Verifier
	result      Result
	segment     bool
	// moved is what was opened of other segments.
	moved *moved
}

// Run checks an export. The error is a *Break, or that it could not be read.
func (c *Check) Run(fsys fs.FS) (Result, error) {
	r := &run{Check: c, fsys: fsys, signed: map[string]*Signed{}, successions: map[string][2]note.Verifier{}}
	optional, err := r.checkpoints()
	if err != nil {
		return Result{}, err
	}
	if err := r.files(optional); err != nil {
		return Result{}, err
	}
	if err := r.trust(); err != nil {
		return Result{}, err
	}
	if err := r.readSince(); err != nil {
		return Result{}, err
	}
	t := newTree(fsys, r.top.Checkpoint)
	if err := t.authenticate(); err != nil {
		return Result{}, r.narrow(err)
	}
	if err := r.records(t); err != nil {
		return Result{}, err
	}
	if err := r.earlier(); err != nil {
		return Result{}, err
	}
	return r.result, nil
}

// checkpoints reads the signed part: who signs, and what.
func (r *run) checkpoints() (optional []string, err error) {
	text, err := r.read(ManifestFile)
	if err != nil {
		return nil, err
	}
	r.result.Span, r.segment, err = ParseSegment(string(text))
	if err == nil && !r.segment {
		optional, err = ParseManifest(string(text))
	}
	if err != nil {
		return nil, broken(ManifestFile, err.Error())
	}
	if text, err = r.read(KeyFile); err != nil {
		return nil, err
	}
	if r.keys, _, err = ParseKeys(string(text)); err != nil {
		return nil, broken(KeyFile, err.Error())
	}
	if err := r.witnesses(optional); err != nil {
		return nil, err
	}
	for _, path := range append([]string{CheckpointFile}, optional...) {
		open := r.open
		switch {
		case path == WitnessFile:
			continue
		case sizeOf(path, SuccessorDirectory) >= 0:
			open = r.succession
		}
		if err := open(path); err != nil {
			return nil, err
		}
	}
	r.top = r.signed[CheckpointFile]
	r.result.Checkpoint = r.top.Checkpoint
	if !r.segment {
		r.result.Span = Span{0, r.top.Size}
	} else if r.result.Span.To > r.top.Size {
		return nil, broken(ManifestFile, "the checkpoint does not cover the segment")
	}
	return optional, nil
}

// witnesses reads the keys of witnesses, unless others are trusted.
func (r *run) witnesses(optional []string) error {
	if !slices.Contains(optional, WitnessFile) {
		return nil
	}
	text, err := r.read(WitnessFile)
	if err != nil {
		return err
	}
	keys, _, err := ParseKeys(string(text))
	if err != nil {
		return broken(WitnessFile, err.Error())
	}
	if len(r.Witnesses) == 0 {
		r.Witnesses, r.result.OwnWitnesses = keys, true
	}
	return nil
}

// open reads a signed checkpoint. One of ours is signed by the log alone, a
// cosigned one by a witness as well.
func (r *run) open(path string) error {
	raw, err := r.read(path)
	if err != nil {
		return err
	}
	keys := slices.Clone(r.keys)
	cosigned := sizeOf(path, CosignedDirectory) >= 0
	if cosigned {
		keys = append(keys, r.Witnesses...)
	}
	s, err := Open(raw, keys)
	if err != nil {
		return broken(path, err.Error())
	}
	size := max(sizeOf(path, EarlierDirectory), sizeOf(path, CosignedDirectory))
	switch {
	case path != CheckpointFile && size != s.Size:
		return broken(path, "the checkpoint is of another size")
	case s.Origin != r.keys[0].Name():
		return broken(path, "the checkpoint is of another log than the key")
	case cosigned && !slices.ContainsFunc(r.Witnesses, s.SignedBy):
		return broken(path, "no witness signed it whose key is trusted")
	case cosigned && !slices.ContainsFunc(r.keys, s.SignedBy):
		return broken(path, "the log did not sign it")
	}
	r.signed[path] = &s
	return nil
}

// succession reads which key follows which.
func (r *run) succession(path string) error {
	raw, err := r.read(path)
	if err != nil {
		return err
	}
	before, after, err := OpenSuccession(raw, r.keys)
	if err != nil {
		return broken(path, err.Error())
	}
	if before >= after || int64(after) != sizeOf(path, SuccessorDirectory) {
		return broken(path, "it is of other keys than its name says")
	}
	r.successions[path] = [2]note.Verifier{r.keys[before], r.keys[after]}
	return nil
}

// trust follows the keys from the trusted ones, by what two of them said of each
// other. In the end all are trusted, and all have signed something.
func (r *run) trust() error {
	trusted := slices.Clone(r.Keys)
	if len(trusted) == 0 {
		trusted, r.result.OwnKey = r.keys, true
	}
	for grew := true; grew; {
		grew = false
		for _, two := range r.successions {
			for i, key := range two {
				if has(trusted, two[1-i]) && !has(trusted, key) {
					trusted, grew = append(slices.Clip(trusted), key), true
				}
			}
		}
	}
	for _, path := range r.paths() {
		if !r.vouched(path, trusted) {
			return broken(path, WhyUntrusted)
		}
	}
	for i, key := range r.keys {
		by := func(path string) bool { return r.signed[path].SignedBy(key) }
		if !slices.ContainsFunc(r.paths(), by) || i == len(r.keys)-1 && !by(CheckpointFile) {
			return broken(KeyFile, "a key that signed nothing here")
		}
		if !has(trusted, key) {
			return broken(KeyFile, WhyUntrusted)
		}
	}
	return nil
}

// vouched reports whether trusted keys alone signed a checkpoint; one that is cosigned,
// at least one of them, and else witnesses. What witnesses say counts beside the log's
// own word and never for it: their keys may be the export's.
func (r *run) vouched(path string, trusted []note.Verifier) bool {
	cosigned := sizeOf(path, CosignedDirectory) >= 0
	own := false
	for _, by := range r.signed[path].By {
		switch {
		case has(trusted, by):
			own = true
		case !cosigned || !has(r.Witnesses, by):
			return false
		}
	}
	return own
}

// paths are the checkpoints in the order of their names, the one that covers all
// first.
func (r *run) paths() []string {
	paths := []string{CheckpointFile}
	for path := range r.signed {
		if path != CheckpointFile {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths[1:])
	return paths
}

// readSince reads the checkpoint that was seen before.
func (r *run) readSince() error {
	if r.Since == nil {
		return nil
	}
	s, err := Open(r.Since, append(slices.Clone(r.keys), r.Keys...))
	if err != nil {
		return broken("the checkpoint seen before", err.Error())
	}
	r.since = &s
	return nil
}

// files holds the names there are against those there must be. What is missing is
// met when it is read.
func (r *run) files(optional []string) error {
	return fs.WalkDir(r.fsys, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return broken(path, "it cannot be read")
		case d.IsDir():
			return directory(path, optional)
		case !d.Type().IsRegular():
			return broken(path, "no plain file")
		case path == ManifestFile || path == KeyFile || path == CheckpointFile || slices.Contains(optional, path) || r.belongsHere(path):
			return nil
		default:
			return broken(path, "no file of this export")
		}
	})
}

// directory refuses those that no file can be in.
func directory(path string, optional []string) error {
	if path == "." || path+"/" == recordsDirectory || strings.HasPrefix(path+"/", tilesDirectory) {
		return nil
	}
	if (path+"/" == EarlierDirectory || path+"/" == CosignedDirectory || path+"/" == SuccessorDirectory) &&
		slices.ContainsFunc(optional, func(f string) bool { return strings.HasPrefix(f, path+"/") }) {
		return nil
	}
	return broken(path, "no directory of this export")
}

// narrow says which is the first of the checkpoints that the leaves do not have,
// when nothing tells more.
func (r *run) narrow(err error) error {
	var b *Break
	if !errors.As(err, &b) || b.File != CheckpointFile {
		return err
	}
	best := r.top.Size
	tree := newTree(r.fsys, r.top.Checkpoint)
	for path, s := range r.signed {
		if path == CheckpointFile || s.Size >= best {
			continue
		}
		if root, err := tlog.TreeHash(s.Size, tree.unchecked()); err == nil && root != s.Root {
			best, b.File = s.Size, path
		}
	}
	b.Why = "the first " + strconv.FormatInt(best, 10) + " records are not those that it was signed for"
	return b
}

// earlier proves that the log goes on from every checkpoint there is.
func (r *run) earlier() error {
	paths := r.paths()[1:]
	all := map[string]*Signed{}
	for _, path := range paths {
		all[path] = r.signed[path]
	}
	if r.since != nil {
		all["the checkpoint seen before"] = r.since
		paths = append(paths, "the checkpoint seen before")
	}
	hashes := tlog.TileHashReader(tlog.Tree{N: r.top.Size, Hash: r.top.Root}, tileFiles{r.fsys})
	for _, path := range paths {
		s := all[path]
		if s.Size > r.top.Size {
			return broken(path, "the log was longer then than it is now")
		}
		root, err := tlog.TreeHash(s.Size, hashes)
		if err != nil {
			return broken(path, "it cannot be compared: "+err.Error())
		}
		if root != s.Root || s.Origin != r.top.Origin {
			return broken(path, "the log does not go on from it")
		}
		if sizeOf(path, CosignedDirectory) >= 0 {
			r.result.Cosigned = append(r.result.Cosigned, s.Size)
		} else {
			r.result.Earlier = append(r.result.Earlier, s.Size)
		}
	}
	slices.Sort(r.result.Earlier)
	slices.Sort(r.result.Cosigned)
	if len(r.Witnesses) > 0 && !r.result.OwnWitnesses && len(r.result.Cosigned) == 0 && !r.segment {
		return broken(WitnessFile, "no checkpoint here is signed by a witness whose key is trusted")
	}
	return nil
}

// read reads one of the small files.
func (r *run) read(path string) ([]byte, error) { return readSmall(r.fsys, path, 1<<20) }
