package gate

import (
	"bytes"
	"context"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// targets are what references lead to: resources of this server by their ids, and
// canonicals by their URLs with the versions named, empty for any.
type targets struct {
	types []fhir.ResourceType
	ids   map[fhir.ResourceType][]string
	urls  []canonical
}

type canonical struct {
	key      []byte
	types    []fhir.ResourceType
	versions []string
}

// forward includes what the resources refer to.
func (in *inclusion) forward(ctx context.Context, i *search.Include, from []node) error {
	to := targets{ids: map[fhir.ResourceType][]string{}}
	params := map[fhir.ResourceType][]*r4.SearchParam{}
	for k := range from {
		n := &from[k]
		t := n.Resource.Type
		if i.Source != "" && i.Source != t {
			continue
		}
		if _, known := params[t]; !known {
			params[t] = in.references(t, i)
		}
		if len(params[t]) == 0 {
			continue
		}
		if err := in.index(n); err != nil {
			return err
		}
		in.gather(&to, i, n, params[t])
	}
	for _, t := range to.types {
		if in.masks(t) {
			if err := in.masked(ctx, to.ids[t]); err != nil || in.partial {
				return err
			}
			continue
		}
		if err := in.byIDs(ctx, t, to.ids[t]); err != nil || in.partial {
			return err
		}
	}
	return in.byURLs(ctx, to.urls)
}

// gather adds the targets of one resource.
func (in *inclusion) gather(to *targets, i *search.Include, n *node, params []*r4.SearchParam) {
	var urls []canonical
	var longer [][]byte
	for number, value := range n.entries.All() {
		k := slices.IndexFunc(params, func(p *r4.SearchParam) bool { return search.Param(p.Number) == number })
		if k < 0 {
			continue
		}
		if t, id, ok := search.LocalReference(value); ok {
			to.local(in, i, t, id)
			continue
		}
		key, ok := search.CanonicalKey(value)
		switch {
		case !ok:
		case bytes.IndexByte(key, '|') > 0:
			longer = append(longer, key)
		case i.Target != "":
			urls = append(urls, canonical{key: key, types: []fhir.ResourceType{i.Target}})
		default:
			urls = append(urls, canonical{key: key, types: params[k].Targets})
		}
	}
	for _, c := range urls {
		stem := append(c.key[:len(c.key):len(c.key)], '|')
		for _, l := range longer {
			if version, ok := bytes.CutPrefix(l, stem); ok {
				c.versions = append(c.versions, string(version))
			}
		}
		to.canonical(c)
	}
}

// canonical adds a definition that is named by its URL.
func (to *targets) canonical(c canonical) {
	k := slices.IndexFunc(to.urls, func(o canonical) bool { return bytes.Equal(o.key, c.key) && slices.Equal(o.types, c.types) })
	switch {
	case k < 0:
		to.urls = append(to.urls, c)
	case len(to.urls[k].versions) > 0 && len(c.versions) > 0:
		to.urls[k].versions = append(to.urls[k].versions, c.versions...)
	default:
		to.urls[k].versions = nil
	}
}

// local adds a resource of this server, unless it is in the answer or its type is
// not meant or not open.
func (to *targets) local(in *inclusion, i *search.Include, t fhir.ResourceType, id string) {
	if i.Target != "" && i.Target != t || in.seen[string(t)+"/"+id] || !in.leads(t) {
		return
	}
	if to.ids[t] == nil {
		to.types = append(to.types, t)
	}
	if !slices.Contains(to.ids[t], id) {
		to.ids[t] = append(to.ids[t], id)
	}
}

// byIDs includes resources of a type.
func (in *inclusion) byIDs(ctx context.Context, t fhir.ResourceType, ids []string) error {
	for some := range slices.Chunk(ids, includeBatch) {
		found, err := in.byID(ctx, in.near, t, some)
		if err != nil {
			return err
		}
		in.missed = in.missed || len(found) < len(some)
		for _, id := range some {
			if f, ok := found[id]; ok && !in.add(f) {
				return nil
			}
		}
	}
	return nil
}

// byURLs includes the definitions that canonicals name.
func (in *inclusion) byURLs(ctx context.Context, urls []canonical) error {
	for i := range urls {
		types := urls[i].types
		if len(types) == 0 {
			for _, t := range in.g.tools.Definitions.Resources() {
				types = append(types, t.Resource())
			}
		}
		for _, t := range types {
			p := in.urlOf(t)
			if p == nil || !in.leads(t) {
				continue
			}
			c := search.Clause{Any: []search.Match{{Param: search.Param(p.Number), Op: search.OpEqual, Key: urls[i].key}}}
			err := in.each(ctx, in.near, t, c, func(f store.Found) (bool, error) {
				ok, err := in.ofVersion(f, urls[i].versions)
				return err == nil && (!ok || in.add(f)), err
			})
			if err != nil || in.partial {
				return err
			}
		}
	}
	return nil
}

// urlOf is the parameter by which a canonical names a resource of the type; nil
// when none does.
func (in *inclusion) urlOf(t fhir.ResourceType) *r4.SearchParam {
	typ := in.g.tools.Definitions.Resource(string(t))
	if typ == nil {
		return nil
	}
	if p := typ.Param("url"); p != nil && p.Kind == r4.ParamURI {
		return p
	}
	return nil
}

// ofVersion reports whether a definition is of one of the versions; of none named,
// all are.
func (in *inclusion) ofVersion(f store.Found, versions []string) (ok bool, err error) {
	if len(versions) == 0 {
		return true, nil
	}
	err = in.g.parsed(f, func(_ store.Found, t *fhir.Tape) error {
		ok = slices.Contains(versions, t.Text(t.Field(t.Root(), "version")))
		return nil
	})
	return ok, err
}
