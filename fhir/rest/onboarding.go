package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// The interface of onboarding (S16): the clients and organisations that may use
// the service, for the custodian alone. What it changes are Devices and
// Organizations, by the same inner door as any other write: it is validated,
// audited, kept as a version, and in force with the next request.

// onboarding are its rows.
func onboarding() []interaction {
	const clients, organization = "/admin/clients", "/admin/organizations/:client"
	rows := []interaction{
		{name: "clients-list", method: http.MethodGet, pattern: clients, handle: (*Server).listClients},
		{name: "clients-add", method: http.MethodPost, pattern: clients, body: bodyJSON, handle: (*Server).addClient},
		{name: "clients-show", method: http.MethodGet, pattern: clients + "/:client", handle: (*Server).showClient},
		{name: "clients-change", method: http.MethodPut, pattern: clients + "/:client", body: bodyJSON, handle: (*Server).changeClient},
		{name: "clients-activate", method: http.MethodPost, pattern: clients + "/:client/activate", handle: becoming(smart.ClientActive)},
		{name: "clients-suspend", method: http.MethodPost, pattern: clients + "/:client/suspend", handle: becoming(smart.ClientSuspended)},
		{name: "clients-end", method: http.MethodPost, pattern: clients + "/:client/end", handle: becoming(smart.ClientEnded)},
		{name: "clients-rotate", method: http.MethodPost, pattern: clients + "/:client/rotate", body: bodyJSON, handle: (*Server).rotateClient},
		{name: "organizations-show", method: http.MethodGet, pattern: organization, handle: (*Server).showOrganization},
		{name: "organizations-change", method: http.MethodPut, pattern: organization, body: bodyJSON, handle: (*Server).changeOrganization},
	}
	for i := range rows {
		rows[i].beside, rows[i].admin = true, true
	}
	return rows
}

// custodial keeps everybody but the custodian out of the interface of onboarding.
func (s *Server) custodial(ctx context.Context, x *exchange) error {
	if !x.row.admin || x.request.Caller.Kind == consent.Custodian {
		return nil
	}
	return s.gate.Deny(ctx, &x.request, &gate.Refused{Status: http.StatusForbidden, Code: string(consent.RefusedRole)}, "kind-not-onboarding")
}

// inner is the exchange's request to the gate, as another interaction.
func (x *exchange) inner(code string, letter byte, t fhir.ResourceType) *gate.Request {
	req := x.request
	req.Interaction = gate.Interaction{Code: code, Letter: letter, Write: letter != 'r' && letter != 's'}
	req.Type = t
	return &req
}

// clientsOf are the registrations of a client, or all when id is empty.
func (s *Server) clientsOf(ctx context.Context, x *exchange, id string) ([]gate.Registration, error) {
	return s.gate.Registrations(ctx, x.inner("search-type", 's', "Device"), id)
}

// clientAt is the one registration that the path names.
func (s *Server) clientAt(ctx context.Context, x *exchange) (*gate.Registration, error) {
	if !smart.ValidClientID(x.target.client) {
		return nil, gate.ErrNotFound
	}
	list, err := s.clientsOf(ctx, x, x.target.client)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, gate.ErrNotFound
	default:
		return &list[0], nil
	}
}

// mendable is the registration that the path names, to be changed: it can be read,
// and is the version that the client knows.
func (s *Server) mendable(ctx context.Context, x *exchange) (*gate.Registration, error) {
	required, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return nil, err
	}
	r, err := s.clientAt(ctx, x)
	switch {
	case err != nil:
		return nil, err
	case r.Fault != "":
		return nil, &metadataFault{"invalid_client_metadata", "the registration on file cannot be read and is changed as a Device: " + r.Fault}
	case required != "" && required != r.Version:
		return nil, gate.ErrPrecondition
	default:
		return r, nil
	}
}

func (s *Server) listClients(ctx context.Context, x *exchange) (answer, error) {
	params, err := pairs(nil, x.query)
	if err != nil {
		return answer{}, err
	}
	wanted := ""
	for _, p := range params {
		if _, ok := smart.ParseClientState(p.Value); p.Name != smart.MemberState || !ok || wanted != "" {
			return answer{}, &metadataFault{"invalid_request", "the only parameter is state: one of pending, active, suspended, ended"}
		}
		wanted = p.Value
	}
	list, err := s.clientsOf(ctx, x, "")
	if err != nil {
		return answer{}, err
	}
	documents := []clientDocument{}
	for i := range list {
		if d := documentOf(&list[i]); wanted == "" || d.State == wanted {
			documents = append(documents, d)
		}
	}
	return spoken(http.StatusOK, "", struct {
		Clients []clientDocument `json:"clients"`
	}{documents})
}

func (s *Server) showClient(ctx context.Context, x *exchange) (answer, error) {
	r, err := s.clientAt(ctx, x)
	if err != nil {
		return answer{}, err
	}
	return spoken(http.StatusOK, r.Version, documentOf(r))
}

// addClient registers a client, which then waits to be activated.
func (s *Server) addClient(ctx context.Context, x *exchange) (answer, error) {
	m := metadata{tape: x.tape}
	c, err := m.client()
	switch {
	case err != nil:
		return answer{}, err
	case c.State != smart.ClientPending:
		return answer{}, badMember(smart.MemberState, "a client begins pending, and is activated then")
	case c.ID == "":
		c.ID = strings.ToLower(rand.Text())
	case strings.Contains(c.ID, "/"):
		return answer{}, badMember(smart.MemberID, "want no slash: the id is part of an address here")
	}
	if err := s.employed(ctx, x, &c); err != nil {
		return answer{}, err
	}
	content, err := deviceOf(&c)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Create(ctx, x.inner("create", 'c', "Device"), content, nil)
	if err != nil {
		return answer{}, err
	}
	return told(http.StatusCreated, &released, c)
}

// employed refuses an organisation that is not on file.
func (s *Server) employed(ctx context.Context, x *exchange, c *smart.Client) error {
	if c.Organization == "" {
		return nil
	}
	if !fhir.ValidID(c.Organization) {
		return badMember(smart.MemberOrganization, "want Organization/ID")
	}
	_, err := s.gate.Read(ctx, x.inner("read", 'r', "Organization"), "Organization", c.Organization)
	if errors.Is(err, gate.ErrNotFound) || errors.Is(err, gate.ErrGone) {
		return badMember(smart.MemberOrganization, "there is no such Organization")
	}
	return err
}

// changeClient puts new metadata in place of the old. The state has requests of
// its own.
func (s *Server) changeClient(ctx context.Context, x *exchange) (answer, error) {
	m := metadata{tape: x.tape}
	c, err := m.client()
	if err != nil {
		return answer{}, err
	}
	r, err := s.mendable(ctx, x)
	if err != nil {
		return answer{}, err
	}
	switch {
	case c.ID != "" && c.ID != r.ID:
		return answer{}, badMember(smart.MemberID, "want the one in the address, or none")
	case m.states() && c.State != r.State:
		return answer{}, badMember(smart.MemberState, "it is changed by activate, suspend and end")
	}
	c.ID, c.State, c.Device = r.ID, r.State, r.Device
	if err := s.employed(ctx, x, &c); err != nil {
		return answer{}, err
	}
	return s.keepClient(ctx, x, c, r.Version)
}

func (s *Server) rotateClient(ctx context.Context, x *exchange) (answer, error) {
	r, err := s.mendable(ctx, x)
	if err != nil {
		return answer{}, err
	}
	c, m := r.Client, metadata{tape: x.tape}
	if err := m.rotation(&c); err != nil {
		return answer{}, err
	}
	return s.keepClient(ctx, x, c, r.Version)
}

// becoming is the handler that brings a client to a state.
func becoming(state smart.ClientState) func(*Server, context.Context, *exchange) (answer, error) {
	return func(s *Server, ctx context.Context, x *exchange) (answer, error) {
		r, err := s.mendable(ctx, x)
		if err != nil {
			return answer{}, err
		}
		c := r.Client
		c.State = state
		return s.keepClient(ctx, x, c, r.Version)
	}
}

// keepClient writes the Device of a client, unless another did since.
func (s *Server) keepClient(ctx context.Context, x *exchange, c smart.Client, version string) (answer, error) {
	content, err := deviceOf(&c)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Update(ctx, x.inner("update", 'u', "Device"), "Device", c.Device, content, version)
	if errors.Is(err, gate.ErrPrecondition) && x.conditions.ifMatch == "" {
		err = gate.ErrConflict // it was changed meanwhile, and nobody said on what this rests
	}
	if err != nil {
		return answer{}, err
	}
	return told(http.StatusOK, &released, c)
}

// told answers with a client as it was kept.
func told(status int, r *gate.Released, c smart.Client) (answer, error) {
	items := r.Items()
	if len(items) != 1 {
		return answer{}, gate.ErrUnavailable
	}
	return spoken(status, items[0].Resource.Version, documentOf(&gate.Registration{Client: c}))
}

// deviceOf is the Device of a client as the gate takes it.
func deviceOf(c *smart.Client) (gate.Content, error) {
	text, err := c.Resource()
	if err != nil {
		return gate.Content{}, asMetadata(err)
	}
	return contentOf(text)
}

// contentOf is a resource of the porch's own making as the gate takes it.
func contentOf(text []byte) (gate.Content, error) {
	t := new(fhir.Tape)
	err := t.Parse(text, fhir.Limits{})
	return gate.Content{Tape: t}, err
}

// organizationDocument is the onboarding of an organisation.
type organizationDocument struct {
	Organization string   `json:"organization"`
	Name         string   `json:"organization_name,omitempty"`
	State        string   `json:"state"`
	Capabilities []string `json:"capabilities"`
}

// organizationAt reads the Organization that the path names.
func (s *Server) organizationAt(ctx context.Context, x *exchange) (t *fhir.Tape, version string, err error) {
	released, err := s.gate.Read(ctx, x.inner("read", 'r', "Organization"), "Organization", x.target.client)
	if err != nil {
		return nil, "", err
	}
	items := released.Items()
	if len(items) != 1 {
		return nil, "", gate.ErrUnavailable
	}
	t = new(fhir.Tape)
	return t, items[0].Resource.Version, t.Parse(items[0].Resource.JSON, fhir.Stored())
}

func (s *Server) showOrganization(ctx context.Context, x *exchange) (answer, error) {
	t, version, err := s.organizationAt(ctx, x)
	if err != nil {
		return answer{}, err
	}
	return spokenOrganization(x, t, smart.ReadOnboarding(t), version)
}

func spokenOrganization(x *exchange, t *fhir.Tape, o smart.Onboarding, version string) (answer, error) {
	c := smart.Client{Contribute: o.Contribute, Read: o.Read}
	return spoken(http.StatusOK, version, organizationDocument{
		Organization: "Organization/" + x.target.client, Name: t.Text(t.Field(t.Root(), "name")),
		State: o.State.String(), Capabilities: c.Capabilities(),
	})
}

func (s *Server) changeOrganization(ctx context.Context, x *exchange) (answer, error) {
	m := metadata{tape: x.tape}
	o, err := m.onboarding()
	if err != nil {
		return answer{}, err
	}
	required, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	t, version, err := s.organizationAt(ctx, x)
	switch {
	case err != nil:
		return answer{}, err
	case required != "" && required != version:
		return answer{}, gate.ErrPrecondition
	}
	text, err := smart.WithOnboarding(t, o)
	if err != nil {
		return answer{}, err
	}
	content, err := contentOf(text)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Update(ctx, x.inner("update", 'u', "Organization"), "Organization", x.target.client, content, version)
	items := released.Items()
	if err != nil || len(items) != 1 {
		return answer{}, errors.Join(err, gate.ErrUnavailable)
	}
	return spokenOrganization(x, t, o, items[0].Resource.Version)
}

// spoken is an answer of the interface.
func spoken(status int, version string, document any) (answer, error) {
	text, err := json.Marshal(document)
	return answer{form: formStatic, status: status, media: valueJSON, text: text, version: version}, err
}

// valueJSON is the media type of the interface.
//
//nolint:gochecknoglobals // never changed
var valueJSON = []string{"application/json"}

// adminFault is an error in the words of RFC 7591 §3.2.2 and RFC 6750 §3.1.
func adminFault(err error, o outcome) []byte {
	code, text := "", o.problem.entry().text
	if len(o.issues) > 0 {
		text = o.issues[0].Text
	}
	switch o.status {
	case http.StatusUnauthorized:
		code = "invalid_token"
	case http.StatusForbidden:
		code = "access_denied"
	case http.StatusNotFound, http.StatusGone:
		code, text = "not_found", "There is no such client or organization."
	case http.StatusMethodNotAllowed:
		code = "invalid_request"
	case http.StatusConflict:
		code = "conflict"
	case http.StatusPreconditionFailed:
		code = "precondition_failed"
	case http.StatusUnsupportedMediaType:
		code, text = "invalid_request", "The body must be application/json in UTF-8."
	case http.StatusTooManyRequests:
		code = "slow_down"
	case http.StatusServiceUnavailable:
		code = "temporarily_unavailable"
	case http.StatusInternalServerError:
		code = "server_error"
	default:
		code = "invalid_request"
	}
	if m := (*metadataFault)(nil); errors.As(err, &m) {
		code, text = m.code, m.text
	}
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, text})
	if err != nil {
		return nil
	}
	return body
}
