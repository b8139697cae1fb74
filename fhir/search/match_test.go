package search

import (
	"strings"
	"testing"
	"time"

	"vitrine/fhir"
)

// indexed is a resource as a store would keep it for search.
func indexed(tb testing.TB, x *Indexer, src string, links ...Link) Encoded {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		tb.Fatalf("%s: %v", src, err)
	}
	var e Entries
	if err := x.Index(&e, &tape, links...); err != nil {
		tb.Fatalf("%s: %v", src, err)
	}
	AppendCommon(&e, tape.Text(tape.Field(tape.Root(), "id")), time.Date(2026, 3, 14, 15, 9, 26, 535e6, time.UTC))
	e.Sort()
	return Encoded(e.AppendBinary(nil))
}

// pairs takes a query string apart, without decoding.
func pairs(query string) (out []Pair) {
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		out = append(out, Pair{name, value})
	}
	return out
}

const observation = `{"resourceType":"Observation","id":"o1","status":"final",
	"meta":{"profile":["http://p.test/bp|1.0"],"tag":[{"system":"http://t.test","code":"a"}],"source":"http://s.test#1",
		"security":[{"system":"http://sec.test","code":"R"}]},
	"identifier":[{"system":"http://i.test","value":"AbC|1"},{"value":"bare"}],
	"category":[{"coding":[{"system":"http://c.test","code":"Lab"},{"code":"nosystem"}]}],
	"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
	"subject":{"reference":"Patient/p1"},
	"encounter":{"reference":"http://vitrine.test/fhir/Encounter/e1/_history/3"},
	"performer":[{"reference":"urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"},{"reference":"http://other.test/Practitioner/x"},
		{"identifier":{"system":"http://nric.test","value":"S1234567D"}}],
	"effectivePeriod":{"start":"2026-03-14","end":"2026-03-16T10:00:00Z"},
	"valueQuantity":{"value":5.40,"unit":"millimol","system":"http://unitsofmeasure.org","code":"mmol/L"},
	"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"x"}]},"valueQuantity":{"value":100,"comparator":">","code":"kg"}}]}`

const patient = `{"resourceType":"Patient","id":"p1","active":true,"gender":"female","birthDate":"1990-02",
	"name":[{"family":"Carreño-Quiñones","given":["Zoë  Ann"],"text":"Dr. Zoë"}],
	"telecom":[{"system":"phone","value":"+65 6"},{"system":"email","value":"Z@x.test"}],
	"address":[{"line":["12 Main St."],"city":"Singapore"}],"deceasedDateTime":"2020-01-01",
	"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`

const consultation = `{"resourceType":"Encounter","id":"e1","status":"finished","class":{"system":"http://v3.test","code":"AMB"},
	"subject":{"type":"Patient","identifier":{"system":"http://nric.test","value":"S1"}},"length":{"value":3,"code":"h","system":"http://unitsofmeasure.org"}}`

const risk = `{"resourceType":"RiskAssessment","id":"r1","prediction":[{"probabilityDecimal":0.8},{"probabilityRange":{"low":{"value":3},"high":{"value":7}}}]}`

const valueSet = `{"resourceType":"ValueSet","id":"v1","url":"http://V.test/vs","name":"Größe",
	"compose":{"include":[{"valueSet":["http://v.test/other|2"],"system":"http://cs.test"}]}}`

const sequence = `{"resourceType":"MolecularSequence","id":"s1","coordinateSystem":0,"referenceSeq":{"windowStart":10,"windowEnd":20,
	"chromosome":{"coding":[{"system":"http://chr.test","code":"1"}]}},"variant":[{"start":128273724,"end":128273736}]}`

const answers = `{"resourceType":"QuestionnaireResponse","id":"q1","status":"completed","questionnaire":"http://q.test/q|2"}`

const smoker = `{"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"code":"status"}]},
	"valueCodeableConcept":{"coding":[{"system":"http://v.test","code":"never"}]}}`

const event = `{"resourceType":"AuditEvent","id":"a1","recorded":"2026-01-01T10:00:00Z"}`

const bundle = `{"resourceType":"Bundle","id":"b1","type":"document","entry":[{"resource":{"resourceType":"Composition","id":"c"}},
	{"resource":{"resourceType":"Composition","id":"d"}}]}`

const document = `{"resourceType":"DocumentReference","id":"d1","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/d0"}}]}`

// TestQueriesFindAndDoNotFind has for each form of R4 search.html a query that
// finds a resource and one like it that does not.
func TestQueriesFindAndDoNotFind(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	for _, c := range []struct {
		name, resource string
		found, missed  []string
	}{
		{
			"control parameters of every resource", observation,
			[]string{
				"_id=o1", "_id=x,o1", "_lastUpdated=2026-03-14", "_lastUpdated=gt2026-03-14T15:09:26.534Z", "_tag=http://t.test|a",
				"_profile=http://p.test/bp", "_profile=http://p.test/bp|1.0", "_security=R", "_source=http://s.test#1",
			},
			[]string{
				"_id=O1", "_id=o", "_lastUpdated=gt2026-03-14", "_tag=http://x.test|a", "_profile=http://p.test/bp|1",
				"_security=http://sec.test|X", "_source=http://s.test",
			},
		},
		{
			"token", observation,
			[]string{
				"code=8480-6", "code=http://loinc.org|8480-6", "code=http://loinc.org|", "category=lab", "category=http://c.test|LAB",
				"category=|nosystem", `identifier=http://i.test|AbC\|1`, `identifier=abc\|1`, "identifier=|bare", "status=final",
				"status=http://hl7.org/fhir/observation-status|final", "code=a,b,8480-6", "combo-code=x",
			},
			[]string{
				"code=8480", "code=http://LOINC.org|8480-6", "code=|8480-6", "category=|lab", "category=http://c.test|nosystem",
				"identifier=http://i.test|AbC", "identifier=http://i.test|bare", "status=fina", "status=http://x.test|final", "code=http://loinc.or|",
				"code=8480-6&code=x", "component-code=8480-6",
			},
		},
		{
			"token on boolean, code and contact", patient,
			[]string{"active=true", "gender=female", "phone=+65 6", "email=z@X.TEST", "telecom=z@x.test", "deceased=true"},
			[]string{"active=false", "gender=male", "phone=z@x.test", "email=+65 6", "telecom=email|z@x.test", "deceased=false"},
		},
		{
			"string", patient,
			[]string{
				"name=carreno", "name=QUINONES", "family=carreñoquiñones", "family=Carreno-Q", "given=zoe ann", "given:exact=Zoë  Ann",
				"address=12 MAIN st", "address-city=sing", "name=dr zoe",
			},
			[]string{"name=arreno", "family=zoe", "given=ann", "given:exact=Zoë Ann", "given:exact=Zoe  Ann", "address=main", "address-city=pore"},
		},
		{"string folds beyond ASCII", valueSet, []string{"name=grosse", "name=GRÖSSE", "name:exact=Größe"}, []string{"name=grose", "name:exact=GRÖSSE"}},
		{
			"date on a partial date", patient,
			[]string{
				"birthdate=1990", "birthdate=1990-02", "birthdate=le1990-02", "birthdate=ge1990-02", "birthdate=gt1990-02-10",
				"birthdate=lt1990-02-10", "birthdate=ne1990-02-10", "birthdate=sa1990-01", "birthdate=eb1990-03", "birthdate=ap1990-03",
			},
			[]string{
				"birthdate=1990-02-10", "birthdate=gt1990-02", "birthdate=lt1990-02", "birthdate=ne1990-02", "birthdate=sa1990-02-01",
				"birthdate=eb1990-02-28", "birthdate=ap1990-05", "birthdate=1991",
			},
		},
		{
			"date on a period", observation,
			[]string{
				"date=2026-03", "date=gt2026-03-15", "date=lt2026-03-15", "date=ge2026-03-16", "date=le2026-03-14", "date=sa2026-03-13",
				"date=eb2026-03-17", "date=ap2026-03-17", "date=ne2026-03-15", "date=ge2026-03-01&date=le2026-03-31",
			},
			[]string{"date=2026-03-14", "date=gt2026-03-16", "date=lt2026-03-14", "date=sa2026-03-14", "date=eb2026-03-16", "date=ne2026-03"},
		},
		{
			"number", strings.Replace(risk, `,{"probabilityRange":{"low":{"value":3},"high":{"value":7}}}`, "", 1),
			[]string{
				"probability=0.8", "probability=8e-1", "probability=gt0.7", "probability=le0.8", "probability=ge0.8", "probability=1",
				"probability=ne0.9", "probability=ap0.85", "probability=0.80",
			},
			[]string{
				"probability=0.81", "probability=gt0.8", "probability=lt0.8", "probability=sa0.8", "probability=eb0.8", "probability=ap0.9",
				"probability=ne0.8", "probability=-0.8",
			},
		},
		{
			"number on a range", strings.Replace(risk, `{"probabilityDecimal":0.8},`, "", 1),
			[]string{"probability=gt5", "probability=lt5", "probability=ge7", "probability=le3", "probability=ne5", "probability=sa2", "probability=eb8", "probability=ap7.7"},
			[]string{"probability=5", "probability=gt7", "probability=lt3", "probability=sa3", "probability=eb7", "probability=ap8"},
		},
		{"number on an integer", sequence, []string{"window-start=10", "window-start=ge10", "window-start=10.0"}, []string{"window-start=10.5", "window-start=11", "window-start=gt10"}},
		{
			"quantity", observation,
			[]string{
				"value-quantity=5.4|http://unitsofmeasure.org|mmol/L", "value-quantity=5.4||mmol/L", "value-quantity=5.4||millimol",
				"value-quantity=5.4", "value-quantity=5", "value-quantity=5.40", "value-quantity=lt5.41||millimol", "value-quantity=ap5||mmol/L",
				"component-value-quantity=gt100||kg", "component-value-quantity=sa100", "component-value-quantity=gt1000000",
			},
			[]string{
				"value-quantity=5.4|http://unitsofmeasure.org|millimol", "value-quantity=5.4||mol", "value-quantity=5.3",
				"value-quantity=5.5||mmol/L", "value-quantity=gt5.4", "component-value-quantity=lt100", "component-value-quantity=100||kg",
			},
		},
		{"quantity of a duration", consultation, []string{"length=3|http://unitsofmeasure.org|h", "length=gt2||h"}, []string{"length=3||min", "length=gt3||h"}},
		{
			"reference", observation,
			[]string{
				"subject=Patient/p1", "subject=p1", "patient=p1", "patient=Patient/p1", "subject:Patient=p1", "subject:Patient=Patient/p1",
				"subject=http://vitrine.test/fhir/Patient/p1", "encounter=e1", "encounter=Encounter/e1", "encounter=Encounter/e1/_history/3",
				"performer=urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", "performer=http://other.test/Practitioner/x",
				"performer:identifier=http://nric.test|s1234567d", "performer:identifier=S1234567D", "subject=Group/g,Patient/p1",
			},
			[]string{
				"subject=Group/p1", "subject=Patient/p", "subject:Group=p1", "patient=p2", "subject=http://other.test/Patient/p1",
				"encounter=Encounter/e1/_history/2", "performer=Practitioner/x", "performer=x", "performer:identifier=http://x.test|S1234567D",
				"subject:identifier=p1",
			},
		},
		{
			"composite of two tokens", smoker,
			[]string{"code-value-concept=status$never", "combo-code-value-concept=status$http://v.test|never"},
			[]string{"code-value-concept=never$never", "code-value-concept=status$status"},
		},
		{
			"instant", event,
			[]string{"date=2026-01-01T10:00:00.000Z", "date=2026-01-01T10:00:00Z", "date=ge2026-01-01T10:00:00.000Z"},
			[]string{"date=2026-01-01T10:00:00.001Z", "date=gt2026-01-01T10:00:00.000Z"},
		},
		{"resource in place of a reference", bundle, []string{"composition=c", "composition=Composition/c"}, []string{"composition=d", "composition=Composition/d"}},
		{"uri", valueSet, []string{"url=http://V.test/vs"}, []string{"url=http://v.test/vs", "url=http://V.test/v", "url=http://V.test/vs/"}},
		{
			"canonical", answers,
			[]string{"questionnaire=http://q.test/q", "questionnaire=http://q.test/q|2", `questionnaire=http://q.test/q\|2`},
			[]string{"questionnaire=http://q.test/q|1", "questionnaire=http://q.test"},
		},
		{
			"composite", observation,
			[]string{
				"code-value-quantity=8480-6$5.4", "code-value-quantity=http://loinc.org|8480-6$gt5||mmol/L",
				"combo-code-value-quantity=x$gt100", "component-code-value-quantity=http://loinc.org|X$gt100||kg",
			},
			[]string{
				"code-value-quantity=8480-6$gt5.4", "code-value-quantity=x$gt100", "component-code-value-quantity=8480-6$5.4",
				"combo-code-value-quantity=x$5.4",
			},
		},
		{
			"composite of a token and two numbers", sequence,
			[]string{
				"chromosome-window-coordinate=1$10$20", "chromosome-window-coordinate=http://chr.test|1$ge5$lt21",
				"chromosome-variant-coordinate=1$lt128273725$gt128273730", "chromosome-window-coordinate=1$ne11$20",
			},
			[]string{
				"chromosome-window-coordinate=1$10$21", "chromosome-window-coordinate=2$10$20", "chromosome-window-coordinate=1$gt10$20",
				"chromosome-variant-coordinate=1$lt128273724$gt128273730", "chromosome-window-coordinate=1$ne10$20",
			},
		},
		{
			"composite with a reference", document,
			[]string{"relationship=replaces$DocumentReference/d0", "relatesto=d0"},
			[]string{"relationship=signs$DocumentReference/d0", "relationship=replaces$DocumentReference/d9"},
		},
	} {
		typ := fhir.ResourceType(c.resource[len(`{"resourceType":"`):][:strings.Index(c.resource[len(`{"resourceType":"`):], `"`)])
		e := indexed(t, x, c.resource)
		for i, list := range [][]string{c.found, c.missed} {
			for _, query := range list {
				q, refusal := p.Parse(typ, pairs(query), false)
				if refusal != nil {
					t.Errorf("%s: %s: %v", c.name, query, refusal)
					continue
				}
				if got, want := q.Matches(e), i == 0; got != want {
					t.Errorf("%s: %s: found %v, want %v", c.name, query, got, want)
				}
			}
		}
	}
}

func TestLinkedIdentifierIsAReferenceToThePatient(t *testing.T) {
	x := indexer(t)
	q, refusal := x.Parser().Parse("Encounter", pairs("patient=p1"), false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	link := Link{fhir.Identifier{System: "http://nric.test", Value: "S1"}, "p1"}
	if !q.Matches(indexed(t, x, consultation, link)) {
		t.Error("linked: not found")
	}
	link.Identifier.Value = "S2"
	if q.Matches(indexed(t, x, consultation, link)) || q.Matches(indexed(t, x, consultation)) {
		t.Error("not linked: found")
	}
}

// TestMatchesOfTheGate shows that the matches made for the server itself are
// exact where those of a query are not.
func TestMatchesOfTheGate(t *testing.T) {
	x := indexer(t)
	e := indexed(t, x, observation)
	typ := x.defs.Type("Observation")
	var own Entries
	AppendAwaits(&own, fhir.Identifier{System: "s", Value: "V"})
	own.Sort()
	oe := Encoded(own.AppendBinary(nil))
	for name, c := range map[string]struct {
		m    Match
		e    Encoded
		want bool
	}{
		"token":                 {TokenMatch(typ.Param("category"), "http://c.test", "Lab"), e, true},
		"token of another case": {TokenMatch(typ.Param("category"), "http://c.test", "lab"), e, false},
		"code":                  {CodeMatch(typ.Param("category"), "Lab"), e, true},
		"code of another case":  {CodeMatch(typ.Param("category"), "LAB"), e, false},
		"reference":             {ReferenceMatch(typ.Param("patient"), "Patient/p1"), e, true},
		"another reference":     {ReferenceMatch(typ.Param("patient"), "Patient/p"), e, false},
		"id":                    {IDMatch("o1"), e, true},
		"another id":            {IDMatch("o"), e, false},
		"awaits":                {AwaitsMatch(fhir.Identifier{System: "s", Value: "V"}), oe, true},
		"awaits another":        {AwaitsMatch(fhir.Identifier{System: "s", Value: "v"}), oe, false},
		"zero match":            {Match{}, e, false},
	} {
		if got := c.m.Holds(c.e); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if (Clause{}).Holds(e) {
		t.Error("a clause without matches holds")
	}
	if !(&Query{}).Matches(e) {
		t.Error("a query without clauses does not match")
	}
}

// TestRangeReadsItsKeyAlone: a value with more between key and bounds belongs
// to another key.
func TestRangeReadsItsKeyAlone(t *testing.T) {
	m := Match{Param: 1, Op: OpRange, Key: []byte("k"), Bounds: Bounds{LowMax: afterAll, HighMax: afterAll}}
	for value, want := range map[string]bool{
		"k" + strings.Repeat("x", 16): true, "k" + strings.Repeat("x", 17): false, "k" + strings.Repeat("x", 15): false,
		"j" + strings.Repeat("x", 16): false, "k": false, "": false,
	} {
		if got := m.Accepts([]byte(value)); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestSortValue(t *testing.T) {
	x := indexer(t)
	e, p := indexed(t, x, risk), x.Parser()
	q, refusal := p.Parse("RiskAssessment", pairs("_sort=probability,-probability,_id,-_lastUpdated,date"), false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	number := func(s string) string {
		n, _ := parseNumber([]byte(s))
		low, high := n.decimal().bounds()
		return string(appendBounds(nil, low, high))
	}
	want := []string{number("0.8"), number("3")[:8] + number("7")[8:], "r1", "", ""}
	for i, k := range q.Sort {
		v, ok := SortValue(e, k)
		if want[i] != "" && string(v) != want[i] {
			t.Errorf("key %d: %q, want %q", i, v, want[i])
		}
		if ok != (i < 4) {
			t.Errorf("key %d: ok %v", i, ok)
		}
	}
}

func TestDamagedEncodingEnds(t *testing.T) {
	e := indexed(t, indexer(t), observation)
	for n := range len(e) {
		for p, v := range e[:n].All() {
			_, _ = p, v
		}
	}
	for _, none := range []Encoded{
		{0xff, 0xff, 0xff, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, // longer than all there is
		{1, 1, 0},       // its own value
		{1, 1, 1, 0},    // the count for a value
		{1, 1, 9, 0},    // a value before the beginning
		{1, 0x80, 0x80}, // no step
	} {
		for p, v := range none.All() {
			t.Errorf("%x: an entry out of nothing: %d %x", none, p, v)
		}
	}
}
