package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// maxIntent bounds the intent of a launch, in bytes.
const maxIntent = 256

// launch is the endpoint at which an EMR asks for a launch: with the access token
// of the user at its screen it names the app, the patient and the encounter in
// context, and gets the value with which the browser opens the app (SMART App
// Launch 2.2, app-launch.html#launch-app-ehr-launch, leaves how to the server). It
// says nothing about the patient: whoever is named, the answer is the same, and
// what the app sees is worked out at each of its requests.
func (s *Server) launch(ctx context.Context, w http.ResponseWriter, x *exchange) error {
	if !s.signsIn() {
		return &refusal{status: http.StatusNotFound, code: codeRequest, description: "Apps are not launched through this server: nobody can sign in here."}
	}
	t, err := s.bearer(ctx, x)
	if err != nil {
		return err
	}
	if err := x.readForm(w); err != nil {
		return err
	}
	x.client = t.Client
	client, err := s.launched(ctx, x, t)
	if err != nil {
		return err
	}
	l := launch{
		Client: client.ID, User: t.User, Organization: t.Organization,
		Patient:   strings.TrimPrefix(x.form.get("patient"), "Patient/"),
		Encounter: strings.TrimPrefix(x.form.get("encounter"), "Encounter/"),
		Intent:    x.form.get("intent"),
	}
	switch {
	case !fhir.ValidID(l.Patient):
		return badRequest("patient must be the id of the Patient in context.")
	case t.Patient != "" && t.Patient != l.Patient: // an app about one patient opens none about another
		return badRequest("The token is about one patient: patient must be that one.")
	case l.Encounter != "" && !fhir.ValidID(l.Encounter):
		return badRequest("encounter must be the id of an Encounter.")
	case len(l.Intent) > maxIntent:
		return badRequest("intent is too long.")
	}
	if len(t.Purposes) == 1 {
		l.PurposeSystem, l.PurposeCode = t.Purposes[0].System, t.Purposes[0].Code
	}
	handle := secret()
	err = s.cfg.State.Remember(ctx, x.now, func(m smart.Memory) error {
		return keep(m, keyLaunch+hashed(handle), &l, x.now.Add(launchLife))
	})
	if err != nil {
		return err
	}
	if err := s.cfg.Registry.Note(ctx, x.event(smart.EventLaunch, &authorization{User: t.User, Organization: t.Organization, Patient: l.Patient})); err != nil {
		return err
	}
	out := map[string]any{"launch": handle, "expires_in": int(launchLife.Seconds())}
	if client.LaunchURL != "" {
		out["launch_url"] = openedAt(client.LaunchURL, url.Values{"iss": {s.Issuer()}, "launch": {handle}})
	}
	writeJSON(w, http.StatusCreated, out)
	return nil
}

// launched is the app that the EMR names, if it may be launched by this user.
func (s *Server) launched(ctx context.Context, x *exchange, t *smart.Token) (*smart.Client, error) {
	if t.Kind != smart.KindPractitioner {
		return nil, &refusal{status: http.StatusForbidden, code: codeDenied, description: "An app is launched for a practitioner: the token must be that of the user at the screen."}
	}
	client, err := s.cfg.Registry.Client(ctx, x.form.get("client_id"), x.now)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	if err != nil || client.State != smart.ClientActive || len(client.RedirectURIs) == 0 {
		return nil, badRequest("client_id must name an app that is registered here and active.")
	}
	all, err := s.cfg.Registry.Capacities(ctx, t.User, x.now)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(c Capacity) bool { return c.Organization == t.Organization && boundTo(&client, &c) }) {
		return nil, badRequest("The app is not one of the organisation that this user acts for.")
	}
	return &client, nil
}

// openedAt is an address with some parameters more.
func openedAt(address string, more url.Values) string {
	join := "?"
	if strings.Contains(address, "?") {
		join = "&"
	}
	return address + join + more.Encode()
}

// bearer is the access token of who calls an endpoint with one, good now and of
// somebody whom the directory would let in.
func (s *Server) bearer(ctx context.Context, x *exchange) (*smart.Token, error) {
	all := x.r.Header.Values("Authorization")
	bad := &refusal{status: http.StatusUnauthorized, code: codeToken, description: "This endpoint wants an access token of this server (Authorization: Bearer …) that is good now."}
	if len(all) != 1 {
		return nil, bad
	}
	scheme, text, ok := strings.Cut(all[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, bad
	}
	t, err := s.cfg.Verifier.Verify(ctx, strings.TrimSpace(text), x.now)
	if err != nil {
		if ctx.Err() != nil {
			return nil, unavailable()
		}
		return nil, bad
	}
	if err := s.cfg.Registry.Admit(ctx, &t, x.now); isRefused(err) {
		return nil, bad
	} else if err != nil {
		return nil, err
	}
	return &t, nil
}
