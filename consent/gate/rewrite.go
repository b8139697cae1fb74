package gate

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// name makes the entry's fullUrl stand for the resource, in every form in which
// other entries may refer to it (R4 bundle.html#references).
func (p *plan) name(s *step, ref string) {
	full := s.entry.FullURL
	if full == "" || full == ref {
		return
	}
	p.targets[full] = ref
	if strings.HasPrefix(full, "urn:") {
		return
	}
	parts := strings.Split(full, "/")
	if n := len(parts); n >= 2 && parts[n-2] == string(s.entry.Type) {
		p.targets[parts[n-2]+"/"+parts[n-1]] = ref
	}
}

// rewritten is the content with its references to other entries, and its
// conditional references, replaced by those of the resources they mean.
func (v *visit) rewritten(ctx context.Context, p *plan, c Content) (Content, error) {
	if c.Tape == nil || c.Tape.Root() == fhir.None {
		return c, nil
	}
	r := rewriter{visit: v, plan: p, tape: c.Tape}
	if err := r.walk(ctx, c.Tape.Root()); err != nil || len(r.edits) == 0 {
		return c, err
	}
	t := new(fhir.Tape)
	if err := t.Parse(fhir.Splice(nil, c.Tape.Source(), r.edits), fhir.Limits{}); err != nil {
		return c, fmt.Errorf("parse rewritten entry: %w", err)
	}
	return Content{Tape: t}, nil
}

// rewriter collects the edits of one resource.
type rewriter struct {
	*visit
	plan  *plan
	tape  *fhir.Tape
	edits []fhir.Edit
}

// referenceMost is how long a string may be that is taken for a reference.
const referenceMost = 2048

func (r *rewriter) walk(ctx context.Context, n fhir.Node) error {
	switch r.tape.Kind(n) {
	case fhir.Object, fhir.Array:
		for c := r.tape.First(n); c != fhir.None; c = r.tape.Next(c) {
			if err := r.walk(ctx, c); err != nil {
				return err
			}
		}
	case fhir.String:
		return r.text(ctx, n)
	case fhir.Invalid, fhir.Number, fhir.True, fhir.False, fhir.Null:
	}
	return nil
}

// text rewrites one string, when it is one that may hold a link: not the text
// of people, and not the value of an identifier.
func (r *rewriter) text(ctx context.Context, n fhir.Node) error {
	key := r.tape.Key(n)
	switch string(key) {
	case "value", "display", "text", "id", "valueString":
		return nil
	case "div":
		r.narrative(n)
		return nil
	}
	start, end := r.tape.Span(n)
	if end-start > referenceMost {
		return nil
	}
	s := r.tape.Bytes(n, nil)
	target, ok := r.plan.targets[string(s)]
	if !ok && string(key) == "reference" && bytes.IndexByte(s, '?') > 0 {
		var err error
		if target, err = r.conditional(ctx, string(s)); err != nil {
			return err
		}
		ok = target != ""
	}
	if ok {
		r.edits = append(r.edits, fhir.Edit{Start: start, End: end, Text: fhir.AppendString(nil, target)})
	}
	return nil
}

// narrativeLink finds the links of a narrative, as they stand in JSON: of <a> and
// <img> elements (R4 http.html#trules).
var narrativeLink = regexp.MustCompile(`(?:href|src)=(?:\\"([^"\\]*)\\"|'([^'\\]*)')`)

// narrative rewrites the links of a narrative, and nothing else of it.
func (r *rewriter) narrative(n fhir.Node) {
	start, _ := r.tape.Span(n)
	raw := r.tape.Raw(n)
	for _, at := range narrativeLink.FindAllSubmatchIndex(raw, -1) {
		from, to := max(at[2], at[4]), max(at[3], at[5])
		if target, ok := r.plan.targets[string(raw[from:to])]; ok {
			text := fhir.AppendString(nil, target)
			r.edits = append(r.edits, fhir.Edit{Start: start + from, End: start + to, Text: text[1 : len(text)-1]})
		}
	}
}

// conditional is the one resource a conditional reference means (R4
// http.html#trules). None and several are the same refusal.
func (r *rewriter) conditional(ctx context.Context, s string) (string, error) {
	ref := fhir.ParseReference(s, r.g.cfg.BaseURL)
	if ref.Form != fhir.RefConditional {
		return "", nil
	}
	if target, ok := r.plan.conditional[s]; ok {
		return target, nil
	}
	unresolved := invalid(http.StatusPreconditionFailed, fhir.CodeNotFound,
		"a conditional reference does not match exactly one resource", "")
	q, err := r.condition(ref.Type, ref.Query)
	if err != nil {
		return "", unresolved
	}
	ids := map[string]bool{}
	for _, u := range r.referable() {
		found, err := r.matching(ctx, u, q)
		if err != nil {
			return "", err
		}
		for i := range found {
			ids[found[i].ID] = true
		}
	}
	if len(ids) != 1 {
		return "", unresolved
	}
	for id := range ids {
		r.plan.conditional[s] = string(ref.Type) + "/" + id
	}
	return r.plan.conditional[s], nil
}

// referable are the universes in which conditional references are looked up:
// the caller's own contributions, and the directory.
func (v *visit) referable() []*consent.Universe {
	if v.caller.Kind == consent.Custodian {
		return []*consent.Universe{consent.Everything()}
	}
	return []*consent.Universe{v.partition(), consent.OfPatients(nil, anyShared, nil)}
}

// condition understands the query of a conditional reference.
func (v *visit) condition(t fhir.ResourceType, query string) (*search.Query, error) {
	if v.g.tools.Definitions.Resource(string(t)) == nil {
		return nil, ErrNotFound
	}
	var pairs []search.Pair
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		val, err := url.QueryUnescape(value)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, search.Pair{Name: n, Value: val})
	}
	q, refusal := v.params.parser.Parse(t, pairs, false)
	if refusal != nil {
		return nil, refusal
	}
	if len(q.Clauses) == 0 {
		return nil, ErrMultiple
	}
	return q, nil
}
