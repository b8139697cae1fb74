package fhirpath

import "slices"

// sorter orders values by keys.
type sorter struct {
	m      *machine
	n      *node
	items  []Value
	keys   [][]key // of each item
	places []int
	err    error
}

// key is what an item is ordered by; ok is false for none.
type key struct {
	v  Value
	ok bool
}

func (s *sorter) readKeys() error {
	saved := s.m.env
	by := s.n.args
	if len(by) == 0 {
		by = []*node{{op: opThis}}
	}
	for i := range s.items {
		s.m.env.this, s.m.env.none, s.m.env.index = s.items[i], false, i
		keys := make([]key, len(by))
		for j, a := range by {
			v, ok, err := s.m.scalar(a)
			if err != nil {
				return err
			}
			keys[j] = key{v, ok}
		}
		s.keys = append(s.keys, keys)
		s.places = append(s.places, i)
	}
	s.m.env = saved
	return nil
}

func (s *sorter) run() {
	slices.SortStableFunc(s.places, func(a, b int) int {
		if s.err != nil {
			return 0
		}
		for j := range s.keys[a] {
			x, y := &s.keys[a][j], &s.keys[b][j]
			if !x.ok || !y.ok { // what has no key comes first in either order
				if x.ok != y.ok {
					return map[bool]int{true: 1, false: -1}[x.ok]
				}
				continue
			}
			order := s.compare(&x.v, &y.v)
			if j < len(s.n.args) && s.n.args[j].descending {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
}

func (s *sorter) compare(a, b *Value) int {
	order, _, err := s.m.order(a, b)
	if err == nil {
		err = s.m.spend(1)
	}
	if err != nil {
		s.err = err
	}
	return order
}
