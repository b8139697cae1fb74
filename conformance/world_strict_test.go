package conformance

import (
	"fmt"
	"net/http"
	"time"
)

// strict makes what is new in two answers equal, and no more than that: an id
// that the server made stands for the same thing in every answer of its world,
// and an instant is that of one write and of no other. A version is left as it is.
type strict struct {
	names [2]map[string]string // of ids, by world
	spans [2][]span            // of the writes, by world
}

// span is when a write was under way, in milliseconds.
type span struct{ from, to int64 }

func newStrict() *strict { return &strict{names: [2]map[string]string{{}, {}}} }

// ask makes one call in one of the worlds. No two writes share a millisecond.
func (p *pair) ask(world int, token string, r request) answer {
	s := [2]*server{p.one, p.two}[world]
	if p.strict == nil || r.method == http.MethodGet || r.method == http.MethodHead {
		return s.do(p.t, token, r)
	}
	spans := &p.strict.spans[world]
	from := time.Now().UnixMilli()
	for n := len(*spans); n > 0 && from <= (*spans)[n-1].to; {
		from = time.Now().UnixMilli()
	}
	a := s.do(p.t, token, r)
	*spans = append(*spans, span{from, time.Now().UnixMilli()})
	return a
}

// alike are two answers as they are compared.
func (p *pair) alike(a [2]answer) (x, y string) {
	if p.strict == nil {
		return p.fresh(a[0]), p.fresh(a[1])
	}
	told := [2]string{p.timed(0, a[0]), p.timed(1, a[1])}
	ids := [2][]string{uuidPattern.FindAllString(told[0], -1), uuidPattern.FindAllString(told[1], -1)}
	for i := range min(len(ids[0]), len(ids[1])) {
		p.strict.meet(ids[0][i], ids[1][i])
	}
	for world, names := range p.strict.names {
		told[world] = uuidPattern.ReplaceAllStringFunc(told[world], func(id string) string {
			if name, known := names[id]; known {
				return name
			}
			return "UNKNOWN"
		})
	}
	return told[0], told[1]
}

// meet gives two ids one name, if neither has one.
func (s *strict) meet(one, two string) {
	if s.names[0][one] == "" && s.names[1][two] == "" {
		name := fmt.Sprintf("FRESH-%d", len(s.names[0])+1)
		s.names[0][one], s.names[1][two] = name, name
	}
}

// timed is the answer with the moments of writes named by the write they are of.
func (p *pair) timed(world int, a answer) string {
	s := cursorPattern.ReplaceAllString(a.normal(), "_cursor=CURSOR")
	s = instantPattern.ReplaceAllStringFunc(s, func(i string) string {
		at, err := time.Parse(time.RFC3339, i)
		if err != nil {
			return i
		}
		ms := at.UnixMilli()
		for n, span := range p.strict.spans[world] {
			if span.from <= ms && ms <= span.to {
				return fmt.Sprintf("WRITE-%d", n)
			}
		}
		return p.recent(i, at)
	})
	return p.dated(s)
}
