package fhirpath

// lambdaFunctions are those whose arguments are evaluated for each value
// (FHIRPath 2.0 §5.2), and what goes with them.
func lambdaFunctions() map[string]*function {
	return map[string]*function{
		"where":     {least: 1, most: 1, lambda: true, eval: (*machine).where, any: (*machine).exists1},
		"select":    {least: 1, most: 1, lambda: true, eval: (*machine).selects},
		"all":       {least: 1, most: 1, lambda: true, truth: (*machine).all},
		"repeat":    {least: 1, most: 1, lambda: true, eval: (*machine).repeats},
		"aggregate": {least: 1, most: 2, lambda: true, eval: (*machine).aggregate},
		"iif":       {least: 2, most: 3, lambda: true, eval: (*machine).iif},
		"trace":     {least: 1, most: 2, lambda: true, eval: func(m *machine, n *node) error { return m.eval(n.left) }},
		"sort":      {most: 8, lambda: true, eval: (*machine).sort},
	}
}

func (m *machine) where(n *node) error {
	base := len(m.vals)
	kept := base
	err := m.each(n.left, func(at int) (bool, error) {
		t, err := m.truth(n.args[0])
		if t == yes {
			m.vals[kept] = m.vals[at]
			kept++
		}
		return true, err
	})
	m.vals = m.vals[:kept]
	return err
}

// exists1 reports whether where() keeps any.
func (m *machine) exists1(n *node) (bool, error) {
	t, err := m.exists(n)
	return t == yes, err
}

func (m *machine) selects(n *node) error {
	base, end := len(m.vals), -1
	err := m.each(n.left, func(int) (bool, error) {
		if end < 0 {
			end = len(m.vals)
		}
		return true, m.eval(n.args[0])
	})
	if end >= 0 && err == nil {
		m.drop(base, end)
	}
	return err
}

func (m *machine) all(n *node) (tri, error) {
	base := len(m.vals)
	all := yes
	err := m.each(n.left, func(int) (bool, error) {
		t, err := m.truth(n.args[0])
		if t != yes {
			all = no
		}
		return t == yes, err
	})
	m.vals = m.vals[:base]
	return all, err
}

// repeats goes on with what it finds until there is nothing new.
func (m *machine) repeats(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	start := len(m.vals)
	saved := m.env
	for at := base; at < len(m.vals); at++ {
		if err := m.spend(1); err != nil {
			return err
		}
		m.env.this, m.env.none, m.env.index = m.vals[at], false, at-base
		found := len(m.vals)
		if err := m.eval(n.args[0]); err != nil {
			return err
		}
		if err := m.distinct(start, found); err != nil {
			return err
		}
	}
	m.env = saved
	m.drop(base, start)
	return nil
}

func (m *machine) aggregate(n *node) error {
	base := len(m.vals)
	saved := m.env
	if len(n.args) > 1 {
		if err := m.eval(n.args[1]); err != nil {
			return err
		}
	}
	total := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	in := m.vals[total:]
	held := append([]Value(nil), m.vals[base:total]...)
	m.vals = m.vals[:total+len(in)]
	for i := range in {
		if err := m.spend(1); err != nil {
			return err
		}
		m.env.this, m.env.none, m.env.index, m.env.total = in[i], false, i, held
		at := len(m.vals)
		if err := m.eval(n.args[0]); err != nil {
			return err
		}
		held = append([]Value(nil), m.vals[at:]...)
		m.vals = m.vals[:at]
	}
	m.env = saved
	m.vals = append(m.vals[:base], held...)
	return nil
}

// iif evaluates one of two arguments. Where it is called on a value, that is
// $this.
func (m *machine) iif(n *node) error {
	saved := m.env
	base := len(m.vals)
	v, ok, err := m.single(n.left)
	if err != nil {
		return err
	}
	m.env.this, m.env.none = v, !ok
	m.vals = m.vals[:base]
	t, err := m.condition(n.args[0])
	if err != nil {
		return err
	}
	switch {
	case t == yes:
		err = m.eval(n.args[1])
	case len(n.args) > 2:
		err = m.eval(n.args[2])
	}
	m.env = saved
	return err
}

// condition is truth for what must be a boolean.
func (m *machine) condition(n *node) (tri, error) {
	if !m.prog.strict || n.logical {
		return m.truth(n)
	}
	v, ok, err := m.scalar(n)
	if err != nil || !ok {
		return unknown, err
	}
	if v.sys != SystemBoolean {
		return unknown, fail("a boolean was expected")
	}
	return triOf(v.num != 0), nil
}

// sort puts values in the order of keys, or of themselves; what has no key comes
// first.
func (m *machine) sort(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	s := sorter{m: m, n: n, items: append([]Value(nil), m.vals[base:]...)}
	m.vals = m.vals[:base]
	if err := s.readKeys(); err != nil {
		return err
	}
	s.run()
	if s.err != nil {
		return s.err
	}
	for _, i := range s.places {
		if err := m.push(s.items[i]); err != nil {
			return err
		}
	}
	return nil
}
