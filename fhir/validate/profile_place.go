package validate

import (
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// place is the shape that an ElementDefinition speaks of, made if it is new; nil
// when R4 has no such element, which is reported, or when nothing can be asked of
// it.
func (c *compiler) place(n fhir.Node) *shape {
	path, id, slice := c.text(n, "path"), c.text(n, "id"), c.text(n, "sliceName")
	root, below, _ := strings.Cut(path, ".")
	if root != c.p.Type.Name {
		c.refuse(c.t.Field(n, "path"), "path must begin with "+c.p.Type.Name)
		return nil
	}
	if below == "" {
		c.way = append(c.way[:0], stride{path, c.p.root})
		return c.p.root
	}
	if strings.Count(path, ".") > maxProfileDepth {
		c.refuse(c.t.Field(n, "path"), "elements are nested too deeply")
		return nil
	}
	var sh *shape
	if names, ok := agree(id, path); ok {
		sh = c.p.root
		for i, name := range names {
			element, in, _ := strings.Cut(name, ":")
			if i == len(names)-1 && slice != "" {
				in = slice
			}
			if sh = c.step(n, sh, element, in); sh == nil {
				return nil
			}
		}
	} else {
		sh = c.follow(n, path, slice)
	}
	if sh != nil {
		c.way = append(c.way, stride{path, sh})
	}
	return sh
}

// agree splits an id into names with slices, without the root, if it is of the
// form that R4 asks for (elementdefinition.html#id) and says what the path does.
func agree(id, path string) (names []string, ok bool) {
	names, of := strings.Split(id, "."), strings.Split(path, ".")
	if len(names) != len(of) || names[0] != of[0] {
		return nil, false
	}
	for i := range names {
		bare, _, _ := strings.Cut(names[i], ":")
		stem, choice := strings.CutSuffix(bare, "[x]")
		if bare != of[i] && (!choice || !strings.HasPrefix(of[i], stem)) {
			return nil, false
		}
	}
	return names[1:], true
}

// follow finds the shape by path and order alone: it lies below the last element
// whose path begins its own.
func (c *compiler) follow(n fhir.Node, path, slice string) *shape {
	for len(c.way) > 0 && !strings.HasPrefix(path, c.way[len(c.way)-1].path+".") {
		c.way = c.way[:len(c.way)-1]
	}
	sh, rest := c.p.root, strings.TrimPrefix(path, c.p.Type.Name+".")
	if len(c.way) > 0 {
		last := c.way[len(c.way)-1]
		sh, rest = last.shape, path[len(last.path)+1:]
	}
	names := strings.Split(rest, ".")
	for i, name := range names {
		in := ""
		if i == len(names)-1 {
			in = slice
		}
		if sh = c.step(n, sh, name, in); sh == nil {
			return nil
		}
	}
	return sh
}

// step goes from a shape to that of a member, and into a slice of it when one is
// named.
func (c *compiler) step(n fhir.Node, from *shape, name, slice string) *shape {
	bare, choice := strings.CutSuffix(name, "[x]")
	part := from.part(bare)
	if part == nil {
		var alternative string
		if part, alternative = c.member(from, bare, choice); part == nil {
			if !skipped(from, bare) {
				c.refuse(n, "R4 has no element "+strconv.Quote(presentableName(name))+" there")
			}
			return nil
		}
		if alternative != "" && slice == "" {
			slice = alternative
		}
	}
	if slice == "" {
		return part
	}
	if in := part.sliceOf(slice); in != nil {
		return in
	}
	return c.newSlice(part, slice)
}

// skipped says that nothing can be asked of a member which definitions name all
// the same: the value of a primitive.
func skipped(from *shape, name string) bool {
	return name == "value" && len(from.types) > 0 && from.types[0].Kind == r4.KindPrimitive
}

// presentableName is a name that may be repeated.
func presentableName(name string) string {
	if presentable([]byte(strings.TrimSuffix(name, "[x]"))) {
		return name
	}
	return "of that name"
}

// member is the shape of a member that R4 defines, made if it is new. A choice
// that is named by its type ("valueQuantity") is the shape of value[x], and the
// slice of it that is meant.
func (c *compiler) member(from *shape, name string, choice bool) (part *shape, alternative string) {
	var types []*r4.Type
	var found *r4.Element
	stem := name
	for _, t := range from.types {
		for i := range t.Elements {
			e := &t.Elements[i]
			switch {
			case e.Choice == name, e.Name == name && e.Choice == "":
			case e.Name == name && !choice:
				stem, alternative = e.Choice, e.Name
			default:
				continue
			}
			found = e
		}
	}
	if found == nil {
		return nil, ""
	}
	if part = from.part(stem); part != nil {
		return part, alternative
	}
	for _, t := range from.types {
		for i := range t.Elements {
			if e := &t.Elements[i]; e.Name == stem || e.Choice == stem {
				types = append(types, e.Type)
			}
		}
	}
	c.shapes++
	part = &shape{name: stem, choice: found.Choice != "", types: types, element: found, max: unbounded}
	from.parts = append(from.parts, part)
	return part, alternative
}

// newSlice makes a slice of an element, or of the slice that its name begins
// with ("a/b" is a slice of "a").
func (c *compiler) newSlice(of *shape, name string) *shape {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '/' {
			continue
		}
		if outer := of.sliceOf(name[:i]); outer != nil {
			of = outer
			break
		}
	}
	c.shapes++
	in := &shape{name: of.name, choice: of.choice, slice: name, types: of.types, element: of.element, max: unbounded}
	if of.choice {
		for _, t := range of.types {
			if fits(of.name, t, name) {
				in.types, in.kinds = []*r4.Type{t}, []typing{{name: t.Name}}
			}
		}
	}
	of.slices = append(of.slices, in)
	if of.slicing == nil {
		of.slicing = implied(of)
	}
	return in
}

// fits says that name is that of a choice as a type ("valueQuantity").
func fits(choice string, t *r4.Type, name string) bool {
	return t.Name != "" && len(name) == len(choice)+len(t.Name) && strings.HasPrefix(name, choice) &&
		strings.EqualFold(name[len(choice):len(choice)+1], t.Name[:1]) && name[len(choice)+1:] == t.Name[1:]
}

// implied is the slicing of what is always sliced in one way: choices by type,
// extensions by url (R4 profiling.html#slicing); nil for others.
func implied(of *shape) *slicing {
	switch {
	case of.slice != "":
		return nil
	case of.choice:
		return &slicing{by: []discriminator{{kind: byType}}}
	case len(of.types) > 0 && of.types[0].Name == "Extension":
		return &slicing{by: []discriminator{{kind: byValue, path: []pathStep{{name: "url"}}}}}
	case of.element != nil && !of.element.Repeats():
		return &slicing{} // a name for the only value there can be
	}
	return nil
}
