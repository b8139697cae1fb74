package gate_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"vitrine/consent/gate"
)

// costlyRule is a profile whose rule looks through the whole resource for each of
// its components.
const costlyRule = `"url":"http://x.example/costly","name":"P","status":"active","kind":"resource","abstract":false,"type":"Observation",` +
	`"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[{"id":"Observation","path":"Observation",` +
	`"constraint":[{"key":"x-1","severity":"error","human":"x","expression":"component.all(%resource.component.exists(value.value = 123456.5).not())"}]}]}`

func components(n int) string {
	return `,"component":[` + strings.TrimSuffix(strings.Repeat(`{"code":{"text":"c"},"valueQuantity":{"value":1}},`, n), ",") + `]`
}

// meanwhile is how many writes of others are acknowledged while do is under way.
func (w *world) meanwhile(do func()) (n int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for ; ; n++ {
		select {
		case <-done:
			return n
		default:
			w.created(system("B"), "Observation", observation("Patient/q"))
		}
	}
}

// TestNobodyHoldsUpTheWriter: what a client may make long is worked out beside the
// store's one writer. Others write in the meantime, and break the glass.
func TestNobodyHoldsUpTheWriter(t *testing.T) {
	w := newClinics(t, nil)
	own := system("A")
	w.created(own, "StructureDefinition", costlyRule)
	id := w.created(own, "Observation", observation("Patient/q")+components(4000))
	const few = 10
	if n := w.meanwhile(func() {
		if got := w.relabel(own, "Observation", id, "$meta-add", `{"profile":["http://x.example/costly"]}`); got != "422" {
			t.Errorf("$meta-add: %s", got)
		}
	}); n < few {
		t.Errorf("%d writes beside a $meta-add", n)
	}
	small := w.created(own, "Observation", observation("Patient/q")+components(16))
	deep := `{"resourceType":"Parameters","parameter":[` + strings.TrimSuffix(strings.Repeat(`{"name":"operation","part":[{"name":"type","valueCode":"delete"},
		{"name":"path","valueString":"Observation.component.where(%resource.component.descendants().exists($this = 3))"}]},`, 400), ",") + `]}`
	doc := w.document(deep)
	if n := w.meanwhile(func() {
		patch := w.entry("patch", "Observation", small, "", "")
		patch.Patch = doc
		if _, err := w.transact(own, patch); err != nil {
			t.Errorf("patches in a transaction: %v", explain(err))
		}
	}); n < few {
		t.Errorf("%d writes beside a transaction of patches", n)
	}
}

// TestReadsOfATransactionAreBounded: they are answered within the commit.
func TestReadsOfATransactionAreBounded(t *testing.T) {
	w := newClinics(t, nil)
	reads := make([]gate.Entry, 201)
	for i := range reads {
		reads[i] = w.entry("read", "Observation", "o-q", "", "")
	}
	if _, err := w.transact(doctor("A"), reads[:200]...); err != nil {
		t.Errorf("as many as may be: %v", explain(err))
	}
	var at *gate.EntryError
	var bad *gate.Invalid
	if _, err := w.transact(doctor("A"), reads...); !errors.As(err, &at) || at.Index != 200 || !errors.As(err, &bad) || bad.Status != http.StatusUnprocessableEntity {
		t.Errorf("one more: %v", explain(err))
	}
}
