package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// cli is the command line.
type cli struct {
	Config configFile `help:"Read settings from a YAML or JSON file; keys are the names of flags." placeholder:"FILE"`

	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Demo        demoCommand        `cmd:"" help:"Start a server of its own and tell the story of a record behind glass, step by step."`
	Import      importCommand      `cmd:"" help:"Load FHIR resources as the custodian."`
	Token       tokenCommand       `cmd:"" help:"Print an access token signed with the data directory's key."`
	Account     accountCommand     `cmd:"" help:"Look after the people who sign in here."`
	Keys        keysCommand        `cmd:"" help:"Rotate or list the keys that sign tokens."`
	Client      clientCommand      `cmd:"" help:"Onboard clients: register, activate, suspend and end them."`
	Backup      backupCommand      `cmd:"" help:"Copy a store, also while servers run."`
	Restore     restoreCommand     `cmd:"" help:"Put a backup into a new data directory or database."`
	Store       storeCommand       `cmd:"" help:"Make or check a store in MongoDB."`
	Migrate     migrateCommand     `cmd:"" help:"Copy a store into MongoDB, or out of it, and compare the copy."`
	Audit       auditCommand       `cmd:"" help:"Export the record of access so that others can check it, and look after the key that signs it."`
	ShowConfig  configCommand      `cmd:"" name:"config" help:"Print the settings in force."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit 0 if the server on this machine is ready."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// newParser declares the command line. A value comes from the flag, else from
// the environment (VITRINE_ and the flag's name), else from the file, else it is
// the default.
func newParser(c *cli) (*kong.Kong, error) { return kongOf(c) }

// kongOf declares a command line with the environment and the file of
// VITRINE_CONFIG behind it.
func kongOf(grammar any) (*kong.Kong, error) {
	options := []kong.Option{
		kong.Name("vitrine"),
		kong.Description("A FHIR R4 server that keeps a national health record behind glass."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("VITRINE"),
	}
	if path := os.Getenv("VITRINE_CONFIG"); path != "" {
		file, err := readFile(path)
		if err != nil {
			options = append(options, kong.Resolvers(broken{err}))
		} else {
			options = append(options, kong.Resolvers(file))
		}
	}
	return kong.New(grammar, options...)
}

// configFile is --config.
type configFile string

// BeforeResolve reads the file once the flags are known.
func (f configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, ok := ctx.FlagValue(trace.Flag).(configFile)
	if !ok {
		return nil
	}
	file, err := readFile(string(path))
	if err != nil {
		return err
	}
	if err := file.Validate(ctx.Model); err != nil {
		return err
	}
	ctx.AddResolver(file)
	return nil
}

// fileValues are the settings of a file by the names of their flags.
type fileValues struct {
	path   string
	values map[string]any
}

// readFile reads a settings file. JSON is YAML, so one reader does for both.
func readFile(path string) (*fileValues, error) {
	text, err := os.ReadFile(path) //nolint:gosec // G304: the operator names it
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	f := &fileValues{path: path, values: map[string]any{}}
	if err := yaml.Unmarshal(text, &f.values); err != nil {
		return nil, fmt.Errorf("settings %s: not a YAML or JSON object of settings", path)
	}
	return f, nil
}

// Validate refuses keys that are the name of no flag: a setting that is spelt
// wrong must not be a setting that is not made.
func (f *fileValues) Validate(app *kong.Application) error {
	var names []string
	for _, verb := range app.Children {
		for _, flag := range verb.Flags {
			names = append(names, flag.Name)
		}
	}
	for key := range f.values {
		if !slices.Contains(names, key) || key == "help" || key == "token" {
			return fmt.Errorf("settings %s: unknown key %q", f.path, key)
		}
	}
	return nil
}

// Resolve gives the file's value for a flag, unless the environment has one.
func (f *fileValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil //nolint:nilnil // kong's way to say that there is no value
		}
	}
	switch v := f.values[flag.Name].(type) {
	case nil:
		return nil, nil //nolint:nilnil // as above
	case []any, string, bool:
		return v, nil
	case map[string]any:
		return nil, errors.New("want a value, not an object")
	default:
		return strings.TrimSpace(fmt.Sprint(v)), nil
	}
}

// broken reports at the proper time that the file of VITRINE_CONFIG cannot be
// read.
type broken struct{ err error }

// Validate reports it.
func (b broken) Validate(*kong.Application) error { return b.err }

// Resolve has nothing to give.
func (b broken) Resolve(*kong.Context, *kong.Path, *kong.Flag) (any, error) {
	return nil, b.err
}
