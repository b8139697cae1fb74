package rest

import (
	"context"
	"net/http"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// meta is R4 resource-operation-meta.html of a resource or of one of its versions:
// what a read of it would release, and of that the meta.
func (s *Server) meta(ctx context.Context, x *exchange) (answer, error) {
	if err := noParameters(x); err != nil {
		return answer{}, err
	}
	read := s.gate.Read
	if x.target.version != "" {
		read = func(ctx context.Context, req *gate.Request, t fhir.ResourceType, id string) (gate.Released, error) {
			return s.gate.Version(ctx, req, t, id, x.target.version)
		}
	}
	released, err := read(ctx, &x.request, x.request.Type, x.target.id)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formMeta, status: http.StatusOK}, nil
}

// noParameters holds the body of an operation that takes none against that.
func noParameters(x *exchange) error {
	if x.tape == nil {
		return nil
	}
	return readParameters(x.tape, func(_ string, p fhir.Node) error {
		return parameterError(x.tape, p, "The operation has no parameters.")
	})
}

// metaOf is the same of a type, and of the whole system.
func (s *Server) metaOf(ctx context.Context, x *exchange) (answer, error) {
	if err := noParameters(x); err != nil {
		return answer{}, err
	}
	released, err := s.gate.Labels(ctx, &x.request, x.request.Type)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formMeta, status: http.StatusOK}, nil
}

// metaAdd is R4 resource-operation-meta-add.html.
func (s *Server) metaAdd(ctx context.Context, x *exchange) (answer, error) {
	return s.relabel(ctx, x, false)
}

// metaDelete is R4 resource-operation-meta-delete.html.
func (s *Server) metaDelete(ctx context.Context, x *exchange) (answer, error) {
	return s.relabel(ctx, x, true)
}

func (s *Server) relabel(ctx context.Context, x *exchange, remove bool) (answer, error) {
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	change := gate.MetaChange{Tape: x.tape, Meta: fhir.None, Remove: remove}
	err = readParameters(x.tape, func(name string, p fhir.Node) error {
		change.Meta = x.tape.Field(p, "valueMeta")
		if name != "meta" || x.tape.Kind(change.Meta) != fhir.Object {
			return parameterError(x.tape, p, "The one parameter is meta, and must have a valueMeta.")
		}
		return nil
	})
	if err == nil && change.Meta == fhir.None {
		err = parameterError(x.tape, fhir.None, "The parameter meta is required.")
	}
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Relabel(ctx, &x.request, x.request.Type, x.target.id, change, version)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formMeta, status: http.StatusOK}, nil
}

// appendMeta appends the Parameters that hold the meta of a resource, and hold
// nothing where it has none: no object of FHIR is empty.
func (s *Server) appendMeta(dst, resource []byte) []byte {
	t := s.tape()
	defer s.tapes.Put(t)
	dst = append(dst, `{"resourceType":"Parameters"`...)
	if t.Parse(resource, fhir.Stored()) == nil {
		if meta := t.Field(t.Root(), "meta"); t.Kind(meta) == fhir.Object && t.First(meta) != fhir.None {
			dst = append(dst, `,"parameter":[{"name":"return","valueMeta":`...)
			dst = append(append(dst, t.Raw(meta)...), `}]`...)
		}
	}
	return append(dst, '}')
}
