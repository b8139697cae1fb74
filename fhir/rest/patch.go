package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/patch"
)

// patch is R4 http.html#patch.
func (s *Server) patch(ctx context.Context, x *exchange) (answer, error) {
	version, err := x.required()
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Patch(ctx, &x.request, x.request.Type, x.target.id, x.changes, version)
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}

// patchWhere is R4 http.html#patch with a condition in place of the id.
func (s *Server) patchWhere(ctx context.Context, x *exchange) (answer, error) {
	version, err := x.required()
	if err != nil {
		return answer{}, err
	}
	q, err := s.condition(ctx, x.request.Type, x.query)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.PatchWhere(ctx, &x.request, q, x.changes, version)
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}

// patchesJSON reports whether the body is a JSON Patch.
func patchesJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == mediaPatch
}

// jsonPatch reads a JSON Patch.
func (s *Server) jsonPatch(body []byte) (*patch.Document, error) {
	d, err := patch.ParseJSON(body, s.tapeLimits(bodyPatch))
	return d, unreadable(err)
}

// pathPatch reads a FHIRPath Patch.
func (s *Server) pathPatch(t *fhir.Tape) (*patch.Document, error) {
	d, err := patch.ParseParameters(t, s.tools.Definitions)
	return d, unreadable(err)
}

// unreadable is the fault of a document that is no patch.
func unreadable(err error) error {
	if known := (*patch.Error)(nil); errors.As(err, &known) {
		return wrong(known.Issue())
	}
	return err
}

// entryPatch reads the patch of an entry: Parameters, or a Binary that holds a
// JSON Patch (R4 http.html#patch).
func (s *Server) entryPatch(x *exchange, index int) (err error) {
	t := x.tape
	if t.Text(t.Field(t.Root(), "resourceType")) != "Binary" {
		x.changes, err = s.pathPatch(t)
		return err
	}
	media, _, err := mime.ParseMediaType(t.Text(t.Field(t.Root(), "contentType")))
	if err != nil || media != mediaPatch {
		return refuse(problemPatchType)
	}
	data := strings.Join(strings.Fields(t.Text(t.Field(t.Root(), "data"))), "")
	body, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return wrong(fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeValue, Detail: "invalid",
			Text: "The data of the Binary must be base64.", Expression: place(index) + ".resource.data",
		})
	}
	x.changes, err = s.jsonPatch(body)
	return err
}
