package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"vitrine/fhir"
)

// names are the addresses by which the entries of a transaction name each other
// (R4 bundle.html#references).
type names struct {
	// whole has the fullUrls, tails the Type/id at the end of those that are
	// RESTful, each with the number of its step.
	whole, tails map[string]int
}

// What is no number of a step.
const (
	nobody  = -1
	several = -2
)

// add makes the entry's fullUrl stand for what it writes.
func (n *names) add(s *step) {
	full := s.entry.FullURL
	if full == "" || s.entry.Interaction.Code == "delete" || !s.entry.Interaction.Write {
		return
	}
	n.whole[full] = s.index
	if _, local, ok := rootOf(full); ok {
		if _, taken := n.tails[local]; taken {
			n.tails[local] = several
			return
		}
		n.tails[local] = s.index
	}
}

// lookup is the step that a link of another leads to. What is relative is so to
// the fullUrl of the entry in which it stands; where that has no root of its own,
// Type/id is good enough if it is the end of one fullUrl.
func (n *names) lookup(from *step, link string) int {
	if to, ok := n.whole[link]; ok {
		return to
	}
	if strings.Contains(link, ":") || fhir.ParseReference(link, "").Form != fhir.RefLocal {
		return nobody
	}
	if root, _, ok := rootOf(from.entry.FullURL); ok {
		if to, ok := n.whole[root+link]; ok {
			return to
		}
		return nobody
	}
	if to, ok := n.tails[link]; ok {
		return to
	}
	return nobody
}

// rewriter puts into the content of one entry what its links mean.
type rewriter struct {
	*visit
	plan  *plan
	step  *step
	tape  *fhir.Tape
	edits []fhir.Edit
	// within are the fullUrls of a Bundle that is the content: what it says of its
	// own entries stays.
	within map[string]bool
}

// rewritten is the content of the entry with the links to other entries, and the
// conditional references that are resolved, replaced by those of the resources
// they mean. Which these are is noted with the step.
func (v *visit) rewritten(ctx context.Context, p *plan, s *step) (Content, error) {
	c := s.entry.Content
	s.links, s.asks, s.open = nil, nil, false
	if c.Tape == nil || c.Tape.Root() == fhir.None {
		return c, nil
	}
	if len(p.names.whole) == 0 && bytes.IndexByte(c.Tape.Source(), '?') < 0 && bytes.IndexByte(c.Tape.Source(), '\\') < 0 {
		return c, nil
	}
	r := rewriter{visit: v, plan: p, step: s, tape: c.Tape, within: fullURLs(c.Tape)}
	l := links{defs: v.g.tools.Definitions, tape: c.Tape}
	l.found = func(n fhir.Node, said []byte, kind linkKind) error { return r.link(ctx, n, said, kind) }
	if err := l.resource(c.Tape.Root()); err != nil || len(r.edits) == 0 {
		return c, err
	}
	t := new(fhir.Tape)
	if err := t.Parse(fhir.Splice(nil, c.Tape.Source(), r.edits), fhir.Stored()); err != nil {
		return c, fmt.Errorf("parse rewritten entry: %w", err)
	}
	c.Tape = t
	return c, nil
}

// fullURLs are those of the entries of a Bundle; nil for every other resource.
func fullURLs(t *fhir.Tape) map[string]bool {
	var all map[string]bool
	if t.Text(t.Field(t.Root(), "resourceType")) == "Bundle" {
		all = map[string]bool{}
		elements(t, t.Root(), "entry", func(n fhir.Node) { all[t.Text(t.Field(n, "fullUrl"))] = true })
	}
	return all
}

// link rewrites one link, or those of one narrative.
func (r *rewriter) link(ctx context.Context, n fhir.Node, said []byte, kind linkKind) (err error) {
	start, end := r.tape.Span(n)
	if kind == linkNarrative {
		if len(r.plan.names.whole) > 0 {
			r.edits, err = narrativeEdits(r.edits, r.tape.Raw(n), start, func(link string) (string, error) { return r.other(n, link) })
		}
		return err
	}
	text := string(said)
	other, err := r.other(n, text)
	if err == nil && other == "" && kind == linkReference && strings.IndexByte(text, '?') > 0 {
		other, err = r.asked(ctx, n, text)
	}
	if err == nil && other != "" && other != text {
		r.edits = append(r.edits, fhir.Edit{Start: start, End: end, Text: fhir.AppendString(nil, other)})
	}
	return err
}

// other is what stands for a link to another entry; empty when it is none. One to
// a version stays one, of the version that comes of this (R4 http.html#trules).
func (r *rewriter) other(n fhir.Node, link string) (string, error) {
	base, fragment := link, ""
	if i := strings.IndexByte(link, '#'); i >= 0 {
		base, fragment = link[:i], link[i:]
	}
	if base == "" || r.within[base] {
		return "", nil
	}
	to, version := r.plan.names.lookup(r.step, base), ""
	if to == nobody {
		head, _, versioned := strings.Cut(base, "/_history/")
		if !versioned || r.within[head] {
			return "", nil
		}
		if to = r.plan.names.lookup(r.step, head); to >= 0 {
			r.plan.versioned[to] = true
			version = "/_history/" + r.plan.steps[to].version
		}
	}
	switch to {
	case nobody:
		return "", nil
	case several:
		return "", r.at(n, http.StatusBadRequest, fhir.CodeMultiple, "the reference could mean several entries; the address in full tells which")
	}
	r.step.links = append(r.step.links, to)
	return r.plan.steps[to].reference() + version + fragment, nil
}

// asked is what a conditional reference is known to mean; empty when it is none,
// or when that is not known yet: what it means may be made by another entry.
func (r *rewriter) asked(ctx context.Context, n fhir.Node, text string) (string, error) {
	if fhir.ParseReference(text, r.g.cfg.BaseURL).Form != fhir.RefConditional {
		return "", nil
	}
	meant, known := r.plan.meant[text]
	if !known {
		var err error
		if meant, err = r.meaning(ctx, text); err != nil {
			if errors.Is(err, errQuestion) {
				err = r.at(n, http.StatusPreconditionFailed, fhir.CodeInvalid, "the query of the conditional reference is not understood")
			}
			return "", err
		}
		r.plan.meant[text] = meant
	}
	if r.step.asks == nil {
		r.step.asks = map[string]string{}
	}
	r.step.asks[text] = meant
	r.step.open = r.step.open || meant == ""
	return meant, nil
}

// at is a refusal of what stands at a node of the content.
func (r *rewriter) at(n fhir.Node, status int, code fhir.IssueCode, text string) error {
	refusal := invalid(status, code, text, expressionOf(r.tape, n))
	start, _ := r.tape.Span(n)
	refusal.Issues[0].Line, refusal.Issues[0].Column = r.tape.Line(start)
	return refusal
}

// expressionOf is the FHIRPath of a node of a resource.
func expressionOf(t *fhir.Tape, n fhir.Node) string {
	out := t.Text(t.Field(t.Root(), "resourceType"))
	for at := t.Root(); at != n; {
		index, child := 0, t.First(at)
		for ; child != fhir.None; index++ {
			next := t.Next(child)
			if next == fhir.None || next > n {
				break
			}
			child = next
		}
		switch {
		case child == fhir.None:
			return out
		case t.Kind(at) == fhir.Array:
			out += "[" + strconv.Itoa(index) + "]"
		default:
			out += "." + string(t.Key(child))
		}
		at = child
	}
	return out
}
