package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wrongs are the issues of an outcome that are errors: "code expression, line N".
func wrongs(tb testing.TB, body string) (out []string) {
	tb.Helper()
	var outcome struct {
		Issue []struct {
			Severity, Code, Diagnostics string
			Expression                  []string
			Details                     struct{ Coding []struct{ Code string } }
		}
	}
	if err := json.Unmarshal([]byte(body), &outcome); err != nil {
		tb.Fatalf("%v: %s", err, body)
	}
	for _, i := range outcome.Issue {
		if i.Severity == "error" {
			line, _, _ := strings.Cut(i.Diagnostics, ",")
			out = append(out, i.Code+" "+strings.Join(i.Expression, " ")+", "+line)
		}
	}
	return out
}

// A profile is put, binds, and lets go again; one of another organisation's binds
// nobody else.
func TestAProfileIsPutAndBinds(t *testing.T) {
	h := build(t)
	h.furnish()
	profile := func(name, elements string) string {
		return `"url":"http://x.example/` + name + `","name":"P","status":"active","kind":"resource","abstract":false,"type":"Observation",` +
			`"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[` +
			`{"id":"Observation","path":"Observation"}` + elements + `]}`
	}
	const sliced = `,{"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"value","path":"code"}],"rules":"open"}},` +
		`{"id":"Observation.component:systolic","path":"Observation.component","sliceName":"systolic","min":1},` +
		`{"id":"Observation.component:systolic.code","path":"Observation.component.code","patternCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}},` +
		`{"id":"Observation.component:systolic.value[x]","path":"Observation.component.value[x]","min":1,"type":[{"code":"Quantity"}]}`
	pressure := func(code, value string) string {
		return "{\"resourceType\":\"Observation\",\"meta\":{\"profile\":[\"http://x.example/pressure\"]},\n\"status\":\"final\",\"code\":{\"text\":\"BP\"}," +
			"\"subject\":{\"reference\":\"Patient/q\"},\n\"component\":[{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"" + code + "\"}]},\n" + value + "}]}"
	}
	const quantity, words = `"valueQuantity":{"value":120}`, `"valueString":"high"`
	send := func(token, code, value string, status int) []string {
		t.Helper()
		w := h.want(token, "POST", "Observation", pressure(code, value), status)
		if status == 201 {
			return nil
		}
		return wrongs(t, w.Body.String())
	}
	send("clinic", "8480-6", words, 201)

	body := `{"resourceType":"StructureDefinition",` + profile("pressure", sliced+`,{"id":"Observation.presure","path":"Observation.presure","min":1}`) + `}`
	refused := h.want("good", "PUT", "StructureDefinition/pressure", strings.Replace(body, `{`, `{"id":"pressure",`, 1), 422)
	if d := cmp.Diff([]string{"business-rule StructureDefinition.differential.element[5], line 1"}, wrongs(t, refused.Body.String())); d != "" {
		t.Errorf("a profile that cannot be compiled (-want +got):\n%s", d)
	}
	tried := h.want("good", "POST", "StructureDefinition/$validate", body, 200)
	if !strings.Contains(tried.Body.String(), "StructureDefinition.differential.element[5]") {
		t.Errorf("$validate does not say so: %s", tried.Body)
	}
	h.put("StructureDefinition", "pressure", profile("pressure", sliced))
	if d := cmp.Diff([]string{"structure Observation.component[0].value, line 4"}, send("clinic", "8480-6", words, 422)); d != "" {
		t.Errorf("a value of another type (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"required Observation.component, line 1"}, send("clinic", "8462-4", quantity, 422)); d != "" {
		t.Errorf("a slice is missing (-want +got):\n%s", d)
	}
	send("clinic", "8480-6", quantity, 201)

	h.want("good", "DELETE", "StructureDefinition/pressure", "", 204)
	send("clinic", "8480-6", words, 201)

	h.want("other", "POST", "StructureDefinition", `{"resourceType":"StructureDefinition",`+profile("pressure", sliced)+`}`, 201)
	send("clinic", "8480-6", words, 201)
	if d := cmp.Diff([]string{"structure Observation.component[0].value, line 4"}, send("other", "8480-6", words, 422)); d != "" {
		t.Errorf("its own profile (-want +got):\n%s", d)
	}
}
