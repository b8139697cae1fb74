//go:build !linux

package mongotest

import (
	"errors"
	"os"
	"syscall"
)

// bound makes a child that ends only when it is told to: a test process that is
// killed leaves it behind.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func freeze(*os.Process) error { return errors.ErrUnsupported }

func thaw(*os.Process) error { return errors.ErrUnsupported }
