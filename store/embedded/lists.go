package embedded

import (
	"bytes"
	"container/heap"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// lists streams the numbers that any of several lists of postings has. However
// many they are, they share one iterator, which goes from list to list.
type lists struct {
	it       *pebble.Iterator
	own      *owners // to whom the lists are confined; nil for nobody
	prefixes [][]byte
	live     []part // a heap
	begun    bool
	from     number // where the last seek began
	stands   int    // the list the iterator stands in; -1 for none
	key      []byte
	marked   bool // marks are wanted
	err      error
}

// part is where a list stands.
type part struct {
	list int
	at   number
	mark byte
}

func newLists(src source, lower, upper []byte, prefixes ...[]byte) (*lists, error) {
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	return &lists{it: it, prefixes: prefixes, stands: -1}, nil
}

// reset makes it stream other lists within the same bounds.
func (l *lists) reset(prefixes ...[]byte) {
	l.prefixes, l.begun, l.stands = prefixes, false, -1
}

func (l *lists) Len() int           { return len(l.live) }
func (l *lists) Less(i, j int) bool { return l.live[i].at < l.live[j].at }
func (l *lists) Swap(i, j int)      { l.live[i], l.live[j] = l.live[j], l.live[i] }

// Push implements heap.Interface; nothing is pushed.
func (l *lists) Push(any) {}

// Pop implements heap.Interface.
func (l *lists) Pop() any {
	l.live = l.live[:len(l.live)-1]
	return nil
}

func (l *lists) seek(n number) (number, bool) {
	if !l.begun || n < l.from {
		l.begun, l.stands = true, -1
		l.live = l.live[:0]
		for i := range l.prefixes {
			if p := (part{list: i}); l.stand(&p, n) {
				l.live = append(l.live, p)
			}
		}
		heap.Init(l)
	}
	l.from = n
	for len(l.live) > 0 && l.live[0].at < n {
		if l.stand(&l.live[0], n) {
			heap.Fix(l, 0)
		} else {
			heap.Pop(l)
		}
	}
	if len(l.live) == 0 {
		return 0, false
	}
	return l.live[0].at, true
}

// stand moves a list to its first number from n on.
func (l *lists) stand(p *part, n number) bool {
	for {
		if !l.move(p, n) {
			return false
		}
		if l.own == nil {
			return true
		}
		o, ok := l.own.next(p.at.ordinal())
		if !ok {
			return false
		}
		if o == p.at.ordinal() {
			return true
		}
		n = o.first()
	}
}

func (l *lists) move(p *part, n number) bool {
	prefix := l.prefixes[p.list]
	if l.stands == p.list && p.at < n {
		for range nearby {
			if !l.read(p, prefix, l.it.Next()) {
				return false
			}
			if p.at >= n {
				return true
			}
		}
	}
	l.stands = p.list
	l.key = appendNumber(append(l.key[:0], prefix...), n)
	return l.read(p, prefix, l.it.SeekGE(l.key))
}

func (l *lists) read(p *part, prefix []byte, ok bool) bool {
	if !ok || !bytes.HasPrefix(l.it.Key(), prefix) {
		l.stands = -1
		return false
	}
	p.at = lastNumber(l.it.Key())
	if l.marked {
		var err error
		p.mark, err = markAt(l.it)
		l.err = errors.Join(l.err, err)
	}
	return true
}

// mark is that of the number last found.
func (l *lists) mark() (byte, error) {
	if len(l.live) == 0 {
		return 0, l.err
	}
	return l.live[0].mark, l.err
}

func (l *lists) close() error { return errors.Join(l.it.Error(), l.it.Close()) }
