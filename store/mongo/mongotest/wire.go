package mongotest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The operations of the wire protocol that are read: what drivers send today,
// and the greeting that older servers understand.
const (
	opQuery = 2004
	opMsg   = 2013
)

const (
	headerSize = 16
	// frameLimit is above what a server takes (48,000,000 bytes).
	frameLimit = 64 << 20
)

var errNotWire = errors.New("not the wire protocol of MongoDB")

// Message is a request on its way to the server.
type Message struct {
	// Command is its name: "insert", "commitTransaction"; empty when the message
	// cannot be read.
	Command string
	// Collection is what it is about, for those that are about one.
	Collection string
	// Body is the command, without what stands in sequences of their own: the
	// documents of an insert, the updates of an update.
	Body bson.Raw
	// Size is how many bytes it is.
	Size int
}

// Command matches the requests of the name.
func Command(name string) func(Message) bool {
	return func(m Message) bool { return m.Command == name }
}

// In matches the requests of the name that are about the collection.
func In(collection, name string) func(Message) bool {
	return func(m Message) bool { return m.Command == name && m.Collection == collection }
}

// fromServer matches the greeting by which servers know each other.
func fromServer(m Message) bool {
	_, err := m.Body.LookupErr("internalClient")
	return err == nil
}

// askedBy matches what a member of a replica set asks the others, to know whether
// they are there and to be elected by them.
func askedBy(host string, index int) func(Message) bool {
	return func(m Message) bool {
		switch m.Command {
		case "replSetHeartbeat":
			from, err := m.Body.LookupErr("from")
			name, ok := from.StringValueOK()
			return err == nil && ok && name == host
		case "replSetRequestVotes":
			from, err := m.Body.LookupErr("candidateIndex")
			n, ok := from.AsInt64OK()
			return err == nil && ok && n == int64(index)
		default:
			return false
		}
	}
}

// readFrame reads one message whole, header and all.
func readFrame(r io.Reader) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(header)
	if n < headerSize || n > frameLimit {
		return nil, errNotWire
	}
	frame := make([]byte, n)
	copy(frame, header)
	_, err := io.ReadFull(r, frame[headerSize:])
	return frame, err
}

// requestID and responseTo tie a reply to its request.
func requestID(frame []byte) uint32  { return binary.LittleEndian.Uint32(frame[4:]) }
func responseTo(frame []byte) uint32 { return binary.LittleEndian.Uint32(frame[8:]) }

// parse reads what a request is about.
func parse(frame []byte) Message {
	m := Message{Size: len(frame)}
	switch rest := frame[headerSize:]; binary.LittleEndian.Uint32(frame[12:]) {
	case opMsg:
		m.Body = body(rest)
	case opQuery: // flags, name of the collection, two numbers, document
		if _, after, ok := bytes.Cut(rest[min(4, len(rest)):], []byte{0}); ok && len(after) > 8 {
			m.Body = document(after[8:])
		}
	}
	if m.Body == nil {
		return m
	}
	first, err := m.Body.IndexErr(0)
	if err != nil {
		return m
	}
	m.Command = first.Key()
	m.Collection, _ = first.Value().StringValueOK()
	return m
}

// body finds the section of an OP_MSG that is the command.
func body(rest []byte) bson.Raw {
	for rest = rest[min(4, len(rest)):]; len(rest) > 5; {
		kind := rest[0]
		rest = rest[1:]
		if kind == 0 {
			return document(rest)
		}
		n := binary.LittleEndian.Uint32(rest)
		if kind != 1 || n < 4 || uint64(n) > uint64(len(rest)) {
			return nil
		}
		rest = rest[n:]
	}
	return nil
}

// document is the BSON document at the start of b; nil when there is none.
func document(b []byte) bson.Raw {
	if len(b) < 5 {
		return nil
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 5 || uint64(n) > uint64(len(b)) {
		return nil
	}
	return bson.Raw(b[:n])
}
