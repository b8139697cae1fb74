package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
	"vitrine/fhir"
	"vitrine/store"
)

// LedgerConfig is who signs for the log of accesses, and who may cosign.
type LedgerConfig struct {
	// Signers are asked for at every signature, so that a key can change under a
	// server that runs. Nil where nothing is signed.
	Signers func() (Signers, error)
	// Witnesses are the verifier keys of those who cosign.
	Witnesses []note.Verifier
}

// Signers are the keys that this server signs with.
type Signers struct {
	// Now is the present one, and Key its verifier key.
	Now note.Signer
	Key string
	// Before are those it came after, by their verifier keys: the first checkpoint
	// that a new key signs is signed by the one before, too.
	Before map[string]note.Signer
	// Lost says that the one before is lost, and the present one begins without it.
	Lost bool
}

// LogAnswer is what is told of the log of accesses.
type LogAnswer struct {
	// Checkpoint is the signed checkpoint, Cosigned one that witnesses signed as
	// well, Rotations those at which the key changed, and Successors what the keys
	// say of each other. Keys and Witnesses are the verifier keys.
	Checkpoint, Cosigned  []byte
	Rotations, Successors [][]byte
	Keys, Witnesses       []string
	// Index and Record are the leaf that is proved, From and Size the trees. Hashes
	// are the proof.
	Index, From, Size int64
	Record            []byte
	Hashes            []tlog.Hash
	// Raw are pieces of the log in the encoding of an export.
	Raw []byte
}

// logVisit opens a visit to the log as a whole. It is for those who oversee it and
// may see all of it.
func (g *Gate) logVisit(ctx context.Context, req *Request) (*visit, store.Log, error) {
	if !Oversees(req.Caller.Kind, auditEvents) {
		return nil, nil, ErrMethod
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	if err := v.admit(ctx, req.Interaction, auditEvents); err != nil {
		v.close()
		return nil, nil, err
	}
	if _, narrowed := v.part(auditEvents); narrowed || v.caller.Confined {
		v.close()
		return nil, nil, v.refuse(ctx, consent.RefusedScope, "log-in-part")
	}
	if g.cfg.Ledger.Signers == nil {
		v.close()
		return nil, nil, ErrNoLedger
	}
	return v, g.store, nil
}

// answerLog records the use of the log and releases the answer.
func (v *visit) answerLog(ctx context.Context, a LogAnswer) (Released, error) {
	return v.record(ctx, Released{log: a, total: unspecifiedCount}, []audit.Event{v.event()})
}

// Checkpoint answers AuditEvent/$checkpoint: the log as it is now, signed.
func (g *Gate) Checkpoint(ctx context.Context, req *Request) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	s, err := g.sign(ctx, log)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.answerLog(ctx, s.answer())
}

// Cosign takes a checkpoint of this log with the signature of a witness.
func (g *Gate) Cosign(ctx context.Context, req *Request, raw []byte) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	s, err := g.cosign(ctx, log, raw)
	if errors.Is(err, errCosigned) {
		return Released{}, invalid(http.StatusUnprocessableEntity, fhir.CodeInvalid, "the note is not a checkpoint of this log with the signature of a witness that is configured", "Parameters.parameter")
	}
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.answerLog(ctx, s.answer())
}

// InclusionProof proves that the record of an event is a leaf of the signed tree.
func (g *Gate) InclusionProof(ctx context.Context, req *Request, id string) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	v.notes.entities = []string{string(auditEvents) + "/" + id}
	a, err := g.prove(ctx, log, id)
	if errors.Is(err, ErrNotFound) {
		v.notes.entities = nil
		return Released{}, v.denied(ctx, err, consent.ReasonAbsent, nil)
	}
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.answerLog(ctx, a)
}

// prove makes the proof of an event. What is proved is the record that is stored.
func (g *Gate) prove(ctx context.Context, log store.Log, id string) (LogAnswer, error) {
	uuid, ok := ledger.ParseEventID(id)
	if !ok {
		return LogAnswer{}, ErrNotFound
	}
	s, err := g.signed(ctx)
	if err != nil {
		return LogAnswer{}, err
	}
	index, ok, err := log.Leaf(ctx, uuid)
	if err == nil && (!ok || index >= s.top.Size) {
		if s, err = g.sign(ctx, log); err == nil {
			index, ok, err = log.Leaf(ctx, uuid)
		}
	}
	switch {
	case err != nil:
		return LogAnswer{}, err
	case !ok || index >= s.top.Size:
		return LogAnswer{}, ErrNotFound
	}
	proof, err := tlog.ProveRecord(s.top.Size, index, s.hashes(ctx, log))
	if err != nil {
		return LogAnswer{}, fmt.Errorf("%w: %w", errLedger, err)
	}
	a := s.answer()
	a.Index, a.Size, a.Hashes = index, s.top.Size, proof
	err = log.Leaves(ctx, index, index+1, func(_ int64, record []byte) error {
		a.Record = bytes.Clone(record)
		return nil
	})
	if err != nil {
		return LogAnswer{}, err
	}
	if e, err := audit.Decode(a.Record); err != nil || e.ID != uuid || tlog.CheckRecord(proof, a.Size, s.top.Root, index, tlog.RecordHash(a.Record)) != nil {
		return LogAnswer{}, fmt.Errorf("%w: a record is not its leaf", errLedger)
	}
	return a, nil
}

// ConsistencyProof proves that the log at one size goes on from another. To is zero
// for the size signed last.
func (g *Gate) ConsistencyProof(ctx context.Context, req *Request, from, to int64) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	s, err := g.signed(ctx)
	if err == nil && max(from, to) > s.top.Size {
		s, err = g.sign(ctx, log)
	}
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if to == 0 {
		to = s.top.Size
	}
	if from < 1 || from > to || to > s.top.Size {
		return Released{}, invalid(http.StatusBadRequest, fhir.CodeInvalid, "from must be at least 1, not more than to, and to not more than the log has records", "")
	}
	proof, err := tlog.ProveTree(to, from, s.hashes(ctx, log))
	if err != nil {
		return Released{}, g.failed(ctx, fmt.Errorf("%w: %w", errLedger, err))
	}
	a := s.answer()
	a.From, a.Size, a.Hashes = from, to, proof
	return v.answerLog(ctx, a)
}

const (
	// rawMost is about how many bytes of the log one answer has.
	rawMost = 4 << 20
	// tilesMost is how many tiles.
	tilesMost = 256
)

// LogRecords answers AuditEvent/$log-records: some records from one on, as many
// as there are, are asked for, and fit.
func (g *Gate) LogRecords(ctx context.Context, req *Request, start, count int64) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	s, err := g.signed(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if start < 0 || start >= s.top.Size || count < 1 {
		return Released{}, invalid(http.StatusBadRequest, fhir.CodeInvalid, "start must be less than the size of the checkpoint, and count at least 1", "")
	}
	var raw []byte
	err = log.Leaves(ctx, start, min(s.top.Size, start+min(count, ledger.ChunkSize)), func(index int64, record []byte) error {
		if len(raw) > 0 && len(raw)+len(record) > rawMost {
			return errEnough
		}
		raw = ledger.AppendPiece(raw, record)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Released{}, g.failed(ctx, err)
	}
	return v.answerLog(ctx, LogAnswer{Raw: raw})
}

// LogTiles answers AuditEvent/$log-tiles: some tiles of a level, as they are
// stored, each of the width.
func (g *Gate) LogTiles(ctx context.Context, req *Request, level int, start, count int64, width int) (Released, error) {
	v, log, err := g.logVisit(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	s, err := g.signed(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if level < 0 || level > 7 || start < 0 || count < 1 || width < 1 || width > 1<<ledger.Height ||
		start > s.top.Size>>ledger.Height || (start+min(count, tilesMost)-1)<<ledger.Height+int64(width) > s.top.Size>>(level*ledger.Height) {
		return Released{}, invalid(http.StatusBadRequest, fhir.CodeInvalid, "the tree has no such tiles at the size of the checkpoint", "")
	}
	var tiles []tlog.Tile
	for n := start; n < start+min(count, tilesMost); n++ {
		tiles = append(tiles, tlog.Tile{H: ledger.Height, L: level, N: n, W: width})
	}
	all, err := log.Tiles(ctx, tiles)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	var raw []byte
	for _, tile := range all {
		raw = ledger.AppendPiece(raw, append([]byte{}, tile...))
	}
	return v.answerLog(ctx, LogAnswer{Raw: raw})
}
