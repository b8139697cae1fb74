package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
	"vitrine/store"
)

var (
	errYoung  = fmt.Errorf("nothing is old enough: a segment has %d records at least, none of them of that day or after", ledger.ChunkSize)
	errEnough = errors.New("enough")

	errYoungRecord = errors.New("it has records of that day or after")
)

// isYoung reports whether a record is not from before a day. What cannot be read is
// as old as what is around it.
func isYoung(record []byte, before time.Time) bool {
	e, err := audit.Decode(record)
	return err == nil && !e.Recorded.Before(before)
}

// oldRecords are the whole chunks from a leaf on in which every record is from before
// a day.
func oldRecords(ctx context.Context, log store.Log, from, size int64, before time.Time) (ledger.Span, error) {
	span := ledger.Span{From: from, To: from}
	err := log.Leaves(ctx, from, size/ledger.ChunkSize*ledger.ChunkSize, func(index int64, record []byte) error {
		if isYoung(record, before) {
			return errEnough
		}
		if (index+1)%ledger.ChunkSize == 0 {
			span.To = index + 1
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return span, err
	case !span.Whole():
		return span, errYoung
	default:
		return span, nil
	}
}

// segment is a segment to be written.
type segment struct {
	dir    string
	span   ledger.Span
	signed gate.Signed
	log    store.Log
}

// write writes the segment, the manifest last, without which it is none.
func (s *segment) write(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.dir), ownersOnly); err != nil {
		return err
	}
	if err := os.Mkdir(s.dir, ownersOnly); err != nil {
		return err
	}
	if err := s.records(ctx); err != nil {
		return err
	}
	if err := s.tiles(ctx); err != nil {
		return err
	}
	return errors.Join(
		s.put(ledger.KeyFile, []byte(strings.Join(s.signed.Keys, "\n")+"\n")), s.put(ledger.CheckpointFile, s.signed.Note),
		s.put(ledger.ManifestFile, []byte(ledger.SegmentManifest(s.span))))
}

func (s *segment) records(ctx context.Context) error {
	var chunk []byte
	return s.log.Leaves(ctx, s.span.From, s.span.To, func(index int64, record []byte) error {
		chunk = ledger.AppendPiece(chunk, record)
		if (index+1)%ledger.ChunkSize > 0 {
			return nil
		}
		err := s.put(ledger.ChunkPath(index/ledger.ChunkSize), chunk)
		chunk = chunk[:0]
		return err
	})
}

func (s *segment) tiles(ctx context.Context) error {
	tiles := ledger.SegmentTiles(s.span, s.signed.Size)
	for len(tiles) > 0 {
		n := min(len(tiles), tilesAtOnce)
		some, err := s.log.Tiles(ctx, tiles[:n])
		if err != nil {
			return err
		}
		for i, hashes := range some {
			if err := s.put(tiles[i].Path(), hashes); err != nil {
				return err
			}
		}
		tiles = tiles[n:]
	}
	return nil
}

// put makes a file that is on the disk when it returns.
func (s *segment) put(name string, content []byte) error {
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), ownersOnly); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close(), syncDirectory(filepath.Dir(path)))
}

// syncDirectory puts the names in a directory on the disk.
func syncDirectory(path string) error {
	d, err := os.Open(path) //nolint:gosec // as above
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
