package fhirpath

import (
	"errors"
	"testing"
	"time"
)

// fuzzed is a resource with something of every kind.
const fuzzed = `{"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12-25","_birthDate":{"id":"b","extension":[
	{"url":"u","valueDateTime":"1974-12-25T14:35:45-05:00"}]},"name":[{"use":"official","family":"Chalmers","given":["Peter",null],
	"_given":[null,{"extension":[{"url":"v","valueCode":"x"}]}]},{"family":"Windsor"}],"contained":[{"resourceType":"Observation",
	"id":"o","status":"final","code":{"text":"c"},"valueQuantity":{"value":4.50,"code":"mg"}}],"multipleBirthInteger":2,
	"extension":[{"url":"q","valueRange":{"low":{"value":1e3,"code":"mm"},"high":{"value":2,"code":"m"}}},{"url":"d","valueDecimal":-0.10}],
	"managingOrganization":{"reference":"#o"},"link":[{"other":{"reference":"Patient/1"},"type":"seealso"}]}`

// FuzzRun holds that no expression brings the machine down, or takes longer than
// its budget allows.
func FuzzRun(f *testing.F) {
	for _, s := range []string{
		"name.where(use = 'official').given | %`ext-x` & 'y'", "descendants().where($this is Quantity and value > 3 'mg').count() + 1.50 / 3",
		"name.select(iif(family.exists(), family.substring($index, 2).upper(), {})).join(',')", "@2012-02-29 + 1 year - 3 'wk' <= today() or @T10:30.lowBoundary() in (now() | 1)",
		"(1|2|3).aggregate($this + $total, 0).power(2).sqrt().round(1).toString().replaceMatches('(\\d)', '$1$1')", "repeat(link | extension).all(type().name != 'x') implies birthDate.extension('u').value ~ birthDate",
		"name.sort(-family).first().family.split('a').trace('t').distinct().isDistinct().not() xor contained[0].value as Quantity = 4.5 'mg'",
	} {
		f.Add(s)
	}
	d := load(f)
	tape := parse(f, fuzzed)
	scope := &Scope{Tape: tape, Now: time.Unix(1.7e9, 0), Steps: 1 << 15}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := Parse(src)
		if err != nil {
			return
		}
		e.Paths()
		p, err := Compile(src, d)
		if err != nil {
			return
		}
		_, _ = compileFor(src, d, d.Type("Patient"))
		begin := time.Now()
		out, err := p.Run(scope)
		if err != nil && !errors.Is(err, ErrEvaluation) && !errors.Is(err, ErrTooCostly) {
			t.Errorf("%q: %v", src, err)
		}
		for _, v := range out {
			if text := show(tape, v); v.dec != nil && !finite(v.dec) {
				t.Errorf("%q: %s", src, text)
			}
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%q: took %s", src, took)
		}
	})
}
