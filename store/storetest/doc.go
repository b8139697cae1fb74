// Package storetest owns the suite that every store must pass, split by
// promise. It does not know how a store keeps anything, which is the store's
// own tests' business.
package storetest

import (
	"testing"

	"vitrine/store"
)

// Run holds the store that open returns to the promises of package store.
func Run(t *testing.T, open func(t *testing.T) store.Store) { t.Helper() }
