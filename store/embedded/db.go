package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
	"vitrine/store/events"
)

// DB is a store in a directory. It is safe for concurrent use.
type DB struct {
	opt Options
	eng *pebble.DB

	life store.Life
	// turn is held by the one writer.
	turn     chan struct{}
	last     chan struct{}    // closed when the newest write is on the disk; under turn
	counters counters         // under turn
	several  map[several]bool // known to be marked; under turn
	types    atomic.Pointer[map[fhir.ResourceType]typeNumber]
	epochs   epochs
	sharing  sharing
	kept     *kept
	log      auditLog
	shelf    shelf
	tree     tree
	cold     atomic.Pointer[cold]
	cooling  sync.Mutex    // one PutAway at a time
	basics   sync.Map      // the numbers of types that may have basic editions
	events   *events.Index // nil without an indexer
	reserve  reserve
	salt     []byte // for drawOrdinal
	figures  figures

	stop context.CancelFunc
	work sync.WaitGroup
}

var _ store.Store = (*DB)(nil)

// Open opens the store in dir, and makes one if there is none. It reads a few
// keys whatever the size of the store.
func Open(dir string, opt Options) (*DB, error) {
	opt = opt.withDefaults()
	if err := private(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	eng, err := pebble.Open(dir, opt.engine())
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db := &DB{opt: opt, eng: eng, turn: make(chan struct{}, 1), several: map[several]bool{}, kept: newKept(opt.CacheSize)}
	db.reserve = reserve{fs: opt.disk, dir: dir, least: uint64(opt.Reserve), log: opt.Logger}
	if err := db.prepare(); err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:forbidigo // the shelf lives as long as the store
	db.stop = stop
	db.work.Go(db.log.run)
	db.work.Go(func() { db.shelf.run(ctx) })
	db.work.Go(func() { (&tidier{db: db}).run(ctx) })
	return db, nil
}

// private makes a directory its owner's alone. The engine lets everyone read
// what it makes, and who made the directory around it need not have thought of
// that.
func private(dir string) error {
	if err := os.MkdirAll(dir, ownersOnly); err != nil {
		return err
	}
	return os.Chmod(dir, ownersOnly)
}

const ownersOnly = 0o700

func (db *DB) prepare() error {
	if err := checkSchema(db.eng, db.opt.Site); err != nil {
		return err
	}
	if err := checkWhole(db.eng, &db.opt); err != nil {
		return err
	}
	var err error
	if db.salt, err = readSalt(db.eng); err != nil {
		return err
	}
	if db.counters, err = readCounters(db.eng); err != nil {
		return err
	}
	types, err := readTypes(db.eng)
	if err != nil {
		return err
	}
	db.types.Store(&types)
	if err := db.findBasics(types); err != nil {
		return err
	}
	if db.opt.Indexer != nil {
		usual, err := readUsual(db.eng)
		if err != nil {
			return err
		}
		if db.events, err = events.New(db.opt.Indexer, db.opt.Definitions, usual); err != nil {
			return err
		}
	}
	if err := db.sharing.marks.open(); err != nil {
		return err
	}
	if err := db.log.open(db); err != nil {
		return err
	}
	c, err := readCold(db.eng)
	if err != nil {
		return err
	}
	db.cold.Store(c)
	if err := db.tree.open(db); err != nil {
		return err
	}
	return db.shelf.open(db)
}

// Close waits for what is under way and for open snapshots, refuses what comes
// after, and shuts the store.
func (db *DB) Close() error {
	if !db.life.End() {
		return store.ErrClosed
	}
	db.stop()
	db.log.close()
	db.work.Wait()
	return errors.Join(db.sharing.forget(), db.sharing.rest(), db.eng.Close())
}

var errSchema = errors.New("not a store of this version")

func checkSchema(eng *pebble.DB, site string) error {
	v, closer, err := eng.Get([]byte(metaSchema))
	if errors.Is(err, pebble.ErrNotFound) {
		return writeSchema(eng, site)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if string(v) != schema {
		return fmt.Errorf("%w: it is %q, this is %q", errSchema, v, schema)
	}
	return nil
}

// writeSchema marks an empty directory as ours.
func writeSchema(eng *pebble.DB, site string) error {
	it, err := eng.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if foreign {
		return fmt.Errorf("%w: it has no schema", errSchema)
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return err
	}
	batch := eng.NewBatch()
	return errors.Join(batch.Set([]byte(metaSalt), salt, nil), batch.Set([]byte(metaUsual), []byte(site), nil), batch.Set([]byte(metaSchema), []byte(schema), nil), batch.Commit(pebble.Sync))
}

// readSalt is what ordinals are drawn with.
func readSalt(r pebble.Reader) ([]byte, error) {
	v, closer, err := r.Get([]byte(metaSalt))
	if err != nil {
		return nil, fmt.Errorf("%w: salt", errSchema)
	}
	return bytes.Clone(v), closer.Close()
}

// readUsual is the name of the server that events have no postings of.
func readUsual(r pebble.Reader) (string, error) {
	v, closer, err := r.Get([]byte(metaUsual))
	if err != nil {
		return "", fmt.Errorf("%w: the name it was made with", errSchema)
	}
	return string(v), closer.Close()
}

// counters are the numbers given out so far.
type counters struct {
	sequence uint64
	typ      typeNumber
}

func (c counters) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, c.sequence)
	return binary.BigEndian.AppendUint16(dst, uint16(c.typ))
}

func readCounters(r pebble.Reader) (counters, error) {
	v, closer, err := r.Get([]byte(metaCounters))
	if errors.Is(err, pebble.ErrNotFound) {
		return counters{}, nil
	}
	if err != nil {
		return counters{}, err
	}
	defer closer.Close()
	if len(v) != 10 {
		return counters{}, fmt.Errorf("%w: counters", errSchema)
	}
	return counters{
		sequence: binary.BigEndian.Uint64(v),
		typ:      typeNumber(binary.BigEndian.Uint16(v[8:])),
	}, nil
}

func readTypes(r pebble.Reader) (map[fhir.ResourceType]typeNumber, error) {
	it, err := r.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceType}, UpperBound: []byte{spaceType + 1},
	})
	if err != nil {
		return nil, err
	}
	types := map[fhir.ResourceType]typeNumber{}
	for ok := it.First(); ok; ok = it.Next() {
		v := it.Value()
		if len(v) != 2 {
			return nil, errors.Join(fmt.Errorf("%w: types", errSchema), it.Close())
		}
		types[fhir.ResourceType(it.Key()[1:])] = typeNumber(binary.BigEndian.Uint16(v))
	}
	return types, it.Close()
}

func (db *DB) typeNumber(t fhir.ResourceType) (typeNumber, bool) {
	n, ok := (*db.types.Load())[t]
	return n, ok
}

// findBasics looks for the types that have rows in the basic edition.
func (db *DB) findBasics(types map[fhir.ResourceType]typeNumber) error {
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceRow}, UpperBound: []byte{spaceRow + 1}})
	if err != nil {
		return err
	}
	for _, t := range types {
		prefix := prefixRows(nil, consent.EditionBasic, t)
		if it.SeekGE(prefix) && bytes.HasPrefix(it.Key(), prefix) {
			db.basics.Store(t, true)
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// hasBasic reports whether a type may have rows in the basic edition.
func (db *DB) hasBasic(t fhir.ResourceType, n typeNumber) bool {
	_, ok := db.basics.Load(n)
	return ok || t == typeAuditEvent
}

// addTypes publishes the types a write has met for the first time.
func (db *DB) addTypes(more map[fhir.ResourceType]typeNumber) {
	if len(more) == 0 {
		return
	}
	all := maps.Clone(*db.types.Load())
	maps.Copy(all, more)
	db.types.Store(&all)
}
