package validate_test

import (
	"strings"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

func TestReportsAreBounded(t *testing.T) {
	v := newValidator(t)
	for name, src := range map[string]string{
		"unknown elements": `{"resourceType":"Patient","name":[` + strings.Repeat(`{"x":1},`, 50000) + `{"x":1}]}`,
		"empty names":      `{"resourceType":"Patient","name":[` + strings.Repeat(`{"given":[null]},`, 50000) + `{"given":[null]}]}`,
		"nothing required": `{"resourceType":"Patient","link":[` + strings.Repeat(`{"id":"x"},`, 50000) + `{"id":"x"}]}`,
	} {
		issues := v.Check(parse(t, src), validate.How{})
		if len(issues) < 80 || len(issues) > 100 {
			t.Errorf("%s: got %d issues", name, len(issues))
		}
	}
}

func TestWarningsDoNotCrowdOutAnError(t *testing.T) {
	src := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"performer":[` +
		strings.Repeat(`{"display":" "},`, 500) + `{"display":" ","nome":"x"}]}`
	issues := newValidator(t).Check(parse(t, src), validate.How{})
	errors := 0
	for _, i := range issues {
		if i.Severity == fhir.SeverityError {
			errors++
		}
	}
	if errors != 1 || len(issues) > 100 {
		t.Errorf("got %d errors in %d issues, want 1", errors, len(issues))
	}
}

func TestDeepNestingEnds(t *testing.T) {
	deep := func(n int) string {
		return `{"resourceType":"Basic","code":{"text":"x"},` + strings.Repeat(`"extension":[{"url":"http://x.example",`, n) +
			`"valueBoolean":true` + strings.Repeat(`}]`, n) + `}`
	}
	v := newValidator(t)
	if issues := v.Check(parse(t, deep(40)), validate.How{}); issues != nil {
		t.Errorf("40 levels are refused: %v", issues)
	}
	var tape fhir.Tape
	if err := tape.Parse([]byte(deep(10000)), fhir.Limits{Depth: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	issues := v.Check(&tape, validate.How{})
	if len(issues) == 0 || issues[0].Code != fhir.CodeTooLong {
		t.Errorf("10000 levels: got %v", issues)
	}
}

func TestNoValueIsRepeated(t *testing.T) {
	const secret = "S0000001I"
	src := `{"resourceType":"` + secret + ` ","id":"` + secret + `"}`
	more := `{"resourceType":"Patient","` + secret + ` ":1,"birthDate":"` + secret + `","gender":"` + secret + `",
		"active":"` + secret + `","generalPractitioner":[{"reference":"Organization/` + secret + `/"}],"maritalStatus":"` + secret + `"}`
	v := newValidator(t)
	for _, s := range []string{src, more} {
		issues := v.Check(parse(t, s), validate.How{})
		if len(issues) == 0 {
			t.Errorf("accepted: %s", s)
		}
		for _, i := range issues {
			if strings.Contains(line(i), secret) {
				t.Errorf("the value is repeated: %s", line(i))
			}
		}
	}
}

func TestAGoodResourceAllocatesNothing(t *testing.T) {
	v, tape := newValidator(t), parse(t, observation)
	if got := testing.AllocsPerRun(100, func() {
		if issues := v.Check(tape, validate.How{}); issues != nil {
			t.Fatal(issues)
		}
	}); got != 0 {
		t.Errorf("got %v allocations", got)
	}
}

// FuzzValidate holds that whatever can be parsed can be judged, and that every
// issue says where.
func FuzzValidate(f *testing.F) {
	f.Add([]byte(observation))
	f.Add([]byte(`{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"\u0000"}]}],"text":{"div":"\u003c"}}`))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"X"}}],"link":[{}],"_id":{},"":1,"_":2}`))
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{}) != nil {
			return
		}
		for _, i := range v.Check(&tape, validate.How{}) {
			if i.Line < 1 || i.Column < 1 || i.Expression == "" || i.Text == "" || i.Severity == "" || i.Code == "" {
				t.Errorf("%+v\n%s", i, src)
			}
		}
	})
}
