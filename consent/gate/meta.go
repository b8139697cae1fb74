package gate

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// MetaChange is what $meta-add or $meta-delete asks for: the profiles, tags and
// security labels of a Meta, to be added or to be taken away.
type MetaChange struct {
	Tape   *fhir.Tape
	Meta   fhir.Node
	Remove bool
}

// labelLists are the lists of a Meta that the operations change.
func labelLists() []string { return []string{"profile", "security", "tag"} }

// Relabel answers R4 resource-operation-meta-add.html and -meta-delete.html. A
// label decides who sees a resource, so that a change of labels goes the whole way
// of an update, and makes a version.
func (g *Gate) Relabel(ctx context.Context, req *Request, t fhir.ResourceType, id string, c MetaChange, ifMatch string) (Released, error) {
	p := patching{typ: t, id: id, ifMatch: ifMatch, change: func(t *fhir.Tape, _ int) ([]byte, error) {
		if err := c.check(); err != nil {
			return nil, err
		}
		return c.apply(t)
	}}
	out, err := g.change(ctx, req, p)
	for i := range out.items {
		if r := &out.items[i].Resource; r.JSON == nil {
			r.JSON = fmt.Appendf(nil, `{"meta":{"versionId":%q,"lastUpdated":%q}}`, r.Version, fhir.FormatInstant(r.Updated))
		}
	}
	return out, err
}

// check holds the form of the lists against R4; what their elements hold is found
// out with the resource that they end up in.
func (c *MetaChange) check() error {
	for _, name := range labelLists() {
		list := c.Tape.Field(c.Meta, name)
		want := fhir.Object
		if name == "profile" {
			want = fhir.String
		}
		ok := list == fhir.None || c.Tape.Kind(list) == fhir.Array
		for n := c.Tape.First(list); ok && n != fhir.None; n = c.Tape.Next(n) {
			ok = c.Tape.Kind(n) == want
		}
		if !ok {
			return invalid(http.StatusBadRequest, fhir.CodeStructure, "it must be a list of what R4 has in it", "Parameters.parameter[0].value."+name)
		}
	}
	return nil
}

// apply is the resource with its labels changed, and every byte outside of meta as
// it was. What is stored has a meta.
func (c *MetaChange) apply(t *fhir.Tape) ([]byte, error) {
	meta := t.Field(t.Root(), "meta")
	out := []byte{'{'}
	member := func(key string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(fhir.AppendString(out, key), ':'), value...)
	}
	for n := t.First(meta); n != fhir.None; n = t.Next(n) {
		key := string(t.Key(n))
		if !slices.Contains(labelLists(), key) {
			member(key, t.Raw(n))
		} else if list := c.list(t, n, key); len(list) > len("[]") {
			member(key, list)
		}
	}
	for _, key := range labelLists() {
		if t.Field(meta, key) != fhir.None {
			continue
		}
		if list := c.list(t, fhir.None, key); len(list) > len("[]") {
			member(key, list)
		}
	}
	if c.Tape.Field(c.Meta, "profile") != fhir.None && t.Field(meta, "_profile") != fhir.None {
		return nil, invalid(http.StatusUnprocessableEntity, fhir.CodeNotSupported, "the profiles of the resource have extensions; it must be updated as a whole", "Resource.meta.profile")
	}
	start, end := t.Span(meta)
	return fhir.Splice(nil, t.Source(), []fhir.Edit{{Start: start, End: end, Text: append(out, '}')}}), nil
}

// list is one list of the meta, changed.
func (c *MetaChange) list(t *fhir.Tape, have fhir.Node, key string) []byte {
	out := []byte{'['}
	seen := map[string]bool{}
	add := func(from *fhir.Tape, list fhir.Node, but map[string]bool) {
		for n := from.First(list); n != fhir.None; n = from.Next(n) {
			name := labelName(from, n)
			if but[name] || seen[name] {
				continue
			}
			if seen[name] = true; len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, from.Raw(n)...)
		}
	}
	change := c.Tape.Field(c.Meta, key)
	if !c.Remove {
		add(t, have, nil)
		add(c.Tape, change, nil)
		return append(out, ']')
	}
	gone := map[string]bool{}
	for n := c.Tape.First(change); n != fhir.None; n = c.Tape.Next(n) {
		gone[labelName(c.Tape, n)] = true
	}
	add(t, have, gone)
	return append(out, ']')
}

// labelName is what makes a label the one it is: a profile its URL, a tag or a
// security label its system and code.
func labelName(t *fhir.Tape, n fhir.Node) string {
	if t.Kind(n) == fhir.String {
		return t.Text(n)
	}
	return t.Text(t.Field(n, "system")) + "|" + t.Text(t.Field(n, "code"))
}

// labelledMost is how many resources the labels of a type, or of all, are gathered
// from.
const labelledMost = 10_000

// Labels answers R4 resource-operation-meta.html of a type, or with none of all:
// the profiles, tags and security labels in use, as the meta of one item.
func (g *Gate) Labels(ctx context.Context, req *Request, t fhir.ResourceType) (Released, error) {
	if !Oversees(req.Caller.Kind, t) {
		return Released{}, ErrMethod
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	types, err := v.admitHistory(ctx, t)
	if err != nil {
		return Released{}, err
	}
	var all gathered
	for _, one := range types {
		if one.confined || t == "" && one.name == auditEvents {
			continue
		}
		if err := v.gather(ctx, one.name, &all); err != nil {
			return Released{}, g.failed(ctx, err)
		}
	}
	item := Item{Resource: fhir.Resource{Type: t, JSON: all.resource()}}
	return v.record(ctx, Released{items: []Item{item}, total: -1}, []audit.Event{v.event()})
}

// gathered are labels, each once.
type gathered struct {
	seen  map[string]bool
	lists [3][]byte
	rows  int
}

// gather adds the labels of a type.
func (v *visit) gather(ctx context.Context, t fhir.ResourceType, all *gathered) error {
	for _, param := range labelLists() {
		q, refusal := v.parser().Parse(t, []search.Pair{{Name: "_" + param + ":missing", Value: "false"}}, false)
		if refusal != nil {
			return fmt.Errorf("labels of %s: %w", t, refusal)
		}
		err := v.each(ctx, t, q.Clauses, func(_ store.Found, tape *fhir.Tape) error {
			if all.rows++; all.rows > labelledMost {
				return invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "too many resources have labels to list them; ask for those of one type, or search by _tag, _security or _profile", "")
			}
			all.add(tape)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *gathered) add(t *fhir.Tape) {
	if a.seen == nil {
		a.seen = map[string]bool{}
	}
	meta := t.Field(t.Root(), "meta")
	for i, key := range labelLists() {
		list := t.Field(meta, key)
		for n := t.First(list); n != fhir.None; n = t.Next(n) {
			name := key + " " + labelName(t, n)
			if a.seen[name] {
				continue
			}
			if a.seen[name] = true; len(a.lists[i]) > 0 {
				a.lists[i] = append(a.lists[i], ',')
			}
			a.lists[i] = append(a.lists[i], t.Raw(n)...)
		}
	}
}

// resource is an object whose meta has the labels.
func (a *gathered) resource() []byte {
	out := []byte(`{"meta":{`)
	first := true
	for i, key := range labelLists() {
		if len(a.lists[i]) == 0 {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(append(out, `"`+key+`":[`...), a.lists[i]...)
		out = append(out, ']')
	}
	return append(out, `}}`...)
}
