package conformance

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// asDefined fails unless an operation of the server's own answers with what its
// OperationDefinition says: every answer of every test is held against it.
func (s *server) asDefined(t *testing.T, r request, a answer) {
	t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.path, s.base), "/"), "?")
	typ, _, _ := strings.Cut(path, "/")
	name := path[strings.LastIndex(path, "/")+1:]
	if !strings.HasPrefix(name, "$") || a.status/100 != 2 || len(a.body) == 0 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/fhir+json") {
		return
	}
	defined := s.definition(t, "OperationDefinition/"+typ+"-"+name[1:])
	if defined == nil {
		return // somebody else's
	}
	var out []any
	for _, p := range list(defined, "parameter") {
		if text(p, "use") == "out" {
			out = append(out, p)
		}
	}
	got := decode(t, a.body)
	if kind := text(got, "resourceType"); kind != "Parameters" {
		if kind != "OperationOutcome" && (len(out) != 1 || text(out[0], "name") != "return" || text(out[0], "type") != kind) {
			t.Errorf("%s answers with a %s, and is defined otherwise", path, kind)
		}
		return
	}
	asDefinedParts(t, path, list(got, "parameter"), out)
}

// asDefinedParts compares parameters, or the parts of one, with their definitions.
func asDefinedParts(t *testing.T, place string, got, defined []any) {
	t.Helper()
	counts := map[string]int{}
	for _, p := range got {
		name := text(p, "name")
		counts[name]++
		var by any
		for _, d := range defined {
			if text(d, "name") == name {
				by = d
			}
		}
		if by == nil {
			t.Errorf("%s has %s, which is not defined", place, name)
			continue
		}
		want, o := text(by, "type"), p.(object) //nolint:forcetypeassert // a test
		if want != "" {
			want = "value" + strings.ToUpper(want[:1]) + want[1:]
		}
		for member := range o {
			if member != "name" && member != want && (member != "part" || want != "") {
				t.Errorf("%s.%s has a %s, and is defined as %q", place, name, member, want)
			}
		}
		asDefinedParts(t, place+"."+name, list(p, "part"), list(by, "part"))
	}
	for _, d := range defined {
		if n := counts[text(d, "name")]; n == 0 && at(d, "min") != 0.0 || n > 1 && text(d, "max") == "1" {
			t.Errorf("%s has %d of %s", place, n, text(d, "name"))
		}
	}
}

// ownCoding is a coding of the server's own systems, as it writes one itself.
var ownCoding = regexp.MustCompile(`"system":"https://vitrine\.example/(CodeSystem/[^"]*)","code":"([^"]*)"`) //nolint:gochecknoglobals // never changes

// asCoded fails unless every code of the server's own systems in an answer is one that
// the CodeSystem has: so is every answer of every test.
func (s *server) asCoded(t *testing.T, r request, a answer) {
	t.Helper()
	for _, m := range ownCoding.FindAllSubmatch(a.body, -1) {
		system, code := string(m[1]), string(m[2])
		defined := s.definition(t, system)
		found := text(defined, "content") == "not-present" // its codes are somebody else's
		for _, c := range list(defined, "concept") {
			found = found || text(c, "code") == code
		}
		if !found {
			t.Errorf("%s %s: %d has %s of %s, which is not defined", r.method, r.path, a.status, code, system)
		}
	}
}

// definition is what is at the address of one of the server's own; nil for none that is
// open to all.
func (s *server) definition(t *testing.T, id string) object {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.definitions[id]; ok {
		return d
	}
	if s.definitions == nil {
		s.definitions = map[string]object{}
	}
	s.definitions[id] = nil
	if a, err := s.try("", get(id)); err == nil && a.status == http.StatusOK {
		s.definitions[id] = decode(t, a.body)
	}
	return s.definitions[id]
}
