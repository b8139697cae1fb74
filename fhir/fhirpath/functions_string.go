package fhirpath

import (
	"bytes"
	"unicode/utf8"
)

// stringFunctions are those of FHIRPath 2.0 §5.6, and of what came after it.
func stringFunctions() map[string]*function {
	text := func(least, most int, result System, pure func(*machine, Value, []Value) (Value, bool, error)) *function {
		return pureFunction(least, most, SystemString, result, pure)
	}
	return map[string]*function{
		"indexOf":        text(1, 1, SystemInteger, onText(func(s, t []byte) Value { return place(s, bytes.Index(s, t)) })),
		"lastIndexOf":    text(1, 1, SystemInteger, onText(func(s, t []byte) Value { return place(s, bytes.LastIndex(s, t)) })),
		"startsWith":     text(1, 1, SystemBoolean, onText(func(s, t []byte) Value { return Boolean(bytes.HasPrefix(s, t)) })),
		"endsWith":       text(1, 1, SystemBoolean, onText(func(s, t []byte) Value { return Boolean(bytes.HasSuffix(s, t)) })),
		"contains":       text(1, 1, SystemBoolean, onText(func(s, t []byte) Value { return Boolean(bytes.Contains(s, t)) })),
		"substring":      text(1, 2, SystemString, (*machine).substring),
		"upper":          text(0, 0, SystemString, ofText(func(s []byte) Value { return stringOf(bytes.ToUpper(s)) })),
		"lower":          text(0, 0, SystemString, ofText(func(s []byte) Value { return stringOf(bytes.ToLower(s)) })),
		"trim":           text(0, 0, SystemString, ofText(func(s []byte) Value { return stringOf(bytes.TrimSpace(s)) })),
		"length":         text(0, 0, SystemInteger, ofText(func(s []byte) Value { return integerOf(int64(utf8.RuneCount(s))) })),
		"replace":        text(2, 2, SystemString, (*machine).replace),
		"matches":        text(1, 1, SystemBoolean, (*machine).matches),
		"matchesFull":    text(1, 1, SystemBoolean, (*machine).matchesFull),
		"replaceMatches": text(2, 2, SystemString, (*machine).replaceMatches),
		"encode":         text(1, 1, SystemString, (*machine).encode),
		"decode":         text(1, 1, SystemString, (*machine).decode),
		"escape":         text(1, 1, SystemString, (*machine).escape),
		"unescape":       text(1, 1, SystemString, (*machine).unescape),
		"toChars":        {eval: (*machine).toChars},
		"split":          {least: 1, most: 1, eval: (*machine).split},
		"join":           {most: 1, eval: (*machine).join},
	}
}

// onText is a function of two strings.
func onText(f func(s, t []byte) Value) func(*machine, Value, []Value) (Value, bool, error) {
	return func(m *machine, in Value, args []Value) (Value, bool, error) {
		t, err := textArgument(args, 0)
		if err == nil {
			err = m.spendText(len(in.text) + len(t))
		}
		if err != nil {
			return Value{}, false, err
		}
		return f(in.text, t), true, nil
	}
}

// ofText is a function of one string.
func ofText(f func(s []byte) Value) func(*machine, Value, []Value) (Value, bool, error) {
	return func(m *machine, in Value, _ []Value) (Value, bool, error) {
		if err := m.spendText(len(in.text)); err != nil {
			return Value{}, false, err
		}
		return f(in.text), true, nil
	}
}

func textArgument(args []Value, i int) ([]byte, error) {
	if args[i].sys != SystemString {
		return nil, fail("a string was expected")
	}
	return args[i].text, nil
}

// place is an offset in characters; -1 stays.
func place(s []byte, at int) Value {
	if at > 0 {
		at = utf8.RuneCount(s[:at])
	}
	return integerOf(int64(at))
}

func (m *machine) substring(in Value, args []Value) (Value, bool, error) {
	for i := range args {
		if args[i].sys != SystemInteger {
			return Value{}, false, fail("an integer was expected")
		}
	}
	if err := m.spendText(len(in.text)); err != nil {
		return Value{}, false, err
	}
	s := in.text
	start := characters(s, args[0].num)
	if args[0].num < 0 || start >= len(s) {
		return Value{}, false, nil
	}
	s = s[start:]
	if len(args) > 1 {
		s = s[:characters(s, args[1].num)]
	}
	return stringOf(s), true, nil
}

// characters is where the first n characters of a text end.
func characters(s []byte, n int64) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}

func (m *machine) replace(in Value, args []Value) (v Value, ok bool, err error) {
	old, err := textArgument(args, 0)
	if err != nil {
		return v, false, err
	}
	with, err := textArgument(args, 1)
	if err != nil {
		return v, false, err
	}
	if err := m.spendText(len(in.text) + (bytes.Count(in.text, old)+1)*len(with)); err != nil {
		return v, false, err
	}
	return stringOf(bytes.ReplaceAll(in.text, old, with)), true, nil
}

// patternCost is what compiling a regular expression costs in steps, for each
// byte.
const patternCost = 16

// regular is the pattern of a function, compiled beforehand or now.
func (m *machine) regular(in Value, args []Value, full bool) (*pattern, error) {
	s, err := textArgument(args, 0)
	if err != nil {
		return nil, err
	}
	if len(in.text) > maxText {
		return nil, ErrTooCostly
	}
	re := m.pattern
	if re == nil {
		if err := m.spend(patternCost * len(s)); err != nil {
			return nil, err
		}
		if re, err = patternOf(s, full); err != nil {
			return nil, fail("not a regular expression that can be used here")
		}
		if err := m.spend(patternCost * re.cost); err != nil {
			return nil, err
		}
	}
	return re, m.spend(re.cost * (1 + len(in.text)))
}

func (m *machine) matches(in Value, args []Value) (v Value, ok bool, err error) {
	re, err := m.regular(in, args, false)
	if err != nil {
		return v, false, err
	}
	return Boolean(re.Match(in.text)), true, nil
}

func (m *machine) matchesFull(in Value, args []Value) (v Value, ok bool, err error) {
	re, err := m.regular(in, args, true)
	if err != nil {
		return v, false, err
	}
	return Boolean(re.Match(in.text)), true, nil
}

// replaceMatches replaces what a pattern matches; $1 or ${name} stand for groups.
// An empty pattern replaces nothing.
func (m *machine) replaceMatches(in Value, args []Value) (v Value, ok bool, err error) {
	re, err := m.regular(in, args, false)
	if err != nil {
		return v, false, err
	}
	with, err := textArgument(args, 1)
	if err != nil || len(args[0].text) == 0 {
		return in, err == nil, err
	}
	template := groups(with)
	var out []byte
	last := 0
	for _, found := range re.FindAllSubmatchIndex(in.text, -1) {
		out = append(out, in.text[last:found[0]]...)
		out = re.Expand(out, template, in.text, found)
		last = found[1]
		if err := m.spend(1); err != nil {
			return v, false, err
		}
		if len(out) > maxText {
			return v, false, ErrTooCostly
		}
	}
	out = append(out, in.text[last:]...)
	return stringOf(out), true, m.spendText(len(out))
}

// groups is a replacement in the form that regexp knows: $1 ends after its
// digits, and what is escaped stands for itself.
func groups(s []byte) []byte {
	var out []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			out = append(out, s[i])
			if s[i] == '$' {
				out = append(out, '$')
			}
		case s[i] == '$' && i+1 < len(s) && isDigit(s[i+1]):
			out = append(out, '$', '{', s[i+1], '}')
			i++
		case s[i] == '$' && (i+1 == len(s) || s[i+1] != '{'):
			out = append(out, '$', '$')
		default:
			out = append(out, s[i])
		}
	}
	return out
}

// text evaluates a node that must be one string.
func (m *machine) text(n *node) (s []byte, ok bool, err error) {
	v, ok, err := m.scalarOf(n, SystemString)
	if err == nil {
		err = m.spendText(len(v.text))
	}
	return v.text, ok, err
}

func (m *machine) toChars(n *node) error {
	s, ok, err := m.text(n.left)
	if err != nil || !ok {
		return err
	}
	for len(s) > 0 {
		_, size := utf8.DecodeRune(s)
		if err := m.push(stringOf(s[:size:size])); err != nil {
			return err
		}
		s = s[size:]
	}
	return nil
}

func (m *machine) split(n *node) error {
	s, ok, err := m.text(n.left)
	if err != nil || !ok {
		return err
	}
	by, ok, err := m.text(n.args[0])
	if err != nil || !ok {
		return err
	}
	if bytes.Count(s, by) > maxValues {
		return ErrTooCostly
	}
	for _, part := range bytes.Split(s, by) {
		if err := m.push(stringOf(part)); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) join(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	var by []byte
	if len(n.args) > 0 {
		s, ok, err := m.text(n.args[0])
		if err != nil {
			return err
		}
		if ok {
			by = s
		}
	}
	var out []byte
	count := 0
	for _, in := range m.vals[base:] {
		v, ok := m.system(in)
		written := v.sys == SystemString || in.IsElement() && (v.isMoment() || v.sys == SystemTime)
		switch {
		case ok && !written, !ok && m.isComplex(&in):
			return fail("only strings can be joined")
		case !ok:
			continue
		}
		if count++; count > 1 {
			out = append(out, by...)
		}
		if out = append(out, v.text...); len(out) > maxText {
			return ErrTooCostly
		}
	}
	m.vals = m.vals[:base]
	if err := m.spendText(len(out)); err != nil || count == 0 {
		return err
	}
	return m.push(stringOf(out))
}
