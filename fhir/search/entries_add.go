package search

import (
	"bytes"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Parameters that every type has and that do not come from content. Their
// numbers are ours, above all of R4's.
const (
	// ParamID is _id.
	ParamID Param = 0xFF10
	// ParamLastUpdated is _lastUpdated.
	ParamLastUpdated Param = 0xFF11
	// ParamContained is the types of the resources that are contained.
	ParamContained Param = 0xFF12
)

// begin starts an entry in place; commit ends it.
func (e *Entries) begin(tag byte) int {
	start := len(e.buf)
	e.buf = append(e.buf, tag)
	return start
}

func (e *Entries) commit(p Param, start int) {
	e.spans = append(e.spans, span{p, start, len(e.buf)})
}

// addToken adds the entries of one token. piped says that it may be asked for
// with its system, which may be empty.
func (e *Entries) addToken(p Param, prefix, system, code []byte, piped bool) {
	if len(code) == 0 {
		if piped && legible(system) {
			s := e.open(prefix, tagSystemCode)
			e.buf = appendSystemCode(e.buf, system, nil)
			e.commit(p, s)
		}
		return
	}
	if !legible(code) || len(system) > 0 && !legible(system) {
		return
	}
	s := e.open(prefix, tagCode)
	e.buf = appendPart(e.buf, code)
	e.commit(p, s)
	if piped {
		s = e.open(prefix, tagSystemCode)
		e.buf = appendSystemCode(e.buf, system, code)
		e.commit(p, s)
	}
	if !codeFolds(code) {
		return
	}
	s = e.open(prefix, tagFoldedCode)
	e.buf = appendFolded(e.buf, code, &e.fold)
	e.commit(p, s)
	if piped {
		s = e.open(prefix, tagFoldedSystem)
		e.buf = append(appendPart(e.buf, system), 0)
		e.buf = appendFolded(e.buf, code, &e.fold)
		e.commit(p, s)
	}
}

func (e *Entries) open(prefix []byte, tag byte) int {
	start := len(e.buf)
	e.buf = append(append(e.buf, prefix...), tag)
	return start
}

// addRange adds a range under a tag and key; it is wide when it is broader than
// width.
func (e *Entries) addRange(p Param, tag byte, key func([]byte) []byte, low, high, width uint64) {
	if low > high {
		return
	}
	if high-low > width {
		tag -= wide
	}
	s := e.begin(tag)
	if key != nil {
		e.buf = key(e.buf)
	}
	e.buf = appendBounds(e.buf, low, high)
	e.commit(p, s)
}

// addText adds the entry of one string.
func (e *Entries) addText(p Param, s []byte) {
	if !legible(s) {
		return
	}
	at := e.begin(tagText)
	e.buf = appendString(e.buf, s, &e.fold, &e.norm)
	e.commit(p, at)
	if len(e.fold) > maxPrefix {
		e.commit(p, e.begin(tagLong))
	}
}

// addWords adds the words of a name after the first, so that each part of a
// double name is found by itself (R4 search.html#string).
func (e *Entries) addWords(p Param, s []byte) {
	for i := 1; i < len(s); i++ {
		if (s[i-1] != ' ' && s[i-1] != '-') || !legible(s) {
			continue
		}
		e.fold, e.norm = foldText(e.fold[:0], s[i:], e.norm)
		if len(e.fold) == 0 {
			continue
		}
		at := e.begin(tagWord)
		e.buf = append(e.buf, e.fold[:min(len(e.fold), maxPrefix)]...)
		e.commit(p, at)
	}
}

// AppendCommon adds the entries of _id and _lastUpdated.
func AppendCommon(e *Entries, id string, updated time.Time) {
	e.Add(ParamID, []byte{tagCode}, []byte(id))
	AppendUpdated(e, updated)
}

// AppendUpdated adds the entry of _lastUpdated alone.
func AppendUpdated(e *Entries, updated time.Time) {
	low := momentKey(updated.Truncate(time.Millisecond).UnixMicro())
	e.addRange(ParamLastUpdated, tagMoment, nil, low, low+momentWidth, dayWidth)
}

// AppendAwaits adds the identifier of a patient whom a resource in quarantine
// waits for.
func AppendAwaits(e *Entries, identifier fhir.Identifier) {
	e.Add(Param(r4.ParamAwaits), []byte{tagSystemCode}, appendSystemCode(nil, []byte(identifier.System), []byte(identifier.Value)))
}

// AppendReference adds a reference to a resource of this server, as a literal
// reference without a version does.
func AppendReference(e *Entries, p Param, reference string) {
	at := e.begin(tagReference)
	if len(reference) <= maxValue {
		e.buf = append(e.buf, reference...)
	} else {
		e.buf = appendPart(e.buf, []byte(reference))
	}
	e.commit(p, at)
}

// AppendInstant adds an instant of milliseconds.
func AppendInstant(e *Entries, p Param, at time.Time) {
	point := momentKey(at.Truncate(time.Millisecond).UnixMicro())
	e.addRange(p, tagMoment, nil, point, point, dayWidth)
}

const (
	// MomentTag is the tag of the ranges that AppendInstant and AppendUpdated add.
	MomentTag = tagMoment
	// momentWidth is the most that such a range is wide, in microseconds.
	momentWidth = 999
)

// Moments is between which low bounds a range of AppendInstant or AppendUpdated lies
// that m holds for; false when m is about others, and low is above high when there
// are none.
func (m *Match) Moments() (low, high uint64, ok bool) {
	if m.Op != OpRange || len(m.Key) != 1 || m.Key[0] != MomentTag {
		return 0, 0, false
	}
	low = m.Bounds.HighMin - min(m.Bounds.HighMin, momentWidth)
	return max(low, m.Bounds.LowMin), min(m.Bounds.LowMax, m.Bounds.HighMax), true
}

// MomentOf is the time with which a range begins whose low bound that is: the way
// back from AppendInstant.
func MomentOf(low uint64) time.Time { return time.UnixMicro(int64(low ^ midKey)) } //nolint:gosec // as momentKey

// IsLiteral reports whether the value of a reference is a literal one, and not
// an identifier.
func IsLiteral(value []byte) bool { return len(value) > 0 && value[0] == tagReference }

// IsText reports whether the value is that of a text, or the beginning of one.
func IsText(value []byte) bool { return len(value) > 1 && value[0] == tagText }

// AppendText adds the entry of a text.
func AppendText(e *Entries, p Param, text string) { e.addText(p, []byte(text)) }

// IdentifierOf is the code in the value of a reference by identifier, with twin as
// CodeOf has it, and the value that has that code without its system.
func IdentifierOf(value []byte) (code, plain []byte, twin, ok bool) {
	if len(value) < 2 || value[0] != tagIdentifier {
		return nil, nil, false, false
	}
	tag := byte(tagCode)
	switch value[1] {
	case tagFoldedCode, tagFoldedSystem:
		tag = tagFoldedCode
	case tagCode, tagSystemCode:
	default:
		return nil, nil, false, false
	}
	code, twin = CodeOf(value[1:])
	return code, append([]byte{tagIdentifier, tag}, code...), twin, len(code) > 0
}

// CodeOf is the code in the value of a token. twin says that the code has upper
// case and the entries hold the same token folded, which is the form that
// queries of clients ask for.
func CodeOf(value []byte) (code []byte, twin bool) {
	if len(value) == 0 {
		return nil, false
	}
	code = value[1:]
	switch value[0] {
	case tagCode:
		return code, codeFolds(code)
	case tagSystemCode:
		code = code[bytes.IndexByte(code, 0)+1:]
		return code, codeFolds(code)
	case tagFoldedSystem:
		return code[bytes.IndexByte(code, 0)+1:], false
	default:
		return code, false
	}
}
