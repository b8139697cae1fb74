// Package testdata carries the records that `vitrine demo` loads, so that the
// story runs from the program alone. It owns files, no code.
package testdata

import "embed"

// Files holds the cast of the story and the Synthea patients.
//
//go:embed demo synthea
var Files embed.FS
