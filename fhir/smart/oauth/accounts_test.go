package oauth

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openTestAccounts(t *testing.T) *Accounts {
	t.Helper()
	a, err := OpenAccounts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnAccountIsKeptForItsOwnerAlone(t *testing.T) {
	a := openTestAccounts(t)
	address, err := a.Add(" Dr.Tan ", "PractitionerRole/a1", "correct horse battery", true)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(a.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v; want 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(a.path)
	if err != nil || strings.Contains(string(text), "horse") {
		t.Errorf("the file holds the password (%v)", err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("secret") == "" || u.Path != "/Vitrine:dr.tan" {
		t.Errorf("otpauth address %q: %v", address, err)
	}
	one, err := a.find("DR.tan")
	if err != nil || one == nil || one.User != "PractitionerRole/a1" || one.TOTP != u.Query().Get("secret") {
		t.Errorf("found %+v, %v; want the account", one, err)
	}
	if err := os.Chmod(a.path, 0o644); err != nil { // as a copy of the directory may leave it
		t.Fatal(err)
	}
	if _, err := OpenAccounts(filepath.Dir(a.path)); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(a.path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode of a copied file: %v, want 0600 again", info.Mode())
	}
}

func TestAccountsThatCannotBeAreRefused(t *testing.T) {
	a := openTestAccounts(t)
	for _, c := range []struct{ name, user, password string }{
		{"", "Patient/p", "correct horse battery"},
		{"a b", "Patient/p", "correct horse battery"},
		{"oidc/x", "Patient/p", "correct horse battery"},
		{"p", "Patient", "correct horse battery"},
		{"p", "Patient/", "correct horse battery"},
		{"p", "Patient/a/b", "correct horse battery"},
		{"p", "Device/d", "correct horse battery"},
		{"p", "", "correct horse battery"},
		{"p", "Patient/p", "short"},
		{"p", "Patient/p", strings.Repeat("x", 2000)},
	} {
		if _, err := a.Add(c.name, c.user, c.password, true); !errors.Is(err, ErrAccount) {
			t.Errorf("account %q for %q: got %v, want ErrAccount", c.name, c.user, err)
		}
	}
	if _, err := a.Add("p", "Patient/p", "correct horse battery", false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add("P", "Patient/q", "correct horse battery", false); !errors.Is(err, ErrAccountExists) {
		t.Errorf("the same name again: got %v, want ErrAccountExists", err)
	}
	if err := a.SetDisabled("q", true); !errors.Is(err, ErrNoAccount) {
		t.Errorf("disable nobody: got %v, want ErrNoAccount", err)
	}
}

func TestAccountsAreReadAgainWhenTheirFileChanges(t *testing.T) {
	a := openTestAccounts(t)
	other, err := OpenAccounts(filepath.Dir(a.path)) // as another process has it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Add("p", "Patient/p", "correct horse battery", false); err != nil {
		t.Fatal(err)
	}
	one, err := other.find("p")
	if err != nil {
		t.Fatal(err)
	}
	first := one.proof()
	if !a.holds("p", "Patient/p", first) || a.holds("p", "Patient/q", first) {
		t.Error("a new account is not seen, or is another's")
	}
	if err := other.SetDisabled("p", true); err != nil {
		t.Fatal(err)
	}
	if a.holds("p", "Patient/p", first) {
		t.Error("a disabled account is held to be good")
	}
	if err := other.SetDisabled("p", false); err != nil {
		t.Fatal(err)
	}
	if !a.holds("p", "Patient/p", first) {
		t.Error("an account that was enabled again is not good")
	}
	for _, change := range []func() error{
		func() error { return other.SetPassword("p", "another horse battery") },
		func() error { _, err := other.RenewTOTP("p", true); return err },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if a.holds("p", "Patient/p", first) || a.holds("p", "Patient/p", "") {
			t.Error("what was signed in with before a change is held to be good")
		}
		if one, err = other.find("p"); err != nil {
			t.Fatal(err)
		}
		if first = one.proof(); !a.holds("p", "Patient/p", first) {
			t.Error("what an account is signed in with now is not good")
		}
	}
	if err := os.WriteFile(a.path, []byte("[{}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.find("p"); !errors.Is(err, ErrAccount) || a.holds("p", "Patient/p", first) {
		t.Errorf("a damaged file: got %v; want ErrAccount, and nobody signed in", err)
	}
	var nobody *Accounts
	if nobody.holds("p", "Patient/p", first) {
		t.Error("no accounts hold somebody")
	}
}

func TestNoChangeOfAccountsIsLost(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a, err := OpenAccounts(dir)
			if err == nil {
				err = a.change(func(list []Account) ([]Account, error) {
					return append(list, Account{Name: string(rune('a' + i)), User: "Patient/p", Password: shared.hash()}), nil
				})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, err := OpenAccounts(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := a.All()
	if err != nil || len(list) != 8 {
		t.Errorf("%d accounts, %v; want 8", len(list), err)
	}
}

// shared is a hash that several tests use: making one takes its time.
var shared = sharedHash{once: sync.OnceValue(func() string { return hashPassword("correct horse battery") })}

type sharedHash struct{ once func() string }

func (s sharedHash) hash() string { return s.once() }

func TestOnlyThePasswordMatchesItsHash(t *testing.T) {
	h, err := readHash(shared.hash())
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches("correct horse battery") || h.matches("correct horse batterz") || h.matches("") {
		t.Error("the hash does not tell its password from others")
	}
	if noHash().matches("") || (passwordHash{}).matches("") {
		t.Error("no hash is matched")
	}
	if diff := cmp.Diff(usualCost(), h.cost, cmp.AllowUnexported(cost{})); diff != "" {
		t.Errorf("cost (-want +got):\n%s", diff)
	}
	if hashPassword("correct horse battery") == shared.hash() {
		t.Error("two hashes have the same salt")
	}
}

func TestWhatIsNoHashIsRefused(t *testing.T) {
	good := "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if _, err := readHash(good); err != nil {
		t.Fatalf("a good hash: %v", err)
	}
	for _, bad := range []string{
		"", "x", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		strings.Replace(good, "m=19456", "m=99999999", 1), strings.Replace(good, "m=19456", "m=1", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "t=2", "t=99", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "$AAAAAAAAAAAAAAAAAAAAAA$", "$AAAA$", 1), strings.TrimSuffix(good, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		good + "$x", good + "!",
	} {
		if _, err := readHash(bad); !errors.Is(err, errHash) {
			t.Errorf("%q: got %v, want errHash", bad, err)
		}
	}
}

// TestCodesOfTheStandard holds codes against the vectors of RFC 6238, Appendix B,
// whose secret is dummySecret; ours have six digits of their eight.
func TestCodesOfTheStandard(t *testing.T) {
	for _, c := range []struct {
		at   int64
		code string
	}{{1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}} {
		at := time.Unix(c.at, 0)
		if step, ok := totpStep(dummySecret, c.code, at); !ok || step != c.at/30 {
			t.Errorf("%s at %d: step %d, %v; want %d", c.code, c.at, step, ok, c.at/30)
		}
		for _, off := range []time.Duration{-30 * time.Second, 30 * time.Second} {
			if _, ok := totpStep(dummySecret, c.code, at.Add(off)); !ok {
				t.Errorf("%s is not good %s off", c.code, off)
			}
		}
		for _, off := range []time.Duration{-60 * time.Second, 60 * time.Second} {
			if _, ok := totpStep(dummySecret, c.code, at.Add(off)); ok {
				t.Errorf("%s is good %s off", c.code, off)
			}
		}
	}
	for _, bad := range []string{"", "28708", "2870820", "28708a", "000000"} {
		if _, ok := totpStep(dummySecret, bad, time.Unix(59, 0)); ok {
			t.Errorf("%q is a code", bad)
		}
	}
}
