package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit/ledger"
)

// auditExportCommand writes the record of access into a directory.
type auditExportCommand struct {
	reach
	Out     string `help:"Directory to write to; one that was written before is brought up to date." required:"" placeholder:"DIR"`
	NoCheck bool   `name:"no-check" help:"Do not check the whole at the end; auditcheck can do that elsewhere."`
}

// Help says what it needs and leaves.
func (auditExportCommand) Help() string {
	return `Needs a token of the regulator (user/AuditEvent.rs or system/AuditEvent.rs) or of a custodian. What was interrupted goes on
where it was; a directory that is complete gets what came since, and keeps its earlier checkpoint, from which the log must go on.

  vitrine audit export --server https://nehr.example --token TOKEN --out ./log
  auditcheck --key record.pub ./log

The record of access says that it was exported. So does the next export.`
}

// Run exports.
func (c *auditExportCommand) Run(ctx context.Context, s streams) error {
	if c.Server == "" {
		if _, err := oldData(c.Data); err != nil {
			return err
		}
	}
	return c.with(ctx, s, func(t *target) error {
		x := &export{target: t, dir: c.Out, meter: newExportMeter(s.err)}
		defer x.meter.watch()()
		if err := x.run(ctx); err != nil {
			return err
		}
		if c.NoCheck {
			_, err := fmt.Fprintf(s.out, "%d records in %s\n", x.top.Size, c.Out)
			return err
		}
		x.meter.begin("checking", x.top.Size)
		keys, _, err := ledger.ParseKeys(x.said.keys())
		if err != nil {
			return err
		}
		got, err := (&ledger.Check{Keys: keys, MayBeGone: x.top.Size, Progress: x.meter.at}).Run(os.DirFS(c.Out))
		if err != nil {
			return fmt.Errorf("the export in %s does not hold: %w (delete that file and export again; if a new directory does not hold either, it is the server)", c.Out, err)
		}
		_, err = fmt.Fprintf(s.out, "%d records in %s, root %s; %d are not in the store any more\n", got.Size, c.Out, got.Root, got.Gone)
		return err
	})
}

// export is one under way.
type export struct {
	*target
	dir   string
	meter *exportMeter
	said  saidOfLog
	top   ledger.Signed
	// had is how many records the directory had; its checkpoint is had.
	had    int64
	before []byte
}

// saidOfLog is what the server says of the log.
type saidOfLog map[string][]string

func (s saidOfLog) keys() string { return strings.Join(s["key"], "\n") + "\n" }

// run brings the directory up to date: what is complete first, then the end, then
// what it is checked with.
func (x *export) run(ctx context.Context) error {
	if err := os.MkdirAll(x.dir, ownersOnly); err != nil {
		return err
	}
	if err := x.ask(ctx); err != nil {
		return err
	}
	if err := x.look(); err != nil {
		return err
	}
	if err := x.tiles(ctx); err != nil {
		return err
	}
	if err := x.records(ctx); err != nil {
		return err
	}
	optional, err := x.optional()
	if err != nil {
		return err
	}
	err = errors.Join(x.put(ledger.KeyFile, []byte(x.said.keys())), x.put(ledger.ManifestFile, []byte(ledger.Manifest(optional))), x.put(ledger.CheckpointFile, x.top.Note))
	if err != nil {
		return err
	}
	return x.sweep(optional)
}

// ownersOnly is the mode of directories with records.
const ownersOnly = 0o700

const logPath = fhirPath + "/AuditEvent/"

// ask asks for the checkpoint, and looks whether its signature holds.
func (x *export) ask(ctx context.Context) error {
	body, err := x.get(ctx, "$checkpoint")
	if err != nil {
		return err
	}
	var parameters struct {
		Parameter []struct{ Name, ValueString string }
	}
	if err := json.Unmarshal(body, &parameters); err != nil {
		return fmt.Errorf("what the server says of the log: %w", err)
	}
	x.said = saidOfLog{}
	for _, p := range parameters.Parameter {
		x.said[p.Name] = append(x.said[p.Name], p.ValueString)
	}
	keys, _, err := ledger.ParseKeys(x.said.keys())
	if err != nil || len(x.said["checkpoint"]) != 1 {
		return errors.New("the server does not say what signs its log")
	}
	x.top, err = ledger.Open([]byte(x.said["checkpoint"][0]), keys)
	return err
}

// get asks for a part of the log.
func (x *export) get(ctx context.Context, operation string) ([]byte, error) {
	a, err := x.call(ctx, http.MethodGet, logPath+operation, nil)
	if err != nil {
		return nil, err
	}
	if !a.ok() {
		return nil, fmt.Errorf("%s: %s", operation, a.refusals()[0].reason)
	}
	return a.text, nil
}

// look looks at what is in the directory already. It must be of the same log, and
// signed with keys from which the present one comes.
func (x *export) look() error {
	if err := x.strangers(); err != nil {
		return err
	}
	raw, err := os.ReadFile(x.path(ledger.CheckpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := os.ReadFile(x.path(ledger.KeyFile))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(x.said.keys(), string(old)) {
		return errors.New("the directory has an export of a log with other keys")
	}
	keys, _, err := ledger.ParseKeys(string(old))
	if err != nil {
		return err
	}
	s, err := ledger.Open(raw, keys)
	if err != nil {
		return fmt.Errorf("the checkpoint in the directory: %w", err)
	}
	if s.Origin != x.top.Origin || s.Size > x.top.Size || s.Size == x.top.Size && s.Root != x.top.Root {
		return errors.New("the server's log does not go on from the one in the directory")
	}
	x.had, x.before = s.Size, raw
	return nil
}

// strangers refuses a directory with anything else in it: what is exported there
// would not hold.
func (x *export) strangers() error {
	return filepath.WalkDir(x.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(x.dir, path)
		if name := filepath.ToSlash(rel); err == nil && !ledger.IsPart(name) && !strings.HasPrefix(name, newFile) {
			err = fmt.Errorf("%s has %s in it, which is of no export: name a directory of its own", x.dir, name)
		}
		return err
	})
}

// newFile is how the name of a file begins that is not complete yet.
const newFile = ".new-"

func (x *export) path(name string) string { return filepath.Join(x.dir, filepath.FromSlash(name)) }

// put writes a file in one step.
func (x *export) put(name string, b []byte) error {
	path := x.path(name)
	if err := os.MkdirAll(filepath.Dir(path), ownersOnly); err != nil {
		return err
	}
	temp, err := os.CreateTemp(x.dir, newFile+"*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(b)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// has reports whether a file of a size is there.
func (x *export) has(name string, size int64) bool {
	info, err := os.Stat(x.path(name))
	return err == nil && (size < 0 || info.Size() == size)
}

// tilesAtOnce is how many tiles are asked for at once.
const tilesAtOnce = 128

// tiles fetches the tiles that are not there yet.
func (x *export) tiles(ctx context.Context) error {
	var missing []tlog.Tile
	for _, t := range tlog.NewTiles(ledger.Height, x.had, x.top.Size) {
		if !x.has(t.Path(), int64(t.W)*tlog.HashSize) || t.W != 1<<ledger.Height {
			missing = append(missing, t)
		}
	}
	x.meter.begin("tiles", int64(len(missing)))
	for at := 0; at < len(missing); {
		first, n := missing[at], 1
		for ; at+n < len(missing) && n < tilesAtOnce; n++ {
			if next := missing[at+n]; next.L != first.L || next.W != first.W || next.N != first.N+int64(n) {
				break
			}
		}
		if err := x.someTiles(ctx, missing[at:at+n]); err != nil {
			return err
		}
		at += n
		x.meter.at(int64(at), int64(len(missing)))
	}
	return nil
}

func (x *export) someTiles(ctx context.Context, tiles []tlog.Tile) error {
	first := tiles[0]
	body, err := x.get(ctx, fmt.Sprintf("$log-tiles?level=%d&start=%d&count=%d&width=%d", first.L, first.N, len(tiles), first.W))
	if err != nil {
		return err
	}
	for _, t := range tiles {
		var one []byte
		if one, body, err = ledger.CutPiece(body); err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		if err := x.put(t.Path(), one); err != nil {
			return err
		}
	}
	return nil
}

// records fetches the chunks that are not there yet, and the last one, which may
// have grown.
func (x *export) records(ctx context.Context) error {
	x.meter.begin("records", x.top.Size)
	for n := range ledger.Chunks(x.top.Size) {
		full := (n+1)*ledger.ChunkSize <= x.top.Size
		if full && x.hasChunk(n) {
			continue
		}
		if err := x.chunk(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// hasChunk reports whether a chunk is there with all the records it can have. Those
// of an export that was completed are not looked at again.
func (x *export) hasChunk(n int64) bool {
	if (n+1)*ledger.ChunkSize <= x.had {
		return x.has(ledger.ChunkPath(n), -1)
	}
	b, err := os.ReadFile(x.path(ledger.ChunkPath(n)))
	if err != nil {
		return false
	}
	count := 0
	for ; len(b) > 0; count++ {
		if _, b, err = ledger.CutPiece(b); err != nil {
			return false
		}
	}
	return count == ledger.ChunkSize
}

// chunk fetches a chunk. What the directory had of it stays, though the store should
// have it no more.
func (x *export) chunk(ctx context.Context, n int64) error {
	var all []byte
	had, err := os.ReadFile(x.path(ledger.ChunkPath(n)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	at, end := n*ledger.ChunkSize, min((n+1)*ledger.ChunkSize, x.top.Size)
	for at < end {
		body, err := x.get(ctx, fmt.Sprintf("$log-records?start=%d&count=%d", at, end-at))
		if err != nil {
			return err
		}
		before := at
		for len(body) > 0 {
			var one, old []byte
			if one, body, err = ledger.CutPiece(body); err != nil {
				return fmt.Errorf("records: %w", err)
			}
			if old, had, err = ledger.CutPiece(had); err != nil {
				had = nil // it was not finished, or nothing is left
			} else if one == nil {
				one = old
			}
			all = ledger.AppendPiece(all, one)
			at++
		}
		if at == before || at > end {
			return errors.New("the server gave other records than it was asked for")
		}
		x.meter.at(at, x.top.Size)
	}
	return x.put(ledger.ChunkPath(n), all)
}

// sweep takes away what an earlier export left and this one has in another form:
// tiles and checkpoints alone.
func (x *export) sweep(optional []string) error {
	now := map[string]bool{}
	for _, t := range tlog.NewTiles(ledger.Height, 0, x.top.Size) {
		if t.W < 1<<ledger.Height {
			now[t.Path()] = true
		}
	}
	return filepath.WalkDir(x.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(x.dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		tile, notTile := tlog.ParseTilePath(name)
		switch {
		case d.IsDir() && strings.HasSuffix(name, ".p"):
			_ = os.Remove(path) // if it is empty
			return nil
		case d.IsDir():
			return nil
		case notTile == nil && tile.W < 1<<ledger.Height && !now[name],
			strings.HasPrefix(name, ledger.CosignedDirectory) && !slices.Contains(optional, name),
			strings.HasPrefix(name, newFile):
			return os.Remove(path)
		}
		return nil
	})
}
