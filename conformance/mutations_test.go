package conformance

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// edit replaces a stretch of source, which must stand there exactly once.
type edit struct{ file, old, new string }

// mutation is a way to break the house.
type mutation struct {
	name  string
	edits []edit
	test  string // that must notice, or part of one; empty for TestTwoWorlds
}

func (m *mutation) noticedBy() string {
	if m.test == "" {
		return "TestTwoWorlds"
	}
	return m.test
}

// mutations are the breaks that a test must notice, TestTwoWorlds unless another is
// named, each in another place. A row whose stretch is no longer found fails in every run: the list
// follows the code.
func mutations() []mutation {
	return slices.Concat(rowMutations(), searchMutations(), historyMutations(), concurrencyMutations(), writeMutations(), smartMutations(), onboardingMutations(), directiveMutations())
}

// rowMutations break who sees which row.
func rowMutations() []mutation {
	return []mutation{
		{name: "registration is not asked for", edits: []edit{{"consent/decide.go", "!registered(c, f.Registrations, now)", "false"}}},
		{name: "a restriction does not restrict", edits: []edit{{"consent/decide.go", "d.Level, d.Reason = Basic, ReasonRestricted", "d.Reason = ReasonRestricted"}}},
		{name: "a Consent in doubt is ignored", edits: []edit{{"consent/decide.go", "d.Level, d.Reason = Basic, ReasonMalformed", "d.Level, d.Reason = Full, ReasonMalformed"}}},
		{name: "one owner of several is enough", edits: []edit{{"consent/universe.go", "for i, p := range r.Patients {", "for i, p := range r.Patients[:1] {"}}},
		{name: "quarantine is open", edits: []edit{{"consent/universe.go", "case HomeQuarantine:\n\t\treturn 0, nil", "case HomeQuarantine:\n\t\treturn EditionFull, nil"}}},
		{name: "a visit for an employer registers", edits: []edit{{"consent/relation/examination.go", "if examination(t, t.Field(root, \"class\")) {\n\t\treturn true\n\t}", "if t != nil {\n\t\treturn false\n\t}"}}},
		{name: "the basic edition keeps the address", edits: []edit{{"consent/basic/config.go", `"gender", "birthDate", "extension:Race"`, `"gender", "birthDate", "extension:Race", "address.city"`}}},
		{name: "a hidden edit makes a version of the basic edition", edits: []edit{{"consent/gate/write.go", "e.basic.Unchanged = true", "e.basic.Unchanged = false"}}},
		{name: "conditions look beyond the contributor's own", edits: []edit{{"consent/gate/conditional.go", "return consent.OfContributor(v.contributor())", "return consent.Everything()"}}},
		{name: "writes reach what others contributed", edits: []edit{{"consent/gate/write.go", "return consent.OfContributor(v.caller.Organization)", "return consent.Everything()"}}},
		{
			name: "patches reach what others contributed", test: "TestScenario78TestsSeeNothingHidden",
			edits: []edit{{"consent/gate/patch.go", "prior, err := v.addressed(ctx, p.typ, id)", "prior, err := newest(ctx, v.reader, consent.Everything(), p.typ, id)"}},
		},
		{
			name: "a patch gives back what could not be read", test: "TestScenario78TestsSeeNothingHidden",
			edits: []edit{{"consent/gate/patch.go", "edition != consent.EditionFull", "edition == 9"}},
		},
		{
			name: "definitions of others bind", test: "TestAttackDefinitionsForOthers",
			edits: []edit{{"consent/gate/profiles.go", "u := consent.OfCustodian()", "u := consent.Everything()"}},
		},
		{
			name: "a definition that was deleted goes on binding", test: "TestAttackDefinitionsForOthers",
			edits: []edit{{"consent/gate/conditional.go", "\tw.defined(r.Type, prior.Contributor)\n", ""}},
		},
		{name: "providers see whom a patient chose", edits: []edit{
			{"consent/decision.go", `return t == "" || t == "Consent" || t == "AuditEvent"`, `return t == ""`},
			{"consent/gate/universe.go", `return r.Type != "Consent" && r.Type != "AuditEvent" && r.Type != "Group"`, "return true"},
		}},
		{name: "a read does not ask for admission", edits: []edit{{"store/embedded/read.go", "p.edition, err = u.Admit(ctx, p.head.row)", "p.edition, err = consent.EditionFull, nil"}}},
		{name: "a walk does not ask for admission", edits: []edit{{"store/embedded/walk.go", "e, err := w.u.Admit(ctx, w.head.row)", "e, err := w.edition, error(nil)"}}},
		{name: "patients are counted in the order they came", edits: []edit{{"store/embedded/alloc.go", "o = drawOrdinal(x.db.salt, patient, try)", "x.counters.sequence, _ = x.counters.sequence+1, try\n\t\to = ordinal(x.counters.sequence)"}}},
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
// VITRINE_MUTATE=1; another value asks for those alone whose names contain it.
func TestMutations(t *testing.T) {
	if os.Getenv("VITRINE_MUTATE") == "" {
		t.Skip("VITRINE_MUTATE=1 asks for it: every mutation is built and run")
	}
	var chosen []mutation
	for _, m := range mutations() {
		if wish := os.Getenv("VITRINE_MUTATE"); wish == "1" || strings.Contains(m.name, wish) {
			chosen = append(chosen, m)
		}
	}
	tree, sound := copyTree(t), map[string]bool{}
	for _, m := range chosen {
		if test := m.noticedBy(); !sound[test] {
			if out, red := isRed(t, tree, test); red {
				t.Fatalf("red without a mutation:\n%s", out)
			}
			sound[test] = true
		}
		t.Run(m.name, func(t *testing.T) {
			for _, e := range m.edits {
				defer mutate(t, tree, e)()
			}
			out, red := isRed(t, tree, m.noticedBy())
			if !red {
				t.Errorf("%s did not notice", m.noticedBy())
			} else if test, _, _ := strings.Cut(m.noticedBy(), "/"); !strings.Contains(out, "--- FAIL: "+test) {
				t.Errorf("red for another reason:\n%.2000s", out)
			}
		})
	}
}

// isRed runs a test against the server of the tree, which this same program builds
// where it is run.
func isRed(t *testing.T, tree, test string) (out string, red bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.failfast", "-test.run=^"+test+"$") //nolint:gosec // a name of the list
	cmd.Dir = filepath.Join(tree, "conformance")
	cmd.Env = append(os.Environ(), "VITRINE_WORLDS=2,3", "VITRINE_HISTORIES=4")
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
