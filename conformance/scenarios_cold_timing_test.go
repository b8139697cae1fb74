package conformance

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// coldRow is one way to ask for a patient of whom the server remembers nothing.
type coldRow struct {
	name  string
	token string
	ask   func(id string) request
}

// coldRows are those ways. Each of the patients is registered with clinics A and B
// and restricted: hidden from C1 whole, from A1 but for the basic set.
func (c *cast) coldRows(t *testing.T) []coldRow {
	t.Helper()
	at := func(before, after string) func(string) request {
		return func(id string) request { return get(before + id + after) }
	}
	glass := encode(t, object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "reason", "valueCoding": object{"system": actCode, "code": "OVRER"}},
		object{"name": "threat", "valueCode": "life"},
		object{"name": "justification", "valueString": emergency},
	}})
	return []coldRow{
		{"a Patient", c.c1, at("Patient/", "")},
		{"a Patient, by somebody else", c.appQ, at("Patient/", "")},
		{"a history", c.c1, at("Patient/", "/_history")},
		{"a record", c.c1, at("Patient/", "/$everything")},
		{"a level", c.c1, at("Patient/", "/$access")},
		{"an Observation", c.c1, at("Observation/o-", "")},
		{"an Observation, restricted", c.a1, at("Observation/o-", "")},
		{"a search for one, restricted", c.a1, at("Observation?_id=o-", "")},
		{"a search by patient", c.c1, at("Observation?patient=", "")},
		{"the glass", c.c1, func(id string) request { return send(http.MethodPost, "Patient/"+id+"/$break-glass", glass) }},
		{"a Consent", c.appQ, func(id string) request {
			return send(http.MethodPut, "Consent/consent-"+id, encode(t, with(optOut("q"), "id", "consent-"+id)))
		}},
	}
}

// TestScenario64ColdTimesDoNotTellApart is scenario 64 for what is asked for once:
// whoever is hidden has never been asked for, and nothing about them is in any
// memory. It measures, and runs where VITRINE_TIMING says of how many patients. What
// others do on the machine is in the distance between two who are both absent: by so
// much more the hidden may be apart from them.
func TestScenario64ColdTimesDoNotTellApart(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("VITRINE_TIMING"))
	if err != nil || times <= 0 {
		t.Skip("VITRINE_TIMING=1000 asks for it: it measures")
	}
	c := newCast(t)
	rows := c.coldRows(t)
	c.stop(t)
	var lines bytes.Buffer
	hidden := make([][]string, len(rows))
	for k := range rows {
		for range times {
			id := unheard()
			hidden[k] = append(hidden[k], id)
			for _, o := range []object{without(person(id), "identifier"), episode(id, "a"), episode(id, "b"), optOut(id), observation(id, "o-"+id)} {
				lines.Write(append(encode(t, o), '\n'))
			}
		}
	}
	path := filepath.Join(t.TempDir(), "cold.ndjson")
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, "import", "--data", c.data, path)
	c.serve(t, "--absence-grid", "3ms") // the program's own
	limit := math.Sqrt(-math.Log(0.01/float64(len(rows))/2)/2) * math.Sqrt(2/float64(times))
	for k, row := range rows {
		took := c.cold(t, row, hidden[k])
		d, control := kolmogorovSmirnov(took[0], took[1]), kolmogorovSmirnov(took[1], took[2])
		t.Logf("%-29s medians %5.0f, %5.0f, %5.0f us: D=%.4f, of two who are absent %.4f, separable from %.4f",
			row.name, took[0][times/2], took[1][times/2], took[2][times/2], d, control, limit)
		if d > limit+control {
			t.Errorf("%s: who is hidden and who is absent are told apart by the time of the first answer", row.name)
		}
	}
}

// unheard is an id that nobody has.
func unheard() string {
	return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) //nolint:gosec // any that is new
}

// cold are how many microseconds it took to be told nothing of each of the hidden,
// and of twice as many who are absent, in random order, each asked for once.
func (c *cast) cold(t *testing.T, row coldRow, hidden []string) (took [3][]float64) {
	t.Helper()
	for i := -len(hidden) / 10; i < len(hidden); i++ { // those before the first do not count
		for _, k := range rand.Perm(len(took)) {
			id := unheard()
			if k == 0 && i >= 0 {
				id = hidden[i]
			}
			r := row.ask(id)
			began := time.Now()
			a := c.do(t, row.token, r)
			span := time.Since(began)
			if a.status != http.StatusNotFound && (a.status != http.StatusOK || len(a.ids(t)) > 0) {
				t.Fatalf("%s: %d %s", row.name, a.status, a.body)
			}
			if i >= 0 {
				took[k] = append(took[k], float64(span.Microseconds()))
			}
		}
	}
	for k := range took {
		slices.Sort(took[k])
	}
	return took
}
