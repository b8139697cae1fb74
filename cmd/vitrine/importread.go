package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vitrine/fhir"
)

// maxDocument is the largest file that is not NDJSON, and maxLine the largest
// line of one that is: what is in memory of a file at once.
const (
	maxDocument = 64 << 20
	maxLine     = 16 << 20
)

// importFile is one file to load.
type importFile struct {
	path string
	size int64
	// open gives its bytes as they are stored.
	open func() (io.ReadCloser, error)
}

func total(files []importFile) (size int64) {
	for _, f := range files {
		size += f.size
	}
	return size
}

// loadable reports whether a name is one of a file that is read.
func loadable(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return strings.HasSuffix(name, ".json") || isLines(name)
}

func isLines(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".ndjson")
}

// findFiles lists the files named and those in the folders named, in the order
// of their names. Other files in a folder are left out; naming one is a mistake.
func findFiles(paths []string) ([]importFile, error) {
	var files []importFile
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if !loadable(name) {
				if name == path {
					return fmt.Errorf("%s: want .json or .ndjson, or either with .gz", name)
				}
				return nil
			}
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			open := func() (io.ReadCloser, error) { return os.Open(name) } //nolint:gosec // G304: the operator names it
			files = append(files, importFile{path: name, size: info.Size(), open: open})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no .json or .ndjson files there")
	}
	return files, nil
}

// origin is where in the files a resource stands, for the report.
type origin struct {
	file string
	// entry counts from one: lines of NDJSON, entries of a Bundle.
	entry int
}

// document is one JSON document of a file.
type document struct {
	origin
	text []byte
}

// eachDocument reads a file's documents; they are valid until the next one.
func eachDocument(f importFile, r *report, do func(document) error) error {
	stored, err := f.open()
	if err != nil {
		r.unreadable(f.path, err)
		return nil
	}
	defer func() { _ = stored.Close() }()
	var text io.Reader = &counting{r: stored, read: r.read}
	if strings.HasSuffix(strings.ToLower(f.path), ".gz") {
		unpacked, err := gzip.NewReader(text)
		if err != nil {
			r.unreadable(f.path, err)
			return nil
		}
		text = unpacked
	}
	if isLines(f.path) {
		return eachLine(f.path, text, r, do)
	}
	whole, err := io.ReadAll(io.LimitReader(text, maxDocument+1))
	if err != nil {
		r.unreadable(f.path, err)
		return nil
	}
	if len(whole) > maxDocument {
		r.refuse(refusal{origin: origin{file: f.path}, reason: "larger than 64 MiB"})
		return nil
	}
	return do(document{origin{file: f.path}, bytes.TrimPrefix(whole, []byte(byteOrderMark))})
}

func eachLine(path string, text io.Reader, r *report, do func(document) error) error {
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := do(document{origin{path, n}, line}); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		r.refuse(refusal{origin: origin{file: path}, reason: "a line is longer than 16 MiB; it and what follows it was not read"})
		return nil
	}
	if err := lines.Err(); err != nil {
		r.unreadable(path, err)
		return nil
	}
	return nil
}

// byteOrderMark opens what some programs write as UTF-8.
const byteOrderMark = "\ufeff"

// counting tells how much was read.
type counting struct {
	r    io.Reader
	read func(n int)
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read(n)
	return n, err
}

// loose is a resource that is sent together with others.
type loose struct {
	origin
	typ, id string
	fullURL string
	text    []byte
}

// load reads the files and sends what is in them, several requests at once.
func load(ctx context.Context, t *target, workers int, files []importFile, r *report) error {
	s := startSender(ctx, t, workers, r)
	var tape fhir.Tape
	var err error
	for _, f := range files {
		err = eachDocument(f, r, func(d document) error {
			broken := tape.Parse(d.text, fhir.Limits{Size: maxDocument, Nodes: maxDocument / 8})
			if broken == nil {
				return s.take(&tape, d)
			}
			r.refuse(refusal{origin: d.origin, reason: broken.Error()})
			return nil
		})
		if err != nil {
			break
		}
	}
	return errors.Join(err, s.finish())
}

// take sorts one document: Bundles that are requests are sent as they are,
// others are taken apart.
func (s *sender) take(tape *fhir.Tape, d document) error {
	root := tape.Root()
	typ := tape.Text(tape.Field(root, "resourceType"))
	if typ != "Bundle" {
		return s.add(looseOf(tape, root, d.origin, ""))
	}
	switch tape.Text(tape.Field(root, "type")) {
	case "transaction", "batch":
		return s.send(bundleOf(tape, d))
	case "document", "message":
		return s.add(looseOf(tape, root, d.origin, ""))
	}
	s.whole = true // references within a Bundle hold within one transaction
	defer func() { s.whole = false }()
	entries := tape.Field(root, "entry")
	n := 0
	for e := tape.First(entries); e != fhir.None; e = tape.Next(e) {
		n++
		resource := tape.Field(e, "resource")
		if resource == fhir.None || tape.Text(tape.Field(tape.Field(e, "search"), "mode")) == "outcome" {
			continue // what a server said about a search is no part of a record
		}
		if err := s.add(looseOf(tape, resource, origin{d.file, n}, tape.Text(tape.Field(e, "fullUrl")))); err != nil {
			return err
		}
	}
	return s.flush()
}

func looseOf(tape *fhir.Tape, resource fhir.Node, o origin, fullURL string) loose {
	return loose{
		origin:  o,
		typ:     tape.Text(tape.Field(resource, "resourceType")),
		id:      tape.Text(tape.Field(resource, "id")),
		fullURL: fullURL,
		text:    append([]byte(nil), tape.Raw(resource)...),
	}
}
