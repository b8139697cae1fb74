package fhir

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSame(t *testing.T) {
	const one = `{"resourceType":"Observation","id":"o","meta":{"versionId":"3","lastUpdated":"2026-01-01T00:00:00Z","tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null}}`
	for _, c := range []struct {
		name, other string
		want        bool
	}{
		{"itself", one, true},
		{"another version and time", `{"resourceType":"Observation","id":"o","meta":{"versionId":"9","lastUpdated":"x","tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null}}`, true},
		{"without them", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null}}`, true},
		{"another order, white space and escapes", `{ "b" : {"d":null, "c":true}, "a":["\u0078","y"], "value":1.0, "meta":{"tag":[{"code":"a"}]}, "id":"o", "resourceType":"Observation" }`, true},
		{"digits", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.00,"a":["x","y"],"b":{"c":true,"d":null}}`, false},
		{"order of elements", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["y","x"],"b":{"c":true,"d":null}}`, false},
		{"an element more", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y","z"],"b":{"c":true,"d":null}}`, false},
		{"an element less", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x"],"b":{"c":true,"d":null}}`, false},
		{"a member more", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null},"e":1}`, false},
		{"a member less", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y"]}`, false},
		{"another member", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"B":{"c":true,"d":null}}`, false},
		{"a label less", `{"resourceType":"Observation","id":"o","meta":{"versionId":"3"},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null}}`, false},
		{"another kind", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":"1.0","a":["x","y"],"b":{"c":true,"d":null}}`, false},
		{"a version within", `{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"a"}]},"value":1.0,"a":["x","y"],"b":{"c":true,"d":null,"versionId":"3"}}`, false},
	} {
		a, b := parsed(t, one), parsed(t, c.other)
		if got := Same(a, b); got != c.want {
			t.Errorf("%s: got %v, want %v: %s", c.name, got, c.want, c.other)
		}
		if got := Same(b, a); got != c.want {
			t.Errorf("%s, turned round: got %v, want %v", c.name, got, c.want)
		}
	}
	if !Same(parsed(t, `{"resourceType":"Basic","meta":{"versionId":"1"}}`), parsed(t, `{"resourceType":"Basic"}`)) {
		t.Error("a meta of what the server sets differs from none")
	}
	if !Same(parsed(t, `{"resourceType":"Basic","id":"b"}`), parsed(t, `{"resourceType":"Basic"}`)) {
		t.Error("one without an id differs")
	}
	if Same(parsed(t, `{"meta":[1]}`), parsed(t, `{}`)) || Same(new(Tape), new(Tape)) {
		t.Error("what is no resource is the same")
	}
}

// TestSameAsStamped: whatever is stored under a stamp is the same as what was
// sent, but for the id.
func TestSameAsStamped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := `{"resourceType":"Basic","id":"b","extension":` + rapid.SampledFrom([]string{`[]`, `[{"url":"u","valueDecimal":1.10}]`, `[{"url":"\u00e9"},{}]`}).Draw(t, "extension") +
			rapid.SampledFrom([]string{``, `,"meta":{}`, `,"meta":{"tag":[]}`, `, "meta" : {"lastUpdated":"x"}`}).Draw(t, "meta") + `}`
		sent, stored := new(Tape), new(Tape)
		if err := sent.Parse([]byte(src), Limits{}); err != nil {
			t.Fatal(err)
		}
		version, at := rapid.StringMatching(`[1-9]`).Draw(t, "version"), time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "at"))
		if err := stored.Parse(Stamp(nil, sent, "b", version, at), Limits{}); err != nil {
			t.Fatal(err)
		}
		if !Same(sent, stored) || !Same(stored, sent) {
			t.Errorf("differ:\n%s\n%s", sent.Source(), stored.Source())
		}
	})
}
