package search

import (
	"testing"
	"time"

	"vitrine/fhir/r4"
)

const testBase = "http://vitrine.test/fhir"

func definitions(t testing.TB) *r4.Definitions {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func indexer(t testing.TB) *Indexer {
	t.Helper()
	x, err := NewIndexerIn(definitions(t), testBase, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestEverySearchParameterCompiles(t *testing.T) {
	d := definitions(t)
	x := indexer(t)
	without := map[string]bool{}
	compiled := map[uint16]bool{}
	for _, p := range x.types {
		for _, pp := range p.params {
			if pp.indexed {
				compiled[pp.Number] = true
			} else {
				without[pp.Code] = true
			}
		}
	}
	n := 0
	for _, p := range d.SearchParams() {
		if !compiled[p.Number] {
			t.Logf("not indexed: %s %s %v %q", p.Code, p.Kind, p.Bases, p.Expression)
		} else {
			n++
		}
	}
	t.Log(n)
}
