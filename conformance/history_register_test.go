package conformance

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// register is the state of one resource.
type register struct {
	version int // of it all; zero before the first
	gone    bool
	mark    string
}

// live reports whether there is something to read.
func (r register) live() bool { return r.version > 0 && !r.gone }

// move is what one request did to one resource, or saw of it.
type move struct {
	touch
	call    *call
	refused bool // If-Match did not fit
	maybe   bool // nobody knows whether it happened
}

// after is the state after the move, if it can be made in state r.
func (m *move) after(r register, past []version) (register, bool) {
	switch {
	case m.refused:
		return r, !r.live() || r.version != m.match
	case m.act == look && m.gone:
		return r, r.gone
	case m.act == look:
		return r, r.version == m.version && !r.gone && r.mark == m.mark
	case m.act == put:
		fits := r.version+1 == m.version && (m.match == 0 || r.live() && r.version == m.match)
		if m.call.outcome == done && m.created == r.live() {
			fits = false
		}
		return register{version: m.version, mark: m.call.mark}, fits
	case !r.live():
		return r, m.act == removeWhere || r.gone
	case r.version < len(past) && past[r.version].gone:
		return register{version: r.version + 1, gone: true}, true
	default:
		return r, false
	}
}

// moves are what happened to each resource, in the order in which it was asked.
// A transaction is a move of each of its resources.
func (h *history) moves() map[string][]move {
	out := map[string][]move{}
	for _, c := range h.calls {
		for _, t := range c.touches {
			m := move{touch: t, call: c, maybe: c.outcome == unknown && t.version == 0}
			switch {
			case c.outcome == refused && t.match > 0 && len(c.touches) == 1:
				m.refused = true
			case c.outcome == refused:
				continue // which of them was to blame is not told
			case c.outcome == unknown && t.act == put && t.version == 0:
				continue
			}
			out[t.resource] = append(out[t.resource], m)
		}
	}
	for _, all := range out {
		slices.SortStableFunc(all, func(a, b move) int { return int(a.call.invoked - b.call.invoked) })
	}
	return out
}

// linearizable says of each resource whether some order of all that was done to
// it and seen of it explains what everybody was told, with every request between
// when it was sent and when it was answered (Herlihy and Wing). The search is
// that of Wing and Gong, with the states it has been in kept, as Lowe does.
func (h *history) linearizable() (findings []string) {
	for name, moves := range h.moves() {
		l := lineup{moves: moves, past: h.past[name], made: make([]byte, (len(moves)+7)/8), been: map[string]bool{}}
		if !l.search(register{}, 0) {
			findings = append(findings, fmt.Sprintf("%s is not linearizable: after %d of %d, at version %d, none of these can come next:\n%s",
				name, l.best, len(moves), l.stuck.version, l.blocked))
		}
	}
	slices.Sort(findings)
	return findings
}

// lineup is a search under way.
type lineup struct {
	moves []move
	past  []version
	made  []byte // a bit for each move
	been  map[string]bool
	// best is how far it came, stuck the state there, and blocked what could not
	// be made in it.
	best    int
	stuck   register
	blocked string
}

func (l *lineup) is(i int) bool { return l.made[i/8]&(1<<(i%8)) != 0 }

func (l *lineup) flip(i int) { l.made[i/8] ^= 1 << (i % 8) }

// search makes the moves that are left, of which the first n are made.
func (l *lineup) search(r register, count int) bool {
	for count < len(l.moves) {
		next := l.next()
		if l.rest(next) {
			return true
		}
		if i := l.free(next, r); i >= 0 { // what can change nothing may as well come now
			l.flip(i)
			defer l.flip(i)
			count++
			continue
		}
		key := string(binary.AppendUvarint(slices.Clone(l.made), uint64(r.version)))
		if l.been[key] {
			return false
		}
		l.been[key] = true
		for _, i := range next {
			if after, ok := l.moves[i].after(r, l.past); ok {
				l.flip(i)
				found := l.search(after, count+1)
				l.flip(i)
				if found {
					return true
				}
			}
		}
		if count >= l.best {
			l.best, l.stuck, l.blocked = count, r, ""
			for _, i := range next {
				l.blocked += "  " + l.moves[i].call.String() + "\n"
			}
		}
		return false
	}
	return true
}

// next are the moves that may come next: those sent before any that is not made
// was answered.
func (l *lineup) next() (out []int) {
	until := never
	for i := range l.moves {
		m := &l.moves[i]
		if l.is(i) {
			continue
		}
		if m.call.invoked > until {
			break
		}
		out = append(out, i)
		if !m.maybe {
			until = min(until, m.call.returned)
		}
	}
	return slices.DeleteFunc(out, func(i int) bool { return l.moves[i].call.invoked > until })
}

// rest reports whether what is left need not have happened.
func (l *lineup) rest(next []int) bool {
	return !slices.ContainsFunc(next, func(i int) bool { return !l.moves[i].maybe })
}

// free is a look that fits, which can never do more than look; -1 without one.
func (l *lineup) free(next []int, r register) int {
	for _, i := range next {
		m := &l.moves[i]
		if m.act != look && !m.refused {
			continue
		}
		if _, ok := m.after(r, l.past); ok {
			return i
		}
	}
	return -1
}
