package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTranscripts plays testdata/http, in order, against one server.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	p := &player{s: s, vars: map[string]string{}, kept: map[string]answer{}, cast: map[string]string{
		"custodian": s.custodian(t), "auditor": s.regulator(t),
		"system-a": s.system(t, "clinic-a"), "system-b": s.system(t, "clinic-b"),
		"doctor-a": s.doctor(t, "dr-a-at-clinic-a", "clinic-a"), "doctor-b": s.doctor(t, "dr-b-at-clinic-b", "clinic-b"),
		"doctor-c":  s.doctor(t, "dr-c-at-clinic-c", "clinic-c"),
		"insurer-b": s.doctor(t, "dr-b-at-clinic-b", "clinic-b", "--purpose", "INSURANCE"),
	}}
	p.stage(t)
	p.cast["app"] = s.patient(t, p.vars["patient"])
	files, err := filepath.Glob("../testdata/http/*.http")
	if err != nil || len(files) != 12 {
		t.Fatalf("%d transcripts, want 12: %v", len(files), err)
	}
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) { p.play(t, text) })
	}
}

// player plays exchanges and keeps what they save.
type player struct {
	s    *server
	cast map[string]string // tokens
	vars map[string]string
	kept map[string]answer
}

// stage loads the cast of the story.
func (p *player) stage(t *testing.T) {
	t.Helper()
	root := p.cast["custodian"]
	bundles := synthea(t)
	for _, name := range []string{"Lemuel_Hodkiewicz", "Liz_Conn"} {
		p.s.do(t, root, send(http.MethodPost, "", bundles[name])).want(t, http.StatusOK)
	}
	for _, file := range []string{"directory", "registrations"} {
		body, err := os.ReadFile("../testdata/demo/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		p.s.do(t, root, send(http.MethodPost, "", body)).want(t, http.StatusOK)
	}
	found := p.s.do(t, root, get("Patient?family=Hodkiewicz")).want(t, http.StatusOK).ids(t)
	if len(found) != 1 {
		t.Fatalf("the patient of the story: %v", found)
	}
	p.vars["patient"] = strings.TrimPrefix(found[0], "Patient/")
}

func (p *player) play(t *testing.T, script string) {
	t.Helper()
	var block []string
	for line := range strings.Lines(script + "\nGET end\n") {
		line = strings.TrimRight(line, "\n")
		if isRequest(line) && len(block) > 0 {
			p.exchange(t, block)
			block = nil
		}
		if isRequest(line) || len(block) > 0 {
			block = append(block, p.fill(line))
		}
	}
}

func isRequest(line string) bool {
	method, _, _ := strings.Cut(line, " ")
	return method == "GET" || method == "POST" || method == "PUT" || method == "DELETE"
}

func (p *player) fill(line string) string {
	for name, value := range p.vars {
		line = strings.ReplaceAll(line, "{"+name+"}", value)
		if _, id, ok := strings.Cut(value, "/"); ok {
			line = strings.ReplaceAll(line, "{"+name+".id}", id)
		}
	}
	return line
}

// exchange makes one request and holds the answer to what follows its status.
func (p *player) exchange(t *testing.T, block []string) {
	t.Helper()
	method, path, _ := strings.Cut(block[0], " ")
	r := request{method: method, path: path, header: map[string]string{}}
	var token string
	var body []string
	i := 1
	for inBody := false; i < len(block) && !strings.HasPrefix(block[i], "=> "); i++ {
		name, value, isHeader := strings.Cut(block[i], ": ")
		switch {
		case inBody:
			body = append(body, block[i])
		case block[i] == "":
			inBody = true
		case strings.HasPrefix(block[i], "as "):
			token = p.cast[strings.TrimPrefix(block[i], "as ")]
		case isHeader:
			r.header[name] = value
		}
	}
	if i == len(block) {
		t.Fatalf("%s: no status is expected", block[0])
	}
	r.body = []byte(strings.Join(body, "\n"))
	a := p.s.do(t, token, r)
	if want := strings.TrimPrefix(block[i], "=> "); want != strconv.Itoa(a.status) {
		t.Errorf("%s: status %d, want %s\n%s", block[0], a.status, want, a.body)
		return
	}
	for _, check := range block[i+1:] {
		if fault := p.check(t, a, check); fault != "" {
			t.Errorf("%s: %s: %s\n%.2000s", block[0], check, fault, a.body)
		}
	}
}

// check holds one line; it returns what is wrong.
func (p *player) check(t *testing.T, a answer, line string) string {
	t.Helper()
	var whole bytes.Buffer
	_ = a.header.Write(&whole)
	whole.Write(a.body)
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "":
	case "has":
		return faultUnless(strings.Contains(whole.String(), rest), "it has not")
	case "lacks":
		return faultUnless(!strings.Contains(whole.String(), rest), "it has")
	case "total":
		got := fmt.Sprint(at(decode(t, a.body), "total"))
		return faultUnless(got == rest, got)
	case "matches":
		n := len(a.matches(t))
		return faultUnless(rest == strconv.Itoa(n) || rest == "+" && n > 0, strconv.Itoa(n))
	case "hint":
		return faultUnless(a.hinted(t), "there is none")
	case "no":
		return faultUnless(!a.hinted(t), "there is one")
	case "save":
		location := strings.TrimPrefix(a.header.Get("Location"), p.s.base+"/")
		p.vars[rest], _, _ = strings.Cut(location, "/_history")
		return faultUnless(location != "", "no Location")
	case "keep":
		p.kept[rest] = a
	case "same":
		name := strings.TrimPrefix(rest, "as ")
		return faultUnless(p.kept[name].normal() == a.normal(), "it is not")
	default:
		return "no such check"
	}
	return ""
}

func faultUnless(ok bool, fault string) string {
	if ok {
		return ""
	}
	return fault
}
