package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is what this program calls itself.
const version = "0.1.0"

// versionCommand prints the version.
type versionCommand struct{}

// Run prints the version, the revision it was built from if that is known, and
// the Go it was built with.
func (versionCommand) Run(s streams) error {
	_, err := fmt.Fprintf(s.out, "vitrine %s%s %s FHIR 4.0.1\n", version, revision(), runtime.Version())
	return err
}

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return " (" + setting.Value[:12] + ")"
		}
	}
	return ""
}
