package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// brokenRecord is one way in which a line of an import can be wrong, where the
// report must say that it is, and how it says why.
type brokenRecord struct {
	line        string // with %d for a number of its own
	place, says string
}

// brokenRecords are the ways; none hides another.
func brokenRecords() []brokenRecord {
	const subject = `"code":{"text":"pulse"},"subject":{"reference":"Patient/p0"}`
	return []brokenRecord{
		{`{"resourceType":"Observation","id":"b%d",` + subject + `}`, "Observation.status", "status"},
		{`{"resourceType":"Observation","id":"b%d","status":"done",` + subject + `}`, "Observation.status", "code"},
		{`{"resourceType":"Observation","id":"b%d","status":"final",` + subject + `,"colour":"red"}`, "Observation.colour", "element"},
		{`{"resourceType":"Observation","id":"b%d","status":"final",` + subject + `,"valueQuantity":"5"}`, "Observation.value", "object"},
		{`{"resourceType":"Observation","id":"b%d","status":"final","code":{"text":"pulse"},"subject":{"reference":"Medication/m"}}`, "Observation.subject.reference", "refer"},
		{`{"resourceType":"Observation","id":"b%d","status":"final",` + subject + `,"valueString":"5","dataAbsentReason":{"text":"unknown"}}`, "Observation", "obs-6"},
		{`{"resourceType":"Patient","id":"b%d","birthDate":"1980-02-30"}`, "Patient.birthDate", "date"},
		{`{"resourceType":"Patient","id":"b%d","name":{"family":"x"}}`, "Patient.name", "array"},
		{`{"resourceType":"Patient","id":"b%d",`, "", "line 1"},
		{`{"id":"b%d"}`, "", "resourceType"},
	}
}

// TestImportWithBrokenRecords: all good ones go in, every broken one is reported
// with its line, place and reason, and neither side grows. VITRINE_IMPORT asks for
// more of them, as in VITRINE_IMPORT=100000.
func TestImportWithBrokenRecords(t *testing.T) {
	t.Parallel()
	const every, parts = 100, 4
	each := fromEnv(t, "VITRINE_IMPORT", 2000) / parts
	ways := brokenRecords()
	want, told := map[string]brokenRecord{}, map[string]bool{} // by file and line
	var files [parts]string
	dir := t.TempDir()
	n := 0
	for part := range parts {
		var lines bytes.Buffer
		for line := range each {
			if n++; n%every == every/2 {
				way := ways[n/every%len(ways)]
				fmt.Fprintf(&lines, way.line+"\n", n)
				want[fmt.Sprintf("part%d.ndjson entry %d", part, line+1)] = way
				continue
			}
			if line%20 == 0 {
				fmt.Fprintf(&lines, `{"resourceType":"Patient","id":"p%d","gender":"female","birthDate":"1980-02-28"}`+"\n", n)
				continue
			}
			fmt.Fprintf(&lines, `{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"pulse"},`+
				`"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2026-01-02","valueQuantity":{"value":%d,"unit":"/min"}}`+"\n", n, part*each+1, n%90+50)
		}
		files[part] = fmt.Sprintf("%s/part%d.ndjson", dir, part)
		if err := os.WriteFile(files[part], lines.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	s := start(t, t.TempDir()+"/data")
	var memory, own []string
	sizes := make([]int, parts)
	said := regexp.MustCompile(`(?m)^refused \S*/(part\d\.ndjson entry \d+)(?: (\w+))?(?: at (\S+))?: (.*)$`)
	good := 0
	for part, file := range files {
		cmd := exec.Command(program, "import", "--server", s.root, "--token", s.custodian(t), file)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("an import with broken records ended with %v\n%s", err, errs.String())
		}
		for _, m := range said.FindAllStringSubmatch(errs.String(), -1) {
			way, ok := want[m[1]]
			if !ok {
				t.Errorf("a good one is refused: %s", m[0])
			}
			if m[3] == way.place && strings.Contains(m[4], way.says) {
				told[m[1]] = true
			}
		}
		if m := regexp.MustCompile(`(\d+) imported in`).FindStringSubmatch(out.String()); m != nil {
			in, _ := strconv.Atoi(m[1])
			good += in
		}
		sizes[part] = s.resident(t)
		memory, own = append(memory, strconv.Itoa(sizes[part]/1024)), append(own, mostResident(cmd))
	}
	for at, way := range want {
		if !told[at] {
			t.Errorf("%s: nothing says %q at %q: %s", at, way.says, way.place, way.line)
		}
	}
	broken := parts * each / every
	if good != parts*each-broken {
		t.Errorf("%d imported, want %d", good, parts*each-broken)
	}
	s.count(t, "Observation?_summary=count", "Patient?_summary=count", parts*each-broken)
	t.Logf("%d of %d imported; resident MB of the server after each quarter: %s, of the importer at most: %s",
		good, parts*each, strings.Join(memory, ", "), strings.Join(own, ", "))
	if end := sizes[parts-1]; each >= 25_000 && end > sizes[1]+sizes[1]/4 {
		t.Errorf("the server grew from %d kB to %d kB in the second half", sizes[1], end)
	}
}

// mostResident is how many MB of memory a program that has ended held at most.
func mostResident(cmd *exec.Cmd) string {
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return strconv.FormatInt(usage.Maxrss/1024, 10)
	}
	return "?"
}

// count wants two searches to find so many together.
func (s *server) count(t *testing.T, one, other string, want int) {
	t.Helper()
	got := 0
	for _, search := range []string{one, other} {
		a := s.do(t, s.custodian(t), get(s.base+"/"+search)).want(t, http.StatusOK)
		m := regexp.MustCompile(`"total":(\d+)`).FindSubmatch(a.body)
		if m == nil {
			t.Fatalf("%s: no total: %s", search, a.body)
		}
		n, _ := strconv.Atoi(string(m[1]))
		got += n
	}
	if got != want {
		t.Errorf("%s and %s find %d, want %d", one, other, got, want)
	}
}
