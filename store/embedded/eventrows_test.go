package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
)

// shelvedEvent is an event as the shelf keeps it.
type shelvedEvent struct {
	shelved
	ordinal
}

func (e *shelvedEvent) n() number { return eventNumber(e.record) }

// drawShelved draws chunks of events and puts them into an empty store. Ids and
// times are few enough to share their keys.
func drawShelved(t *rapid.T, db *DB, types typeNumber) []shelvedEvent {
	batch := db.eng.NewBatch()
	for _, s := range []byte{spaceAuditLog, spaceEvent, spaceEventID, spaceMoment, spacePosting} {
		if err := batch.DeleteRange([]byte{s}, []byte{s + 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var all []shelvedEvent
	record := uint64(0)
	var rows shelfRows
	for range rapid.IntRange(0, 4).Draw(t, "chunks") {
		rows.reset()
		from := len(all)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			record += uint64(rapid.IntRange(1, 3).Draw(t, "records"))
			one := shelvedEvent{ordinal: ordinal(rapid.IntRange(1, 4).Draw(t, "patient"))}
			if one.record = record; one.ordinal != ordinalQuarantine {
				one.patient = string(rune('a' + one.ordinal))
			}
			one.id = [16]byte{1, 2, 3, 4, rapid.Byte().Draw(t, "bucket") % 2, byte(len(all)), byte(len(all) >> 8)}
			one.recorded = time.UnixMilli(rapid.Int64Range(-100, 300).Draw(t, "recorded")).UTC()
			all = append(all, one)
		}
		for i := len(all) - 1; i >= from; i-- {
			rows.add(db.events, types, &all[i].shelved, all[i].ordinal)
		}
		putRounds(t, batch, all[from:])
		if err := rows.set(batch); err != nil {
			t.Fatal(err)
		}
	}
	shelvedTo := binary.BigEndian.AppendUint64(nil, record)
	if err := errors.Join(batch.Set([]byte(metaAudited), shelvedTo, nil), batch.Commit(pebble.NoSync)); err != nil {
		t.Fatal(err)
	}
	return all
}

// putRounds puts the records of events into the log, in rounds of what has no gap;
// in a gap there may be one that nobody can read.
func putRounds(t *rapid.T, batch *pebble.Batch, all []shelvedEvent) {
	var p packer
	var records [][]byte
	for i := range all {
		e := audit.Event{ID: all[i].id, Recorded: all[i].recorded, Patient: all[i].patient}
		records = append(records, e.AppendBinary(nil))
		if i+1 < len(all) && all[i+1].record == all[i].record+1 && rapid.Bool().Draw(t, "one round") {
			continue
		}
		first := all[i].record + 1 - uint64(len(records))
		if i+1 < len(all) && all[i+1].record > all[i].record+1 && rapid.Bool().Draw(t, "unreadable") {
			records = append(records, []byte("?"))
		}
		if err := p.set(batch, first, records); err != nil {
			t.Fatal(err)
		}
		records = nil
	}
}

// TestEventRowsAreTheEvents: rows are found by number and by id, wherever the
// search begins, and say what was put there; nothing else is found.
func TestEventRowsAreTheEvents(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	rapid.Check(t, func(t *rapid.T) {
		all := drawShelved(t, db, 9)
		for _, one := range all {
			if n, ok, err := findEvent(db.eng, one.id); n != one.n() || !ok || err != nil {
				t.Fatalf("id %x: got %x, %v, %v, want %x", one.id, n, ok, err, one.n())
			}
			absent := one.id
			absent[rapid.IntRange(0, 15).Draw(t, "byte")] ^= 0x80
			if n, ok, err := findEvent(db.eng, absent); ok || err != nil {
				t.Fatalf("id %x: got %x, %v, want nothing", absent, n, err)
			}
		}
		slices.Reverse(all)
		v := &view{db: db, src: db.eng}
		rows, err := v.eventRows(consent.EditionBasic)
		if err != nil {
			t.Fatal(err)
		}
		if of := ordinal(rapid.IntRange(1, 5).Draw(t, "of")); of != ordinalQuarantine { // else of all
			if rows.own, err = newBlocks(db.eng, prefixEvents(nil, of)); err != nil {
				t.Fatal(err)
			}
			all = slices.DeleteFunc(all, func(one shelvedEvent) bool { return one.ordinal != of })
		}
		defer func() { _ = rows.close() }()
		var head header // used again, as in a walk
		for range 30 {
			n := eventNumber(rapid.Uint64Range(0, 200).Draw(t, "at"))
			i := slices.IndexFunc(all, func(one shelvedEvent) bool { return one.n() >= n })
			got, ok := rows.seek(n)
			if ok != (i >= 0) || ok && got != all[i].n() {
				t.Fatalf("seek %x: got %x, %v", n, got, ok)
			}
			if !ok {
				continue
			}
			if _, err := rows.cut(&head, typeAuditEvent, nil); err != nil {
				t.Fatal(err)
			}
			want := header{version: "b1", count: 1, event: true}
			want.row = consent.Row{Type: typeAuditEvent, Home: consent.HomeQuarantine}
			if all[i].patient != "" {
				want.row.Home, want.row.Patients = consent.HomePatients, []string{all[i].patient}
			}
			if d := cmp.Diff(want, head, cmp.AllowUnexported(header{}), cmp.Comparer(slices.Equal[[]ordinal]), cmp.Comparer(slices.Equal[[]string])); d != "" {
				t.Errorf("row %x (-put +read):\n%s", got, d)
			}
			if !bytes.Contains(rows.record, all[i].id[:]) || rows.event.ID != all[i].id {
				t.Errorf("row %x: its record is %x", got, rows.record)
			}
		}
	})
}

// TestTimelineIsThePostings: the times of events look like the postings of a
// date or of _lastUpdated that they stand for, whichever way one goes.
func TestTimelineIsThePostings(t *testing.T) {
	const types = 9
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	rapid.Check(t, func(t *rapid.T) {
		param := rapid.SampledFrom([]search.Param{search.ParamLastUpdated, db.events.Date()}).Draw(t, "parameter")
		var keys []string
		for _, one := range drawShelved(t, db, types) {
			keys = append(keys, string(appendNumber(prefixValue(nil, consent.EditionFull, param, types, timeValue(param, one.recorded)), one.n())))
		}
		slices.Sort(keys)
		prefix := prefixPostings(nil, consent.EditionFull, param, types)
		some := func(label string) []byte { return drawKey(t, label, keys, prefix, param) }
		lower, upper := prefix, after(prefix)
		if rapid.Bool().Draw(t, "bounded") {
			lower, upper = some("lower"), some("upper")
		}
		within := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k < string(lower) || k >= string(upper) })
		l, err := newTimeline(db.eng, types, param, lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		i := -1
		for range 20 {
			var live bool
			move := rapid.SampledFrom([]string{"first", "last", "ge", "lt", "next", "prev"}).Draw(t, "move")
			if i < 0 || i >= len(within) { // only what stands somewhere steps
				move = strings.Replace(strings.Replace(move, "next", "first", 1), "prev", "last", 1)
			}
			switch move {
			case "first":
				live, i = l.First(), 0
			case "last":
				live, i = l.Last(), len(within)-1
			case "ge":
				key := some("key")
				i, _ = slices.BinarySearch(within, string(key))
				live = l.SeekGE(key)
			case "lt":
				key := some("key")
				i, _ = slices.BinarySearch(within, string(key))
				live, i = l.SeekLT(key), i-1
			case "next":
				live, i = l.Next(), i+1
			case "prev":
				live, i = l.Prev(), i-1
			}
			if want := i >= 0 && i < len(within); live != want || live && string(l.Key()) != within[i] {
				t.Fatalf("%s: got %v %x, want %v, %d of %x", move, live, l.Key(), want, i, within)
			}
		}
		if err := l.Error(); err != nil {
			t.Fatal(err)
		}
	})
}

// drawKey draws a key that a search may begin with: whole, cut short, a bit
// beside, or of a time that nothing has.
func drawKey(t *rapid.T, label string, keys []string, prefix []byte, param search.Param) []byte {
	if len(keys) == 0 || rapid.Bool().Draw(t, label+" free") {
		at := time.UnixMilli(rapid.Int64Range(-300, 500).Draw(t, label+" time"))
		return appendEscaped(bytes.Clone(prefix), timeValue(param, at)[:rapid.IntRange(0, 17).Draw(t, label+" length")])
	}
	key := []byte(rapid.SampledFrom(keys).Draw(t, label))
	if rapid.Bool().Draw(t, label+" beside") {
		key = append(key, 0)
	}
	return key
}

func timeValue(p search.Param, at time.Time) []byte {
	var e search.Entries
	if p == search.ParamLastUpdated {
		search.AppendUpdated(&e, at)
	} else {
		search.AppendInstant(&e, p, at)
	}
	_, value := e.At(0)
	return value
}

// TestOnlyOneSpellingOfAnID: ids are compared as text elsewhere, so no other
// spelling of the same one may be found.
func TestOnlyOneSpellingOfAnID(t *testing.T) {
	const id = "0198c0de-0000-7000-8000-00000000abcd"
	if got, ok := parseUUID(id); !ok || formatUUID(got) != id {
		t.Fatalf("%s: got %x, %v", id, got, ok)
	}
	for _, other := range []string{"", strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), id + "0", "{" + id[1:], id[:35] + "g", strings.Replace(id, "-", "0", 1)} {
		if got, ok := parseUUID(other); ok {
			t.Errorf("%q: got %x, want none", other, got)
		}
	}
}

// FuzzBlocks: no bytes in the place of a block are too bad to be refused, or read as
// some numbers.
func FuzzBlocks(f *testing.F) {
	var rows shelfRows
	rows.reset()
	for i := range uint64(3) {
		rows.add(nil, 1, &shelved{record: 9 - i, patient: "p"}, 5)
	}
	for _, b := range rows.blocks {
		f.Add(b.steps, 1)
	}
	db := openIn(f, filepath.Join(f.TempDir(), "store"), Options{})
	f.Fuzz(func(t *testing.T, value []byte, size int) {
		key := appendNumber([]byte{spaceMoment}, eventNumber(9))
		if err := db.eng.Set(key, value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if n := appendBlock(nil, key, value); len(n) == 0 || len(n) > 1+len(value) {
			t.Errorf("%x: %d numbers", value, len(n))
		}
		it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: key})
		if err != nil || !it.First() {
			t.Fatal(err, it.Error())
		}
		defer func() { _ = it.Close() }()
		size = min(max(size, 0), 16)
		err = eachBeside(it, size, func(_ number, rest []byte) {
			if len(rest) != size {
				t.Fatalf("%x: %x stands behind a number", value, rest)
			}
		})
		if err != nil && !errors.Is(err, errEventRow) {
			t.Errorf("%x: %v", value, err)
		}
	})
}
