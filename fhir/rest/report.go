package rest

import (
	"context"
	"encoding/csv"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// mediaTable is the form of a table.
const mediaTable = "text/csv"

// asksTable reports whether a client asks for a table before all else.
func asksTable(accept []string) bool {
	if len(accept) == 0 {
		return false
	}
	media, _, err := mime.ParseMediaType(strings.SplitN(accept[0], ",", 2)[0])
	return err == nil && media == mediaTable
}

// breakGlassReport is AuditEvent/$break-glass-report.
func (s *Server) breakGlassReport(ctx context.Context, x *exchange) (answer, error) {
	all, err := pairs(nil, x.query)
	if err == nil && x.tape != nil {
		all, err = parameterPairs(all, x.tape)
	}
	if err != nil {
		return answer{}, err
	}
	var r gate.ReportRequest
	seen := map[string]bool{}
	for _, one := range all {
		if seen[one.Name] {
			return answer{}, wrongParameter(one.Name, "it stands there twice")
		}
		seen[one.Name] = true
		value := strings.Replace(one.Value, " ", "+", 1) // a plus that was not escaped
		switch one.Name {
		case "start", "end":
			from, until, ok := s.tools.Parser.Span(value)
			if !ok {
				return answer{}, wrongParameter(one.Name, "it must be a date or time, such as 2026-11-22 or 2026-11-22T08:30:00+08:00")
			}
			if one.Name == "start" {
				r.Start = from
			} else {
				r.End = until
			}
		case "organization":
			if r.Organization, err = named(one.Name, one.Value, "Organization"); err != nil {
				return answer{}, err
			}
		case "practitioner", "agent":
			if r.Practitioner != "" {
				return answer{}, wrongParameter(one.Name, "one person is named once")
			}
			if r.Practitioner, err = named(one.Name, one.Value, "Practitioner", "PractitionerRole"); err != nil {
				return answer{}, err
			}
		default:
			return answer{}, wrongParameter(one.Name, "known are start, end, organization and practitioner, or agent for the latter")
		}
	}
	released, err := s.gate.BreakGlassReport(ctx, &x.request, r)
	if err != nil {
		return answer{}, err
	}
	a := answer{released: released, form: formReport, status: http.StatusOK}
	if x.table {
		a.form = formReportTable
		a.kind = []string{mediaTable + "; charset=utf-8; header=present"}
	}
	return a, nil
}

// named is a reference to a resource of one of the types, or an id of the first.
func named(name, value string, types ...string) (string, error) {
	typ, id, typed := strings.Cut(value, "/")
	if !typed {
		typ, id = types[0], value
	}
	if !slices.Contains(types, typ) || !fhir.ValidID(id) {
		return "", wrongParameter(name, "it must be the id of a resource, or its type and id, of "+strings.Join(types, " or "))
	}
	return typ + "/" + id, nil
}

// appendReport appends the Parameters of a report: how many overrides there are by
// organisation and by person, those that stand out, and each with what is known of it.
func appendReport(dst []byte, r *gate.Report) []byte {
	w := text(dst).raw(`{"resourceType":"Parameters","parameter":[{"name":"start","valueInstant":`).instant(r.Start)
	w = w.raw(`},{"name":"end","valueInstant":`).instant(r.End)
	for _, to := range []struct{ name, ref string }{{"for-organization", r.Organization}, {"for-practitioner", r.Practitioner}} {
		if to.ref != "" {
			w = w.raw(`},{"name":"` + to.name + `","valueReference":{"reference":`).quote(to.ref).raw("}")
		}
	}
	w = w.raw(`},{"name":"overrides","valueInteger":`).raw(strconv.Itoa(len(r.Overrides))).raw("}")
	w = w.tally(r, "organization", func(o *gate.Override) string { return o.Organization })
	w = w.tally(r, "practitioner", func(o *gate.Override) string { return o.Practitioner })
	for _, list := range lists() {
		for i := range r.Overrides {
			if o := &r.Overrides[i]; list.of(o) {
				w = w.raw(`,{"name":"` + list.name + `","valueReference":{"reference":`).quote(o.Task).raw("}}")
			}
		}
	}
	for i := range r.Overrides {
		w = w.override(&r.Overrides[i])
	}
	return w.raw("]}")
}

// lists are those of the overrides that stand out, or may yet.
func lists() []listed {
	return []listed{
		{"without-encounter", func(o *gate.Override) bool { return o.WithoutEncounter }},
		{"encounter-awaited", func(o *gate.Override) bool { return o.EncounterAwaited }},
		{"repeated-by-practitioner", func(o *gate.Override) bool { return o.RepeatedByPerson }},
		{"repeated-on-patient", func(o *gate.Override) bool { return o.RepeatedOnPatient }},
		{"outside-hours", func(o *gate.Override) bool { return o.OutsideHours }},
		{"overdue", func(o *gate.Override) bool { return o.Overdue }},
	}
}

type listed struct {
	name string
	of   func(*gate.Override) bool
}

// tally counts the overrides by whom they are of, the most first.
func (w text) tally(r *gate.Report, name string, of func(*gate.Override) string) text {
	counts := map[string]int{}
	var all []string
	for i := range r.Overrides {
		one := of(&r.Overrides[i])
		if counts[one] == 0 {
			all = append(all, one)
		}
		counts[one]++
	}
	slices.SortFunc(all, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for _, one := range all {
		w = w.raw(`,{"name":"` + name + `","part":[{"name":"reference","valueReference":{"reference":`).quote(one)
		w = w.raw(`}},{"name":"overrides","valueInteger":`).raw(strconv.Itoa(counts[one])).raw("}]}")
	}
	return w
}

// override is one of the report.
func (w text) override(o *gate.Override) text {
	w = w.raw(`,{"name":"override","part":[{"name":"grant","valueUri":`).quote(o.Grant)
	for _, ref := range []struct{ name, to string }{
		{"patient", o.Patient},
		{"practitioner", o.Practitioner},
		{"organization", o.Organization},
		{"started", o.Started},
		{"stopped", o.Stopped},
		{"review", o.Task},
	} {
		if ref.to != "" {
			w = w.raw(`},{"name":"` + ref.name + `","valueReference":{"reference":`).quote(ref.to).raw("}")
		}
	}
	w = w.raw(`},{"name":"start","valueInstant":`).instant(o.Start).raw(`},{"name":"end","valueInstant":`).instant(o.End)
	w = w.raw(`},{"name":"open","valueBoolean":`).raw(strconv.FormatBool(o.Open))
	w = w.raw(`},{"name":"accesses","valueInteger":`).raw(strconv.FormatUint(uint64(o.Accesses), 10))
	w = w.raw(`},{"name":"state","valueCode":`).quote(string(o.State)).raw(`},{"name":"due","valueInstant":`).instant(o.Due)
	for _, list := range lists() {
		w = w.raw(`},{"name":"` + list.name + `","valueBoolean":`).raw(strconv.FormatBool(list.of(o)))
	}
	return w.raw("}]}")
}

func (w text) instant(at time.Time) text { return append(fhir.AppendInstant(append(w, '"'), at), '"') }

// appendReportTable appends the overrides of a report as a table (RFC 4180).
func appendReportTable(dst []byte, r *gate.Report) []byte {
	out := sliceWriter(dst)
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	head := []string{"grant", "patient", "practitioner", "organization", "start", "end", "open", "accesses", "started", "stopped", "review", "state", "due"}
	for _, list := range lists() {
		head = append(head, list.name)
	}
	_ = w.Write(head) // into memory
	for i := range r.Overrides {
		o := &r.Overrides[i]
		row := []string{
			o.Grant, o.Patient, o.Practitioner, o.Organization, fhir.FormatInstant(o.Start), fhir.FormatInstant(o.End), strconv.FormatBool(o.Open),
			strconv.FormatUint(uint64(o.Accesses), 10), o.Started, o.Stopped, o.Task, string(o.State), fhir.FormatInstant(o.Due),
		}
		for _, list := range lists() {
			row = append(row, strconv.FormatBool(list.of(o)))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return out
}
