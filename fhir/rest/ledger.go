package rest

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// The operations of the log of accesses as a Merkle tree: what it is, signed; that
// an event is in it; that it goes on from what it was; and all of it, for an export.

// checkpoint is AuditEvent/$checkpoint: Parameters, or for who takes plain text the
// signed note alone.
func (s *Server) checkpoint(ctx context.Context, x *exchange) (answer, error) {
	if _, err := x.numbers(nil); err != nil {
		return answer{}, err
	}
	if x.unfit && !x.plain {
		return answer{}, refuse(problemNotAcceptable)
	}
	released, err := s.gate.Checkpoint(ctx, &x.request)
	if err != nil {
		return answer{}, err
	}
	return x.aboutLog(released), nil
}

func (x *exchange) aboutLog(r gate.Released) answer {
	if x.plain {
		return answer{released: r, form: formLogNote, status: http.StatusOK}
	}
	return answer{released: r, form: formLog, status: http.StatusOK}
}

// cosign takes a checkpoint that a witness signed as well: as it is, or as the one
// parameter.
func (s *Server) cosign(ctx context.Context, x *exchange) (answer, error) {
	if x.unfit && !x.plain {
		return answer{}, refuse(problemNotAcceptable)
	}
	if x.tape == nil {
		return s.cosigned(ctx, x, string(x.body))
	}
	var note string
	var stands bool
	var all faults
	err := readParameters(x.tape, func(name string, p fhir.Node) error {
		v := x.tape.Field(p, "valueString")
		stands = stands || name == "checkpoint"
		if name != "checkpoint" || x.tape.Kind(v) != fhir.String {
			return parameterError(x.tape, p, "The one parameter is checkpoint, and must have a valueString.")
		}
		note = x.tape.Text(v)
		return nil
	})
	if err = all.add(err); err == nil && note == "" && (!stands || len(all.issues) == 0) {
		err = all.add(parameterError(x.tape, fhir.None, "The parameter checkpoint is required."))
	}
	if err = cmp.Or(err, all.err()); err != nil {
		return answer{}, err
	}
	return s.cosigned(ctx, x, note)
}

func (s *Server) cosigned(ctx context.Context, x *exchange, note string) (answer, error) {
	released, err := s.gate.Cosign(ctx, &x.request, []byte(note))
	if err != nil {
		return answer{}, err
	}
	return x.aboutLog(released), nil
}

// inclusionProof is AuditEvent/[id]/$inclusion-proof, or with the id as a
// parameter.
func (s *Server) inclusionProof(ctx context.Context, x *exchange) (answer, error) {
	id := x.target.id
	if id == "" {
		all, err := pairs(nil, x.query)
		if err != nil {
			return answer{}, err
		}
		if len(all) != 1 || all[0].Name != "id" || !fhir.ValidID(all[0].Value) {
			return answer{}, badNumber("id", "The one parameter is id, the id of an AuditEvent.")
		}
		id = all[0].Value
	} else if _, err := x.numbers(nil); err != nil {
		return answer{}, err
	}
	released, err := s.gate.InclusionProof(ctx, &x.request, id)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formLog, status: http.StatusOK}, nil
}

// consistencyProof is AuditEvent/$consistency-proof?from=&to=.
func (s *Server) consistencyProof(ctx context.Context, x *exchange) (answer, error) {
	n, err := x.numbers(map[string]int64{"from": -1, "to": 0})
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.ConsistencyProof(ctx, &x.request, n["from"], n["to"])
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formLog, status: http.StatusOK}, nil
}

// logRecords is AuditEvent/$log-records?start=&count=.
func (s *Server) logRecords(ctx context.Context, x *exchange) (answer, error) {
	n, err := x.numbers(map[string]int64{"start": -1, "count": -1})
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.LogRecords(ctx, &x.request, n["start"], n["count"])
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formLogRaw, status: http.StatusOK}, nil
}

// logTiles is AuditEvent/$log-tiles?level=&start=&count=&width=.
func (s *Server) logTiles(ctx context.Context, x *exchange) (answer, error) {
	n, err := x.numbers(map[string]int64{"level": -1, "start": -1, "count": 1, "width": 256})
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.LogTiles(ctx, &x.request, int(min(n["level"], math.MaxInt32)), n["start"], n["count"], int(min(n["width"], math.MaxInt32)))
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formLogRaw, status: http.StatusOK}, nil
}

// numbers are the parameters of the query, which are whole numbers, with what they
// are where they are not given: those of -1 must be.
func (x *exchange) numbers(known map[string]int64) (map[string]int64, error) {
	all, err := pairs(nil, x.query)
	if err != nil {
		return nil, err
	}
	seen, bad := map[string]bool{}, faults{}
	for _, p := range all {
		if err := bad.add(number(known, seen, p)); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if known[name] < 0 && !seen[name] {
			if err := bad.add(badNumber(name, "The parameter "+name+" is required.")); err != nil {
				return nil, err
			}
		}
	}
	return known, bad.err()
}

// mostNumber is more than anything here is counted to.
const mostNumber = 1 << 48

func number(known map[string]int64, seen map[string]bool, p search.Pair) error {
	switch _, ok := known[p.Name]; {
	case !ok && len(known) == 0:
		return wrongParameter(p.Name, "this operation has none")
	case !ok:
		return wrongParameter(p.Name, "known are: "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	case seen[p.Name]:
		return wrongParameter(p.Name, "it stands there twice")
	}
	seen[p.Name] = true
	n, err := strconv.ParseInt(p.Value, 10, 64)
	if least := leastOf(p.Name); err != nil || n < least || n > mostNumber {
		return badNumber(p.Name, "The parameter "+p.Name+" must be a whole number, "+strconv.FormatInt(least, 10)+" or more.")
	}
	known[p.Name] = n
	return nil
}

// leastOf is the least that a parameter may be.
func leastOf(name string) int64 {
	switch name {
	case "from", "count", "width":
		return 1
	default:
		return 0
	}
}

func badNumber(name, text string) error {
	issue := fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Detail: "invalid", Text: text}
	if name != "" {
		issue.Expression = "http." + name
	}
	return wrong(issue)
}

// appendLog writes the Parameters of an answer about the log.
func appendLog(dst []byte, a gate.LogAnswer) []byte {
	w := text(dst).raw(`{"resourceType":"Parameters","parameter":[`)
	first := true
	add := func(name, value string, b []byte) {
		if !first {
			w = w.raw(",")
		}
		first = false
		w = text(fhir.AppendString(w.raw(`{"name":"`+name+`","`+value+`":`), string(b))).raw("}")
	}
	number := func(name string, n int64) { add(name, "valueString", strconv.AppendInt(nil, n, 10)) }
	add("checkpoint", "valueString", a.Checkpoint)
	for _, key := range a.Keys {
		add("key", "valueString", []byte(key))
	}
	for _, r := range a.Rotations {
		add("rotation", "valueString", r)
	}
	for _, n := range a.Successors {
		add("successor", "valueString", n)
	}
	if a.Cosigned != nil {
		add("cosigned", "valueString", a.Cosigned)
	}
	for _, key := range a.Witnesses {
		add("witness", "valueString", []byte(key))
	}
	encoded := func(b []byte) []byte { return base64.StdEncoding.AppendEncode(nil, b) }
	if a.Record != nil {
		number("index", a.Index)
		add("record", "valueBase64Binary", encoded(a.Record))
	}
	if a.From > 0 {
		number("from", a.From)
	}
	if a.Size > 0 {
		number("size", a.Size)
	}
	for _, h := range a.Hashes {
		add("hash", "valueBase64Binary", encoded(h[:]))
	}
	return w.raw("]}")
}
