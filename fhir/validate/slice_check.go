package validate

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// verdict is an answer that may be missing.
type verdict uint8

const (
	no verdict = iota
	doubtful
	yes
)

// maxSliceDepth bounds how far profiles lead to others when slices are told
// apart.
const maxSliceDepth = 16

// slices puts values into their slices and holds these against what is asked.
func (k *shaper) slices(s spot, items []spot, of *shape) {
	in := make([][]spot, len(of.slices))
	last, rest, doubt := -1, false, false
	for _, item := range items {
		if k.done() {
			return
		}
		i, v := k.match(item, of)
		switch {
		case v == doubtful:
			doubt = true
			continue
		case v == no && of.slicing.closed:
			k.wrong(item.at(), fhir.CodeStructure, of.title()+" is in none of its slices, and no others may be there")
			continue
		case v == no:
			rest = true
			continue
		case of.slicing.atEnd && rest:
			k.wrong(item.at(), fhir.CodeStructure, of.slices[i].title()+" must stand before those in no slice")
		case of.slicing.ordered && i < last:
			k.wrong(item.at(), fhir.CodeStructure, of.slices[i].title()+" must stand before those of later slices")
		}
		last = max(last, i)
		in[i] = append(in[i], item)
		k.content(item, of.slices[i])
	}
	for i, sh := range of.slices {
		if !doubt || len(in[i]) > sh.max {
			k.count(s, sh, len(in[i]), sh.title())
		}
		if len(sh.slices) > 0 && !doubt {
			k.slices(s, in[i], sh)
		}
	}
}

// match is the slice that a value is in.
func (k *shaper) match(item spot, of *shape) (at int, v verdict) {
	otherwise := -1
	for i, in := range of.slices {
		if in.slice == defaultSlice {
			otherwise = i
			continue
		}
		switch k.passes(item, in, of.slicing) {
		case yes:
			return i, yes
		case doubtful:
			v = doubtful
		case no:
		}
	}
	if v == no && otherwise >= 0 {
		return otherwise, yes
	}
	return -1, v
}

// passes says whether a value is in a slice. Without discriminators it is when it
// is all that the slice asks.
func (k *shaper) passes(item spot, in *shape, by *slicing) verdict {
	if len(by.by) == 0 {
		if k.conforms(item, in) {
			return yes
		}
		return no
	}
	v := yes
	for i := range in.tests {
		if v = min(v, k.meets(item, &in.tests[i])); v == no {
			return no
		}
	}
	return v
}

// meets says whether a value passes a test.
func (k *shaper) meets(item spot, t *test) verdict {
	var first, second [6]spot
	from, next := append(first[:0], item), second[:0]
	for _, step := range t.path {
		next = next[:0]
		for _, s := range from {
			next = k.gather(s, step, next)
		}
		from, next = next, from
	}
	return k.wanted(from, t.want, t.any, t.kind)
}

func (k *shaper) wanted(spots []spot, wants []want, any bool, kind discriminatorKind) verdict {
	best := no
	for i := range wants {
		v := k.one(spots, &wants[i], kind)
		switch {
		case any:
			best = max(best, v)
		case i == 0:
			best = v
		default:
			best = min(best, v)
		}
	}
	return best
}

// one says whether some value is what is wanted.
func (k *shaper) one(spots []spot, w *want, kind discriminatorKind) verdict {
	switch {
	case !k.spend(1 + len(spots)):
		return no
	case kind == byExists && w.exists:
		return truth(len(spots) > 0)
	case kind == byExists && w.absent:
		return truth(len(spots) == 0)
	case w.profiles != nil && (len(w.rest) > 0 || kind == byValue && w.types == nil):
		return k.through(spots, w, kind)
	}
	best := no
	for _, s := range spots {
		if best = max(best, k.satisfies(s, w)); best == yes {
			break
		}
	}
	return best
}

func truth(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// through asks the profiles of a shape what must be at the rest of the path.
func (k *shaper) through(spots []spot, w *want, kind discriminatorKind) verdict {
	best := no
	if k.depth >= maxSliceDepth {
		return doubtful
	}
	k.depth++
	defer func() { k.depth-- }()
	for _, canonical := range w.profiles {
		p, known := k.profile(nil, canonical)
		switch {
		case !known:
			best = max(best, doubtful)
		case p == nil || p.root == nil:
		case slices.ContainsFunc(spots, func(s spot) bool { return s.remote }):
			best = max(best, doubtful)
		case len(w.rest) == 0:
			best = max(best, k.some(spots, p))
		default:
			if wants, any := wanted(p.root, w.rest, kind); wants != nil {
				best = max(best, k.wanted(spots, wants, any, kind))
			}
		}
	}
	return best
}

func (k *shaper) some(spots []spot, p *Profile) verdict {
	return truth(slices.ContainsFunc(spots, func(s spot) bool { return k.fits(s, p) }))
}

// satisfies says whether a value is what is wanted at the end of a path.
func (k *shaper) satisfies(s spot, w *want) verdict {
	switch {
	case w.literal != nil && w.fixed:
		return truth(same(w.literal.t, w.literal.n, k.t, s.n))
	case w.literal != nil:
		return truth(covers(w.literal.t, w.literal.n, k.t, s.n))
	case w.text != "":
		return truth(k.t.Text(s.n) == w.text)
	case w.binding != nil:
		return k.within(s, w.binding)
	case w.shape != nil:
		return truth(k.conforms(s, w.shape))
	case w.types != nil:
		return truth(slices.ContainsFunc(w.types, func(name string) bool { return k.ofKind(s, name) }))
	}
	best := no
	for _, canonical := range w.profiles {
		p, known := k.profile(s.typ, canonical)
		switch {
		case !known, s.remote && p != nil && p.root != nil:
			best = max(best, doubtful)
		case p != nil && k.fits(s, p):
			return yes
		}
	}
	return best
}

// ofKind says that a value is of the type of that name, or of that which the
// profile of that canonical constrains.
func (k *shaper) ofKind(s spot, name string) bool {
	if !strings.Contains(name, "/") {
		return isOf(s.typ, name) || s.typ.Kind == r4.KindBackbone && (name == "BackboneElement" || name == "Element")
	}
	p, _ := k.profile(nil, name)
	return p != nil && p.Type != nil && isOf(s.typ, p.Type.Name)
}

// gather adds the values to which one step of a discriminator's path leads.
func (k *shaper) gather(s spot, step pathStep, dst []spot) []spot {
	switch {
	case s.remote:
		return append(dst, s)
	case step.resolve:
		if to, ok := k.resolve(s); ok {
			dst = append(dst, to)
		}
		return dst
	case step.ofType != "":
		if isOf(s.typ, step.ofType) {
			dst = append(dst, s)
		}
		return dst
	case step.extension != "":
		for _, e := range k.members(s, "extension", nil) {
			if k.t.Text(k.t.Field(e.n, "url")) == step.extension {
				dst = append(dst, e)
			}
		}
		return dst
	default:
		return k.members(s, step.name, dst)
	}
}
