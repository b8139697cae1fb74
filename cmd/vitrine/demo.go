package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"vitrine/testdata"
)

// demoCommand tells the story against a server of its own.
type demoCommand struct {
	database
	Keep string `help:"Keep the data directory, to look at it afterwards; it must not exist yet." placeholder:"DIR"`
}

// Help says what is told.
func (demoCommand) Help() string {
	return `Starts a server on a free port with records made by Synthea, three clinics and their doctors, and tells twelve steps
over HTTP: contribution, care, restriction, the basic set, breaking the glass, the auditor, the patient's own history.
Prints what was asked and what came back; exits 0 only if every step held.

  vitrine demo
  vitrine demo --keep ./demo-data && vitrine serve --data ./demo-data
  vitrine demo --store 'mongodb://127.0.0.1/?replicaSet=rs0'

With --store the records are loaded into a database of their own, which stays: vitrine_demo_..., or the one that
--store-database names, where the user must have the role readWrite.`
}

// Run starts the server, tells the story and takes everything away again.
func (c *demoCommand) Run(ctx context.Context, s streams) (err error) {
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "vitrine-demo-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	} else if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("--keep: %s is there already", dir)
	}
	cfg, err := c.settings(dir)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h, err := openWith(ctx, cfg, ln, cfg.quiet(s.err))
	if err != nil {
		return err
	}
	if !h.gate.Transactions() {
		return closing(h, errors.New("--store: the demo needs transactions, which a standalone server has not: start it as a replica set, of one node if need be"))
	}
	err = closing(h, h.tell(ctx, ln, s.out))
	if !cfg.Store.embedded() {
		_, _ = fmt.Fprintf(s.out, "The records stay in the database %s of MongoDB until you drop it.\n", cfg.StoreDatabase)
	}
	return err
}

// settings are those of the demo's own server. In MongoDB it tells its story in
// a database of its own, for it begins with no records.
func (c *demoCommand) settings(dir string) (settings, error) {
	cfg, err := defaults(dir)
	if err != nil {
		return cfg, err
	}
	cfg.database = c.database
	if !cfg.Store.embedded() && cfg.StoreDatabase == "" {
		cfg.StoreDatabase = "vitrine_demo_" + strings.ToLower(rand.Text()[:8])
	}
	return cfg, cfg.check()
}

// tell runs the server for as long as the story takes.
func (h *House) tell(ctx context.Context, ln net.Listener, out io.Writer) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, ln) }()
	start := time.Now()
	err := h.loadDemo(ctx)
	if err == nil {
		_, _ = fmt.Fprintf(out, "The server runs at %s%s; records loaded in %s.\n\n", h.base, fhirPath, time.Since(start).Round(time.Millisecond))
		err = newStory(h, out).tell(ctx)
	}
	end()
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

// loadDemo puts the demo's records into the house, once: the directory, the
// patients, and who is registered where.
func (h *House) loadDemo(ctx context.Context) error {
	t, err := h.custodian()
	if err != nil {
		return err
	}
	found, err := t.call(ctx, "GET", "/EpisodeOfCare/lemuel-at-clinic-a", nil)
	if err != nil || found.ok() {
		return err
	}
	const workers = 4
	for _, glob := range []string{"demo/directory.json", "synthea/*Information.json.gz", "synthea/*.json.gz", "demo/registrations.json"} {
		files, err := embeddedFiles(glob)
		if err != nil {
			return err
		}
		r := newReport(io.Discard, 0, time.Now)
		if err := load(ctx, t, workers, files, r); err != nil {
			return fmt.Errorf("load the demo's records: %w", err)
		}
		if n := r.refused(); n > 0 {
			return fmt.Errorf("load the demo's records: %d of %s refused", n, glob)
		}
	}
	return nil
}

// embeddedFiles are those of testdata.
func embeddedFiles(glob string) ([]importFile, error) {
	names, err := fs.Glob(testdata.Files, glob)
	if err != nil {
		return nil, err
	}
	var files []importFile
	for _, name := range names {
		if strings.Contains(name, "Information") != strings.Contains(glob, "Information") && strings.HasPrefix(name, "synthea/") {
			continue
		}
		files = append(files, importFile{path: name, open: func() (io.ReadCloser, error) { return testdata.Files.Open(name) }})
	}
	return files, nil
}
