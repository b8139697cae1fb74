package conformance

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a stretch of source, which must stand there exactly once.
type edit struct{ file, old, new string }

// mutation is a way to break the house.
type mutation struct {
	name  string
	edits []edit
}

// mutations are the breaks that TestTwoWorlds must notice, each in another
// place. A row whose stretch is no longer found fails in every run: the list
// follows the code.
func mutations() []mutation {
	return []mutation{
		{"registration is not asked for", []edit{{"consent/decide.go", "!registered(c, f.Registrations, now)", "false"}}},
		{"a restriction does not restrict", []edit{{"consent/decide.go", "d.Level, d.Reason = Basic, ReasonRestricted", "d.Reason = ReasonRestricted"}}},
		{"a Consent in doubt is ignored", []edit{{"consent/decide.go", "d.Level, d.Reason = Basic, ReasonMalformed", "d.Level, d.Reason = Full, ReasonMalformed"}}},
		{"one owner of several is enough", []edit{{"consent/universe.go", "for i, p := range r.Patients {", "for i, p := range r.Patients[:1] {"}}},
		{"quarantine is open", []edit{{"consent/universe.go", "case HomeQuarantine:\n\t\treturn 0, nil", "case HomeQuarantine:\n\t\treturn EditionFull, nil"}}},
		{"a visit for an employer registers", []edit{{"consent/relation/examination.go", "if examination(t, t.Field(root, \"class\")) {\n\t\treturn true\n\t}", "if t != nil {\n\t\treturn false\n\t}"}}},
		{"the basic edition keeps the address", []edit{{"consent/basic/config.go", `"gender", "birthDate", "extension:Race"`, `"gender", "birthDate", "extension:Race", "address.city"`}}},
		{"a hidden edit makes a version of the basic edition", []edit{{"consent/gate/write.go", "e.basic.Unchanged = true", "e.basic.Unchanged = false"}}},
		{"conditions look beyond the contributor's own", []edit{{"consent/gate/conditional.go", "return consent.OfContributor(v.contributor())", "return consent.Everything()"}}},
		{"writes reach what others contributed", []edit{{"consent/gate/write.go", "return consent.OfContributor(w.caller.Organization)", "return consent.Everything()"}}},
		{"providers see whom a patient chose", []edit{
			{"consent/decision.go", `return t == "" || t == "Consent" || t == "AuditEvent"`, `return t == ""`},
			{"consent/gate/universe.go", `return r.Type != "Consent" && r.Type != "AuditEvent" && r.Type != "Group"`, "return true"},
		}},
		{"a read does not ask for admission", []edit{{"store/embedded/read.go", "p.edition, err = u.Admit(ctx, p.head.row)", "p.edition, err = consent.EditionFull, nil"}}},
		{"a walk does not ask for admission", []edit{{"store/embedded/walk.go", "e, err := w.u.Admit(ctx, w.head.row)", "e, err := w.edition, error(nil)"}}},
		{"patients are counted in the order they came", []edit{{"store/embedded/alloc.go", "o = drawOrdinal(x.db.salt, patient, try)", "x.counters.sequence, _ = x.counters.sequence+1, try\n\t\to = ordinal(x.counters.sequence)"}}},
	}
}

func TestMutationsFitTheCode(t *testing.T) {
	for _, m := range mutations() {
		for _, e := range m.edits {
			text, err := readFile(filepath.Join("..", filepath.FromSlash(e.file)))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(text, e.old); n != 1 {
				t.Errorf("%s: %s: %q stands there %d times", m.name, e.file, e.old, n)
			}
		}
	}
}

// TestMutations breaks a copy of the house in each of these ways and wants
// TestTwoWorlds to go red. It takes minutes, so it must be asked for with
// VITRINE_MUTATE=1.
func TestMutations(t *testing.T) {
	if os.Getenv("VITRINE_MUTATE") == "" {
		t.Skip("VITRINE_MUTATE=1 asks for it: every mutation is built and run")
	}
	tree := copyTree(t)
	if out, red := worldsAreRed(t, tree); red {
		t.Fatalf("red without a mutation:\n%s", out)
	}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			for _, e := range m.edits {
				defer mutate(t, tree, e)()
			}
			out, red := worldsAreRed(t, tree)
			if !red {
				t.Error("TestTwoWorlds did not notice")
			} else if !strings.Contains(out, "--- FAIL: TestTwoWorlds") {
				t.Errorf("red for another reason:\n%.2000s", out)
			}
		})
	}
}

// worldsAreRed runs TestTwoWorlds in the tree.
func worldsAreRed(t *testing.T, tree string) (out string, red bool) {
	t.Helper()
	cmd := exec.Command("go", "test", "-count=1", "-run", "^TestTwoWorlds$", "./conformance")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "VITRINE_WORLDS=2,3")
	text, err := cmd.CombinedOutput()
	return string(text), err != nil
}

// mutate makes the edit and returns what takes it back.
func mutate(t *testing.T, tree string, e edit) func() {
	t.Helper()
	path := filepath.Join(tree, e.file)
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(was), e.old); n != 1 {
		t.Fatalf("%s: %q stands there %d times", e.file, e.old, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(was), e.old, e.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// copyTree copies the sources to a directory of its own.
func copyTree(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || rel == "vitrine-data"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		case !d.Type().IsRegular():
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), body, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
