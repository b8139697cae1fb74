package gate_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vitrine/consent/audit"
	"vitrine/consent/audit/ledger"
	"vitrine/consent/gate"
	"vitrine/store"
)

// editedTree is a store in whose tree somebody changed the hash of the first leaf.
type editedTree struct {
	store.Store
	edited atomic.Bool
}

func (e *editedTree) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	all, err := e.Store.Tiles(ctx, tiles)
	for i, tile := range tiles {
		if err == nil && e.edited.Load() && tile.L == 0 && tile.N == 0 {
			all[i] = bytes.Clone(all[i])
			all[i][0] ^= 1
		}
	}
	return all, err
}

// key makes a key that signs.
func key(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

func recordOne(t testing.TB, st store.Store, n byte) {
	t.Helper()
	e := audit.Event{ID: [16]byte{n, 1}, Recorded: time.UnixMilli(int64(n)).UTC(), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead}
	if _, err := st.Record(t.Context(), e.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
}

// signedNow is the checkpoint that is kept.
func signedNow(t testing.TB, st store.Store) (raw []byte, keys string) {
	t.Helper()
	snap, err := st.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if raw, _, err = snap.State(t.Context(), "log/latest"); err != nil {
		t.Fatal(err)
	}
	all, _, err := snap.State(t.Context(), "log/keys")
	if err != nil {
		t.Fatal(err)
	}
	return raw, string(all)
}

// TestNothingIsSignedThatDoesNotGoOn: a tree that is not the one signed before is
// not signed, and neither is anything with a key to which nothing leads; both are
// once they are in order.
func TestNothingIsSignedThatDoesNotGoOn(t *testing.T) {
	var edited *editedTree
	w := newWorld(t, func(st store.Store) store.Store {
		edited = &editedTree{Store: st}
		return edited
	})
	first, firstKey := key(t, "nehr.example/audit")
	second, secondKey := key(t, "nehr.example/audit")
	with := gate.Signers{Now: first, Key: firstKey}
	g := gate.New(gate.Config{
		BaseURL: base, CursorKey: [32]byte{1}, Site: "nehr.example",
		Ledger: gate.LedgerConfig{Signers: func() (gate.Signers, error) { return with, nil }},
	}, w.tools, w.store)
	signs := func(what string, want bool) {
		t.Helper()
		recordOne(t, w.store, byte(len(what)))
		before, _ := signedNow(t, w.store)
		err := g.Sign(t.Context())
		after, _ := signedNow(t, w.store)
		if (err == nil) != want || bytes.Equal(before, after) == want {
			t.Errorf("%s: %v, signed %v, want %v", what, err, !bytes.Equal(before, after), want)
		}
	}
	signs("the first", true)
	signs("the second", true)
	edited.edited.Store(true)
	signs("a tree that was edited", false)
	edited.edited.Store(false)
	signs("the tree as it was again", true)
	with = gate.Signers{Now: second, Key: secondKey}
	signs("a key from nowhere", false)
	with.Before = map[string]note.Signer{firstKey: first}
	signs("its successor, with the key before it", true)
	raw, keys := signedNow(t, w.store)
	verifiers, _, err := ledger.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ledger.Open(raw, verifiers); err != nil || len(s.By) != 2 {
		t.Errorf("the first checkpoint of a new key is signed by %d: %v", len(s.By), err)
	}
	third, thirdKey := key(t, "nehr.example/audit")
	with = gate.Signers{Now: third, Key: thirdKey}
	signs("one that nobody says was lost", false)
	with.Lost = true
	signs("one that is said to be lost, and begins anew", true)
}
