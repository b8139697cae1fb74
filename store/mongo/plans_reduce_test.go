package mongo

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// stage is one stage of a plan: what it does, and over which part of an index.
type stage struct {
	Stage     string              `json:"stage"`
	Index     string              `json:"index,omitempty"`
	Direction string              `json:"direction,omitempty"`
	Bounds    map[string][]string `json:"bounds,omitempty"`
	Input     []*stage            `json:"input,omitempty"`
	// Alike is how many more inputs there are that differ in their bounds alone.
	Alike int `json:"alike,omitempty"`
}

// reduced keeps of an explanation what does not change from run to run.
func reduced(t *testing.T, command string, explanation bson.Raw) planned {
	t.Helper()
	at := explanation
	if stages, ok := at.Lookup("stages").ArrayOK(); ok { // of an aggregation
		first, err := bson.Raw(stages).IndexErr(0)
		if err != nil {
			t.Fatal(err)
		}
		at = first.Value().Document().Lookup("$cursor").Document()
	}
	stats := at.Lookup("executionStats").Document()
	if ok, _ := stats.Lookup("executionSuccess").BooleanOK(); !ok {
		t.Fatalf("the plan was not carried out: %v", stats)
	}
	p := planned{
		Command: command, KeysExamined: stats.Lookup("totalKeysExamined").AsInt64(),
		DocsExamined: stats.Lookup("totalDocsExamined").AsInt64(), Returned: stats.Lookup("nReturned").AsInt64(),
		Plan: stageOf(stats.Lookup("executionStages").Document()),
	}
	p.KeysPerResult = math.Round(100*float64(p.KeysExamined)/float64(max(p.Returned, 1))) / 100
	return p
}

func stageOf(d bson.Raw) *stage {
	s := &stage{Stage: text(d, "stage"), Index: text(d, "indexName"), Direction: text(d, "direction")}
	if bounds, ok := d.Lookup("indexBounds").DocumentOK(); ok {
		s.Bounds = boundsOf(bounds)
	}
	if in, ok := d.Lookup("inputStage").DocumentOK(); ok {
		s.Input = append(s.Input, stageOf(in))
	}
	all, ok := d.Lookup("inputStages").ArrayOK()
	if !ok {
		return s
	}
	values, err := all.Values()
	if err != nil {
		return s
	}
	for _, v := range values {
		in := stageOf(v.Document())
		if n := len(s.Input); n > 0 && in.shape() == s.Input[n-1].shape() {
			s.Alike++
			continue
		}
		s.Input = append(s.Input, in)
	}
	return s
}

// shape is the stage without its bounds.
func (s *stage) shape() string {
	parts := []string{s.Stage, s.Index, s.Direction}
	for _, in := range s.Input {
		parts = append(parts, in.shape())
	}
	return strings.Join(parts, " ")
}

func text(d bson.Raw, key string) string {
	s, _ := d.Lookup(key).StringValueOK()
	return s
}

func boundsOf(d bson.Raw) map[string][]string {
	bounds := map[string][]string{}
	elements, err := d.Elements()
	if err != nil {
		return nil
	}
	for _, e := range elements {
		if all, ok := e.Value().ArrayOK(); ok {
			values, _ := all.Values()
			for _, v := range values {
				bounds[e.Key()] = append(bounds[e.Key()], v.StringValue())
			}
			continue
		}
		bounds[e.Key()] = []string{e.Value().StringValue()} // of a COUNT_SCAN
	}
	return bounds
}

func encodeGolden(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
