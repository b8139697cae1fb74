package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// target is a server, with the right to write to it.
type target struct {
	base, token string
	client      *http.Client
}

func newTarget(base, token string, transport http.RoundTripper) *target {
	return &target{base: base, token: token, client: &http.Client{Transport: transport, Timeout: answerTimeout}}
}

// attempts is how often a request is made that the server would take later.
const attempts = 6

// call makes a request, and again where the server says that it is busy or
// that another write came first.
func (t *target) call(ctx context.Context, method, path string, body []byte) (*answer, error) {
	wait := 100 * time.Millisecond
	for n := 1; ; n++ {
		a, err := t.once(ctx, method, path, body)
		if err != nil || n == attempts || !a.later() {
			return a, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
		wait *= 2
	}
}

func (t *target) once(ctx context.Context, method, path string, body []byte) (*answer, error) {
	return t.send(ctx, method, path, "application/fhir+json", body)
}

// send makes a request with a body of the media type.
func (t *target) send(ctx context.Context, method, path, media string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+t.token)
	req.Header.Set("Content-Type", media)
	req.Header.Set("Prefer", "return=minimal")
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, errors.New("the server does not take the token: give --data of that server, or --token of a custodian that it trusts")
	}
	return &answer{resp.StatusCode, text}, nil
}

// answer is what the server said.
type answer struct {
	status int
	text   []byte
}

func (a *answer) ok() bool { return a.status/100 == 2 }

func (a *answer) later() bool {
	return a.status == http.StatusConflict || a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
}

// outcome is the part of an OperationOutcome that the report quotes.
type outcome struct {
	Issue []struct {
		Severity, Code, Diagnostics string
		Details                     struct{ Text string }
		Expression                  []string
	}
}

// answerEntry is an entry of the answer to a batch.
type answerEntry struct {
	Response struct {
		Status  string
		Outcome outcome
	}
}

func (a *answer) entries() ([]answerEntry, error) {
	var b struct{ Entry []answerEntry }
	err := json.Unmarshal(a.text, &b)
	return b.Entry, err
}

// refusals are the reasons the server gave; one at least.
func (a *answer) refusals() []refusal {
	var o outcome
	_ = json.Unmarshal(a.text, &o) // an answer of another kind has no reasons but its status
	return o.refusals(strconv.Itoa(a.status))
}

func (o outcome) refusals(status string) []refusal {
	var list []refusal
	for _, i := range o.Issue {
		if i.Severity == "information" || i.Severity == "warning" {
			continue
		}
		r := refusal{reason: i.Details.Text}
		if r.reason == "" {
			r.reason = i.Diagnostics
		}
		if r.reason == "" {
			r.reason = i.Code
		}
		if len(i.Expression) > 0 {
			r.expression = i.Expression[0]
		}
		r.reason = fmt.Sprintf("%s (%s)", r.reason, status)
		list = append(list, r)
	}
	if len(list) == 0 {
		list = append(list, refusal{reason: "status " + status})
	}
	return list
}

// entryRefusals are the reasons by the index of the entry they concern, their
// expressions those of the resource alone; nil when one of them concerns none of
// the entries, or no resource's content.
func (a *answer) entryRefusals(sent []loose) map[int][]refusal {
	if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
		return nil // the resources may be right, and what is on file against them
	}
	why := map[int][]refusal{}
	for _, r := range a.refusals() {
		i, ok := entryOf(r.expression)
		if !ok || i >= len(sent) {
			return nil
		}
		_, within, ok := strings.Cut(r.expression, ".resource")
		if r.expression = ""; ok {
			r.expression = sent[i].typ + within
		}
		why[i] = append(why[i], r)
	}
	return why
}

// entryOf is the index in an expression such as Bundle.entry[3].resource.
func entryOf(expression string) (int, bool) {
	rest, ok := strings.CutPrefix(expression, "Bundle.entry[")
	if !ok {
		return 0, false
	}
	number, _, ok := strings.Cut(rest, "]")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n >= 0
}
