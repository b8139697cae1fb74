package units

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir/r4"
)

// commonUnits are the units that R4 lists as common ones of UCUM.
func commonUnits(tb testing.TB) []string {
	tb.Helper()
	terms, err := r4.LoadTerms()
	if err != nil {
		tb.Fatal(err)
	}
	includes, _, _ := terms.ValueSet("http://hl7.org/fhir/ValueSet/ucum-common")
	if len(includes) != 1 || len(includes[0].Codes) < 1300 {
		tb.Fatal("the value set of common units is not there")
	}
	return includes[0].Codes
}

// TestCommonUnitsAreKnown names every common unit that stands for itself: it has no
// even scale, or the library does not know it.
func TestCommonUnitsAreKnown(t *testing.T) {
	var got []string
	for _, code := range commonUnits(t) {
		if _, ok := Parse([]byte(code)); !ok {
			got = append(got, code)
		}
	}
	want := []string{"%[slope]", "B", "B[SPL]", "B[V]", "B[W]", "B[kW]", "B[mV]", "B[uV]", "By", "Np", "[p'diop]", "[pH]", "bit_s", "dB", "g%"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnitsInBaseUnits(t *testing.T) {
	for code, want := range map[string]string{
		"mg/dL": "g.m-3 10/1 0/1", "Cel": "K 1/1 5463/20", "[degF]": "K 5/9 45967/180", "%": "1 1/100 0/1", "%{HbA1c}": "1 1/100 0/1",
		"{cells}/uL": "m-3 1000000000/1 0/1", "10*3/uL": "m-3 1000000000000/1 0/1", "k[iU]/L": "[iU].m-3 1000000/1 0/1", "/min": "s-1 1/60 0/1",
		"mg/(kg.d)": "s-1 1/86400000000 0/1", "mg/g": "1 1/1000 0/1", "{score}": "1 1/1 0/1", "kg/m2": "g.m-2 1000/1 0/1", "mm[Hg]": "g.m-1.s-2 133322/1 0/1",
	} {
		u, ok := Parse([]byte(code))
		if !ok {
			t.Errorf("%s: not known", code)
			continue
		}
		if got := fmt.Sprintf("%s %s %s", u.Base, u.Times, u.Plus); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	for _, code := range []string{
		"", " ", "mg/", "mg//dL", "(mg", "mg)", "mg dL", "mgg", "mg0", "Cel/L", "Cel2", "m99", "0", "/0", "{", "a{b", "\u00b5g", "a{b", "m" + string(make([]byte, 100)),
	} {
		if u, ok := Parse([]byte(code)); ok {
			t.Errorf("%q: %s", code, u.Base)
		}
	}
}
