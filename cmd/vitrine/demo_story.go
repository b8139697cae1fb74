package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"vitrine/fhir/smart"
)

// story tells the steps of demo_steps.go over HTTP, as anybody could, and
// checks what comes back.
type story struct {
	out    io.Writer
	base   string
	client *http.Client
	mint   func(tokenRequest) (string, error)
	cast   cast
	failed bool
	// patient is the id of the patient, and what later steps need to know.
	patient                        string
	observation, condition, intake string
	whole                          int
	glassBefore                    string
}

// cast are the tokens of who takes part.
type cast struct {
	custodian, systemA, systemB, doctorA, doctorB, doctorC, insurer, app, auditor string
}

// name is how the story calls the bearer of a token.
func (c *cast) name(token string) string {
	switch token {
	case c.custodian:
		return "the custodian"
	case c.systemA:
		return "clinic A's system"
	case c.systemB:
		return "clinic B's system"
	case c.doctorA:
		return "the doctor of clinic A"
	case c.doctorB:
		return "the doctor of clinic B"
	case c.doctorC:
		return "the doctor of clinic C"
	case c.insurer:
		return "the doctor of clinic B, for insurance"
	case c.app:
		return "the patient's app"
	case c.auditor:
		return "the ministry's auditor"
	default:
		return "nobody"
	}
}

func newStory(h *House, out io.Writer) *story {
	return &story{out: out, base: h.base + fhirPath, client: &http.Client{Timeout: answerTimeout}, mint: h.mint}
}

// errStory: the story did not go as it must.
var errStory = errors.New("not every step held")

// tell tells it to the end, even when a step fails.
func (s *story) tell(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	for i, step := range s.steps() {
		_, _ = fmt.Fprintf(s.out, "%2d  %s\n", i+1, step.title)
		step.tell(&scene{story: s, ctx: ctx})
		_, _ = fmt.Fprintln(s.out)
	}
	if s.failed {
		return errStory
	}
	_, _ = fmt.Fprintln(s.out, "Every step held.")
	return nil
}

// step is one of the story.
type step struct {
	title string
	tell  func(*scene)
}

// prepare finds the patient and gives everybody a token.
func (s *story) prepare(ctx context.Context) error {
	clinic := func(kind, letter string) tokenRequest {
		r := tokenRequest{Kind: kind, Org: "Organization/clinic-" + letter, Client: "emr-" + letter}
		if kind == smart.KindPractitioner {
			r.User = "PractitionerRole/dr-" + letter + "-at-clinic-" + letter
		}
		return r
	}
	insurance := clinic(smart.KindPractitioner, "b")
	insurance.Purpose = []string{"INSURANCE"}
	who := []struct {
		token   *string
		request tokenRequest
	}{
		{&s.cast.custodian, tokenRequest{Kind: smart.KindCustodian}},
		{&s.cast.auditor, tokenRequest{Kind: smart.KindRegulator}},
		{&s.cast.systemA, clinic(smart.KindSystem, "a")},
		{&s.cast.systemB, clinic(smart.KindSystem, "b")},
		{&s.cast.doctorA, clinic(smart.KindPractitioner, "a")},
		{&s.cast.doctorB, clinic(smart.KindPractitioner, "b")},
		{&s.cast.doctorC, clinic(smart.KindPractitioner, "c")},
		{&s.cast.insurer, insurance},
	}
	var err error
	for _, w := range who {
		if *w.token, err = s.mint(w.request); err != nil {
			return err
		}
	}
	found := &scene{story: s, ctx: ctx, silent: true}
	a := found.get(s.cast.custodian, "Patient?identifier=https://github.com/synthetichealth/synthea|ece76cc5-d728-4ddd-a85d-a47de7d1649a")
	ids := a.ids()
	if len(ids) != 1 {
		return errors.New("the story's patient is not there")
	}
	s.patient = strings.TrimPrefix(ids[0], "Patient/")
	s.cast.app, err = s.mint(tokenRequest{Kind: smart.KindPatient, Patient: s.patient, Client: "app"})
	return err
}

// scene is one step being told.
type scene struct {
	*story
	ctx    context.Context //nolint:containedctx // a scene is one call's argument list
	silent bool
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	text   []byte
	body   map[string]any
}

func (s *scene) get(token, path string, header ...string) *reply {
	return s.ask(token, http.MethodGet, path, nil, header...)
}

func (s *scene) post(token, path string, body any) *reply {
	return s.ask(token, http.MethodPost, path, body)
}

// ask makes a request and prints it; header are names and values in turn.
func (s *scene) ask(token, method, path string, body any, header ...string) *reply {
	r, err := s.send(token, method, path, body, header...)
	if err != nil {
		r = &reply{header: http.Header{}}
	}
	if !s.silent {
		_, _ = fmt.Fprintf(s.out, "      %s: %s %s\n", s.cast.name(token), method, strings.ReplaceAll(path, s.patient, "{patient}"))
		for i := 0; i+1 < len(header); i += 2 {
			_, _ = fmt.Fprintf(s.out, "        %s: %s\n", header[i], header[i+1])
		}
		_, _ = fmt.Fprintf(s.out, "        -> %s\n", r.summary(err))
	}
	return r
}

func (s *scene) send(token, method, path string, body any, header ...string) (*reply, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(s.ctx, method, s.base+"/"+strings.ReplaceAll(path, "|", "%7C"), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	r := &reply{status: resp.StatusCode, header: resp.Header}
	if r.text, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	_ = json.Unmarshal(r.text, &r.body) // what is not JSON has no body to check
	return r, nil
}

// check prints whether something held, and remembers if it did not.
func (s *scene) check(what string, held bool) {
	mark := "✓"
	if !held {
		mark, s.failed = "✗", true
	}
	_, _ = fmt.Fprintf(s.out, "   %s  %s\n", mark, what)
}

// summary is the answer in a line.
func (r *reply) summary(err error) string {
	if err != nil {
		return "no answer"
	}
	line := fmt.Sprintf("%d", r.status)
	switch text(r.body, "resourceType") {
	case "Bundle":
		if total, ok := r.body["total"].(float64); ok {
			line += fmt.Sprintf(", total %.0f", total)
		}
		if r.hinted() {
			line += ", and the hint"
		}
	case "OperationOutcome":
		for _, i := range list(r.body, "issue") {
			line += ", " + text(i, "code")
			if t := text(i, "details", "text"); t != "" {
				line += ": " + t
			}
		}
	case "":
	default:
		line += ", " + text(r.body, "resourceType")
	}
	return line
}

// total is Bundle.total; -1 when there is none.
func (r *reply) total() int {
	if n, ok := r.body["total"].(float64); ok {
		return int(n)
	}
	return -1
}

// matches are the resources of a searchset.
func (r *reply) matches() []map[string]any {
	var out []map[string]any
	for _, e := range list(r.body, "entry") {
		if mode := text(e, "search", "mode"); mode == "match" || mode == "" {
			if m, ok := e["resource"].(map[string]any); ok {
				out = append(out, m)
			}
		}
	}
	return out
}

// ids are "Type/id" of the matches.
func (r *reply) ids() []string {
	var out []string
	for _, m := range r.matches() {
		out = append(out, text(m, "resourceType")+"/"+text(m, "id"))
	}
	return out
}

// hinted reports whether the searchset says that a restriction applies.
func (r *reply) hinted() bool {
	return slices.ContainsFunc(list(r.body, "entry"), func(e map[string]any) bool {
		if text(e, "search", "mode") != "outcome" {
			return false
		}
		outcome, _ := e["resource"].(map[string]any)
		return slices.ContainsFunc(list(outcome, "issue"), func(i map[string]any) bool { return text(i, "code") == "suppressed" })
	})
}

// id is that of what was created, from Location.
func (r *reply) id() string {
	parts := strings.Split(r.header.Get("Location"), "/")
	if i := slices.Index(parts, "_history"); i > 0 {
		return parts[i-1]
	}
	return parts[len(parts)-1]
}

// text is a string at a path of members.
func text(from map[string]any, path ...string) string {
	for i, name := range path {
		if i == len(path)-1 {
			s, _ := from[name].(string)
			return s
		}
		from, _ = from[name].(map[string]any)
	}
	return ""
}

// list is a member that is a list of objects.
func list(from map[string]any, name string) []map[string]any {
	items, _ := from[name].([]any)
	var out []map[string]any
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}
