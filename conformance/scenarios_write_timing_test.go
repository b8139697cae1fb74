package conformance

import (
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTimesOfWritesDoNotTellApart is scenario 64 for writes: what others have
// contributed, or whom the custodian has on file, is not told by the time that a
// write takes. Of Observations under the identifier taken clinic B has many.
func TestTimesOfWritesDoNotTellApart(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("VITRINE_TIMING"))
	if err != nil || times <= 0 {
		t.Skip("VITRINE_TIMING=1000 asks for it: it measures")
	}
	c := newCast(t)
	const known, foreign = "S9876543C", 500
	c.put(t, with(person("known"), "identifier", nricOf(known)))
	theirs := ""
	for range foreign {
		theirs = instance(c, c.post(t, c.systemB, identified(observation("p", ""), "taken")).want(t, http.StatusCreated))
	}
	c.contributed(t, identified(observation("q", ""), "own"))
	id := strings.TrimPrefix(theirs, "Observation/")
	own := encode(t, identified(observation("q", ""), "another"))
	create := func(cond string) request {
		return send(http.MethodPost, "Observation", own).with("If-None-Exist", cond)
	}
	put := func(id string) request {
		return send(http.MethodPut, "Observation/"+id, encode(t, observation("q", id)))
	}
	patched := func(id string) request {
		return request{method: http.MethodPatch, path: "Observation/" + id, body: []byte(`[{"op":"test","path":"/status","value":"final"}]`), header: map[string]string{"Content-Type": mediaPatch}}
	}
	deleted := func(path string) request { return request{method: http.MethodDelete, path: "Observation" + path} }
	refers := func(to string) request {
		o := with(identified(observation("q", ""), "another"), "hasMember", []any{ref(to)})
		return bundleOf("transaction", entryOf(send(http.MethodPost, "Observation", encode(t, o))))
	}
	about := func(value string) request {
		return send(http.MethodPost, "Condition", encode(t, with(without(condition("", ""), "id"), "subject", object{"identifier": nricOf(value)[0]})))
	}
	pairs := []struct {
		name string
		of   [2]request
	}{
		{"create unless another has one", [2]request{create(mine + "taken"), create(mine + "free")}},
		{"create unless, by groups", [2]request{create("_filter=" + "status%20eq%20final%20and%20identifier%20eq%20taken"), create("_filter=" + "status%20eq%20final%20and%20identifier%20eq%20free")}},
		{"update another's", [2]request{put(id), put("none")}},
		{"patch another's", [2]request{patched(id), patched("none")}},
		{"delete another's", [2]request{deleted("/" + id), deleted("/none")}},
		{"delete by condition", [2]request{deleted("?" + mine + "taken"), deleted("?" + mine + "free")}},
		{"refer by condition", [2]request{refers("Observation?" + mine + "taken"), refers("Observation?" + mine + "free")}},
		{"refer by condition to a Patient", [2]request{refers("Patient?identifier=" + known), refers("Patient?identifier=" + unknownNRIC)}},
		{"about a number", [2]request{about(known), about(unknownNRIC)}},
	}
	limit := math.Sqrt(-math.Log(0.01/float64(len(pairs))/2)/2) * math.Sqrt(2/float64(times))
	for _, p := range pairs {
		d := c.writesApart(t, p.of, times)
		t.Logf("%-34s D=%.4f, separable from %.4f", p.name, d, limit)
		if d > limit {
			t.Errorf("%s: what there is and what there is not are told apart by their times", p.name)
		}
	}
}

// writesApart is the distance between the times of two writes by clinic A's
// system, as apart has it.
func (c *cast) writesApart(t *testing.T, pair [2]request, times int) float64 {
	t.Helper()
	var took [2][]float64
	status := 0
	for i := range times + times/10 {
		first := rand.IntN(2) //nolint:gosec // any order
		for _, k := range []int{first, 1 - first} {
			began := time.Now()
			a := c.do(t, c.systemA, pair[k])
			span := time.Since(began)
			if status == 0 {
				status = a.status
			}
			if a.status != status {
				t.Fatalf("%s %s: %d, and %d before: %s", pair[k].method, pair[k].path, a.status, status, a.body)
			}
			if i >= times/10 {
				took[k] = append(took[k], float64(span/bucket))
			}
		}
	}
	return kolmogorovSmirnov(took[0], took[1])
}
