package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// change reads the file, has it changed, and puts the new one in its place in one
// step, while nobody else does.
func change(path string, do func(*ring) error) error {
	unlock, err := lock(path + ".lock")
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	r, err := readRing(path)
	if err == nil {
		err = do(r)
	}
	if err == nil {
		err = r.put(path, os.Rename)
	}
	return errors.Join(err, unlock())
}

// createRing puts a new key in place under its final name in one step; one that
// another process put there first is left alone.
func createRing(dir, path string) error {
	r := &ring{}
	if err := r.makeSigning(); err != nil {
		return err
	}
	err := r.put(path, os.Link)
	if errors.Is(err, fs.ErrExist) {
		return syncDirectory(dir)
	}
	return err
}

// put writes the ring to a file of another name, and gives it its own with name.
func (r *ring) put(path string, name func(temp, path string) error) error {
	text, err := r.encode()
	if err != nil {
		return errors.New("signing key: it cannot be written down") // not wrapped: it may quote the key
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, KeyFile+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := name(temp.Name(), path); err != nil {
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
