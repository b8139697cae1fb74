package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit/ledger"
	"vitrine/store"
)

// What is kept of checkpoints. The latest is kept so that no size is signed with
// two roots, and nothing that does not go on from it.
const (
	stateLog       = "log/"
	stateLatest    = stateLog + "latest"
	stateKeys      = stateLog + "keys"
	stateRotations = stateLog + "rotation/"
	stateCosigned  = stateLog + "cosigned"
	// stateSuccessors are by the place of the later key among the keys.
	stateSuccessors = stateLog + "successor/"
)

var (
	// errLedger: the stored tree is not the one that was signed. Nothing is signed
	// then; an export shows where it breaks.
	errLedger = errors.New("the log of accesses is not the one that was signed")
	// errLogKey: the key is another than the one that signed before, and nothing
	// leads from the one to the other.
	errLogKey = errors.New("the key that signs the log is not the one that signed it before, and not said to be its successor")
	// errCosigned: it is not a checkpoint of ours that a witness signed.
	errCosigned = errors.New("not a checkpoint of this log with a witness's signature")
)

// signings are the checkpoints as they are kept.
type signings struct {
	top       *ledger.Signed // nil before the first
	latest    []byte
	keys      []string
	rotations [][]byte
	// successors are the successions of its keys.
	successors [][]byte
	cosigned   []byte
	witnesses  []string
}

// answer is what is told of them.
func (s *signings) answer() LogAnswer {
	return LogAnswer{Checkpoint: s.latest, Cosigned: s.cosigned, Rotations: s.rotations, Successors: s.successors, Keys: s.keys, Witnesses: s.witnesses}
}

// hashes reads the tree, each tile held against the signed root.
func (s *signings) hashes(ctx context.Context, log store.Log) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: s.top.Size, Hash: s.top.Root}, logTiles{ctx, log}) //nolint:contextcheck // it lives as long as the request
}

// Sign grows the tree and signs it, when it has grown since the last time.
func (g *Gate) Sign(ctx context.Context) error {
	if g.cfg.Ledger.Signers == nil {
		return nil
	}
	_, err := g.sign(ctx, g.store)
	return err
}

// signed is what was signed last, and signs if that is nothing yet.
func (g *Gate) signed(ctx context.Context) (*signings, error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s, err := g.cfg.Ledger.signings(ctx, snap)
	err = errors.Join(err, snap.Close())
	if err != nil || s.top != nil {
		return s, err
	}
	return g.sign(ctx, g.store)
}

// signings reads what is kept. The latest must be signed with a key that signed
// before, and be of this log.
func (c *LedgerConfig) signings(ctx context.Context, r store.Reader) (*signings, error) {
	s := &signings{}
	var err error
	if s.latest, _, err = r.State(ctx, stateLatest); err != nil || s.latest == nil {
		return s, err
	}
	keys, _, err := r.State(ctx, stateKeys)
	if err != nil {
		return s, err
	}
	verifiers, lines, err := ledger.ParseKeys(string(keys))
	if err != nil {
		return s, fmt.Errorf("%w: its keys", errLedger)
	}
	s.keys = lines
	top, err := ledger.Open(s.latest, verifiers)
	if err != nil || top.Origin != verifiers[0].Name() || !top.SignedBy(verifiers[len(verifiers)-1]) {
		return s, fmt.Errorf("%w: its checkpoint", errLedger)
	}
	s.top = &top
	for space, into := range map[string]*[][]byte{stateRotations: &s.rotations, stateSuccessors: &s.successors} {
		err = r.States(ctx, space, "", func(_ string, value []byte, _ time.Time) error {
			*into = append(*into, value)
			return nil
		})
		if err != nil {
			return s, err
		}
	}
	if s.cosigned, _, err = r.State(ctx, stateCosigned); err != nil || s.cosigned == nil {
		return s, err
	}
	for _, w := range c.Witnesses {
		if by, err := ledger.Open(s.cosigned, append(verifiers, c.Witnesses...)); err == nil && by.SignedBy(w) {
			s.witnesses = append(s.witnesses, c.keyOf(w))
		}
	}
	if len(s.witnesses) == 0 { // those who signed it are configured no more
		s.cosigned = nil
	}
	return s, nil
}

// signTries is how often a signature is tried when others sign as well.
const signTries = 10

// sign signs the tree as it is after it has grown.
func (g *Gate) sign(ctx context.Context, log store.Log) (*signings, error) {
	size, err := log.Grow(ctx)
	if err != nil {
		return nil, err
	}
	with, err := g.cfg.Ledger.Signers()
	if err != nil {
		return nil, err
	}
	for range signTries {
		s, err := g.signOnce(ctx, log, size, &with)
		if !errors.Is(err, store.ErrConflict) {
			return s, err
		}
	}
	return nil, store.ErrConflict
}

// signOnce signs, unless somebody else did meanwhile. A tree that does not go on
// from the one that was signed last is never signed.
func (g *Gate) signOnce(ctx context.Context, log store.Log, size int64, with *Signers) (*signings, error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s, err := g.cfg.Ledger.signings(ctx, snap)
	if err = errors.Join(err, snap.Close()); err != nil {
		return nil, err
	}
	last := ""
	if s.top != nil {
		last = s.keys[len(s.keys)-1]
		if s.top.Size >= size && last == with.Key {
			return s, nil // another server may have seen more
		}
		size = max(size, s.top.Size)
	}
	by, err := with.after(last)
	if err != nil {
		return nil, err
	}
	if last != "" && last != with.Key && len(by) == 1 && s.top.Size == size {
		return s, nil // an export has one checkpoint of a size, and that of a lost key is needed
	}
	c := ledger.Checkpoint{Origin: with.Now.Name(), Size: size}
	if c.Root, err = g.rootFrom(ctx, log, size, s.top); err != nil {
		return nil, err
	}
	raw, err := ledger.Sign(c, by...)
	if err == nil && s.top != nil && s.top.Size == size { // it changed twice meanwhile
		raw, err = ledger.Merge(raw, s.latest)
	}
	if err != nil {
		return nil, err
	}
	if err := g.keepSigned(ctx, s, c, raw, with); err != nil {
		return nil, err
	}
	snap, err = g.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s, err = g.cfg.Ledger.signings(ctx, snap)
	return s, errors.Join(err, snap.Close())
}

// after are those who sign after a key did: its successor and, the first time, it
// as well.
func (s *Signers) after(last string) ([]note.Signer, error) {
	switch before := s.Before[last]; {
	case last == "" || last == s.Key:
		return []note.Signer{s.Now}, nil
	case before != nil:
		return []note.Signer{before, s.Now}, nil
	case s.Lost:
		return []note.Signer{s.Now}, nil
	default:
		return nil, errLogKey
	}
}

// keepSigned keeps a checkpoint in place of the one that it was made after.
func (g *Gate) keepSigned(ctx context.Context, s *signings, c ledger.Checkpoint, raw []byte, with *Signers) error {
	return g.store.Write(ctx, func(tx store.Tx) error {
		now, _, err := tx.State(ctx, stateLatest)
		if err != nil {
			return err
		}
		if !bytes.Equal(now, s.latest) {
			return store.ErrConflict
		}
		if !slices.Contains(s.keys, with.Key) {
			if err := s.follow(tx, c, raw, with); err != nil {
				return err
			}
		}
		return tx.SetState(stateLatest, raw, time.Time{})
	})
}

// follow keeps a new key, the checkpoint that it signed first, and what leads to it
// from the one before; of one that is lost, what that signed last.
func (s *signings) follow(tx store.Tx, c ledger.Checkpoint, raw []byte, with *Signers) error {
	keys := strings.Join(append(slices.Clone(s.keys), with.Key), "\n") + "\n"
	if err := tx.SetState(stateKeys, []byte(keys), time.Time{}); err != nil || s.top == nil {
		return err
	}
	if err := tx.SetState(rotationAt(c.Size), raw, time.Time{}); err != nil {
		return err
	}
	last := s.keys[len(s.keys)-1]
	before := with.Before[last]
	if before == nil {
		return tx.SetState(rotationAt(s.top.Size), s.latest, time.Time{})
	}
	note, err := ledger.Succeed(last, with.Key, before, with.Now)
	if err != nil {
		return err
	}
	return tx.SetState(fmt.Sprintf("%s%016x", stateSuccessors, len(s.keys)), note, time.Time{})
}

// rotationAt is where a checkpoint stands that the key before, or the one after,
// signed when the key changed.
func rotationAt(size int64) string { return fmt.Sprintf("%s%016x", stateRotations, size) }

// rootFrom works the root of the stored tree out, and proves that the tree goes on
// from the one that was signed.
func (g *Gate) rootFrom(ctx context.Context, log store.Log, size int64, before *ledger.Signed) (tlog.Hash, error) {
	hashes := &looseTiles{logTiles: logTiles{ctx, log}, size: size, read: map[tlog.Tile][]byte{}} //nolint:contextcheck // it lives as long as the call
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return root, fmt.Errorf("%w: %w", errLedger, err)
	}
	if before == nil || before.Size == 0 {
		return root, nil
	}
	if before.Size == size && before.Root != root {
		return root, fmt.Errorf("%w: it has another root", errLedger)
	}
	proof, err := tlog.ProveTree(size, before.Size, hashes)
	if err == nil {
		err = tlog.CheckTree(proof, size, root, before.Size, before.Root)
	}
	if err != nil {
		return root, fmt.Errorf("%w: %w", errLedger, err)
	}
	return root, nil
}

// cosign keeps a checkpoint with a witness's signature. That it is one of ours two
// things tell: our own signature, and the tree.
func (g *Gate) cosign(ctx context.Context, log store.Log, raw []byte) (*signings, error) {
	s, err := g.signed(ctx)
	if err != nil {
		return nil, err
	}
	verifiers, _, err := ledger.ParseKeys(strings.Join(s.keys, "\n") + "\n")
	if err != nil {
		return nil, err
	}
	if raw, err = ledger.Merge(raw); err != nil {
		return nil, errCosigned
	}
	with, err := ledger.Open(raw, append(slices.Clip(verifiers), g.cfg.Ledger.Witnesses...))
	if err != nil || with.Origin != s.top.Origin || with.Size > s.top.Size ||
		!slices.ContainsFunc(verifiers, with.SignedBy) || !slices.ContainsFunc(g.cfg.Ledger.Witnesses, with.SignedBy) {
		return nil, errCosigned
	}
	if root, err := tlog.TreeHash(with.Size, s.hashes(ctx, log)); err != nil || root != with.Root {
		return nil, errCosigned
	}
	err = g.store.Write(ctx, func(tx store.Tx) error {
		now, _, err := tx.State(ctx, stateCosigned)
		if err != nil {
			return err
		}
		keep := raw
		if c, err := ledger.Text(now); now != nil && err == nil {
			if c.Size > with.Size {
				return nil // a later one is there
			}
			if merged, err := ledger.Merge(now, raw); err == nil {
				keep = merged
			}
		}
		return tx.SetState(stateCosigned, keep, time.Time{})
	})
	if err != nil {
		return nil, err
	}
	return g.signed(ctx)
}

// keyOf is the verifier key of a witness, in the form it is written in.
func (c *LedgerConfig) keyOf(v note.Verifier) string {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

// logTiles are the tiles of the store.
type logTiles struct {
	ctx context.Context //nolint:containedctx // tlog's readers take none
	log store.Log
}

// Height implements tlog.TileReader.
func (logTiles) Height() int { return ledger.Height }

// SaveTiles implements tlog.TileReader.
func (logTiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (l logTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) { return l.log.Tiles(l.ctx, tiles) }

// looseTiles reads hashes from tiles that nothing vouches for.
type looseTiles struct {
	logTiles
	size int64
	read map[tlog.Tile][]byte
}

// ReadHashes implements tlog.HashReader.
func (l *looseTiles) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		tile := ledger.TileOf(index, l.size)
		data, ok := l.read[tile]
		if !ok {
			all, err := l.ReadTiles([]tlog.Tile{tile})
			if err != nil {
				return nil, err
			}
			data = all[0]
			l.read[tile] = data
		}
		h, err := tlog.HashFromTile(tile, data, index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}
