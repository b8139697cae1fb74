package mongotest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func marshal(t testing.TB, d bson.D) []byte {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// framed puts a header before the parts.
func framed(op uint32, parts ...[]byte) []byte {
	rest := bytes.Join(parts, nil)
	b := binary.LittleEndian.AppendUint32(nil, uint32(headerSize+len(rest)))
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = binary.LittleEndian.AppendUint32(b, 3)
	return append(binary.LittleEndian.AppendUint32(b, op), rest...)
}

// sequence is a section of documents outside of the command.
func sequence(docs []byte) []byte {
	s := append([]byte("documents\x00"), docs...)
	return append(append([]byte{1}, binary.LittleEndian.AppendUint32(nil, uint32(4+len(s)))...), s...)
}

func TestParse(t *testing.T) {
	flags := make([]byte, 4)
	insert := marshal(t, bson.D{{Key: "insert", Value: "events"}, {Key: "$db", Value: "x"}})
	commit := marshal(t, bson.D{{Key: "commitTransaction", Value: 1}})
	for name, c := range map[string]struct {
		frame []byte
		want  Message
	}{
		"about a collection":    {framed(opMsg, flags, []byte{0}, insert), Message{Command: "insert", Collection: "events", Body: insert}},
		"about none":            {framed(opMsg, flags, []byte{0}, commit), Message{Command: "commitTransaction", Body: commit}},
		"documents come first":  {framed(opMsg, flags, sequence(commit), []byte{0}, insert), Message{Command: "insert", Collection: "events", Body: insert}},
		"the old greeting":      {framed(opQuery, flags, []byte("admin.$cmd\x00"), make([]byte, 8), commit), Message{Command: "commitTransaction", Body: commit}},
		"another operation":     {framed(1, flags, insert), Message{}},
		"a sequence too long":   {framed(opMsg, flags, []byte{1, 255, 255, 255, 255, 0, 0}), Message{}},
		"half a document":       {framed(opMsg, flags, []byte{0}, insert[:9]), Message{}},
		"nothing":               {framed(opMsg), Message{}},
		"an old one of nothing": {framed(opQuery), Message{}},
	} {
		c.want.Size = len(c.frame)
		if d := cmp.Diff(c.want, parse(c.frame)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestReadFrame(t *testing.T) {
	want := framed(opMsg, []byte("what follows"))
	got, err := readFrame(bytes.NewReader(append(bytes.Clone(want), "the next"...)))
	if err != nil || !bytes.Equal(got, want) || requestID(got) != 7 || responseTo(got) != 3 {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := readFrame(bytes.NewReader([]byte("GET / HTTP/1.1\r\n\r\n"))); !errors.Is(err, errNotWire) {
		t.Errorf("another protocol: got %v, want %v", err, errNotWire)
	}
}
