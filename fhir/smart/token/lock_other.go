//go:build !unix

package token

import "errors"

var errNoLock = errors.New("the keys are changed on Unix systems alone")

func lock(string) (func() error, error) { return nil, errNoLock }
