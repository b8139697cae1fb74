package fhirpath

// collectionFunctions are those that pick and join (FHIRPath 2.0 §5.1 to §5.4).
func collectionFunctions() map[string]*function {
	return map[string]*function{
		"empty":      {truth: func(m *machine, n *node) (tri, error) { found, err := m.any(n.left); return triOf(!found), err }},
		"exists":     {most: 1, lambda: true, truth: (*machine).exists},
		"not":        {truth: func(m *machine, n *node) (tri, error) { t, err := m.truth(n.left); return t.not(), err }},
		"allTrue":    {truth: allOf(yes, true)},
		"anyTrue":    {truth: allOf(yes, false)},
		"allFalse":   {truth: allOf(no, true)},
		"anyFalse":   {truth: allOf(no, false)},
		"count":      {eval: (*machine).count},
		"subsetOf":   {least: 1, most: 1, truth: func(m *machine, n *node) (tri, error) { return m.subset(n.left, n.args[0]) }},
		"supersetOf": {least: 1, most: 1, truth: func(m *machine, n *node) (tri, error) { return m.subset(n.args[0], n.left) }},
		"isDistinct": {truth: (*machine).isDistinct},
		"distinct":   {eval: func(m *machine, n *node) error { return m.unique(n.left, nil) }},
		"union":      {least: 1, most: 1, eval: func(m *machine, n *node) error { return m.unique(n.left, n.args[0]) }},
		"combine":    {least: 1, most: 2, eval: (*machine).combine},
		"intersect":  {least: 1, most: 1, eval: func(m *machine, n *node) error { return m.filter(n, true) }},
		"exclude":    {least: 1, most: 1, eval: func(m *machine, n *node) error { return m.filter(n, false) }},
		"single":     {eval: (*machine).onlyOne},
		"first":      {eval: func(m *machine, n *node) error { return m.slice(n, func(int) (int, int) { return 0, 1 }) }},
		"last":       {eval: func(m *machine, n *node) error { return m.slice(n, func(l int) (int, int) { return l - 1, l }) }},
		"tail":       {eval: func(m *machine, n *node) error { return m.slice(n, func(l int) (int, int) { return 1, l }) }},
		"skip":       {least: 1, most: 1, eval: (*machine).skip},
		"take":       {least: 1, most: 1, eval: (*machine).take},
		"children":   {eval: func(m *machine, n *node) error { return m.below(n, (*machine).children) }},
		"descendants": {eval: func(m *machine, n *node) error {
			return m.below(n, (*machine).descendants)
		}},
	}
}

func (m *machine) exists(n *node) (tri, error) {
	if len(n.args) == 0 {
		found, err := m.any(n.left)
		return triOf(found), err
	}
	base := len(m.vals)
	found := no
	err := m.each(n.left, func(int) (bool, error) {
		t, err := m.truth(n.args[0])
		if t == yes {
			found = yes
		}
		return t != yes, err
	})
	m.vals = m.vals[:base]
	return found, err
}

// allOf is allTrue and its like: whether all, or any, are the one truth.
func allOf(want tri, all bool) func(m *machine, n *node) (tri, error) {
	return func(m *machine, n *node) (tri, error) {
		base := len(m.vals)
		if err := m.eval(n.left); err != nil {
			return unknown, err
		}
		in := m.vals[base:]
		m.vals = m.vals[:base]
		for i := range in {
			v, ok := m.system(in[i])
			if !ok || v.sys != SystemBoolean {
				return unknown, fail("booleans were expected")
			}
			if (triOf(v.num != 0) == want) != all {
				return triOf(!all), nil
			}
		}
		return triOf(all), nil
	}
}

func (m *machine) count(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	count := len(m.vals) - base
	m.vals = m.vals[:base]
	return m.push(integerOf(int64(count)))
}

// subset reports whether every value of one collection is in the other.
func (m *machine) subset(part, whole *node) (tri, error) {
	base := len(m.vals)
	if err := m.eval(part); err != nil {
		return unknown, err
	}
	mid := len(m.vals)
	if err := m.eval(whole); err != nil {
		return unknown, err
	}
	all := yes
	for i := base; i < mid; i++ {
		found, err := m.has(m.vals[mid:], &m.vals[i])
		if err != nil {
			return unknown, err
		}
		if !found {
			all = no
			break
		}
	}
	m.vals = m.vals[:base]
	return all, nil
}

// manyTexts is from how many strings on a table tells sooner which are the same.
const manyTexts = 24

func (m *machine) isDistinct(n *node) (tri, error) {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return unknown, err
	}
	before := len(m.vals)
	if err := m.distinct(base, base); err != nil {
		return unknown, err
	}
	same := len(m.vals) == before
	m.vals = m.vals[:base]
	return triOf(same), nil
}

func (m *machine) union(l, r *node) error { return m.unique(l, r) }

// unique puts the values of one or two nodes on the stack, each once.
func (m *machine) unique(l, r *node) error {
	base := len(m.vals)
	if err := m.eval(l); err != nil {
		return err
	}
	if r != nil {
		if err := m.eval(r); err != nil {
			return err
		}
	}
	return m.distinct(base, base)
}

// distinct takes what is there twice off the stack, from a place on.
func (m *machine) distinct(base, kept int) error {
	if len(m.vals)-base > manyTexts {
		if done := m.distinctTexts(base); done {
			return nil
		}
	}
	for i := kept; i < len(m.vals); i++ {
		found, err := m.has(m.vals[base:kept], &m.vals[i])
		if err != nil {
			return err
		}
		if !found {
			m.vals[kept] = m.vals[i]
			kept++
		}
	}
	m.vals = m.vals[:kept]
	return nil
}

// distinctTexts is distinct for strings alone.
func (m *machine) distinctTexts(base int) bool {
	seen := make(map[string]bool, len(m.vals)-base)
	kept := base
	texts := make([][]byte, 0, len(m.vals)-base)
	for i := base; i < len(m.vals); i++ {
		v, ok := m.system(m.vals[i])
		if !ok || v.sys != SystemString {
			return false
		}
		texts = append(texts, v.text)
	}
	for i, text := range texts {
		if !seen[string(text)] {
			seen[string(text)] = true
			m.vals[kept] = m.vals[base+i]
			kept++
		}
	}
	m.vals = m.vals[:kept]
	return true
}

func (m *machine) combine(n *node) error {
	if err := m.eval(n.left); err != nil {
		return err
	}
	return m.eval(n.args[0])
}

// filter keeps what is in the other collection, or what is not. intersect()
// gives each value once.
func (m *machine) filter(n *node, wanted bool) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	mid := len(m.vals)
	if err := m.eval(n.args[0]); err != nil {
		return err
	}
	kept := base
	for i := base; i < mid; i++ {
		found, err := m.has(m.vals[mid:], &m.vals[i])
		if err != nil {
			return err
		}
		if found == wanted {
			m.vals[kept] = m.vals[i]
			kept++
		}
	}
	m.vals = m.vals[:kept]
	if wanted {
		return m.distinct(base, base)
	}
	return nil
}

func (m *machine) onlyOne(n *node) error {
	v, ok, err := m.single(n.left)
	if err != nil || !ok {
		return err
	}
	return m.push(v)
}

// slice keeps a part of a collection.
func (m *machine) slice(n *node, part func(length int) (from, to int)) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	length := len(m.vals) - base
	from, to := part(length)
	from, to = min(max(from, 0), length), min(max(to, 0), length)
	m.vals = m.vals[:base+max(from, to)]
	m.drop(base, base+from)
	return nil
}

func (m *machine) skip(n *node) error {
	by, ok, err := m.whole(n.args[0])
	if err != nil || !ok {
		return err
	}
	return m.slice(n, func(length int) (int, int) { return by, length })
}

func (m *machine) take(n *node) error {
	count, ok, err := m.whole(n.args[0])
	if err != nil || !ok {
		return err
	}
	return m.slice(n, func(int) (int, int) { return 0, count })
}

// whole is an integer that an argument must be.
func (m *machine) whole(n *node) (count int, ok bool, err error) {
	v, ok, err := m.scalar(n)
	if err != nil || !ok {
		return 0, false, err
	}
	if v.sys != SystemInteger {
		return 0, false, fail("an integer was expected")
	}
	return int(v.num), true, nil
}

// indexer is one value of a collection by its place.
func (m *machine) indexer(n *node) error {
	at, ok, err := m.whole(n.right)
	if err != nil || !ok {
		return err
	}
	return m.slice(n, func(int) (int, int) {
		if at < 0 {
			return 0, 0
		}
		return at, at + 1
	})
}

// below puts what is below each value on the stack.
func (m *machine) below(n *node, walk func(m *machine, v Value) error) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	end := len(m.vals)
	for i := base; i < end; i++ {
		if err := walk(m, m.vals[i]); err != nil {
			return err
		}
	}
	m.drop(base, end)
	return nil
}
