package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vitrine/fhir/smart/token"
)

// What stands in a data directory, beside token.KeyFile.
const (
	storeDirectory = "store"
	identityFile   = "server.json"
	socketFile     = "admin.sock"
)

// dataDir is a data directory: the store, the key that signs tokens, and who
// the server is.
type dataDir struct {
	path     string
	identity identity
	keys     *token.Keys
}

// identity is who a server is, whatever address it is reached by. It is secret,
// for it holds the key that seals cursors.
type identity struct {
	// ID is a UUID; "urn:uuid:" and it name the server in tokens of its own.
	ID string `json:"id"`
	// CursorKey is 32 bytes in hexadecimal.
	CursorKey string `json:"cursorKey"`
	// BaseURL is the one the server was last run with; empty before that.
	BaseURL string `json:"baseUrl,omitempty"`
}

// openData opens a data directory, and makes it if it is not there. Several
// processes may do so at once.
func openData(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &dataDir{path: path}
	err := d.readIdentity()
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.createIdentity(); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
		err = d.readIdentity()
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d.keys, err = token.OpenKeys(path)
	return d, err
}

// oldData opens a data directory that is there. What looks at the record of access
// makes none: a path that was mistyped would give an empty one, and a key for it.
func oldData(path string) (*dataDir, error) {
	if _, err := os.Stat(filepath.Join(path, identityFile)); err != nil {
		return nil, fmt.Errorf("%s is no data directory: it has no %s (--data names the one of the server)", path, identityFile)
	}
	return openData(path)
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// urn names the server in tokens, at whatever address it is reached.
func (d *dataDir) urn() string { return "urn:uuid:" + d.identity.ID }

// cursorKey is the key that seals cursors.
func (d *dataDir) cursorKey() (key [32]byte, err error) {
	n, err := hex.Decode(key[:], []byte(d.identity.CursorKey))
	if err != nil || n != len(key) {
		return key, fmt.Errorf("%s: the cursor key is damaged", identityFile)
	}
	return key, nil
}

func (d *dataDir) readIdentity() error {
	text, err := os.ReadFile(d.file(identityFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &d.identity); err != nil || d.identity.ID == "" || len(d.identity.CursorKey) != 64 {
		return fmt.Errorf("%s is damaged", identityFile)
	}
	return nil
}

// createIdentity makes an identity, unless another process was first.
func (d *dataDir) createIdentity() error {
	var random [48]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	u := random[:16]
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // a random UUID (RFC 9562 §5.4)
	id := identity{
		ID:        fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
		CursorKey: hex.EncodeToString(random[16:]),
	}
	return d.write(id, func(temp, final string) error {
		if err := os.Link(temp, final); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// remember writes down the base URL the server runs with, so that tokens made
// beside it are for it.
func (d *dataDir) remember(baseURL string) error {
	if d.identity.BaseURL == baseURL {
		return nil
	}
	d.identity.BaseURL = baseURL
	if err := d.write(d.identity, os.Rename); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// write puts an identity in place in one step.
func (d *dataDir) write(id identity, place func(temp, final string) error) error {
	return d.put(identityFile, id, place)
}

// put puts a file of JSON in place in one step.
func (d *dataDir) put(name string, content any, place func(temp, final string) error) error {
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(d.path, name+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(append(text, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := place(temp.Name(), d.file(name)); err != nil {
		return err
	}
	return syncDirectory(d.path)
}
