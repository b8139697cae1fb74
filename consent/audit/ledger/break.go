package ledger

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"vitrine/consent/audit"
)

// Break is the first place where an export is not what was signed.
type Break struct {
	// File is the file, and Offset the byte in it; -1 for the file as a whole.
	File   string
	Offset int64
	// Leaf is the index of the record; -1 for none. Event says which one stands
	// there, if that can be read.
	Leaf  int64
	Event string
	// Why says what is wrong there.
	Why string
}

// Reasons of a Break that something else than a change may be behind.
const (
	WhyUntrusted = "signed with a key to which no trusted one leads"
	WhyRemoved   = "the record was removed"
)

// Error names the place.
func (b *Break) Error() string {
	var s strings.Builder
	s.WriteString(b.File)
	if b.Offset >= 0 {
		fmt.Fprintf(&s, ", at byte %d", b.Offset)
	}
	if b.Leaf >= 0 {
		fmt.Fprintf(&s, ", record %d of the log", b.Leaf)
	}
	if b.Event != "" {
		fmt.Fprintf(&s, " (%s)", b.Event)
	}
	return s.String() + ": " + b.Why
}

func broken(file, why string) error { return &Break{File: file, Offset: -1, Leaf: -1, Why: why} }

func brokenAt(file string, offset int64, why string) error {
	return &Break{File: file, Offset: offset, Leaf: -1, Why: why}
}

// named says which event a record is.
func named(record []byte) string {
	e, err := audit.Decode(record)
	if err != nil {
		return ""
	}
	return "AuditEvent/" + EventID(e.ID) + " of " + e.Recorded.Format(time.RFC3339)
}

// EventID is the id of the AuditEvent with a UUID (RFC 9562 §4).
func EventID(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseEventID reads what EventID writes, and nothing else.
func ParseEventID(s string) (id [16]byte, ok bool) {
	if len(s) != 36 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]))
	return id, err == nil && EventID(id) == s
}
