package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"
)

// mostRecord is more than any record has.
const mostRecord = 64 << 20

// chunk reads the records of one file.
type chunk struct {
	path string
	f    fs.File
	r    *bufio.Reader
	at   int64 // of the next byte
	// began is where the record read last begins.
	began  int64
	record []byte
}

func openChunk(fsys fs.FS, n int64) (*chunk, error) {
	c := &chunk{path: ChunkPath(n)}
	f, err := openFile(fsys, c.path)
	var b *Break
	if errors.As(err, &b) {
		b.Leaf = n * ChunkSize
	}
	if err != nil {
		return nil, err
	}
	c.f, c.r = f, bufio.NewReaderSize(f, 64<<10)
	return c, nil
}

func (c *chunk) close() { _ = c.f.Close() }

// next reads a record, valid until the next call; nil for one that is gone.
func (c *chunk) next(index int64) ([]byte, error) {
	c.began = c.at
	size, err := c.length()
	if err != nil {
		return nil, c.broken(index, err.Error())
	}
	if size == 0 {
		return nil, nil
	}
	c.record = c.record[:0]
	for left := size - 1; left > 0; { // as much memory as there are bytes
		step := min(left, 64<<10)
		start := len(c.record)
		c.record = append(c.record, make([]byte, step)...)
		n, err := io.ReadFull(c.r, c.record[start:])
		c.at += int64(n)
		if err != nil {
			return nil, c.broken(index, "it ends within the record")
		}
		left -= step
	}
	if c.record == nil {
		c.record = []byte{}
	}
	return c.record, nil
}

var (
	errEnds   = errors.New("it ends before the record")
	errLength = errors.New("the length of the record is not written the one way it is")
)

// length reads the length and one.
func (c *chunk) length() (uint64, error) {
	var b [binary.MaxVarintLen64]byte
	for i := range b {
		one, err := c.r.ReadByte()
		if err != nil {
			return 0, errEnds
		}
		c.at++
		b[i] = one
		if one < 0x80 {
			size, n := binary.Uvarint(b[:i+1])
			if n <= 0 || i > 0 && one == 0 || size > mostRecord {
				return 0, errLength
			}
			return size, nil
		}
	}
	return 0, errLength
}

func (c *chunk) broken(index int64, why string) error {
	return &Break{File: c.path, Offset: c.began, Leaf: index, Why: why}
}

// end refuses what follows the last record.
func (c *chunk) end() error {
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		return brokenAt(c.path, c.at, "it goes on where it should end")
	}
	return nil
}

// records holds every record against its leaf.
func (r *run) records(t *tree) error {
	defer r.closeMoved()
	for n := r.result.Span.From / ChunkSize; n < Chunks(r.result.Span.To); n++ {
		if err := r.chunk(t, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) chunk(t *tree, n int64) error {
	c, err := openChunk(r.fsys, n)
	if err != nil {
		return err
	}
	defer c.close()
	var hashes []byte
	for index := n * ChunkSize; index < min((n+1)*ChunkSize, t.Size); index++ {
		within := index & (1<<Height - 1)
		if within == 0 {
			if hashes, _, err = t.tile(0, index>>Height); err != nil {
				return err
			}
			if r.Progress != nil {
				r.Progress(index, t.Size)
			}
		}
		if err := r.leaf(c, index, tlog.Hash(hashes[within*tlog.HashSize:][:tlog.HashSize])); err != nil {
			return err
		}
	}
	return c.end()
}

// leaf holds the next record against its hash.
func (r *run) leaf(c *chunk, index int64, want tlog.Hash) error {
	record, err := c.next(index)
	if err != nil {
		return err
	}
	if record == nil && len(r.Segments) > 0 {
		if record = r.fromSegments(index/ChunkSize, index); record != nil && tlog.RecordHash(record) == want {
			r.result.Moved++
		} else {
			record = nil
		}
	}
	switch {
	case record == nil && index >= r.MayBeGone:
		return c.broken(index, WhyRemoved)
	case record == nil:
		r.result.note(index)
	case tlog.RecordHash(record) != want:
		return &Break{File: c.path, Offset: c.began, Leaf: index, Event: named(record), Why: "it is not the record that the signed tree has here"}
	}
	if r.Each == nil {
		return nil
	}
	return r.Each(index, record)
}
