package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// version is the first byte of the binary form. What is written once is read
// for as long as records are kept, so a change of form is a new version.
const version = 1

// ErrRecord says that the bytes are not a record of a version known here.
var ErrRecord = errors.New("audit record")

// The bits of the flags byte that are in use, in the order in which what they
// announce follows: Glass, Labels, and the cluster of the agent.
const (
	flagGlass   = 1
	flagLabels  = 2
	flagCluster = 4
)

// AppendBinary appends the event in the form Decode reads. Times are kept to
// the millisecond.
func (e *Event) AppendBinary(dst []byte) []byte {
	glass := e.Glass != Glass{}
	flags := byte(0)
	if glass {
		flags = flagGlass
	}
	if len(e.Labels) > 0 {
		flags |= flagLabels
	}
	if e.Agent.Cluster != "" {
		flags |= flagCluster
	}
	dst = append(dst, version, flags)
	dst = append(dst, e.ID[:]...)
	dst = appendTime(dst, e.Recorded)
	dst = append(dst, byte(e.Kind), byte(e.Action), byte(e.Outcome), byte(e.Level), byte(e.Agent.Kind), byte(e.Agent.Purpose))
	for _, s := range e.strings() {
		dst = appendString(dst, *s)
	}
	for _, l := range e.lists() {
		dst = binary.AppendUvarint(dst, uint64(len(*l)))
		for _, s := range *l {
			dst = appendString(dst, s)
		}
	}
	dst = appendCodings(dst, e.Agent.Roles)
	if glass {
		dst = appendString(appendString(appendString(dst, e.Glass.Reason), e.Glass.Threat), e.Glass.Justification)
		dst = appendTime(appendTime(dst, e.Glass.Start), e.Glass.End)
		dst = binary.AppendUvarint(dst, uint64(e.Glass.Count))
	}
	if len(e.Labels) > 0 {
		dst = appendCodings(dst, e.Labels)
	}
	if e.Agent.Cluster != "" {
		dst = appendString(dst, e.Agent.Cluster)
	}
	return dst
}

func appendCodings(dst []byte, codings []fhir.Coding) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(codings)))
	for _, c := range codings {
		dst = appendString(appendString(dst, c.System), c.Code)
	}
	return dst
}

// strings are the text fields in the order they are written.
func (e *Event) strings() [19]*string {
	a := &e.Agent
	return [...]*string{
		&e.Interaction, &e.Reason, &e.Patient, &e.Before, &e.Query, &e.RequestID, &e.Grant, &e.BasicSet, &e.Site, &e.Observer,
		&a.Issuer, &a.Subject, &a.Client, &a.TokenID, &a.User, &a.Practitioner, &a.Name, &a.Organization, &a.Address,
	}
}

// lists are the lists of text in the order they are written.
func (e *Event) lists() [2]*[]string { return [...]*[]string{&e.Entities, &e.Consents} }

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendTime writes milliseconds since 1970; the zero time is the least number.
func appendTime(dst []byte, t time.Time) []byte {
	ms := int64(math.MinInt64)
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	return binary.AppendVarint(dst, ms)
}

// Decode reads what AppendBinary wrote, and nothing else.
func Decode(b []byte) (Event, error) {
	var e Event
	d := decoder{rest: string(b)} // its texts share one copy of the record
	if v := d.byte(); v != version {
		return Event{}, fmt.Errorf("%w: version %d", ErrRecord, v)
	}
	flags := d.byte()
	d.bad = d.bad || flags&^(flagGlass|flagLabels|flagCluster) != 0
	copy(e.ID[:], d.text(len(e.ID)))
	e.Recorded = d.time()
	e.Kind, e.Action, e.Outcome = Kind(d.byte()), Action(d.byte()), Outcome(d.byte())
	e.Level = consent.Level(d.byte())
	e.Agent.Kind, e.Agent.Purpose = consent.Kind(d.byte()), consent.Purpose(d.byte())
	for _, s := range e.strings() {
		*s = d.string()
	}
	for _, l := range e.lists() {
		if n := d.count(1); n > 0 {
			*l = make([]string, n)
		}
		for i := range *l {
			(*l)[i] = d.string()
		}
	}
	e.Agent.Roles = d.codings()
	if flags&flagGlass != 0 {
		e.Glass = Glass{Reason: d.string(), Threat: d.string(), Justification: d.string(), Start: d.time(), End: d.time()}
		n := d.uvarint()
		d.bad = d.bad || n > math.MaxUint32 || e.Glass == Glass{} && n == 0
		e.Glass.Count = uint32(n)
	}
	if flags&flagLabels != 0 {
		e.Labels = d.codings()
		d.bad = d.bad || len(e.Labels) == 0
	}
	if flags&flagCluster != 0 {
		e.Agent.Cluster = d.string()
		d.bad = d.bad || e.Agent.Cluster == ""
	}
	if d.bad || len(d.rest) != 0 {
		return Event{}, fmt.Errorf("%w: cut short, or longer than it says", ErrRecord)
	}
	return e, nil
}

// decoder takes a record apart. Once bad, it yields zeros.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) text(n int) string {
	if d.bad || n < 0 || n > len(d.rest) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.text(1); s != "" {
		return s[0]
	}
	return 0
}

// number are the bytes a number may take.
func (d *decoder) number() []byte {
	return []byte(d.rest[:min(len(d.rest), binary.MaxVarintLen64)])
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.number())
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count is the length of a list whose elements take at least size bytes each,
// so that a record cannot ask for more memory than it has bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count(1)
	return d.text(n)
}

// codings is a list of codings; nil when there are none.
func (d *decoder) codings() []fhir.Coding {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	list := make([]fhir.Coding, n)
	for i := range list {
		list[i] = fhir.Coding{System: d.string(), Code: d.string()}
	}
	return list
}

func (d *decoder) time() time.Time {
	ms, n := binary.Varint(d.number())
	if n <= 0 || d.bad {
		d.bad = true
		return time.Time{}
	}
	d.rest = d.rest[n:]
	if ms == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
