package rest

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// What is our own is defined here: the operations and search parameters that the
// CapabilityStatement names by a canonical URL, and the code systems of what the
// server writes, are answered at the last part of that URL below the base, to
// everybody, as the CapabilityStatement is. They are the program's, not the record's:
// no store has them, and no search finds them.

// definitionType is the type of what they are.
const definitionType fhir.ResourceType = "OperationDefinition"

// definitionVersion is the business version of all of them.
const definitionVersion = "1.0.0"

// operation is what is told of an operation beside what its rows say.
type operation struct {
	title, text string
	takes       []argument
	gives       []argument
}

// argument is a parameter of an operation, or a part of one.
type argument struct {
	name string
	// kind is its type; empty for what has parts.
	kind string
	// least is how often it stands there at least; most is once, unless many.
	least int
	many  bool
	text  string
	// to is the type that a reference leads to, and codes the value set of a code,
	// which may be extended; empty for none.
	to, codes string
	parts     []argument
}

// defined are the rows that answer what is our own: the definitions of the operations
// among the rows, and what no row names.
func defined(rows []interaction) (out []interaction) {
	told := operations()
	seen := map[string]bool{}
	for i := range rows {
		id := rows[i].defines()
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		o, ok := told[id]
		if !ok {
			continue // a test holds the rows against the table
		}
		out = append(out, shown(definitionType, id, o.resource(id, rows)))
	}
	for _, p := range r4.Own() {
		id := p.URL[strings.LastIndexByte(p.URL, '/')+1:]
		out = append(out, shown("SearchParameter", id, parameter(id, p)))
	}
	for id, v := range vocabularies() {
		out = append(out, shown("CodeSystem", id, v.resource(id)))
	}
	slices.SortFunc(out, func(a, b interaction) int { return strings.Compare(a.pattern, b.pattern) })
	return out
}

// shown is the row of what is our own and always the same.
func shown(t fhir.ResourceType, id string, body []byte) interaction {
	return interaction{
		name: "definition", method: http.MethodGet, pattern: "/" + string(t) + "/" + id, open: true,
		handle: func(*Server, context.Context, *exchange) (answer, error) {
			return answer{form: formStatic, status: http.StatusOK, text: body}, nil
		},
	}
}

// heading opens a definition of our own, up to its name.
func heading(t fhir.ResourceType, id string) text {
	w := text(`{"resourceType":"` + string(t) + `","id":`).quote(id).raw(`,"url":`).quote(consent.Canon + "/" + string(t) + "/" + id)
	return w.raw(`,"version":"` + definitionVersion + `","name":`).quote(camel(id))
}

// parameter is the definition of a search parameter (R4 searchparameter.html).
func parameter(id string, p *r4.SearchParam) []byte {
	w := heading("SearchParameter", id).raw(`,"status":"active","publisher":"Vitrine","description":`).quote("What an access was for: the purpose of use of the event, or of one of its agents.")
	w = w.raw(`,"code":`).quote(p.Code).raw(`,"base":[`)
	for i, t := range p.Bases {
		w = w.comma(i).quote(string(t))
	}
	return w.raw(`],"type":`).quote(p.Kind.String()).raw(`,"expression":`).quote(p.Expression).raw("}")
}

// Reserved are the addresses below the base at which the program's own are found: what
// a store had there would not be read.
func Reserved() (out []string) {
	for _, row := range interactions() {
		if row.name == "definition" && row.method == http.MethodGet {
			out = append(out, strings.TrimPrefix(row.pattern, "/"))
		}
	}
	return out
}

// defines is the id of the definition of the row's operation; empty where it is no
// operation, or one that somebody else defines.
func (i *interaction) defines() string {
	if !strings.HasPrefix(i.name, "$") || !strings.HasSuffix(i.pattern, "/"+i.name) || standard(i.name) != "" {
		return ""
	}
	if i.only == "" {
		return strings.TrimPrefix(i.name, "$")
	}
	return string(i.only) + "-" + strings.TrimPrefix(i.name, "$")
}

// canonical is the URL of the definition of the row's operation.
func (i *interaction) canonical() string {
	if url := standard(i.name); url != "" {
		return url
	}
	return consent.Canon + "/" + string(definitionType) + "/" + i.defines()
}

// definitionsOfBulkData is where the operations of Bulk Data Access are defined.
const definitionsOfBulkData = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"

// standard is the canonical URL of an operation of R4 or of Bulk Data Access; empty
// for one of our own.
func standard(name string) string {
	switch name {
	case "$everything":
		return "http://hl7.org/fhir/OperationDefinition/Patient-everything"
	case "$meta", "$meta-add", "$meta-delete", "$validate":
		return "http://hl7.org/fhir/OperationDefinition/Resource-" + strings.TrimPrefix(name, "$")
	case "$export":
		return definitionsOfBulkData + "patient-export"
	default:
		return ""
	}
}

// resource is the definition of the operation of the id (R4 operationdefinition.html).
func (o *operation) resource(id string, rows []interaction) []byte {
	var name string
	var only fhir.ResourceType
	var writes, onSystem, ofType, ofInstance bool
	for i := range rows {
		row := &rows[i]
		if row.defines() != id {
			continue
		}
		name, only, writes = strings.TrimPrefix(row.name, "$"), row.only, writes || row.write
		ofInstance = ofInstance || strings.HasPrefix(row.pattern, onInstance)
		ofType = ofType || strings.HasPrefix(row.pattern, onType) && !strings.HasPrefix(row.pattern, onInstance)
		onSystem = onSystem || !strings.HasPrefix(row.pattern, onType)
	}
	w := heading(definitionType, id).raw(`,"title":`).quote(o.title)
	w = w.raw(`,"status":"active","kind":"operation","publisher":"Vitrine","description":`).quote(o.text)
	w = w.raw(`,"affectsState":` + strconv.FormatBool(writes) + `,"code":`).quote(name)
	if only != "" {
		w = w.raw(`,"resource":[`).quote(string(only)).raw("]")
	}
	w = w.raw(`,"system":` + strconv.FormatBool(onSystem) + `,"type":` + strconv.FormatBool(ofType) + `,"instance":` + strconv.FormatBool(ofInstance))
	if len(o.takes)+len(o.gives) > 0 {
		w = w.raw(`,"parameter":[`).arguments("in", o.takes)
		if len(o.takes) > 0 && len(o.gives) > 0 {
			w = w.raw(",")
		}
		w = w.arguments("out", o.gives).raw("]")
	}
	return w.raw("}")
}

// camel is an id as the name that a program would give it.
func camel(id string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(id, "-") {
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}

// arguments appends parameters, without the list around them.
func (w text) arguments(use string, all []argument) text {
	for i := range all {
		a := &all[i]
		most := "1"
		if a.many {
			most = "*"
		}
		w = w.comma(i).raw(`{"name":`).quote(a.name).raw(`,"use":"` + use + `","min":` + strconv.Itoa(a.least) + `,"max":"` + most + `","documentation":`).quote(a.text)
		if a.kind != "" {
			w = w.raw(`,"type":`).quote(a.kind)
		}
		if a.to != "" {
			w = w.raw(`,"targetProfile":[`).quote("http://hl7.org/fhir/StructureDefinition/" + a.to).raw("]")
		}
		if a.codes != "" {
			w = w.raw(`,"binding":{"strength":"extensible","valueSet":`).quote(a.codes).raw("}")
		}
		if len(a.parts) > 0 {
			w = w.raw(`,"part":[`).arguments(use, a.parts).raw("]")
		}
		w = w.raw("}")
	}
	return w
}
