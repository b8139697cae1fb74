package rest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

func TestPairsKeepTheirOrder(t *testing.T) {
	for _, row := range []struct {
		query string
		want  []search.Pair
		bad   bool
	}{
		{"", nil, false},
		{"name=a&birthdate=ge1980&name=b", []search.Pair{{Name: "name", Value: "a"}, {Name: "birthdate", Value: "ge1980"}, {Name: "name", Value: "b"}}, false},
		{"_format=json&&_pretty=true&code=a%7Cb+c&_cursor=x", []search.Pair{{Name: "code", Value: "a|b c"}, {Name: "_cursor", Value: "x"}}, false},
		{"active", []search.Pair{{Name: "active"}}, false},
		{"a;b=c", []search.Pair{{Name: "a;b", Value: "c"}}, false},
		{"name=%", nil, true},
		{"na%zzme=x", nil, true},
	} {
		got, err := pairs(nil, row.query)
		if (err != nil) != row.bad {
			t.Errorf("%q: %v", row.query, err)
		} else if d := cmp.Diff(row.want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", row.query, d)
		}
	}
}

func TestPrefer(t *testing.T) {
	for _, row := range []struct {
		lines []string
		want  preference
	}{
		{nil, preference{}},
		{[]string{"return=representation"}, preference{returns: returnRepresentation}},
		{[]string{`return="representation"; handling=lenient`}, preference{returnRepresentation, true}},
		{[]string{"return=OperationOutcome, handling=lenient", "handling=strict"}, preference{returns: returnOutcome}},
		{[]string{"Return=minimal, HANDLING=lenient"}, preference{returnMinimal, true}},
		{[]string{"respond-async, return=everything"}, preference{}},
	} {
		if got := preferenceOf(row.lines); got != row.want {
			t.Errorf("%q: %v, want %v", row.lines, got, row.want)
		}
	}
}

func TestEntityTags(t *testing.T) {
	for tag, want := range map[string]string{"": "", `W/"1"`: "1", `"b2"`: "b2", ` W/"3" `: "3"} {
		if got, err := versionOf(tag); got != want || err != nil {
			t.Errorf("%q: %q %v, want %q", tag, got, err, want)
		}
	}
	for _, tag := range []string{"1", "W/1", `W/"`, `W/""`, `W/"1", W/"2"`, "*", `w/"1"`} {
		if got, err := versionOf(tag); err == nil {
			t.Errorf("%q: %q, want it refused", tag, got)
		}
	}
}

func TestConditionalReads(t *testing.T) {
	r := fhir.Resource{Version: "b2", Updated: time.Date(2026, 9, 1, 10, 0, 0, 5e8, time.UTC)}
	at := func(d time.Duration) string { return r.Updated.Add(d).Format(http.TimeFormat) }
	for _, row := range []struct {
		c    conditions
		want bool
	}{
		{conditions{}, false},
		{conditions{ifNoneMatch: `W/"b2"`}, true},
		{conditions{ifNoneMatch: `"b2"`}, true},
		{conditions{ifNoneMatch: `W/"1", W/"b2"`}, true},
		{conditions{ifNoneMatch: "*"}, true},
		{conditions{ifNoneMatch: `W/"2"`}, false},
		{conditions{ifNoneMatch: `W/"2"`, ifModifiedSince: at(time.Hour)}, false},
		{conditions{ifModifiedSince: at(0)}, true},
		{conditions{ifModifiedSince: at(-2 * time.Second)}, false},
		{conditions{ifModifiedSince: r.Updated.Format(time.RFC3339Nano)}, true},
		{conditions{ifModifiedSince: "yesterday"}, false},
	} {
		if got := row.c.unchanged(&r); got != row.want {
			t.Errorf("%+v: %v, want %v", row.c, got, row.want)
		}
	}
}

func TestExactlyOneKnownPurpose(t *testing.T) {
	coding := func(system, code string) fhir.Coding { return fhir.Coding{System: system, Code: code} }
	for _, row := range []struct {
		name    string
		claimed []fhir.Coding
		want    consent.Purpose
		refusal string
	}{
		{"none", nil, consent.PurposeNone, "purpose-missing"},
		{"one", []fhir.Coding{coding(consent.SystemActReason, "TREAT")}, consent.Treatment, ""},
		{"excluded, which the gate refuses in its turn", []fhir.Coding{coding(consent.SystemPurpose, "INSURANCE")}, consent.Insurance, ""},
		{"two", []fhir.Coding{coding(consent.SystemActReason, "TREAT"), coding(consent.SystemActReason, "HPAYMT")}, consent.PurposeNone, "purpose-several"},
		{"the same twice", []fhir.Coding{coding(consent.SystemActReason, "TREAT"), coding(consent.SystemActReason, "TREAT")}, consent.PurposeNone, "purpose-several"},
		{"unknown", []fhir.Coding{coding(consent.SystemActReason, "CURIOSITY")}, consent.PurposeNone, "purpose-unknown"},
		{"wrong system", []fhir.Coding{coding(consent.SystemPurpose, "TREAT")}, consent.PurposeNone, "purpose-unknown"},
		{"no system", []fhir.Coding{coding("", "TREAT")}, consent.PurposeNone, "purpose-unknown"},
		{"lower case", []fhir.Coding{coding(consent.SystemActReason, "treat")}, consent.PurposeNone, "purpose-unknown"},
	} {
		c, refusal := CallerOf(&smart.Token{Kind: smart.KindPractitioner, Purposes: row.claimed})
		if c.Purpose != row.want || refusal != row.refusal || c.Kind != consent.Practitioner {
			t.Errorf("%s: %v %q %v, want %v %q", row.name, c.Purpose, refusal, c.Kind, row.want, row.refusal)
		}
	}
	if c, _ := CallerOf(&smart.Token{Kind: "minister"}); c.Kind != consent.Nobody {
		t.Errorf("an unknown kind is %v, want nobody", c.Kind)
	}
}

// TestErrorsToHTTP holds the one table of errors.
func TestErrorsToHTTP(t *testing.T) {
	secret := errors.New("pebble: /var/data: S1234567D")
	for _, row := range []struct {
		err    error
		status int
		code   fhir.IssueCode
	}{
		{secret, 500, fhir.CodeException},
		{errPanic, 500, fhir.CodeException},
		{&gate.Refused{Status: 403, Code: "forbidden-purpose"}, 403, fhir.CodeForbidden},
		{&gate.Refused{Status: 403, Code: "something else"}, 403, fhir.CodeForbidden},
		{&gate.Refused{Status: 401}, 401, fhir.CodeLogin},
		{gate.ErrNotFound, 404, fhir.CodeNotFound},
		{gate.ErrGone, 410, fhir.CodeDeleted},
		{gate.ErrConflict, 409, fhir.CodeConflict},
		{gate.ErrPrecondition, 412, fhir.CodeConflict},
		{gate.ErrMultiple, 412, fhir.CodeMultiple},
		{gate.ErrTooCostly, 422, fhir.CodeTooCostly},
		{gate.ErrTooLarge, 413, fhir.CodeTooLong},
		{gate.ErrBadCursor, 400, fhir.CodeInvalid},
		{gate.ErrMethod, 405, fhir.CodeNotSupported},
		{gate.ErrUnavailable, 503, fhir.CodeTransient},
		{&gate.Invalid{Status: 422, Issues: []fhir.Issue{{Code: fhir.CodeValue}}}, 422, fhir.CodeValue},
		{&search.Refusal{Issues: []fhir.Issue{{Code: fhir.CodeNotSupported}}}, 400, fhir.CodeNotSupported},
		{&fhir.SyntaxError{Line: 1, Column: 2, Reason: "a comma is missing"}, 400, fhir.CodeStructure},
		{&gate.EntryError{Index: 3, Err: gate.ErrNotFound}, 404, fhir.CodeNotFound},
		{&gate.EntryError{Index: 3, Err: secret}, 500, fhir.CodeException},
	} {
		o := explain(row.err)
		issue := o.problem.issue()
		if o.issues != nil {
			issue = o.issues[0]
		}
		if o.status != row.status || issue.Code != row.code {
			t.Errorf("%v: %d %s, want %d %s", row.err, o.status, issue.Code, row.status, row.code)
		}
		if issue.Text == secret.Error() {
			t.Errorf("%v: the inner words are on the wire", row.err)
		}
	}
}

// TestRetryAfter: whoever may try again is told when, within a Bundle too.
func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{gate.ErrConflict, "1"},
		{&gate.EntryError{Index: 3, Err: gate.ErrConflict}, "1"},
		{&gate.Invalid{Status: 409, Issues: []fhir.Issue{{Code: fhir.CodeConflict}}}, ""},
		{refuse(problemThrottled), "1"},
		{gate.ErrUnavailable, "5"},
		{gate.ErrNotFound, ""},
	} {
		if got := retryAfter(explain(row.err).status, row.err); got != row.want {
			t.Errorf("%v: %q, want %q", row.err, got, row.want)
		}
	}
}

func TestEveryProblemHasAStatusAndAText(t *testing.T) {
	for p := range problemCount {
		if e := p.entry(); e.status < 400 || e.code == "" || e.text == "" {
			t.Errorf("problem %d: %+v", p, e)
		}
	}
	if got := problem(200).entry().status; got != 500 {
		t.Errorf("a problem that has no row: %d, want 500", got)
	}
}

func TestIssuesOfEntriesNameTheirPlace(t *testing.T) {
	invalid := &gate.Invalid{Status: 422, Issues: []fhir.Issue{{Expression: "Patient.name[0]"}, {}, {Expression: "Bundle.entry[3].request"}}}
	o := explain(&gate.EntryError{Index: 3, Err: invalid})
	var got []string
	for _, i := range o.issues {
		got = append(got, i.Expression)
	}
	if d := cmp.Diff([]string{"Bundle.entry[3].resource.name[0]", "Bundle.entry[3]", "Bundle.entry[3].request"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestResolve(t *testing.T) {
	s := &Server{table: interactions()}
	for _, row := range []struct {
		method, path, name string
		target             target
	}{
		{"POST", "", "transaction", target{}},
		{"GET", "metadata", "capabilities", target{}},
		{"GET", "Patient", "search-type", target{kind: "Patient"}},
		{"GET", "Patient/p", "read", target{kind: "Patient", id: "p"}},
		{"GET", "Patient/p/_history/2", "vread", target{kind: "Patient", id: "p", version: "2"}},
		{"GET", "Patient/p/$everything", "$everything", target{kind: "Patient", id: "p"}},
		{"GET", "Patient/p/Observation", "search-compartment", target{kind: "Patient", id: "p", of: "Observation"}},
		{"HEAD", "Patient/p", "read", target{kind: "Patient", id: "p"}},
		{"DELETE", "Patient", "delete", target{kind: "Patient"}},
	} {
		r, at, _, _ := s.resolve(row.method, row.path)
		if r == nil || r.name != row.name || at != row.target {
			t.Errorf("%s %q: %+v %+v, want %s %+v", row.method, row.path, r, at, row.name, row.target)
		}
	}
	for _, path := range []string{"/", "Patient/", "/Patient", "Patient/p/q/r/s", "Patient//p"} {
		if r, _, _, known := s.resolve("GET", path); r != nil || known {
			t.Errorf("%q: %+v, want nothing", path, r)
		}
	}
}

func TestWhatTheGateDidNotReleaseIsNotSent(t *testing.T) {
	for f := formEmpty; f <= formStatic; f++ {
		a := answer{form: f}
		if want := f != formStatic && f != formBatch; a.withheld() != want {
			t.Errorf("form %d of nothing released: withheld %v, want %v", f, a.withheld(), want)
		}
	}
}

func TestBundlesOfNothing(t *testing.T) {
	s := &Server{cfg: Config{BaseURL: "https://nehr.example/fhir"}}
	got := string(s.appendSearchset(nil, &answer{form: formSearchset, at: "Patient", self: `name=%22`}))
	want := `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"https://nehr.example/fhir/Patient?name=%22"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheHintIsAResource(t *testing.T) {
	var tape fhir.Tape
	if err := tape.Parse([]byte(hint), fhir.Limits{}); err != nil {
		t.Error(err)
	}
}
