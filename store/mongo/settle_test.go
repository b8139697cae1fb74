package mongo_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo"
)

// settle compares all that is there with all that was promised.
func (l *ledger) settle(db *mongo.DB, writers []string) {
	l.t.Helper()
	if err := db.Settle(l.t.Context()); err != nil {
		l.t.Fatalf("settle: %v", err)
	}
	s, err := db.Snapshot(l.t.Context())
	if err != nil {
		l.t.Fatalf("snapshot: %v", err)
	}
	defer s.Close()
	counter := l.chain(s, "Basic", "counter")
	var chains []string
	for _, w := range writers {
		chain := l.chain(s, "Observation", w)
		l.same("the versions of "+w, chain, l.of(counter, w))
		chains = append(chains, chain...)
	}
	whole := sorted(counter)
	l.same("the versions of all chains", sorted(chains), whole)
	l.same("what a search finds", l.found(s, "Condition"), whole)
	events := l.found(s, "AuditEvent")
	l.account(whole, events)
	l.settleTree(db, events)
}

// account goes through the deeds one by one.
func (l *ledger) account(whole, events []string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	acks, unknown, kept, alone, lone := 0, 0, 0, 0, 0
	for token, d := range l.deeds {
		_, written := slices.BinarySearch(whole, token)
		_, recorded := slices.BinarySearch(events, token)
		switch {
		case d.acked && !recorded:
			l.t.Errorf("%s was acknowledged (a record alone: %t), and its record is not there", token, d.alone)
		case d.alone && d.acked:
			alone++
		case d.alone:
			lone++
		case d.acked && !written:
			l.t.Errorf("the write %s was acknowledged and is not there", token)
		case written != recorded:
			l.t.Errorf("half of the write %s is there: resources %t, record %t", token, written, recorded)
		case d.acked:
			acks++
		case written:
			kept++
			unknown++
		default:
			unknown++
		}
	}
	l.t.Logf("writes: %d acknowledged, %d not, of which %d are there; records: %d acknowledged, %d not; %d looks",
		acks, unknown, kept, alone, lone, l.looks)
	if acks == 0 || alone == 0 || l.looks == 0 {
		l.t.Error("nothing was tried")
	}
}

// chain are the tokens of the versions of a resource, oldest first. Its versions
// must be numbered without a gap, and no deed may be in it twice.
func (l *ledger) chain(s store.Snapshot, t fhir.ResourceType, id string) []string {
	l.t.Helper()
	var tokens []string
	var after []byte
	for {
		page, next, total, err := s.History(l.t.Context(), consent.Everything(), t, id, 500, after)
		if errors.Is(err, store.ErrNotFound) && after == nil {
			return nil // no write of it was ever acknowledged, or one is missed
		}
		if err != nil {
			l.t.Fatalf("history of %s: %v", id, err)
		}
		for _, v := range page {
			if want := strconv.Itoa(total - len(tokens)); v.Version != want {
				l.t.Fatalf("history of %s: version %s, want %s", id, v.Version, want)
			}
			tokens = append(tokens, l.token(v.JSON))
		}
		if after = next; len(after) == 0 {
			slices.Reverse(tokens)
			return tokens
		}
	}
}

func (l *ledger) token(b []byte) string {
	l.t.Helper()
	var n note
	if err := json.Unmarshal(b, &n); err != nil {
		l.t.Fatalf("%s: %v", b, err)
	}
	return n.Token
}

// of are the tokens of one writer.
func (l *ledger) of(tokens []string, writer string) []string {
	var some []string
	for _, token := range tokens {
		if d := l.deeds[token]; d != nil && d.writer == writer {
			some = append(some, token)
		}
	}
	return some
}

// found are the ids of a type, sorted. None may come twice.
func (l *ledger) found(s store.Snapshot, t fhir.ResourceType) []string {
	l.t.Helper()
	q := &search.Query{Type: t, Count: -1}
	if t != "AuditEvent" {
		q.Clauses = []search.Clause{{Any: []search.Match{{Param: 7, Op: search.OpEqual, Key: []byte("cx")}}}}
	}
	var ids []string
	var after []byte
	for {
		page, err := s.Search(l.t.Context(), consent.Everything(), q, store.PageRequest{Limit: 1000, After: after})
		if err != nil {
			l.t.Fatalf("search for %s: %v", t, err)
		}
		for _, f := range page.Found {
			ids = append(ids, f.ID)
		}
		if after = page.Next; len(after) == 0 {
			break
		}
	}
	all := sorted(ids)
	if d := len(all) - len(slices.Compact(slices.Clone(all))); d > 0 {
		l.t.Errorf("%d of type %s were made twice", d, t)
	}
	return all
}

func (l *ledger) same(what string, got, want []string) {
	l.t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		l.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
