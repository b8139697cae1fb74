// Package conformance inspects the server from outside, over HTTP only, and
// holds the house to its plan. It owns the black-box suites, the leak tests and
// the load and crash harness; it decides nothing, which is consent's.
package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path under which our own packages are imported.
const module = "vitrine"

// room is a row of the import table: what a package may import of ours, and
// whether it must be pure.
type room struct {
	may  []string // "x/..." means x and everything below it
	pure bool
}

// rooms is the import table of the house. A package in no row fails the test.
// The order of imports is the order of trust: what decides knows nothing of
// what stores, and the porch never sees a store.
func rooms() map[string]room {
	domain := []string{"fhir", "fhir/r4", "consent"}
	storage := []string{"fhir", "fhir/r4", "fhir/search", "consent", "consent/audit", "store"}
	return map[string]room{
		"fhir":                   {nil, true},
		"fhir/r4":                {[]string{"fhir"}, true},
		"fhir/r4/generate":       {[]string{"fhir", "fhir/r4"}, false}, // a development tool: reads the definitions, writes the tables
		"fhir/smart":             {[]string{"fhir"}, true},
		"fhir/fhirpath":          {[]string{"fhir", "fhir/r4", "fhir/units"}, true},
		"fhir/search":            {[]string{"fhir", "fhir/r4", "fhir/fhirpath", "fhir/units"}, true},
		"fhir/units":             {nil, true},
		"fhir/compartment":       {[]string{"fhir", "fhir/r4", "fhir/fhirpath", "fhir/search"}, true},
		"fhir/validate":          {[]string{"fhir", "fhir/r4", "fhir/fhirpath"}, true},
		"fhir/patch":             {[]string{"fhir", "fhir/r4", "fhir/fhirpath"}, true},
		"fhir/subset":            {[]string{"fhir", "fhir/r4"}, true},
		"consent":                {[]string{"fhir", "fhir/search", "fhir/smart"}, true},
		"consent/restriction":    {domain, true},
		"consent/directive":      {domain, true},
		"consent/basic":          {domain, true},
		"consent/relation":       {domain, true},
		"consent/audit":          {append(domain, "fhir/smart"), true},
		"consent/audit/balptest": {nil, true}, // for tests alone
		"consent/audit/ledger":   {[]string{"consent/audit"}, true},
		"consent/plain":          {append(domain, "consent/audit"), true}, // the words in which people are told who looked, and why
		"store":                  {[]string{"fhir", "fhir/search", "consent"}, false},
		"store/embedded":         {append(storage, "store/events"), false},
		"store/mongo":            {append(storage, "store/events"), false},
		"store/events":           {[]string{"fhir", "fhir/r4", "fhir/search", "consent", "consent/audit"}, false},
		"store/mongo/mongotest":  {nil, false},
		"store/storetest":        {append(storage, "store/events"), false},
		"consent/gate":           {[]string{"fhir/...", "consent/...", "store"}, false},
		"fhir/smart/token":       {[]string{"fhir", "fhir/smart"}, false},
		"fhir/smart/oauth":       {[]string{"fhir", "fhir/smart", "fhir/smart/token"}, false},
		"fhir/rest":              {[]string{"fhir/...", "consent/..."}, false},
		"cmd/vitrine":            {[]string{"fhir/...", "consent/...", "store/...", "testdata"}, false},
		"cmd/auditcheck":         {[]string{"fhir", "fhir/r4", "consent", "consent/audit", "consent/audit/ledger", "fhir/smart"}, false},
		"conformance":            {[]string{"fhir", "fhir/r4"}, false},
		"testdata":               {nil, false},
	}
}

// outsiders are the foreign packages that only some rooms may import.
func outsiders() map[string][]string {
	return map[string][]string{
		"github.com/gin-gonic/gin":        {"fhir/rest"},
		"github.com/cockroachdb/pebble":   {"store/embedded"},
		"go.mongodb.org/mongo-driver":     {"store/mongo", "store/mongo/mongotest"},
		"github.com/lestrrat-go/jwx":      {"fhir/smart/token"},
		"github.com/prometheus":           {"fhir/rest", "cmd/vitrine"},
		"github.com/alecthomas/kong":      {"cmd/vitrine"},
		"github.com/stretchr/testify":     nil,
		"github.com/golang/mock":          nil,
		"go.uber.org/mock":                nil,
		"github.com/samply/golang-fhir-m": nil,
	}
}

// impure are the packages a pure room must not import.
func impure() []string {
	return []string{"net", "net/http", "os", "log", "log/slog", "math/rand", "crypto/rand", "os/exec"}
}

func TestHouse(t *testing.T) {
	table := rooms()
	seen := map[string]bool{}
	for _, file := range sources(t, "..") {
		dir := filepath.ToSlash(filepath.Dir(file.path))
		row, ok := table[dir]
		if !ok {
			t.Errorf("%s: package %s stands in no row of the import table", file.path, dir)
			continue
		}
		seen[dir] = true
		for _, imp := range file.syntax.Imports {
			checkImport(t, file.path, dir, row, imp)
		}
		if row.pure {
			checkClock(t, file)
		}
	}
	for dir := range table {
		if !seen[dir] && dir != "conformance" {
			t.Errorf("the import table names %s, which has no source", dir)
		}
	}
}

func checkImport(t *testing.T, path, dir string, row room, imp *ast.ImportSpec) {
	t.Helper()
	name, err := strconv.Unquote(imp.Path.Value)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if own, ok := strings.CutPrefix(name, module+"/"); ok {
		if !allowed(row.may, own, dir) {
			t.Errorf("%s: %s may not import %s", path, dir, own)
		}
		return
	}
	if row.pure && slices.Contains(impure(), name) {
		t.Errorf("%s: %s is pure and may not import %s", path, dir, name)
	}
	for prefix, may := range outsiders() {
		if strings.HasPrefix(name, prefix) && !slices.Contains(may, dir) {
			t.Errorf("%s: %s may not import %s", path, dir, name)
		}
	}
}

// allowed reports whether own is in the list. The gate may not import itself,
// nor rest the gate's neighbours below store.
func allowed(may []string, own, dir string) bool {
	if dir == "fhir/rest" && strings.HasPrefix(own, "store") {
		return false
	}
	if dir == "consent/gate" && (own == "fhir/rest" || strings.HasPrefix(own, "store/")) {
		return false
	}
	for _, m := range may {
		if tree, ok := strings.CutSuffix(m, "/..."); ok && (own == tree || strings.HasPrefix(own, tree+"/")) {
			return true
		}
		if m == own {
			return true
		}
	}
	return false
}

// checkClock refuses time.Now in a pure package: the clock is an argument.
func checkClock(t *testing.T, f source) {
	t.Helper()
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since") {
			t.Errorf("%s: time.%s in a pure package; take the moment as an argument", f.path, sel.Sel.Name)
		}
		return true
	})
}

// source is a parsed non-test file, its path relative to the root.
type source struct {
	path   string
	syntax *ast.File
}

func sources(t *testing.T, root string) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		out = append(out, source{rel, syntax})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTopLevel holds that the top level is the given one: a stranger finds
// these names and dotfiles.
func TestTopLevel(t *testing.T) {
	given := []string{"cmd", "fhir", "consent", "store", "conformance", "testdata", "go.mod", "go.sum", "Dockerfile", "compose.yaml", "README.md", "LICENSE"}
	left := []string{"vitrine", "vitrine-data", "copy", "keys", "secrets"} // by README's commands
	entries, err := filepath.Glob("../*")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Base(e)
		if !strings.HasPrefix(name, ".") && !slices.Contains(given, name) && !slices.Contains(left, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// TestWalks holds the files and functions that README names for following a
// search and a break-glass request from the wire to the record and back.
func TestWalks(t *testing.T) {
	readme, err := readFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	walk := []struct{ file, mark string }{
		{"fhir/rest/interactions.go", `name: "search-type"`},
		{"fhir/rest/pipeline.go", "func (s *Server) serve("},
		{"fhir/rest/pipeline.go", "func (s *Server) phases("},
		{"fhir/smart/token/verify.go", "func (v *Verifier) Verify("},
		{"fhir/rest/caller.go", "func CallerOf("},
		{"fhir/rest/search.go", "func (s *Server) searchType("},
		{"fhir/search/parser.go", "func (p *Parser) Parse("},
		{"consent/gate/search.go", "func (g *Gate) Search("},
		{"consent/gate/admission.go", "func (g *Gate) enter("},
		{"consent/gates.go", "func (p Policy) Admit("},
		{"consent/gate/universe.go", "func (v *visit) universe("},
		{"consent/gate/facts.go", "func (v *view) facts("},
		{"consent/decide.go", "func Decide("},
		{"store/embedded/search.go", "func (v *view) Search("},
		{"consent/gate/audit.go", "func (v *visit) record("},
		{"consent/audit/event.go", "type Event struct"},
		{"consent/gate/release.go", "type Released struct"},
		{"fhir/rest/searchset.go", "func (s *Server) appendSearchset("},
		{"fhir/rest/respond.go", "func (s *Server) respond("},
		{"fhir/rest/operations.go", "func (s *Server) breakGlass("},
		{"consent/gate/breakglass.go", "func (g *Gate) BreakGlass("},
		{"consent/gate/grant.go", "func (g *Gate) grantOf("},
		{"consent/gate/commit.go", "func (v *visit) commit("},
	}
	for _, step := range walk {
		text, err := readFile(filepath.Join("..", filepath.FromSlash(step.file)))
		if err != nil {
			t.Errorf("the walk opens %s: %v", step.file, err)
			continue
		}
		if !strings.Contains(text, step.mark) {
			t.Errorf("the walk expects %q in %s", step.mark, step.file)
		}
		if !strings.Contains(readme, filepath.Base(step.file)+"`") {
			t.Errorf("README leaves %s out of the walk", step.file)
		}
	}
}
