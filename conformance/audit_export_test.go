package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// auditcheck builds the verifier, which runs it and returns its exit and what it
// said.
func auditcheck(t *testing.T) func(args ...string) (int, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auditcheck")
	build := exec.Command("go", "build", "-o", path, "../cmd/auditcheck")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building auditcheck: %v\n%s", err, out)
	}
	return func(args ...string) (int, string) {
		out, err := exec.CommandContext(context.Background(), path, args...).CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode(), string(out)
		}
		if err != nil {
			t.Fatalf("auditcheck: %v", err)
		}
		return 0, string(out)
	}
}

// logParameters are the values of an answer about the log, by name.
func logParameters(t *testing.T, a answer) map[string][]string {
	t.Helper()
	var p struct {
		Parameter []struct{ Name, ValueString, ValueBase64Binary string }
	}
	if err := json.Unmarshal(a.want(t, http.StatusOK).body, &p); err != nil {
		t.Fatalf("%v\n%s", err, a.body)
	}
	all := map[string][]string{}
	for _, one := range p.Parameter {
		all[one.Name] = append(all[one.Name], one.ValueString+one.ValueBase64Binary)
	}
	return all
}

// witnessOf makes somebody who cosigns.
func witnessOf(t *testing.T) (note.Signer, string) {
	t.Helper()
	secret, key, err := note.GenerateKey(rand.Reader, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// TestAuditExportIsChecked: what the program exports holds, before and after the
// key was rotated and a witness signed; one bit of it flipped does not.
func TestAuditExportIsChecked(t *testing.T) {
	t.Parallel()
	witness, witnessKey := witnessOf(t)
	c := newCast(t, "--witness-key", witnessKey)
	s, check := c.server, auditcheck(t)
	for range 40 {
		s.do(t, c.a1, get("Patient/p"))
	}
	dir := filepath.Join(t.TempDir(), "log")
	export := func() string {
		t.Helper()
		return runProgram(t, "audit", "export", "--server", s.root, "--token", s.regulator(t), "--out", dir)
	}
	export()
	key := filepath.Join(t.TempDir(), "record.pub")
	if err := os.WriteFile(key, []byte(runProgram(t, "audit", "key", "--data", s.data)), 0o600); err != nil {
		t.Fatal(err)
	}
	holds := func(args ...string) {
		t.Helper()
		if exit, said := check(append(args, dir)...); exit != 0 || !strings.Contains(said, "HOLDS") {
			t.Fatalf("auditcheck %v: exit %d\n%s", args, exit, said)
		}
	}
	holds()
	holds("--key", key)
	first := fileOf(t, filepath.Join(dir, "checkpoint"))
	since := filepath.Join(t.TempDir(), "seen")
	if err := os.WriteFile(since, first, 0o600); err != nil {
		t.Fatal(err)
	}

	runProgram(t, "audit", "rotate", "--data", s.data)
	s.do(t, c.a1, get("Patient/q"))
	plain := s.do(t, s.regulator(t), get("AuditEvent/$checkpoint").with("Accept", "text/plain")).want(t, http.StatusOK)
	if got := plain.header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("the note is %q", got)
	}
	text, _, _ := strings.Cut(string(plain.body), "\n\n")
	cosigned, err := note.Sign(&note.Note{Text: text + "\n"}, witness)
	if err != nil {
		t.Fatal(err)
	}
	both := string(plain.body) + string(cosigned[len(text)+2:])
	post := func(text string) answer {
		body := encode(t, object{"resourceType": "Parameters", "parameter": []any{object{"name": "checkpoint", "valueString": text}}})
		return s.do(t, s.regulator(t), send(http.MethodPost, "AuditEvent/$checkpoint", body))
	}
	post(string(plain.body)).want(t, http.StatusUnprocessableEntity)
	post(string(cosigned)).want(t, http.StatusUnprocessableEntity)
	post(strings.Replace(both, "\n", "0\n", 1)).want(t, http.StatusUnprocessableEntity)
	asIs := request{method: http.MethodPost, path: "AuditEvent/$checkpoint", body: []byte(both), header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}}
	if got := logParameters(t, s.do(t, s.regulator(t), asIs)); len(got["cosigned"]) != 1 {
		t.Errorf("the note as it is: %v", got)
	}
	if got := logParameters(t, post(both)); len(got["cosigned"]) != 1 || len(got["witness"]) != 1 || len(got["key"]) != 2 || len(got["rotation"]) != 1 {
		t.Errorf("after a witness signed: %v", got)
	}
	export()
	holds("--key", key, "--since", since, "--witness", witnessKey)
	holds("--ndjson")
	_, events := check("--ndjson", dir)
	saysUntilWhen(t, dir, check)
	if use := base64.StdEncoding.EncodeToString([]byte("GET /fhir/AuditEvent/$checkpoint")); !strings.Contains(events, use[:len(use)-4]) {
		t.Error("the record does not say that it was asked for its checkpoint")
	}
	if exit, _ := check("--key", filepath.Join(dir, "absent"), dir); exit != 2 {
		t.Errorf("a key file that is not there: exit %d", exit)
	}
	breaksEverywhere(t, dir, check)
	holds("--key", key)
}

// saysUntilWhen fails unless auditcheck says when the last record is of, whatever else
// it writes: a log that ends early holds as well, and is known by that.
func saysUntilWhen(t *testing.T, dir string, check func(...string) (int, string)) {
	t.Helper()
	_, events := check("--ndjson", "--quiet", dir)
	recorded := regexp.MustCompile(`"recorded":"([^"]*)"`).FindAllStringSubmatch(events, -1)
	if len(recorded) == 0 {
		t.Fatalf("no events:\n%s", events)
	}
	want := ", the last of " + recorded[len(recorded)-1][1] + "\n"
	if _, said := check(dir); !strings.Contains(said, want) {
		t.Errorf("auditcheck says %q, and not%s", said, want)
	}
	if !strings.Contains(events, want) {
		t.Errorf("beside the events it does not say%s", want)
	}
}

// TestAuditExportAfterALostKey: a log whose keys were rotated twice at once, and then
// lost, can be exported as it was and anew, and is proved with the keys of before and
// after; with those of before alone it is not.
func TestAuditExportAfterALostKey(t *testing.T) {
	c := newCast(t, "--checkpoint-every", "0")
	s, check := c.server, auditcheck(t)
	dir := t.TempDir()
	keys := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	export := func(name string) {
		t.Helper()
		runProgram(t, "audit", "export", "--server", s.root, "--token", s.regulator(t), "--out", filepath.Join(dir, name))
	}
	checked := func(want int, name string, args ...string) {
		t.Helper()
		if exit, said := check(append(args, filepath.Join(dir, name))...); exit != want {
			t.Errorf("auditcheck %v of %s: exit %d, want %d\n%s", args, name, exit, want, said)
		}
	}
	export("log")
	first := keys("first", runProgram(t, "audit", "key", "--data", s.data))
	runProgram(t, "audit", "rotate", "--data", s.data)
	runProgram(t, "audit", "rotate", "--data", s.data)
	for _, name := range []string{"log", "rotated"} {
		export(name)
		checked(0, name, "--key", first)
		checked(0, name)
	}
	before := runProgram(t, "audit", "key", "--data", s.data)
	if err := os.Remove(filepath.Join(s.data, "audit-key.json")); err != nil {
		t.Fatal(err)
	}
	lost := runProgram(t, "audit", "rotate", "--lost", "--data", s.data)
	for _, name := range []string{"log", "lost"} {
		export(name)
		checked(0, name, "--key", keys("both", before+lost))
		checked(0, name)
		checked(1, name, "--key", first)
		checked(1, name, "--key", keys("after", lost))
	}
	checked(2, "lost", filepath.Join(dir, "log"), "--key")
}

// TestAuditNeedsItsPlace: neither a data directory that is not there is made, nor is a
// directory with something else in it exported to.
func TestAuditNeedsItsPlace(t *testing.T) {
	absent, other := filepath.Join(t.TempDir(), "absent"), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thing"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir())
	for want, args := range map[string][]string{
		"no data directory": {"audit", "key", "--data", absent},
		"is no data":        {"audit", "export", "--data", absent, "--out", filepath.Join(other, "log")},
		"it has no":         {"audit", "rotate", "--lost", "--data", absent},
		"thing":             {"audit", "export", "--server", s.root, "--token", s.regulator(t), "--out", other},
	} {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("vitrine %v: %v\n%s", args, err, out)
		}
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("a data directory was made")
	}
	if all, err := os.ReadDir(other); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// breaksEverywhere flips a bit of each file, which must be named.
func breaksEverywhere(t *testing.T, dir string, check func(...string) (int, string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		whole := fileOf(t, path)
		changed := bytes.Clone(whole)
		changed[len(changed)/2] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		exit, said := check(dir)
		if exit != 1 || !strings.Contains(said, "BREAKS: "+filepath.ToSlash(name)) && name != "export" {
			t.Errorf("a bit of %s flipped: exit %d\n%s", name, exit, said)
		}
		return os.WriteFile(path, whole, 0o600)
	})
	if err != nil || files < 9 {
		t.Errorf("%d files, %v", files, err)
	}
}

func fileOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLogProofs: a proof that an event is in the log, and that the log goes on,
// holds for who has the checkpoint alone.
func TestLogProofs(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	s := c.server
	for range 30 {
		s.do(t, c.a1, get("Patient/p"))
	}
	old := treeOf(t, logParameters(t, s.do(t, s.regulator(t), get("AuditEvent/$checkpoint"))))
	ids := s.do(t, s.regulator(t), get("AuditEvent?_count=7")).ids(t)
	for i, id := range ids {
		id = strings.TrimPrefix(id, "AuditEvent/")
		where := []string{"AuditEvent/" + id + "/$inclusion-proof", "AuditEvent/$inclusion-proof?id=" + id}[i%2]
		p := logParameters(t, s.do(t, s.regulator(t), get(where)))
		tree := treeOf(t, p)
		record, err := base64.StdEncoding.DecodeString(p["record"][0])
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(hashesOf(t, p), tree.N, tree.Hash, numberOf(t, p, "index"), tlog.RecordHash(record)); err != nil || numberOf(t, p, "size") != tree.N {
			t.Errorf("the proof of %s: %v", id, err)
		}
	}
	now := treeOf(t, logParameters(t, s.do(t, s.regulator(t), get("AuditEvent/$checkpoint"))))
	p := logParameters(t, s.do(t, s.regulator(t), get("AuditEvent/$consistency-proof?from="+strconv.FormatInt(old.N, 10)+"&to="+strconv.FormatInt(now.N, 10))))
	if err := tlog.CheckTree(hashesOf(t, p), now.N, now.Hash, old.N, old.Hash); err != nil || now.N <= old.N {
		t.Errorf("from %d to %d: %v", old.N, now.N, err)
	}
	for _, wrong := range []string{
		"AuditEvent/$consistency-proof", "AuditEvent/$consistency-proof?from=0", "AuditEvent/$consistency-proof?from=9&to=8", "AuditEvent/$consistency-proof?from=1&to=99999999",
		"AuditEvent/$consistency-proof?from=-1", "AuditEvent/$consistency-proof?from=1&from=2", "AuditEvent/$log-records?start=99999999&count=1", "AuditEvent/$log-records?start=0&count=0",
		"AuditEvent/$log-tiles?level=0&start=5", "AuditEvent/$log-tiles?level=9&start=0", "AuditEvent/$log-tiles?level=0&start=0&width=999", "AuditEvent/$checkpoint?x=1", "AuditEvent/$inclusion-proof",
	} {
		s.do(t, s.regulator(t), get(wrong)).want(t, http.StatusBadRequest)
	}
	s.do(t, s.regulator(t), get("AuditEvent/00000000-0000-7000-8000-000000000000/$inclusion-proof")).want(t, http.StatusNotFound)
	s.do(t, s.regulator(t), get("AuditEvent/x/$inclusion-proof")).want(t, http.StatusNotFound)
}

// TestLogIsForOverseersAlone: for everybody else the operations of the log answer
// as one that nobody has, whatever is asked.
func TestLogIsForOverseersAlone(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	s := c.server
	id := strings.TrimPrefix(s.do(t, s.regulator(t), get("AuditEvent?_count=1")).ids(t)[0], "AuditEvent/")
	callers := map[string]string{
		"doctor": c.a1, "patient": c.appP, "system": c.systemA,
	}
	for who, token := range callers {
		for _, accept := range []string{"application/fhir+json", "text/plain", "application/octet-stream"} {
			for _, path := range []string{"$checkpoint", "$consistency-proof?from=1", "$log-records?start=0&count=1", "$log-tiles?level=0&start=0", "$inclusion-proof?id=" + id} {
				got := s.do(t, token, get("AuditEvent/"+path).with("Accept", accept))
				same(t, who+" asks for "+path+" as "+accept, got, s.do(t, token, get("AuditEvent/$nobody-has-it").with("Accept", accept)))
			}
			got := s.do(t, token, get("AuditEvent/"+id+"/$inclusion-proof").with("Accept", accept))
			same(t, who+" asks for a proof as "+accept, got, s.do(t, token, get("AuditEvent/"+id+"/$nobody-has-it").with("Accept", accept)))
		}
		body := encode(t, object{"resourceType": "Parameters", "parameter": []any{object{"name": "checkpoint", "valueString": "x"}}})
		same(t, who+" posts", s.do(t, token, send(http.MethodPost, "AuditEvent/$checkpoint", body)), s.do(t, token, send(http.MethodPost, "AuditEvent/$nobody-has-it", body)))
	}
	s.do(t, s.custodian(t), get("AuditEvent/$checkpoint")).want(t, http.StatusOK)
	s.do(t, s.regulator(t), get("Patient/$checkpoint")).want(t, http.StatusNotFound)
}

func treeOf(t *testing.T, p map[string][]string) tlog.Tree {
	t.Helper()
	verifier, err := note.NewVerifier(p["key"][len(p["key"])-1])
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(p["checkpoint"][0]), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

func hashesOf(t *testing.T, p map[string][]string) (hashes []tlog.Hash) {
	t.Helper()
	for _, text := range p["hash"] {
		h, err := tlog.ParseHash(text)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	return hashes
}

func numberOf(t *testing.T, p map[string][]string, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.Join(p[name], ","), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, p[name])
	}
	return n
}
