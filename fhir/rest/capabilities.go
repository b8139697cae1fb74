package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// metadata is R4 http.html#capabilities.
func (s *Server) metadata(context.Context, *exchange) (answer, error) {
	return answer{form: formStatic, status: http.StatusOK, text: s.capabilities()}, nil
}

// statement makes the CapabilityStatement of the table of interactions and the
// search parameters that a parser takes.
func (s *Server) statement(p *search.Parser) []byte {
	w := text(`{"resourceType":"CapabilityStatement","status":"active","kind":"instance","name":"Vitrine","date":"`)
	w = text(fhir.AppendInstant(w, s.cfg.Now()))
	w = w.raw(`","software":{"name":"Vitrine"`)
	if s.cfg.Version != "" {
		w = w.raw(`,"version":`).quote(s.cfg.Version)
	}
	w = w.raw(`},"implementation":{"description":"A national health record behind glass","url":`).quote(s.cfg.BaseURL)
	w = w.raw(`},"fhirVersion":"4.0.1","format":["json","application/fhir+json"],"patchFormat":["` + mediaPatch + `","` + mediaFHIR + `"],"rest":[{"mode":"server",` +
		`"security":{`)
	w = s.oauthURIs(w).raw(`"cors":true,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service",` +
		`"code":"SMART-on-FHIR"}]}],"description":"Bearer tokens with SMART scopes, one organisation and one purpose of use. ` +
		`What a caller may not see does not exist for that caller."},"resource":[`)
	for i, t := range s.tools.Definitions.Resources() {
		if i > 0 {
			w = w.raw(",")
		}
		w = s.describe(w, t, p)
	}
	w = w.raw(`],"interaction":[`)
	if s.gate.Transactions() {
		w = w.raw(`{"code":"transaction"},`)
	}
	w = w.raw(`{"code":"batch"},{"code":"search-system"},{"code":"history-system"` + overseers + `}]`)
	w = s.searchAll(w, p).raw(`,"operation":[{"name":"meta","definition":`).quote(standard("$meta")).raw(overseers + `},{"name":"export","definition":`).quote(definitionsOfBulkData + "export").raw(`,"documentation":"Of AuditEvent, for the regulator."}],"compartment":[`)
	for i, code := range [...]string{"device", "encounter", "patient", "practitioner", "relatedPerson"} {
		w = w.comma(i).quote("http://hl7.org/fhir/CompartmentDefinition/" + code)
	}
	w = w.raw(`]}]}`)
	return w
}

// describe appends rest.resource of one type.
func (s *Server) describe(w text, t *r4.Type, p *search.Parser) text {
	var interactions []string
	var operations []*interaction
	for i := range s.table {
		row := &s.table[i]
		if row.method == "" || row.method == http.MethodHead || row.beside || !strings.HasPrefix(row.pattern, onType) || !row.serves(t.Resource()) {
			continue
		}
		switch {
		case row.closed == t.Resource():
		case strings.HasPrefix(row.name, "$"):
			if !slices.ContainsFunc(operations, func(o *interaction) bool { return o.name == row.name }) {
				operations = append(operations, row)
			}
		case row.name != "search-compartment":
			interactions = appendOnce(interactions, row.name)
		}
	}
	w = w.raw(`{"type":`).quote(t.Name).raw(`,"profile":`).quote("http://hl7.org/fhir/StructureDefinition/" + t.Name).raw(`,"interaction":[`)
	for i, code := range interactions {
		w = w.comma(i).raw(`{"code":`).quote(code)
		if code == "history-type" {
			w = w.raw(overseers)
		}
		w = w.raw("}")
	}
	// That the custodian may choose ids is for no other client to count on.
	w = w.raw(`],"versioning":"versioned","readHistory":true,"updateCreate":false`)
	if contains(interactions, "create") {
		w = w.raw(`,"conditionalCreate":true,"conditionalRead":"full-support","conditionalUpdate":true,"conditionalDelete":`)
		if s.gate.DeletesMany() {
			w = w.raw(`"multiple"`)
		} else {
			w = w.raw(`"single"`)
		}
	} else {
		w = w.raw(`,"conditionalCreate":false,"conditionalRead":"full-support","conditionalUpdate":false,"conditionalDelete":"not-supported"`)
	}
	w = s.includes(w, t, p)
	w = searchParams(w, t, p)
	for i, row := range operations {
		if i == 0 {
			w = w.raw(`,"operation":[`)
		}
		w = w.comma(i).raw(`{"name":`).quote(strings.TrimPrefix(row.name, "$")).raw(`,"definition":`).quote(row.canonical())
		if whom := row.audience(); whom != "" {
			w = w.raw(`,"documentation":`).quote(whom)
		}
		w = w.raw("}")
		if i == len(operations)-1 {
			w = w.raw("]")
		}
	}
	return w.raw("}")
}

// overseers says for whom an interaction is there.
const overseers = `,"documentation":"For the repository's custodian; of AuditEvent, for the regulator too."`

// audience says for whom an operation is there, in words; nothing where it is there
// for all. Whoever is told that there is none for them is referred to this.
func (i *interaction) audience() string {
	whose := i.whose
	switch {
	case i.overseen && i.only != "":
		whose = func(k consent.Kind) bool { return gate.Oversees(k, i.only) }
	case i.begins && i.only != "":
		whose = func(k consent.Kind) bool { return gate.Exports(k, gate.ExportPatients) }
	}
	if whose == nil {
		return ""
	}
	kinds := [...]string{
		consent.Practitioner: "practitioners", consent.System: "organisations' systems", consent.Patient: "the patient",
		consent.Representative: "who acts for the patient", consent.Regulator: "the regulator", consent.Custodian: "the custodian",
	}
	var all []string
	for k := consent.Practitioner; k <= consent.Custodian; k++ {
		if whose(k) {
			all = append(all, kinds[k])
		}
	}
	switch last := len(all) - 1; last {
	case -1:
		return "For nobody."
	case 0:
		return "For " + all[0] + "."
	default:
		return "For " + strings.Join(all[:last], ", ") + " and " + all[last] + "."
	}
}

// text is JSON under construction.
type text []byte

func (w text) raw(s string) text   { return append(w, s...) }
func (w text) quote(s string) text { return fhir.AppendString(w, s) }
func (w text) comma(i int) text {
	if i == 0 {
		return w
	}
	return append(w, ',')
}

func appendOnce(list []string, s string) []string {
	if contains(list, s) {
		return list
	}
	return append(list, s)
}
