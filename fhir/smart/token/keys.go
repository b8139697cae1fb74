package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// KeyFile is the name of the file in the data directory that holds the server's
// own signing key as a JWK. Whoever may read it may mint tokens.
const KeyFile = "token-key.json"

// Keys is the server's own signing key: ES384, for tokens the server trusts
// because it made them.
type Keys struct {
	id      string
	private *ecdsa.PrivateKey
}

// OpenKeys reads the signing key of a data directory, and makes one if there is
// none. Of several processes that start at once, all get the same key.
func OpenKeys(dir string) (*Keys, error) {
	path := filepath.Join(dir, KeyFile)
	k, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := createKeys(dir, path); err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return readKeys(path)
}

// ID is the kid of the key: its JWK thumbprint (RFC 7638).
func (k *Keys) ID() string { return k.id }

func readKeys(path string) (*Keys, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 { // such as after copying the data directory
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("signing key %s may be read by others: %w", KeyFile, err)
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // G304: a fixed name in the operator's own data directory
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, err := jwk.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("signing key %s is not a JWK", KeyFile) // not wrapped: it may quote the key
	}
	var private ecdsa.PrivateKey
	if err := key.Raw(&private); err != nil || private.Curve != elliptic.P384() {
		return nil, fmt.Errorf("signing key %s is not a private key on P-384", KeyFile)
	}
	id, err := thumbprint(key)
	if err != nil {
		return nil, err
	}
	return &Keys{id: id, private: &private}, nil
}

// createKeys puts a new key in place under its final name in one step; one that
// another process put there first is left alone.
func createKeys(dir, path string) error {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := jwk.FromRaw(private)
	if err != nil {
		return err
	}
	text, err := json.Marshal(key)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, KeyFile+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(append(text, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirectory(dir)
}

// syncDirectory makes the names in a directory durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // G304: the operator's own data directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func thumbprint(key jwk.Key) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
