package oauth

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// AccountsFile is the name of the file of accounts in the data directory. Who may
// read it may try passwords against it.
const AccountsFile = "accounts.json"

// Account is somebody who signs in here.
type Account struct {
	// Name is what is signed in with; case does not count.
	Name string `json:"name"`
	// User is whom it stands for: Practitioner/x, PractitionerRole/x, Patient/p or
	// RelatedPerson/r.
	User string `json:"user"`
	// Password is an argon2id hash.
	Password string `json:"password"`
	// TOTP is the secret of the second factor, in base 32; empty for none.
	TOTP     string `json:"totp,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

// The refusals of a change to accounts.
var (
	ErrAccountExists = errors.New("there is an account of that name")
	ErrNoAccount     = errors.New("there is no account of that name")
	ErrAccount       = errors.New("not an account")
)

// Accounts are the people who sign in here, for development and small sites. They
// are read again whenever their file has changed. It is safe for concurrent use.
type Accounts struct {
	path    string
	hashers hashers

	mu   sync.Mutex
	seen stamp
	list []Account
}

// stamp tells one state of the file from another: it is replaced, never written
// over.
type stamp struct {
	inode uint64
	size  int64
	when  time.Time
}

// hashesAtOnce is how many passwords are looked at together: 19 MiB each.
const hashesAtOnce = 4

// OpenAccounts opens the accounts of a data directory; without a file there are
// none yet.
func OpenAccounts(dir string) (*Accounts, error) {
	a := &Accounts{path: filepath.Join(dir, AccountsFile), hashers: newHashers(hashesAtOnce)}
	_, err := a.All()
	return a, err
}

// All are the accounts as they stand now, in the order of their names. A file
// that cannot be read means that nobody signs in.
func (a *Accounts) All() ([]Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Stat(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.seen, a.list = stamp{}, nil
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("accounts: %w", err)
	}
	if now := stampOf(info); now != a.seen {
		list, err := readAccounts(a.path, info)
		if err != nil {
			return nil, err
		}
		a.seen, a.list = now, list
	}
	return slices.Clone(a.list), nil
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), when: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

func readAccounts(path string, info fs.FileInfo) ([]Account, error) {
	if info.Mode().Perm()&0o077 != 0 { // such as after copying the data directory
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("%s may be read by others: %w", AccountsFile, err)
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // G304: a fixed name in the operator's own data directory
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	var list []Account
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s is damaged", AccountsFile) // not wrapped: it may quote a secret
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, fmt.Errorf("%s, account %d: %w", AccountsFile, i+1, err)
		}
	}
	return list, nil
}

// check finds what could not sign in as it stands.
func (a *Account) check() error {
	if !isName(a.Name) {
		return fmt.Errorf("%w: a name has small letters, digits and . _ - @, and not many", ErrAccount)
	}
	if _, err := a.kind(); err != nil {
		return err
	}
	if _, err := readHash(a.Password); err != nil {
		return fmt.Errorf("%w: %w", ErrAccount, err)
	}
	if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.TOTP); err != nil {
		return fmt.Errorf("%w: the secret of the second factor is not base 32", ErrAccount)
	}
	return nil
}

// kind is the kind of caller that the account's user is.
func (a *Account) kind() (string, error) {
	typ, id, _ := strings.Cut(a.User, "/")
	kind, ok := smart.KindOfUser(fhir.ResourceType(typ))
	if !ok || typ == "" || !fhir.ValidID(id) {
		return "", fmt.Errorf("%w: the user must be Practitioner/ID, PractitionerRole/ID, Patient/ID or RelatedPerson/ID", ErrAccount)
	}
	return kind, nil
}

// maxName bounds the name of an account.
const maxName = 128

// isName reports whether a name may be that of an account. A slash is for those
// of an identity provider.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("._-@", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// normalName is how a name is kept and compared.
func normalName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// find returns the account of a name that may sign in, nil for none.
func (a *Accounts) find(name string) (*Account, error) {
	if a == nil {
		return nil, nil //nolint:nilnil // nobody signs in here
	}
	list, err := a.All()
	if err != nil {
		return nil, err
	}
	name = normalName(name)
	for i := range list {
		if list[i].Name == name && !list[i].Disabled {
			return &list[i], nil
		}
	}
	return nil, nil //nolint:nilnil // no such account
}

// holds reports whether the name may still sign in as the user, with what it was
// signed in with: when a password or a second factor is replaced, all that was
// opened with it is over.
func (a *Accounts) holds(name, user, proof string) bool {
	found, err := a.find(name)
	return err == nil && found != nil && found.User == user && sameToken(proof, found.proof())
}

// proof tells what an account is signed in with now from what it was before, and
// opens nothing.
func (a *Account) proof() string { return hashed("account " + a.Password + " " + a.TOTP) }

// Add makes an account with a password. With totp it gets a second factor, and
// the address that an authenticator app takes is returned.
func (a *Accounts) Add(name, user, password string, totp bool) (address string, err error) {
	hash, err := newHash(password)
	if err != nil {
		return "", err
	}
	one := Account{Name: normalName(name), User: user, Password: hash}
	if totp {
		one.TOTP = newTOTP()
		address = totpURL(totpIssuer, one.Name, one.TOTP)
	}
	if err := one.check(); err != nil {
		return "", err
	}
	return address, a.change(func(list []Account) ([]Account, error) {
		if slices.ContainsFunc(list, func(o Account) bool { return o.Name == one.Name }) {
			return nil, ErrAccountExists
		}
		return append(list, one), nil
	})
}

// minPassword is the least length of a password (NIST SP 800-63B §5.1.1.2 wants
// eight; these open health records).
const minPassword = 12

func newHash(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("%w: a password must have %d bytes at least and %d at most", ErrAccount, minPassword, maxPassword)
	}
	return hashPassword(password), nil
}

// totpIssuer is what an authenticator app calls the account.
const totpIssuer = "Vitrine"

func newTOTP() string {
	secret := make([]byte, totpBytes)
	_, _ = rand.Read(secret) // never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// SetDisabled lets an account sign in or not; its sessions end with it.
func (a *Accounts) SetDisabled(name string, disabled bool) error {
	return a.alter(name, func(one *Account) { one.Disabled = disabled })
}

// SetPassword gives an account another password; its sessions end with the old one.
func (a *Accounts) SetPassword(name, password string) error {
	hash, err := newHash(password)
	if err != nil {
		return err
	}
	return a.alter(name, func(one *Account) { one.Password = hash })
}

// RenewTOTP gives an account a new second factor, or takes it away; its sessions end
// with the old one.
func (a *Accounts) RenewTOTP(name string, on bool) (address string, err error) {
	secret := ""
	if on {
		secret = newTOTP()
		address = totpURL(totpIssuer, normalName(name), secret)
	}
	return address, a.alter(name, func(one *Account) { one.TOTP = secret })
}

func (a *Accounts) alter(name string, do func(*Account)) error {
	name = normalName(name)
	return a.change(func(list []Account) ([]Account, error) {
		i := slices.IndexFunc(list, func(o Account) bool { return o.Name == name })
		if i < 0 {
			return nil, ErrNoAccount
		}
		do(&list[i])
		return list, nil
	})
}

// change puts the accounts that do makes of those on file in place in one step.
// Two processes that change them wait for each other.
func (a *Accounts) change(do func([]Account) ([]Account, error)) error {
	lock, err := os.OpenFile(a.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	list, err := a.All()
	if err != nil {
		return err
	}
	if list, err = do(list); err != nil {
		return err
	}
	slices.SortFunc(list, func(x, y Account) int { return strings.Compare(x.Name, y.Name) })
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(a.path, append(text, '\n')); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// replaceFile puts a file, for its owner alone, in the place of another.
func replaceFile(path string, text []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
