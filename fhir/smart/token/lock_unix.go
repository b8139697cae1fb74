//go:build unix

package token

import (
	"errors"
	"os"
	"syscall"
)

// lock waits until nobody else holds the file, and holds it until the function
// returned is called, or the process ends.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // G304: a fixed name in the operator's own data directory
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { //nolint:gosec // a descriptor is an int
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}
