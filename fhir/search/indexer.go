package search

import (
	"errors"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Indexer makes index entries of resources. It is safe for concurrent use.
type Indexer struct {
	*table
	zone *time.Location
}

// NewIndexer compiles the search parameters of every resource type. base is the
// FHIR base URL, without a slash at its end. Times without a zone are Singapore's.
func NewIndexer(d *r4.Definitions, base string) (*Indexer, error) {
	return newIndexerIn(d, base, singapore())
}

// newIndexerIn is NewIndexer with the zone of times that have none.
func newIndexerIn(d *r4.Definitions, base string, zone *time.Location) (*Indexer, error) {
	t, err := newTable(d, base)
	if err != nil {
		return nil, err
	}
	return &Indexer{t, zone}, nil
}

// Link says which patient a logical identifier stands for: a Reference with that
// identifier is then indexed as a reference to the patient too.
type Link struct {
	Identifier fhir.Identifier
	Patient    string // id
}

// errNotResource: what is to be indexed has no resourceType of R4.
var errNotResource = errors.New("index: not a resource of a known type")

// Index appends the entries that the content of the resource gives; _id and
// _lastUpdated are AppendCommon's. Values that are not what R4 says they are
// give none. The entries are not sorted.
func (x *Indexer) Index(e *Entries, t *fhir.Tape, links ...Link) error {
	return x.index(e, t, false, links)
}

// IndexSaid is Index, with entries besides for Said.
func (x *Indexer) IndexSaid(e *Entries, t *fhir.Tape, links ...Link) error {
	return x.index(e, t, true, links)
}

func (x *Indexer) index(e *Entries, t *fhir.Tape, says bool, links []Link) error {
	var name [40]byte
	p := x.types[fhir.ResourceType(t.Bytes(t.Field(t.Root(), "resourceType"), name[:0]))]
	if p == nil {
		return errNotResource
	}
	if e.walk == nil {
		e.walk = &walker{}
	}
	w := e.walk
	w.Indexer, w.tape, w.out, w.links, w.says, w.parts = x, t, e, links, says, nil
	w.visit(p.root, t.Root(), 0)
	if p.added != nil {
		w.visit(p.added, t.Root(), 0)
	}
	w.containers()
	w.Indexer, w.tape, w.out, w.links = nil, nil, nil, nil
	return nil
}

// walker is one walk over a tape. It keeps its memory for the next one.
type walker struct {
	*Indexer
	tape  *fhir.Tape
	out   *Entries
	links []Link
	// says asks for what Said asks about, and linked are the patients for whom the
	// reference at hand stands.
	says   bool
	linked []string
	// components collects what a composite is joined from; parts is it while
	// that is under way.
	components Entries
	parts      *Entries
	// texts hold decoded strings that were written with escapes.
	texts [4][]byte
}

// visit does what the trie says for one value, which is no array.
func (w *walker) visit(at *trie, n fhir.Node, index int) {
	for i := range at.actions {
		w.extract(&at.actions[i], n, index)
	}
	for i := range at.guards {
		if at.guards[i].passes(w.tape, n, index) {
			w.visit(at.guards[i].then, n, index)
		}
	}
	if len(at.fields) == 0 || w.tape.Kind(n) != fhir.Object {
		return
	}
	for c := w.tape.First(n); c != fhir.None; c = w.tape.Next(c) {
		if next := at.fields[string(w.tape.Key(c))]; next != nil {
			w.descend(next, c)
		}
	}
}

// descend visits a value, or each element of an array.
func (w *walker) descend(at *trie, n fhir.Node) {
	switch w.tape.Kind(n) {
	case fhir.Array:
		index := 0
		for c := w.tape.First(n); c != fhir.None; c = w.tape.Next(c) {
			if k := w.tape.Kind(c); k != fhir.Null && k != fhir.Array {
				w.visit(at, c, index)
			}
			index++
		}
	case fhir.Object, fhir.String, fhir.Number, fhir.True, fhir.False:
		w.visit(at, n, 0)
	case fhir.Null, fhir.Invalid:
	}
}

// text is the decoded string n in one of the working memories; nil when n is no
// string.
func (w *walker) text(n fhir.Node, memory int) []byte {
	b := w.tape.Bytes(n, w.texts[memory])
	if len(b) > cap(w.texts[memory]) && len(b) <= 1<<16 {
		w.texts[memory] = make([]byte, 0, 2*len(b))
	}
	return b
}

// field is the decoded string member of obj.
func (w *walker) field(obj fhir.Node, name string, memory int) []byte {
	return w.text(w.tape.Field(obj, name), memory)
}
