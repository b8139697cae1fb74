package gate

import (
	"context"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// Read answers R4 http.html#read.
func (g *Gate) Read(ctx context.Context, req *Request, t fhir.ResourceType, id string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Version answers R4 http.html#vread.
func (g *Gate) Version(ctx context.Context, req *Request, t fhir.ResourceType, id, version string) (Released, error) {
	return Released{}, ErrUnavailable
}

// History answers R4 http.html#history of one resource.
func (g *Gate) History(ctx context.Context, req *Request, t fhir.ResourceType, id string, page HistoryPage) (Released, error) {
	return Released{}, ErrUnavailable
}

// Search answers R4 http.html#search. cursor is the Next of the page before;
// empty for the first.
func (g *Gate) Search(ctx context.Context, req *Request, q *search.Query, cursor string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Everything answers Patient/$everything (R4 patient-operation-everything.html).
func (g *Gate) Everything(ctx context.Context, req *Request, patient string, page EverythingPage) (Released, error) {
	return Released{}, ErrUnavailable
}

// Create answers R4 http.html#create. cond is If-None-Exist, or nil.
func (g *Gate) Create(ctx context.Context, req *Request, c Content, cond *search.Query) (Released, error) {
	return Released{}, ErrUnavailable
}

// Update answers R4 http.html#update. ifMatch is the version required; empty
// for any.
func (g *Gate) Update(ctx context.Context, req *Request, t fhir.ResourceType, id string, c Content, ifMatch string) (Released, error) {
	return Released{}, ErrUnavailable
}

// UpdateWhere answers R4 http.html#cond-update.
func (g *Gate) UpdateWhere(ctx context.Context, req *Request, q *search.Query, c Content, ifMatch string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Delete answers R4 http.html#delete.
func (g *Gate) Delete(ctx context.Context, req *Request, t fhir.ResourceType, id, ifMatch string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Transaction answers R4 http.html#transaction: all entries or none. Items are
// in the order of the entries.
func (g *Gate) Transaction(ctx context.Context, req *Request, entries []Entry) (Released, error) {
	return Released{}, ErrUnavailable
}

// BreakGlass answers Patient/$break-glass (ACCESS §3).
func (g *Gate) BreakGlass(ctx context.Context, req *Request, patient string, b BreakGlassRequest) (Released, error) {
	return Released{}, ErrUnavailable
}

// StopBreakGlass answers Patient/$break-glass-stop.
func (g *Gate) StopBreakGlass(ctx context.Context, req *Request, patient string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Access answers Patient/$access.
func (g *Gate) Access(ctx context.Context, req *Request, patient string) (Released, error) {
	return Released{}, ErrUnavailable
}

// Deny records a refusal found by the porch and returns the error to answer
// with. reason is the internal reason, such as "forbidden-purpose".
func (g *Gate) Deny(ctx context.Context, req *Request, r *Refused, reason string) error {
	return ErrUnavailable
}

// Ready reports whether the store answers.
func (g *Gate) Ready(ctx context.Context) error { return ErrUnavailable }
