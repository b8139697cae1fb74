package validate

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// unbounded is the max of an element that repeats without end, or that asks
// nothing beyond what R4 does.
const unbounded = 1<<31 - 1

// shape is what a profile asks of an element: of every value of it, or of those
// in one slice.
type shape struct {
	name   string // of the element, "value" for value[x]; the type at the root
	choice bool
	slice  string // the name of the slice; empty for the element itself
	// types are the types of R4 that its values may have, to find members by.
	types []*r4.Type
	// element is what R4 says of it; nil at the root. coreMax is its max.
	element *r4.Element

	min, max int
	// kinds are the types the profile allows; nil for those of R4.
	kinds     []typing
	fixed     *literal
	pattern   *literal
	low, high *literal
	maxLength int
	binding   *binding
	rules     []rule
	// parts are its members of which something is asked.
	parts []*shape
	// follows is the shape whose members these are too (contentReference); apart
	// says that it follows none.
	follows *shape
	apart   bool

	slicing *slicing
	slices  []*shape
	// tests are what a value must pass to be in this slice, one for each
	// discriminator.
	tests []test
}

// typing is one of the types that a profile allows.
type typing struct {
	name string // of the type
	// profiles are those of which the value must keep to one, targets those of what
	// it refers to.
	profiles, targets []string
	// contained and elsewhere say where what it refers to may be.
	contained, elsewhere bool
}

// literal is a value that a profile fixes.
type literal struct {
	t *fhir.Tape
	n fhir.Node
}

// binding is a value set for a coded element.
type binding struct {
	url      string
	required bool
	codes    []r4.Include
	known    bool
}

// rule is a constraint.
type rule struct {
	key, human string
	severity   fhir.Severity
	program    *fhirpath.Program
}

// clone is a copy that may be changed, down to what never changes.
func (s *shape) clone(count *int) *shape {
	twins := make(map[*shape]*shape)
	out := s.copied(count, twins)
	for _, twin := range twins {
		if twin.follows != nil && twins[twin.follows] != nil {
			twin.follows = twins[twin.follows]
		}
	}
	return out
}

func (s *shape) copied(count *int, twins map[*shape]*shape) *shape {
	*count++
	twin := *s
	twin.kinds, twin.rules, twin.tests = slices.Clip(s.kinds), slices.Clip(s.rules), slices.Clip(s.tests)
	twin.parts, twin.slices = make([]*shape, len(s.parts)), make([]*shape, len(s.slices))
	for i, p := range s.parts {
		twin.parts[i] = p.copied(count, twins)
	}
	for i, p := range s.slices {
		twin.slices[i] = p.copied(count, twins)
	}
	twins[s] = &twin
	return &twin
}

// part is the shape of a member; nil when nothing is said of it.
func (s *shape) part(name string) *shape {
	for _, p := range s.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

// sliceOf is the slice of that name, which may be one of a slice ("a/b").
func (s *shape) sliceOf(name string) *shape {
	for _, p := range s.slices {
		if p.slice == name {
			return p
		}
		if strings.HasPrefix(name, p.slice+"/") {
			if in := p.sliceOf(name); in != nil {
				return in
			}
		}
	}
	return nil
}

// prune leaves out what R4 asks anyway, and reports whether anything is left.
func prune(s *shape) bool {
	if s.element != nil && s.slice == "" {
		if s.min <= s.element.Min {
			s.min = 0
		}
		if s.element.Max >= 0 && s.max >= s.element.Max {
			s.max = unbounded
		}
	}
	s.parts = slices.DeleteFunc(s.parts, func(p *shape) bool { return !prune(p) })
	for _, p := range s.slices {
		prune(p)
	}
	if len(s.slices) == 0 {
		s.slicing = nil
	}
	return s.min > 0 || s.max < unbounded || s.asks() || len(s.slices) > 0 || s.apart
}

// asks says that something is asked of every value.
func (s *shape) asks() bool {
	return s.kinds != nil || s.fixed != nil || s.pattern != nil || s.low != nil || s.high != nil || s.maxLength > 0 ||
		s.binding != nil || s.rules != nil || len(s.parts) > 0
}
