package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
)

const origin = "nehr.example/audit"

// party is somebody who signs.
type party struct {
	note.Signer
	key      string
	verifier note.Verifier
}

func newParty(t testing.TB, name string) party {
	t.Helper()
	secret, key, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := ledger.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return party{signer, key, verifier}
}

func makeRecord(i int) []byte {
	e := audit.Event{
		ID: [16]byte{0: 1, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}, Recorded: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(),
		Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: "p" + strconv.Itoa(i%17),
		Entities: []string{"Observation/o" + strconv.Itoa(i) + "/_history/1"}, Site: "nehr.example",
	}
	return e.AppendBinary(nil)
}

// made is a log in memory.
type made struct {
	records [][]byte
	stored  []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (m *made) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		hashes[i] = m.stored[at]
	}
	return hashes, nil
}

func makeLog(t testing.TB, n int) *made {
	t.Helper()
	m := &made{}
	for i := range n {
		record := makeRecord(i)
		more, err := tlog.StoredHashes(int64(i), record, m)
		if err != nil {
			t.Fatal(err)
		}
		m.records, m.stored = append(m.records, record), append(m.stored, more...)
	}
	return m
}

func (m *made) checkpoint(t testing.TB, size int64, by ...note.Signer) []byte {
	t.Helper()
	root, err := tlog.TreeHash(size, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ledger.Sign(ledger.Checkpoint{Origin: origin, Size: size, Root: root}, by...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// export is an export of the whole log, with the files that need not be there.
func (m *made) export(t testing.TB, keys string, top []byte, optional map[string][]byte) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	put := func(path string, b []byte) { out[path] = &fstest.MapFile{Data: b, Mode: 0o600} }
	put(ledger.KeyFile, []byte(keys))
	put(ledger.CheckpointFile, top)
	for path, b := range optional {
		put(path, b)
	}
	put(ledger.ManifestFile, []byte(ledger.Manifest(slices.Collect(maps.Keys(optional)))))
	for _, tile := range tlog.NewTiles(ledger.Height, 0, int64(len(m.records))) {
		b, err := tlog.ReadTileData(tile, m)
		if err != nil {
			t.Fatal(err)
		}
		put(tile.Path(), b)
	}
	for n := range slices.Collect(slices.Chunk(m.records, ledger.ChunkSize)) {
		var b []byte
		for _, record := range m.records[n*ledger.ChunkSize : min((n+1)*ledger.ChunkSize, len(m.records))] {
			b = ledger.AppendPiece(b, record)
		}
		put(ledger.ChunkPath(int64(n)), b)
	}
	return out
}

// whole is an export with all that one can have: a key that was rotated, earlier
// checkpoints, a witness.
func whole(t testing.TB, n int) (m *made, files fstest.MapFS, old, now, witness party) {
	t.Helper()
	old, now, witness = newParty(t, origin), newParty(t, origin), newParty(t, "witness.example")
	m = makeLog(t, n)
	size := int64(n)
	cosigned, err := ledger.Merge(m.checkpoint(t, size/2, now), m.checkpoint(t, size/2, witness))
	if err != nil {
		t.Fatal(err)
	}
	path := func(directory string, size int64) string { return directory + strconv.FormatInt(size, 10) }
	files = m.export(t, old.key+"\n"+now.key+"\n", m.checkpoint(t, size, now), map[string][]byte{
		path(ledger.EarlierDirectory, size/5):  m.checkpoint(t, size/5, old),
		path(ledger.EarlierDirectory, size/3):  m.checkpoint(t, size/3, old, now),
		path(ledger.EarlierDirectory, size-1):  m.checkpoint(t, size-1, now),
		path(ledger.CosignedDirectory, size/2): cosigned,
		path(ledger.SuccessorDirectory, 1):     succession(t, old, now),
		ledger.WitnessFile:                     []byte(witness.key + "\n"),
	})
	return m, files, old, now, witness
}

func TestWholeExportsHold(t *testing.T) {
	for _, n := range []int{9, 255, 256, 257, 512, 1000, 1<<14 - 1, 1 << 14, 1<<14 + 1, 1<<16 + 300} {
		m, files, old, now, witness := whole(t, n)
		for name, c := range map[string]ledger.Check{
			"by its own word": {}, "by the old key": {Keys: []note.Verifier{old.verifier}},
			"by the new key": {Keys: []note.Verifier{now.verifier}, Witnesses: []note.Verifier{witness.verifier}},
			"since":          {Since: m.checkpoint(t, int64(n/4), old)},
		} {
			next := 0
			c.Each = func(index int64, record []byte) error {
				if index != int64(next) || !bytes.Equal(record, m.records[next]) {
					return errors.New("another record")
				}
				next++
				return nil
			}
			got, err := c.Run(files)
			if err != nil || got.Size != int64(n) || next != n || got.OwnKey != (len(c.Keys) == 0) || len(got.Earlier) < 3 || len(got.Cosigned) != 1 {
				t.Errorf("%d records %s: %+v, %d told, %v", n, name, got, next, err)
			}
		}
	}
	m := makeLog(t, 0)
	now := newParty(t, origin)
	if _, err := (&ledger.Check{}).Run(m.export(t, now.key+"\n", m.checkpoint(t, 0, now), nil)); err != nil {
		t.Errorf("an empty log: %v", err)
	}
}

// succession is what two keys say of each other.
func succession(t testing.TB, before, after party) []byte {
	t.Helper()
	raw, err := ledger.Succeed(before.key, after.key, before, after)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// collided are two parties whose keys have one hash: the first two of the seeds 0, 1,
// 2 and so on, in eight bytes and zeros.
func collided(t testing.TB) (a, b party) {
	t.Helper()
	hash := func(key ed25519.PrivateKey) (sum uint32, public []byte) {
		public = append([]byte{1}, key[32:]...)
		h := sha256.Sum256(append([]byte(origin+"\n"), public...))
		return binary.BigEndian.Uint32(h[:]), public
	}
	made := func(key ed25519.PrivateKey) party {
		sum, public := hash(key)
		as := func(b []byte) string {
			return fmt.Sprintf("%s+%08x+%s", origin, sum, base64.StdEncoding.EncodeToString(b))
		}
		signer, err := note.NewSigner("PRIVATE+KEY+" + as(append([]byte{1}, key.Seed()...)))
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := ledger.ParseKey(as(public))
		if err != nil {
			t.Fatal(err)
		}
		return party{signer, as(public), verifier}
	}
	numbered := func(n uint64) party {
		return made(ed25519.NewKeyFromSeed(append(binary.BigEndian.AppendUint64(nil, n), make([]byte, ed25519.SeedSize-8)...)))
	}
	if a, b = numbered(90_623), numbered(165_364); a.verifier.KeyHash() != b.verifier.KeyHash() {
		t.Fatal("the keys differ")
	}
	return a, b
}

// TestForgersAreNotTrusted: neither a signature beside that of a trusted key, nor a
// succession that the trusted key did not sign, nor the hash of a key in common leads
// from the trusted key to a forger's.
func TestForgersAreNotTrusted(t *testing.T) {
	ministry, forger := newParty(t, origin), newParty(t, origin)
	genuine, forged := makeLog(t, 700), &made{}
	for i := range 700 {
		record := makeRecord(i + i/100*100_000)
		more, err := tlog.StoredHashes(int64(i), record, forged)
		if err != nil {
			t.Fatal(err)
		}
		forged.records, forged.stored = append(forged.records, record), append(forged.stored, more...)
	}
	grafted, err := ledger.Merge(genuine.checkpoint(t, 100, ministry), forged.checkpoint(t, 100, forger))
	if err != nil {
		t.Fatal(err)
	}
	one, err := ledger.Succeed(ministry.key, forger.key, forger)
	if err != nil {
		t.Fatal(err)
	}
	first, second := collided(t)
	for what, try := range map[string]struct {
		trusted, signs party
		optional       map[string][]byte
	}{
		"a signature beside":           {ministry, forger, map[string][]byte{"checkpoints/100": grafted}},
		"a succession by the forger":   {ministry, forger, map[string][]byte{"checkpoints/100": genuine.checkpoint(t, 100, ministry), "successors/1": one}},
		"a succession of other keys":   {ministry, forger, map[string][]byte{"checkpoints/100": genuine.checkpoint(t, 100, ministry), "successors/1": succession(t, forger, ministry)}},
		"a forger as its own witness":  {ministry, forger, map[string][]byte{"cosigned/300": forged.checkpoint(t, 300, forger), ledger.WitnessFile: []byte(forger.key + "\n")}},
		"the ministry's word beside":   {ministry, forger, map[string][]byte{"checkpoints/100": genuine.checkpoint(t, 100, ministry), "cosigned/300": forged.checkpoint(t, 300, forger), ledger.WitnessFile: []byte(forger.key + "\n")}},
		"a key of the same hash":       {first, second, nil},
		"a key of the same hash, back": {second, first, nil},
	} {
		keys := try.signs.key + "\n"
		if try.optional["checkpoints/100"] != nil {
			keys = try.trusted.key + "\n" + keys
		}
		files := forged.export(t, keys, forged.checkpoint(t, 700, try.signs), try.optional)
		var b *ledger.Break
		if _, err := (&ledger.Check{Keys: []note.Verifier{try.trusted.verifier}}).Run(files); !errors.As(err, &b) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := (&ledger.Check{Keys: []note.Verifier{try.signs.verifier, try.trusted.verifier}}).Run(files); strings.HasPrefix(what, "a key") && err != nil {
			t.Errorf("%s: the permit beside it: %v", what, err)
		}
	}
}

// TestWhatIsNoExport: what would keep a check busy for ever is refused at once, and a
// witness who is asked for must have signed.
func TestWhatIsNoExport(t *testing.T) {
	ministry, witness := newParty(t, origin), newParty(t, "witness.example")
	whole := makeLog(t, 300).export(t, ministry.key+"\n", makeLog(t, 300).checkpoint(t, 300, ministry), nil)
	const most = 1 << 40
	raw, err := ledger.Sign(ledger.Checkpoint{Origin: origin, Size: most, Root: tlog.Hash{1}}, ministry)
	if err != nil {
		t.Fatal(err)
	}
	huge := fstest.MapFS{
		ledger.ManifestFile:   {Data: []byte(ledger.SegmentManifest(ledger.Span{To: most}))},
		ledger.KeyFile:        {Data: []byte(ministry.key + "\n")},
		ledger.CheckpointFile: {Data: raw},
	}
	pipe := maps.Clone(whole)
	pipe[ledger.ManifestFile] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	for file, try := range map[string]struct {
		check ledger.Check
		files fs.FS
	}{
		ledger.WitnessFile:  {ledger.Check{Witnesses: []note.Verifier{witness.verifier}}, whole},
		ledger.ManifestFile: {ledger.Check{}, pipe},
		"tile/8/5/000":      {ledger.Check{}, huge},
	} {
		var b *ledger.Break
		if _, err := try.check.Run(try.files); !errors.As(err, &b) || b.File != file && file[0] != 't' {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestKeysAreNotTrustedByThemselves(t *testing.T) {
	_, files, old, now, witness := whole(t, 700)
	stranger := newParty(t, origin)
	wants := func(what, file string, c ledger.Check, files fs.FS) {
		t.Helper()
		var b *ledger.Break
		if _, err := c.Run(files); !errors.As(err, &b) || b.File != file {
			t.Errorf("%s: got %v, want a break in %s", what, err, file)
		}
	}
	wants("another's key", ledger.CheckpointFile, ledger.Check{Keys: []note.Verifier{stranger.verifier}}, files)
	wants("another witness", ledger.CosignedDirectory+"350", ledger.Check{Witnesses: []note.Verifier{stranger.verifier}}, files)
	m := makeLog(t, 700)
	m.records[1][0]++
	forged := m.export(t, old.key+"\n"+stranger.key+"\n", m.checkpoint(t, 700, stranger), map[string][]byte{"checkpoints/100": m.checkpoint(t, 100, old)})
	wants("a forged log with a key of its own", ledger.CheckpointFile, ledger.Check{Keys: []note.Verifier{now.verifier}}, forged)
	wants("a forged log with a key of its own, for who has the old one", ledger.CheckpointFile, ledger.Check{Keys: []note.Verifier{old.verifier}}, forged)
	other := makeLog(t, 700)
	other.records = other.records[:600]
	wants("a log that was longer", "the checkpoint seen before", ledger.Check{Since: other.checkpoint(t, 700, now)}, makeLog(t, 600).export(t, now.key+"\n", makeLog(t, 600).checkpoint(t, 600, now), nil))
	changed := &made{}
	for i := range 700 {
		record := makeRecord(i + i/650)
		more, _ := tlog.StoredHashes(int64(i), record, changed)
		changed.records, changed.stored = append(changed.records, record), append(changed.stored, more...)
	}
	wants("a log that was another", "the checkpoint seen before", ledger.Check{Since: makeLog(t, 700).checkpoint(t, 680, now)}, changed.export(t, now.key+"\n", changed.checkpoint(t, 700, now), nil))
	lost := changed.export(t, now.key+"\n", changed.checkpoint(t, 700, now), map[string][]byte{"checkpoints/680": makeLog(t, 700).checkpoint(t, 680, now)})
	wants("a log that does not go on from its own past", "checkpoints/680", ledger.Check{}, lost)
	if _, err := (&ledger.Check{Witnesses: []note.Verifier{witness.verifier}}).Run(files); err != nil {
		t.Errorf("the permit beside it: %v", err)
	}
}

func TestRecordsThatMayBeGone(t *testing.T) {
	m, files, _, _, _ := whole(t, 300)
	var b []byte
	for i, record := range m.records {
		if i == 7 || i == 99 {
			record = nil
		}
		b = ledger.AppendPiece(b, record)
	}
	files[ledger.ChunkPath(0)].Data = b
	if got, err := (&ledger.Check{MayBeGone: 100}).Run(files); err != nil || got.Gone != 2 {
		t.Errorf("two that may be gone: %+v, %v", got, err)
	}
	for may, leaf := range map[int64]int64{0: 7, 99: 99} {
		var at *ledger.Break
		if _, err := (&ledger.Check{MayBeGone: may}).Run(files); !errors.As(err, &at) || at.Leaf != leaf {
			t.Errorf("gone before %d: got %v, want a break at %d", may, err, leaf)
		}
	}
}

func TestCheckpointsHaveOneForm(t *testing.T) {
	m := makeLog(t, 9)
	a, b := newParty(t, origin), newParty(t, origin)
	raw := m.checkpoint(t, 9, a, b)
	keys := []note.Verifier{a.verifier, b.verifier}
	s, err := ledger.Open(raw, keys)
	if err != nil || len(s.By) != 2 || s.Size != 9 {
		t.Fatalf("%+v, %v", s, err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	for what, other := range map[string]string{
		"signatures the other way":    strings.Join([]string{lines[0], lines[1], lines[2], lines[3], lines[5], lines[4]}, ""),
		"a signature twice":           string(raw) + lines[5],
		"a line more":                 strings.Replace(string(raw), "\n\n", "\nmore\n\n", 1),
		"a size with a zero":          strings.Replace(string(raw), "\n9\n", "\n09\n", 1),
		"a space at the end":          string(raw) + " ",
		"a line that somebody begins": string(raw) + "\n",
	} {
		if _, err := ledger.Open([]byte(other), keys); err == nil {
			t.Errorf("%s: it was taken:\n%s", what, other)
		}
	}
	if _, err := ledger.Open(raw, keys[:1]); !errors.Is(err, ledger.ErrSignature) {
		t.Errorf("a signature that nobody knows: %v", err)
	}
}

// mutation is a change of an export, and where it must be found.
type mutation struct {
	what string
	file string
	leaf int64
}

// change changes something. Of what is changed nothing is shared with others.
func change(t testing.TB, r *mathrand.Rand, m *made, files fstest.MapFS) mutation {
	t.Helper()
	paths := slices.Sorted(maps.Keys(files))
	path := paths[r.IntN(len(paths))]
	if r.IntN(3) == 0 {
		path = ledger.ChunkPath(r.Int64N(ledger.Chunks(int64(len(m.records)))))
	}
	old := files[path].Data
	b := bytes.Clone(old)
	put := func(what string, b []byte) mutation {
		files[path] = &fstest.MapFile{Data: b, Mode: 0o600}
		return mutation{what + " " + path, path, leafAt(path, m, old, b)}
	}
	at := r.IntN(len(b))
	switch r.IntN(8) {
	case 0:
		delete(files, path)
		return mutation{"removed " + path, path, -1}
	case 1:
		extra := []string{path + "x", "x", "records/1", "records/999999999", "tile/8/0/999", "tile/8/data/000", "checkpoints/7"}[r.IntN(7)]
		files[extra] = &fstest.MapFile{Data: b, Mode: 0o600}
		return mutation{"added " + extra, extra, -1}
	case 2:
		return put("cut off", b[:at])
	case 3:
		return put("longer", append(b, byte(r.IntN(256))))
	case 4:
		return put("a byte more in", slices.Insert(b, at, byte(r.IntN(256))))
	case 5:
		return put("a byte less in", slices.Delete(b, at, at+1))
	case 6:
		if strings.HasPrefix(path, "records/") {
			return put("records in another order in", shuffled(t, r, b))
		}
		fallthrough
	default:
		b[at] ^= 1 << r.IntN(8)
		return put(fmt.Sprintf("bit in byte %d of", at), b)
	}
}

// shuffled takes a record away, doubles one, exchanges two, or says that one is
// gone.
func shuffled(t testing.TB, r *mathrand.Rand, b []byte) []byte {
	t.Helper()
	var pieces [][]byte
	for rest := b; len(rest) > 0; {
		piece, more, err := ledger.CutPiece(rest)
		if err != nil {
			t.Fatal(err)
		}
		pieces, rest = append(pieces, piece), more
	}
	i, j := r.IntN(len(pieces)), r.IntN(len(pieces))
	switch r.IntN(4) {
	case 0:
		pieces = slices.Delete(pieces, i, i+1)
	case 1:
		pieces = slices.Insert(pieces, i, pieces[j])
	case 2:
		pieces[i], pieces[j] = pieces[j], pieces[i]
	default:
		pieces[i] = nil
	}
	var out []byte
	for _, p := range pieces {
		out = ledger.AppendPiece(out, p)
	}
	return out
}

// leafAt is the record in which two versions of a chunk begin to differ; -1 when it
// is none, or behind all.
func leafAt(path string, m *made, old, changed []byte) int64 {
	name, ok := strings.CutPrefix(path, "records/")
	if !ok {
		return -1
	}
	n, _ := strconv.ParseInt(name, 10, 64)
	index := n * ledger.ChunkSize
	for rest := old; len(rest) > 0; index++ {
		_, more, err := ledger.CutPiece(rest)
		if err != nil {
			return -1
		}
		end := len(old) - len(more)
		if end > len(changed) || !bytes.Equal(old[:end], changed[:end]) {
			return index
		}
		rest = more
	}
	return -1
}

// TestEveryChangeIsFound changes an export in one place after the other, in
// thousands of ways, and wants the place named each time.
func TestEveryChangeIsFound(t *testing.T) {
	rounds := 2400
	if n, err := strconv.Atoi(os.Getenv("VITRINE_TAMPER")); err == nil {
		rounds = n
	}
	seed := must(rand.Int(rand.Reader, big.NewInt(1<<62))).Uint64()
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	sizes := []int{9, 260, 400}
	if rounds > 5000 {
		sizes = append(sizes, 1<<14+300)
	}
	done := 0
	for _, n := range sizes {
		m, files, _, _, _ := whole(t, n)
		for range rounds / len(sizes) {
			changed := maps.Clone(files)
			mut := change(t, r, m, changed)
			if same(files, changed) {
				continue
			}
			done++
			_, err := (&ledger.Check{}).Run(changed)
			var b *ledger.Break
			if !errors.As(err, &b) {
				t.Fatalf("seed %d, %d records, %s: got %v", seed, n, mut.what, err)
			}
			right := b.File == mut.file && (mut.leaf < 0 || b.Leaf == mut.leaf)
			if mut.file == ledger.ManifestFile { // then it names others, which are not there, or not those that are
				right = right || files[b.File] == nil || !strings.Contains(string(changed[ledger.ManifestFile].Data), b.File)
			}
			if mut.file == ledger.KeyFile || strings.HasPrefix(mut.file, ledger.EarlierDirectory) { // a key, or one of two signatures, that is no longer there led to something
				right = right || b.File == ledger.CheckpointFile || strings.HasPrefix(b.File, ledger.EarlierDirectory)
			}
			if !right {
				t.Fatalf("seed %d, %d records, %s at %d: found as %v", seed, n, mut.what, mut.leaf, b)
			}
		}
	}
	t.Logf("%d changes found", done)
}

func same(a, b fstest.MapFS) bool {
	return maps.EqualFunc(a, b, func(x, y *fstest.MapFile) bool { return bytes.Equal(x.Data, y.Data) })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzCutPiece(f *testing.F) {
	f.Add(ledger.AppendPiece(ledger.AppendPiece(nil, []byte("x")), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		piece, rest, err := ledger.CutPiece(b)
		if err == nil && !bytes.Equal(append(ledger.AppendPiece(nil, piece), rest...), b) {
			t.Fatalf("%x is not the one form of %x", b, piece)
		}
	})
}
