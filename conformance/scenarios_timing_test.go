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

// TestScenario64TimesDoNotTellApart measures, so it runs only where the machine
// is quiet and VITRINE_TIMING says how many repetitions are wished for, 1,000 in
// the scenario. Of P 10^5 observations are hidden and of M one.
func TestScenario64TimesDoNotTellApart(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("VITRINE_TIMING"))
	if err != nil || times <= 0 {
		t.Skip("VITRINE_TIMING=1000 asks for it: it measures")
	}
	c := newCast(t)
	for id, value := range map[string]string{"p": "S0000001I", "m": "S0000002G"} {
		c.put(t, with(person(id), "identifier", nricOf(value)))
	}
	c.stop(t)
	runProgram(t, "import", "--data", c.data, manyObservations(t, "p", 100_000))
	c.serve(t)
	pairs := [][2]string{
		{"Observation/o-p", "Observation/none"},
		{"Observation/o-p", "Observation/o-m"},
		{"Observation?patient=p", "Observation?patient=m"},
		{"Observation?patient=p&code=29463-7&_summary=count", "Observation?patient=m&code=29463-7&_summary=count"},
		{"Observation?patient=p&_sort=-date&_count=2", "Observation?patient=m&_sort=-date&_count=2"},
		{"Observation?patient=p&code:not=x&_total=accurate", "Observation?patient=m&code:not=x&_total=accurate"},
		{"Observation?patient.identifier=S0000001I", "Observation?patient.identifier=S0000002G"},
		{"Observation?subject:Patient.identifier=S0000001I&code=29463-7&_sort=-date", "Observation?subject:Patient.identifier=S0000002G&code=29463-7&_sort=-date"},
		{"Patient?_id=p&_has:Observation:patient:code=29463-7", "Patient?_id=m&_has:Observation:patient:code=29463-7"},
		{"Patient?_id=p&_revinclude=Observation:patient", "Patient?_id=m&_revinclude=Observation:patient"},
		{"Observation?patient=p&_content=nothing", "Observation?patient=m&_content=nothing"},
		{"Patient/p/Observation?_include=*", "Patient/m/Observation?_include=*"},
	}
	for _, pair := range pairs {
		d := c.apart(t, pair, times)
		// Each of the pairs may be found separable by chance: together they may in
		// one run of a hundred.
		limit := math.Sqrt(-math.Log(0.01/float64(len(pairs))/2)/2) * math.Sqrt(2/float64(times))
		t.Logf("%-90s D=%.4f, separable from %.4f", pair[0]+" and "+pair[1], d, limit)
		if d > limit {
			t.Errorf("%s and %s are told apart by their times", pair[0], pair[1])
		}
	}
}

// bucket is the step at whose multiples absence leaves: times are compared by
// it.
const bucket = time.Millisecond

// apart is the Kolmogorov-Smirnov distance between the times of two requests,
// made in turns, in random order, after some that do not count.
func (c *cast) apart(t *testing.T, pair [2]string, times int) float64 {
	t.Helper()
	var took [2][]float64
	for i := range times + times/10 {
		first := rand.IntN(2) //nolint:gosec // any order
		for _, k := range []int{first, 1 - first} {
			began := time.Now()
			a := c.do(t, c.a1, get(pair[k]))
			span := time.Since(began)
			if a.status != http.StatusOK && a.status != http.StatusNotFound {
				t.Fatalf("%s: %d %s", pair[k], a.status, a.body)
			}
			if i >= times/10 {
				took[k] = append(took[k], float64(span/bucket))
			}
		}
	}
	return kolmogorovSmirnov(took[0], took[1])
}

// kolmogorovSmirnov is the greatest distance between two empirical
// distributions.
func kolmogorovSmirnov(a, b []float64) (most float64) {
	slices.Sort(a)
	slices.Sort(b)
	for i, j := 0, 0; i < len(a) && j < len(b); {
		at := min(a[i], b[j])
		for i < len(a) && a[i] <= at {
			i++
		}
		for j < len(b) && b[j] <= at {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

func TestKolmogorovSmirnov(t *testing.T) {
	for _, row := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, 0},
		{[]float64{1, 1, 1, 1}, []float64{2, 2, 2, 2}, 1},
		{[]float64{1, 1, 2, 2}, []float64{1, 2, 2, 2}, 0.25},
	} {
		if got := kolmogorovSmirnov(row.a, row.b); math.Abs(got-row.want) > 1e-9 {
			t.Errorf("%v and %v: %v, want %v", row.a, row.b, got, row.want)
		}
	}
}

// manyObservations is a file of so many observations of a patient.
func manyObservations(t *testing.T, patient string, n int) string {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		lines.Write(encode(t, observation(patient, fmt.Sprintf("many-%d", i))))
		lines.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), "many.ndjson")
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
