package mongo

import (
	"context"
	"errors"
	"fmt"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"vitrine/store"
)

// failure stands for an error of the driver, whose words may hold keys, and keys
// hold ids and search values.
type failure struct {
	code      int
	transient bool // of a transaction, which may be run again
	unknown   bool // whether a commit happened
	network   bool
}

// answered reports whether the servers said no. Else nobody can tell what they
// did: the connection was lost, or there was none to be had.
func (f *failure) answered() bool { return f.code != 0 }

func (f *failure) Error() string {
	switch {
	case f.network:
		return "mongodb: connection lost"
	case f.code == 0:
		return "mongodb: failed"
	default:
		return fmt.Sprintf("mongodb: error %d", f.code)
	}
}

// Codes of the server (error_codes.yml).
const (
	codeMaxTime        = 50
	codeNoSuchSnapshot = 246 // the snapshot is no longer kept
	codeSnapshotOld    = 239
	codeDuplicate      = 11000
	codeTooLarge       = 388 // a transaction for the cache, whenever it is tried
)

// clean makes an error of the driver fit to be told.
func clean(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, driver.ErrClientDisconnected):
		return store.ErrClosed
	}
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	f := &failure{network: driver.IsNetworkError(err) || driver.IsTimeout(err)}
	var labelled driver.LabeledError
	if errors.As(err, &labelled) {
		f.transient = labelled.HasErrorLabel("TransientTransactionError")
		f.unknown = labelled.HasErrorLabel("UnknownTransactionCommitResult")
	}
	var server driver.ServerError
	if errors.As(err, &server) {
		for _, c := range server.ErrorCodes() {
			f.code = c
		}
		if server.HasErrorCode(codeMaxTime) {
			return errors.Join(store.ErrTooCostly, f)
		}
		if server.HasErrorCode(codeTooLarge) {
			return errors.Join(store.ErrTooLarge, f)
		}
	}
	return f
}
