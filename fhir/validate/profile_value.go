package validate

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// valued holds a value against those that a shape fixes.
func (k *shaper) valued(s spot, sh *shape) {
	if sh.fixed != nil && !same(sh.fixed.t, sh.fixed.n, k.t, s.n) {
		k.wrong(s.at(), fhir.CodeValue, sh.title()+" must be exactly "+sh.fixed.shown())
	}
	if sh.pattern != nil && !covers(sh.pattern.t, sh.pattern.n, k.t, s.n) {
		k.wrong(s.at(), fhir.CodeValue, sh.title()+" must have all that is in "+sh.pattern.shown())
	}
	if sh.low != nil {
		if c, ok := k.compare(s, sh.low); ok && c < 0 {
			k.wrong(s.at(), fhir.CodeValue, sh.title()+" must not be less than "+sh.low.shown())
		}
	}
	if sh.high != nil {
		if c, ok := k.compare(s, sh.high); ok && c > 0 {
			k.wrong(s.at(), fhir.CodeValue, sh.title()+" must not be more than "+sh.high.shown())
		}
	}
	if sh.maxLength > 0 && utf8.RuneCount(k.t.Bytes(s.n, nil)) > sh.maxLength {
		k.wrong(s.at(), fhir.CodeTooLong, sh.title()+" may have "+strconv.Itoa(sh.maxLength)+" characters at most")
	}
}

// longestShown is how much of a fixed value is repeated; it is the profile's word,
// not the resource's.
const longestShown = 200

func (l *literal) shown() string {
	raw := l.t.Raw(l.n)
	if len(raw) > longestShown || !utf8.Valid(raw) {
		return "what the profile fixes"
	}
	return string(raw)
}

// same says that two values are equal, members in whatever order.
func same(a *fhir.Tape, x fhir.Node, b *fhir.Tape, y fhir.Node) bool {
	switch kind := a.Kind(x); {
	case kind != b.Kind(y):
		return false
	case kind == fhir.Object:
		count := 0
		for m := a.First(x); m != fhir.None; m = a.Next(m) {
			if !same(a, m, b, b.Field(y, string(a.Key(m)))) {
				return false
			}
			count++
		}
		for m := b.First(y); m != fhir.None; m = b.Next(m) {
			count--
		}
		return count == 0
	case kind == fhir.Array:
		m, o := a.First(x), b.First(y)
		for ; m != fhir.None && o != fhir.None; m, o = a.Next(m), b.Next(o) {
			if !same(a, m, b, o) {
				return false
			}
		}
		return m == o
	case kind == fhir.String:
		return bytes.Equal(a.Bytes(x, nil), b.Bytes(y, nil))
	default:
		return kind != fhir.Invalid && bytes.Equal(a.Raw(x), b.Raw(y))
	}
}

// covers says that all of a pattern is in a value (R4
// elementdefinition.html#ElementDefinition.pattern_x_).
func covers(a *fhir.Tape, x fhir.Node, b *fhir.Tape, y fhir.Node) bool {
	switch a.Kind(x) { //nolint:exhaustive // the others must be the same
	case fhir.Object:
		for m := a.First(x); m != fhir.None; m = a.Next(m) {
			if !covers(a, m, b, b.Field(y, string(a.Key(m)))) {
				return false
			}
		}
		return b.Kind(y) == fhir.Object
	case fhir.Array:
		for m := a.First(x); m != fhir.None; m = a.Next(m) {
			found := false
			for o := b.First(y); o != fhir.None && !found; o = b.Next(o) {
				found = covers(a, m, b, o)
			}
			if !found {
				return false
			}
		}
		return b.Kind(y) == fhir.Array
	default:
		return same(a, x, b, y)
	}
}

// compare compares a value with a bound; ok is false when it cannot be told.
func (k *shaper) compare(s spot, bound *literal) (c int, ok bool) {
	t, n := bound.t, bound.n
	switch t.Kind(n) { //nolint:exhaustive // the others have no order
	case fhir.Number:
		return compareNumbers(k.t.Raw(s.n), t.Raw(n))
	case fhir.String:
		return compareTimes(k.t.Text(s.n), t.Text(n))
	case fhir.Object:
		if k.t.Text(k.t.Field(s.n, "code")) != t.Text(t.Field(n, "code")) || k.t.Text(k.t.Field(s.n, "system")) != t.Text(t.Field(n, "system")) {
			return 0, false
		}
		return compareNumbers(k.t.Raw(k.t.Field(s.n, "value")), t.Raw(t.Field(n, "value")))
	}
	return 0, false
}

// compareTimes compares dates and times as far as both are told.
func compareTimes(a, b string) (int, bool) {
	x, errX := fhir.ParseInstant(a)
	y, errY := fhir.ParseInstant(b)
	if errX == nil && errY == nil {
		return x.Compare(y), true
	}
	const day = len("2006-01-02")
	short := min(len(a), len(b), day)
	if c := strings.Compare(a[:short], b[:short]); c != 0 {
		return c, true
	}
	return 0, a != "" && len(a) == len(b) && len(a) <= day
}

// longestNumber bounds what is compared as a number.
const longestNumber = 64

func compareNumbers(a, b []byte) (int, bool) {
	var x, y big.Rat
	if !plain(a) || !plain(b) {
		return 0, false
	}
	if _, ok := x.SetString(string(a)); !ok {
		return 0, false
	}
	if _, ok := y.SetString(string(b)); !ok {
		return 0, false
	}
	return x.Cmp(&y), true
}

// plain says that a number is short, and that its exponent is small.
func plain(a []byte) bool {
	if len(a) == 0 || len(a) > longestNumber {
		return false
	}
	at := bytes.IndexAny(a, "eE")
	return at < 0 || len(a)-at <= 4
}

// bound holds a coded value against a value set.
func (k *shaper) bound(s spot, b *binding) {
	v := k.within(s, b)
	switch {
	case !b.known:
		k.say(fhir.SeverityInformation, k.t.Root(), "", fhir.CodeInformational, "codes are not checked: the value set "+b.url+" is not known here, or cannot be listed")
	case v == no && b.required:
		k.wrong(s.at(), fhir.CodeCodeInvalid, "must be a code of "+b.url)
	case v == no && k.hasCode(s):
		k.say(fhir.SeverityWarning, s.at(), "", fhir.CodeCodeInvalid, "should be a code of "+b.url+", unless none of its codes fits")
	}
}

// hasCode says that a value has a code at all, and not words alone.
func (k *shaper) hasCode(s spot) bool {
	return s.typ.Name != "CodeableConcept" || k.t.First(k.t.Field(s.n, "coding")) != fhir.None
}

// within says whether a coded value is of a value set.
func (k *shaper) within(s spot, b *binding) verdict {
	if !b.known {
		return doubtful
	}
	switch s.typ.Name {
	case "CodeableConcept":
		list := k.t.Field(s.n, "coding")
		for c := k.t.First(list); c != fhir.None; c = k.t.Next(c) {
			if k.coding(c, b) {
				return yes
			}
		}
		return no
	case "Coding", "Quantity":
		return truth(k.coding(s.n, b))
	}
	if s.n == fhir.None || k.t.Kind(s.n) != fhir.String {
		return truth(s.n == fhir.None)
	}
	code := k.t.Bytes(s.n, nil)
	return truth(slices.ContainsFunc(b.codes, func(i r4.Include) bool { return i.Codes == nil || i.Has(code) }))
}

func (k *shaper) coding(n fhir.Node, b *binding) bool {
	var systemRoom, codeRoom [64]byte
	system := k.t.Bytes(k.t.Field(n, "system"), systemRoom[:])
	code := k.t.Bytes(k.t.Field(n, "code"), codeRoom[:])
	for i := range b.codes {
		if in := &b.codes[i]; in.System == string(system) && (in.Codes == nil || in.Has(code)) {
			return true
		}
	}
	return false
}

// rule holds a value against a constraint.
func (k *shaper) rule(s spot, r *rule) {
	if k.done() {
		return
	}
	ok, err := k.holds(s, r.program, nil)
	switch {
	case k.work > k.most:
	case err != nil:
		k.wrong(s.at(), fhir.CodeInvariant, "the constraint "+r.key+" cannot be evaluated here")
	case !ok:
		k.say(r.severity, s.at(), "", fhir.CodeInvariant, "the constraint "+r.key+" does not hold: "+r.words())
	}
}

// words are those of the profile about the constraint.
func (r *rule) words() string {
	if len(r.human) > longestShown || r.human == "" {
		return "see the profile"
	}
	return r.human
}
