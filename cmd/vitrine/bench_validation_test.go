package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/fhir"
)

// BenchmarkValidationOnAgainstOff creates the resources of a Synthea record one by
// one, eight at a time, in a server that validates them in full and in one that
// does not, in turns. "ratio" is the time with over the time without, and
// "cpu-ratio" that of processors.
func BenchmarkValidationOnAgainstOff(b *testing.B) {
	houses := [2]*target{validating(b, "full"), validating(b, "off")}
	list := singles(b, "synthea/Lemuel_Hodkiewicz.json.gz")
	var times [2]spent
	n := 0
	for b.Loop() {
		for i, t := range houses {
			times[i].add(func() { createAll(b, t, list) })
		}
		n += len(list)
	}
	b.ReportMetric(float64(times[0].time)/float64(times[1].time), "ratio")
	b.ReportMetric(float64(times[0].cpu)/float64(times[1].cpu), "cpu-ratio")
	b.ReportMetric(float64((times[0].cpu-times[1].cpu).Microseconds())/float64(n), "cpu-us/validation")
	b.ReportMetric(float64(n)/times[0].time.Seconds(), "creates/s")
}

// validating is a new house of a level of validation.
func validating(b *testing.B, level string) *target {
	b.Helper()
	cfg, err := defaults(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	cfg.Validation = level
	h, err := build(b.Context(), cfg, "http://localhost", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := h.Close(); err != nil {
			b.Error(err)
		}
	})
	t, err := h.custodian()
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// singles are the resources of a transaction as they would be sent alone.
func singles(b *testing.B, file string) (list []loose) {
	b.Helper()
	files, err := embeddedFiles(file)
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	err = eachDocument(files[0], newReport(io.Discard, 0, time.Now), func(d document) error {
		var tape fhir.Tape
		if err := tape.Parse(d.text, fhir.Limits{}); err != nil {
			return err
		}
		for e := tape.First(tape.Field(tape.Root(), "entry")); e != fhir.None; e = tape.Next(e) {
			l := looseOf(&tape, tape.Field(e, "resource"), d.origin, tape.Text(tape.Field(e, "fullUrl")))
			names = append(names, l.fullURL, l.typ+"/"+strings.TrimPrefix(l.fullURL, "urn:uuid:"))
			list = append(list, l)
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		b.Fatalf("%v: %d resources", err, len(list))
	}
	local := strings.NewReplacer(names...)
	for i := range list {
		list[i].text = []byte(local.Replace(string(list[i].text)))
		if !json.Valid(list[i].text) {
			b.Fatal("the references were not replaced well")
		}
	}
	return list
}

// createAll creates the resources.
func createAll(b *testing.B, t *target, list []loose) {
	b.Helper()
	var work sync.WaitGroup
	next := make(chan loose)
	for range 8 {
		work.Go(func() {
			for l := range next {
				if a, err := t.call(b.Context(), http.MethodPost, "/"+l.typ, l.text); err != nil || !a.ok() {
					b.Errorf("%s: %v %+v", l.typ, err, a)
				}
			}
		})
	}
	for _, l := range list {
		next <- l
	}
	close(next)
	work.Wait()
}
