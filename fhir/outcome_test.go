package fhir

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAppendOutcome(t *testing.T) {
	for _, c := range []struct {
		name   string
		issues []Issue
		want   string
	}{
		{"none", nil, `{"severity":"error","code":"exception"}`},
		{"empty", []Issue{{}}, `{"severity":"error","code":"exception"}`},
		{
			"text",
			[]Issue{{Severity: SeverityWarning, Code: CodeInvalid, Text: `say "when"`}},
			`{"severity":"warning","code":"invalid","details":{"text":"say \"when\""}}`,
		},
		{
			"detail",
			[]Issue{{Severity: SeverityError, Code: CodeForbidden, Detail: "forbidden-purpose"}},
			`{"severity":"error","code":"forbidden","details":{"coding":[{"system":"https://vitrine.example/CodeSystem/outcome","code":"forbidden-purpose"}]}}`,
		},
		{
			"everything, twice",
			[]Issue{
				{SeverityFatal, CodeStructure, "bad-json", "a ':' is missing", "Patient.name[0]", 3, 14},
				{Severity: SeverityInformation, Code: CodeInformational, Line: 2, Expression: "Patient"},
			},
			`{"severity":"fatal","code":"structure","details":{"coding":[{"system":"https://vitrine.example/CodeSystem/outcome","code":"bad-json"}],` +
				`"text":"a ':' is missing"},"diagnostics":"line 3, column 14: a ':' is missing","expression":["Patient.name[0]"]},` +
				`{"severity":"information","code":"informational","diagnostics":"line 2","expression":["Patient"]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(AppendOutcome([]byte("x"), c.issues...))
			want := `x{"resourceType":"OperationOutcome","issue":[` + c.want + `]}`
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			parsed(t, got[1:])
		})
	}
}

func TestAppendStringIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\"\\\x00\n\r\t\b\f\x1f\x7f/é李😀\u2028a"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		var tape Tape
		src := append(AppendString([]byte(`{"a":`), s), '}')
		if err := tape.Parse(src, Limits{}); err != nil {
			t.Fatalf("AppendString(%q): %v", s, err)
		}
		want := s
		if !utf8.ValidString(s) {
			want = string([]rune(s))
		}
		if got := tape.Text(tape.Field(0, "a")); got != want {
			t.Fatalf("AppendString(%q) is read back as %q", s, got)
		}
	})
}

func TestAppendString(t *testing.T) {
	got := string(AppendString(nil, "a\"\\/\b\n\x00<é>\xff"))
	if want := `"a\"\\/\u0008\n\u0000<é>` + "\ufffd" + `"`; got != want {
		t.Errorf("AppendString = %s, want %s", got, want)
	}
	if strings.Count(got, "\n") != 0 {
		t.Error("a control character is left")
	}
}
