package embedded

import (
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// sprout is what one write adds to the tree.
type sprout struct {
	growth
	edge  [][]byte
	batch *pebble.Batch
	round unpacked
	log   *slog.Logger
}

// leaves takes records from the log, from one on up to target: about growMost of
// them, in whole rounds. A round that cannot be read has no leaves; it is reported,
// and passed by.
func (s *sprout) leaves(eng *pebble.DB, from, target uint64) error {
	it, err := eng.NewIter(&pebble.IterOptions{LowerBound: keyAudit(nil, 0), UpperBound: keyAudit(nil, target+1)})
	if err != nil {
		return err
	}
	s.at = target
	live := it.SeekLT(keyAudit(nil, from+1)) // the round that holds it begins there or before
	if !live {
		live = it.First()
	}
	taken := 0
	for ; live && err == nil; live = it.Next() {
		first := binary.BigEndian.Uint64(it.Key()[1:])
		if taken >= growMost {
			s.at = first - 1
			break
		}
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		if s.round.read(first, value) != nil {
			s.log.Error("audit records are no leaves: they cannot be read", slog.Uint64("record", first))
			continue
		}
		for record := max(from, first); record <= min(target, s.round.last()) && err == nil; record++ {
			raw, ok := s.round.record(record)
			if !ok {
				break
			}
			err = s.leaf(record, raw)
			taken++
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// leaf adds a record.
func (s *sprout) leaf(record uint64, raw []byte) error {
	if s.begins(record) {
		key := binary.BigEndian.AppendUint64([]byte{spaceTree, treeRun}, uint64(s.size)) //nolint:gosec // not negative
		if err := s.batch.Set(key, binary.BigEndian.AppendUint64(nil, record), nil); err != nil {
			return err
		}
	}
	n := s.size
	s.size++
	hash := tlog.RecordHash(raw)
	for level := 0; ; level++ {
		if level == len(s.edge) {
			s.edge = append(s.edge, make([]byte, 0, tileWidth*tlog.HashSize))
		}
		tile := append(s.edge[level], hash[:]...)
		if len(tile) < tileWidth*tlog.HashSize {
			s.edge[level] = tile
			return nil
		}
		n /= tileWidth
		if err := s.batch.Set(keyTile(level, n), tile, nil); err != nil {
			return err
		}
		hash = root(tile)
		s.edge[level] = tile[:0]
	}
}

// root is the hash of a full tile, which is one of the tile above. It uses up the
// tile's memory.
func root(tile []byte) (h tlog.Hash) {
	for n := tileWidth; n > 1; n /= 2 {
		for i := range n / 2 {
			at := tile[2*i*tlog.HashSize:]
			h = tlog.NodeHash(tlog.Hash(at[:tlog.HashSize]), tlog.Hash(at[tlog.HashSize:2*tlog.HashSize]))
			copy(tile[i*tlog.HashSize:], h[:])
		}
	}
	return h
}

// finish writes the tiles that are not full and were not so before, and how far
// the tree has come.
func (s *sprout) finish(before *growth) error {
	for level, tile := range s.edge {
		count, was := s.size>>(level*tileBits), before.size>>(level*tileBits)
		if count == was || len(tile) == 0 {
			continue
		}
		if err := s.batch.Set(keyTile(level, count/tileWidth), tile, nil); err != nil {
			return err
		}
	}
	return s.batch.Set([]byte(metaTree), s.numbers(), nil)
}
