package gate_test

import (
	"strconv"
	"strings"
	"testing"
)

// TestValueSetsMadeOfValueSets: what a value set is made of is worked out once,
// however often it is named; else a few of them would keep the server at work for
// years.
func TestValueSetsMadeOfValueSets(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Condition", "dog", `"subject":{"reference":"Patient/p"},"code":{"coding":[`+animal+`,"code":"dog"}]}`)
	const sets, times = 8, 200
	for i := range sets {
		next := `"http://x.example/vs/` + strconv.Itoa(i+1) + `"`
		w.created(doctor("B"), "ValueSet", valueSet(strconv.Itoa(i), `"include":[{"valueSet":[`+strings.Repeat(next+",", times)+next+`]}]`))
	}
	w.created(doctor("B"), "ValueSet", valueSet(strconv.Itoa(sets), `"include":[`+animal+`,"concept":[{"code":"dog"}]}]`))
	w.want("what all are made of", w.tells(doctor("B"), "Condition", "code:in=http://x.example/vs/0"), "dog")
	big := make([]string, 3000)
	for i := range big {
		big[i] = `{"code":"c` + strconv.Itoa(i) + `"}`
	}
	w.created(doctor("B"), "ValueSet", valueSet("big", `"include":[`+animal+`,"concept":[`+strings.Join(big, ",")+`]}]`))
	again := strings.Repeat(`{"valueSet":["http://x.example/vs/big"]},`, 2000)
	w.created(doctor("B"), "ValueSet", valueSet("much", `"include":[`+again+`{"valueSet":["http://x.example/vs/big"]}]`))
	if got := w.tells(doctor("B"), "Condition", "code:in=http://x.example/vs/much"); !strings.Contains(got, "stands for more than") {
		t.Errorf("what is made of too many: got %q, want a refusal", got)
	}
}
