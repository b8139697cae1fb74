package conformance

import (
	"net/url"
	"strings"
	"testing"

	"vitrine/fhir/r4"
)

// TestEverySearchParameterOfEvents does for AuditEvent, which the server alone
// writes, what TestEverySearchParameter does for the other types: what an event has
// finds it, and what it has not does not.
func TestEverySearchParameterOfEvents(t *testing.T) {
	t.Parallel()
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := newCast(t)
	c.do(t, c.a1, get("Condition?patient=Patient/q")).want(t, 200)
	c.do(t, c.a1, get("Patient/q")).want(t, 200)
	c.do(t, c.a1, get("Patient/p")).want(t, 200)
	c.breakGlass(t, c.a1, "p", "unconscious", "found on the street, does not answer")
	events := c.do(t, c.auditor, get("AuditEvent?_count=100")).want(t, 200).matches(t)
	if len(events) < 10 {
		t.Fatalf("%d events", len(events))
	}
	typ := defs.Resource("AuditEvent")
	for _, sp := range typ.Params() {
		all, err := paths(typ, sp.Expression)
		if err != nil {
			t.Fatal(sp.URL, err)
		}
		asked := map[string]string{} // what is asked for, and the id of the event that has it
		for _, path := range all {
			for _, l := range leaves(typ, path) {
				for _, e := range events {
					for _, v := range reached(e, l.steps) {
						if ask := askFor(sp.Kind, v); ask != "" {
							asked[ask] = text(e, "id")
						}
					}
				}
			}
		}
		why, none := emptyOfEvents()[sp.Code]
		if none != (len(asked) == 0) {
			t.Errorf("%s: events have %d values, though the reason is %q", sp.Code, len(asked), why)
		}
		if none && sp.Expression != "" {
			if a := c.do(t, c.auditor, get("AuditEvent?"+sp.Code+":missing=false")); a.status != 200 || len(a.matches(t)) != 0 {
				t.Errorf("%s: there are events after all: %d\n%s", sp.Code, a.status, a.body)
			}
		}
		for ask, id := range asked {
			for value, want := range map[string]int{ask: 1, absentFor(sp.Kind): 0} {
				modifier := ""
				if identifier, ok := strings.CutPrefix(value, byIdentifier); ok {
					modifier, value = byIdentifier, identifier
				}
				path := "AuditEvent?" + sp.Code + modifier + "=" + url.QueryEscape(value) + "&_id=" + id
				if a := c.do(t, c.auditor, get(path)); a.status != 200 || len(a.matches(t)) != want {
					t.Errorf("%s: %d, %d matches, want %d", path, a.status, len(a.matches(t)), want)
				}
			}
		}
	}
}

// emptyOfEvents are the parameters of which no event has a value, or that R4 gives
// no expression, each with the reason.
func emptyOfEvents() map[string]string {
	const nothing = "no event that the server writes has any"
	return map[string]string{
		"_content": "it has no expression; words of an event are not indexed", "_text": "events have no narrative",
		"_filter": "it has no expression", "_query": "it has no expression",
		"_security": nothing, "_source": nothing, "_tag": nothing, "agent-name": nothing, "entity-name": nothing,
	}
}

// reached are the values where the steps lead.
func reached(v any, steps []step) (out []any) {
	if many, ok := v.([]any); ok {
		for _, one := range many {
			out = append(out, reached(one, steps)...)
		}
		return out
	}
	if len(steps) == 0 || v == nil {
		if v == nil {
			return nil
		}
		return []any{v}
	}
	o, _ := v.(object)
	if ref := steps[0].refs; ref != "" && !strings.HasPrefix(text(o, steps[0].name, "reference"), ref+"/") {
		return nil
	}
	return reached(o[steps[0].name], steps[1:])
}

// byIdentifier stands before what is asked for by that modifier.
const byIdentifier = ":identifier"

// askFor is how a value is asked for; "" when it has nothing to compare.
func askFor(kind r4.ParamKind, v any) string {
	o, _ := v.(object)
	switch kind { //nolint:exhaustive // events have no others
	case r4.ParamToken:
		switch v := v.(type) {
		case string:
			return v
		case bool:
			return map[bool]string{true: "true", false: "false"}[v]
		}
		if list(o, "coding") != nil {
			o, _ = at(o, "coding", 0).(object)
		}
		if code := text(o, "code") + text(o, "value"); code != "" {
			return text(o, "system") + "|" + code
		}
		return ""
	case r4.ParamReference:
		if identifier := at(o, "identifier"); identifier != nil {
			return byIdentifier + text(identifier, "system") + "|" + text(identifier, "value")
		}
		return text(o, "reference")
	}
	s, _ := v.(string)
	return s
}

func absentFor(kind r4.ParamKind) string {
	switch kind { //nolint:exhaustive // events have no others
	case r4.ParamDate:
		return "1999-01-01"
	case r4.ParamReference:
		return "Basic/none"
	case r4.ParamURI:
		return "http://none.test/x"
	}
	return "none-such"
}
