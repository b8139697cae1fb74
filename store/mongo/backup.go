package mongo

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A backup is a directory with a file for each collection, whose documents stand
// one behind the other as BSON, which is what mongorestore reads too; and a
// manifest, written last, without which it is none.
const manifestName = "vitrine.json"

// manifest says what a backup holds.
type manifest struct {
	Schema string         `json:"schema"`
	Counts map[string]int `json:"counts"` // documents by collection
}

// backedUp are the collections in the order in which they are put back: what
// makes the store one comes last.
func backedUp() []string {
	return []string{collFull, collBasic, collVersions, collEvents, collClasses, collEpochs, collStates, collTiles, collMeta}
}

const extension = ".bson"

var (
	errTooOld   = errors.New("mongodb: the servers no longer keep the state the backup began with; raise minSnapshotHistoryWindowInSeconds, or copy the servers' files")
	errManifest = errors.New("not a whole backup of a store in MongoDB")
	errNotEmpty = errors.New("the database holds a store already, and nothing is overwritten: name another")
)

// Backup writes the store as it is now into a directory that must not exist.
func (db *DB) Backup(ctx context.Context, dir string) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	err := db.backup(ctx, dir)
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (db *DB) backup(ctx context.Context, dir string) error {
	at, err := db.news.ask(ctx)
	if err != nil {
		return err
	}
	s, err := db.sessionAt(at)
	if err != nil {
		return clean(err)
	}
	defer s.EndSession(context.WithoutCancel(ctx))
	m := manifest{Schema: schema, Counts: map[string]int{}}
	for _, coll := range backedUp() {
		if m.Counts[coll], err = db.dump(driver.NewSessionContext(ctx, s), coll, filepath.Join(dir, coll+extension)); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, manifestName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

func (db *DB) dump(in context.Context, coll, path string) (count int, err error) {
	cur, err := db.collection(coll).Find(in, bson.D{}, options.Find().SetBatchSize(mostRecords))
	if err != nil {
		return 0, dumpError(err)
	}
	defer func() { _ = cur.Close(in) }()
	err = writeFile(path, func(w io.Writer) error {
		for cur.Next(in) {
			count++
			if _, err := w.Write(cur.Current); err != nil {
				return err
			}
		}
		return dumpError(cur.Err())
	})
	return count, err
}

func dumpError(err error) error {
	var server driver.ServerError
	if errors.As(err, &server) && (server.HasErrorCode(codeSnapshotOld) || server.HasErrorCode(codeNoSuchSnapshot)) {
		return errTooOld
	}
	return clean(err)
}

// writeFile makes a file that is on disk when it returns.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Restore puts a backup into a database that has no store yet. When it fails the
// database is no store, and the next Restore needs another or an empty one.
func Restore(ctx context.Context, dir string, opt Options) error {
	text, err := os.ReadFile(filepath.Join(dir, manifestName)) //nolint:gosec // the operator names it
	var m manifest
	if err != nil || json.Unmarshal(text, &m) != nil {
		return errManifest
	}
	if m.Schema != schema {
		return errOtherSchema(m.Schema)
	}
	db, err := connect(ctx, opt)
	if err != nil {
		return err
	}
	return errors.Join(db.restore(ctx, dir, m), db.disconnect(ctx))
}

func (db *DB) restore(ctx context.Context, dir string, m manifest) error {
	if err := db.server.serves(); err != nil {
		return err
	}
	for _, coll := range backedUp() {
		n, err := db.collection(coll).EstimatedDocumentCount(ctx)
		if err != nil {
			return clean(err)
		}
		if n > 0 {
			return errNotEmpty
		}
	}
	if err := db.makeCollections(ctx); err != nil {
		return err
	}
	for _, coll := range backedUp() {
		if _, has := m.Counts[coll]; !has && slices.Contains(younger(), coll) {
			continue // made before there were any
		}
		n, err := db.load(ctx, coll, filepath.Join(dir, coll+extension))
		if err != nil {
			return err
		}
		if n != m.Counts[coll] {
			return fmt.Errorf("%w: %s has %d documents, and the manifest says %d", errManifest, coll, n, m.Counts[coll])
		}
	}
	return nil
}

// load puts the documents of a file into a collection. That of meta which makes
// the store one is the last.
func (db *DB) load(ctx context.Context, coll, path string) (count int, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return 0, errManifest
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, 1<<20)
	var batch []any
	var last bson.Raw
	for {
		doc, err := readDocument(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return count, err
		}
		count++
		if id, ok := doc.Lookup("_id").StringValueOK(); ok && coll == collMeta && id == metaSchema {
			last = doc
			continue
		}
		if batch = append(batch, doc); len(batch) == mostRecords {
			if _, err := db.collection(coll).InsertMany(ctx, batch); err != nil {
				return count, clean(err)
			}
			batch = nil
		}
	}
	if last != nil {
		batch = append(batch, last)
	}
	if len(batch) == 0 {
		return count, nil
	}
	_, err = db.collection(coll).InsertMany(ctx, batch)
	return count, clean(err)
}

// readDocument reads one document of BSON; io.EOF at the end of the file.
func readDocument(r *bufio.Reader) (bson.Raw, error) {
	head, err := r.Peek(4)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, errManifest
	}
	size := binary.LittleEndian.Uint32(head)
	const most = 17 << 20
	if size < 5 || size > most {
		return nil, errManifest
	}
	doc := make(bson.Raw, size)
	if _, err := io.ReadFull(r, doc); err != nil || doc.Validate() != nil {
		return nil, errManifest
	}
	return doc, nil
}
