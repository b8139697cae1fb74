package rest_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// publicKeys is a set to register.
const publicKeys = `{"keys":[{"kty":"EC","crv":"P-384","kid":"k1","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",` +
	`"y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`

// admin sends a request to the interface of onboarding.
func (h *house) admin(token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	header = append(header, "Authorization", "Bearer "+token)
	if body != "" && !strings.Contains(strings.Join(header, " "), "Content-Type") {
		header = append(header, "Content-Type", "application/json")
	}
	return call(h, method, "/admin/"+path, body, header...)
}

// does sends a request, insists on the status, and returns what came back.
func (h *house) does(token, method, path, body string, status int, header ...string) map[string]any {
	h.t.Helper()
	w := h.admin(token, method, path, body, header...)
	if w.Code != status {
		h.t.Fatalf("%s %s: %d, want %d\n%s", method, path, w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		h.t.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		h.t.Fatalf("%v: %s", err, w.Body)
	}
	return doc
}

func TestAClientIsOnboardedStepByStep(t *testing.T) {
	h := build(t)
	h.furnish()
	const metadata = `"client_name":"Connector of clinic A","organization":"Organization/a","capabilities":["read","contribute"],` +
		`"redirect_uris":["https://emr.example/cb"],"launch_uri":"https://emr.example/launch","jwks":` + publicKeys + `,"scope":"user/*.cruds launch"`
	added := h.admin("good", "POST", "clients", `{"client_id":"emr-x",`+metadata+`}`)
	if added.Code != 201 || added.Header().Get("ETag") != `W/"1"` {
		t.Fatalf("%d %v %s", added.Code, added.Header(), added.Body)
	}
	want := `{"client_id":"emr-x","client_name":"Connector of clinic A","state":"pending","organization":"Organization/a",` +
		`"capabilities":["read","contribute"],"redirect_uris":["https://emr.example/cb"],"launch_uri":"https://emr.example/launch","jwks":` + publicKeys + `,"scope":"user/*.cruds launch"}`
	if diff := cmp.Diff(want, added.Body.String()); diff != "" {
		t.Error(diff)
	}
	if shown := h.admin("good", "GET", "clients/emr-x", ""); shown.Code != 200 || shown.Body.String() != want || shown.Header().Get("ETag") != `W/"1"` {
		t.Errorf("%d %v %s", shown.Code, shown.Header(), shown.Body)
	}
	state := func(action string, status int, want string, header ...string) {
		t.Helper()
		if got := h.does("good", "POST", "clients/emr-x/"+action, "", status, header...); status == 200 && got["state"] != want || status != 200 && got["error"] != want {
			t.Errorf("%s: %v, want %s", action, got, want)
		}
	}
	state("suspend", 409, "conflict")
	state("activate", 412, "precondition_failed", "If-Match", `W/"7"`)
	state("activate", 200, "active", "If-Match", `W/"1"`)
	state("suspend", 200, "suspended")
	state("activate", 200, "active")
	if got := h.does("good", "POST", "clients/emr-x/rotate", `{"jwks_uri":"https://emr.example/jwks"}`, 200); got["jwks"] != nil || got["jwks_uri"] != "https://emr.example/jwks" || got["state"] != "active" {
		t.Errorf("rotated: %v", got)
	}
	// What was shown can be sent back as it is.
	again := h.admin("good", "GET", "clients/emr-x", "")
	h.does("good", "PUT", "clients/emr-x", again.Body.String(), 200, "If-Match", again.Header().Get("ETag"))
	changed := h.does("good", "PUT", "clients/emr-x", `{"client_name":"Another name","capabilities":["contribute"]}`, 200)
	if changed["client_name"] != "Another name" || changed["state"] != "active" || changed["organization"] != nil {
		t.Errorf("changed: %v", changed)
	}
	state("end", 200, "ended")
	state("activate", 409, "conflict")
	for filter, want := range map[string]int{"": 1, "?state=ended": 1, "?state=active": 0} {
		list, ok := h.does("good", "GET", "clients"+filter, "", 200)["clients"].([]any)
		if !ok || len(list) != want {
			t.Errorf("clients%s: %v, want %d", filter, list, want)
		}
	}
	// It was written as a Device: there are versions, and the record says who.
	history := bundleOf(t, h.want("good", "GET", "Device/"+deviceOf(h, "emr-x")+"/_history", "", 200))
	if len(history.Entry) < 6 {
		t.Errorf("%d versions", len(history.Entry))
	}
	device := "entity=Device/" + history.Entry[0].Resource.ID
	for query, want := range map[string]int{
		device + "&type=rest&action=U":                                          7, // one of them changed nothing
		device + "&type=rest&action=C":                                          1,
		device + "&subtype=http://dicom.nema.org/resources/ontology/DCM|110137": 7,
		"subtype=https://vitrine.example/CodeSystem/nehr-event|onboarding":      7,
	} {
		if n := entries(t, h.want("regulator", "GET", "AuditEvent?"+query, "", 200)); n != want {
			t.Errorf("AuditEvent?%s: %d on record, want %d", query, n, want)
		}
	}
}

// entries counts those of a Bundle.
func entries(tb testing.TB, w *httptest.ResponseRecorder) int {
	tb.Helper()
	var b struct{ Entry []json.RawMessage }
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
		tb.Fatal(err)
	}
	return len(b.Entry)
}

func deviceOf(h *house, client string) string {
	found := bundleOf(h.t, h.want("good", "GET", "Device?identifier=https://vitrine.example/NamingSystem/client|"+client, "", 200))
	if len(found.Entry) != 1 {
		h.t.Fatalf("%d Devices of %s", len(found.Entry), client)
	}
	return found.Entry[0].Resource.ID
}

func TestWhatIsWrongWithAClientIsNamed(t *testing.T) {
	h := build(t)
	h.furnish()
	for name, row := range map[string]struct{ body, code, names string }{
		"no name":                  {`{"client_id":"x"}`, "invalid_client_metadata", "client_name"},
		"not an object":            {`[]`, "invalid_request", "JSON"},
		"not JSON":                 {`{`, "invalid_request", "JSON"},
		"a member twice":           {`{"client_name":"a","client_name":"b"}`, "invalid_request", "JSON"},
		"a member there is not":    {`{"client_name":"a","redirect_uri":"https://secret.example"}`, "invalid_client_metadata", "redirect_uris"},
		"active at once":           {`{"client_name":"a","state":"active"}`, "invalid_client_metadata", "state"},
		"a state there is not":     {`{"client_name":"a","state":"secret"}`, "invalid_client_metadata", "state"},
		"an id with a slash":       {`{"client_id":"a/b","client_name":"a"}`, "invalid_client_metadata", "client_id"},
		"an id with a space":       {`{"client_id":"a b","client_name":"a"}`, "invalid_client_metadata", "client_id"},
		"an unknown organisation":  {`{"client_name":"a","organization":"Organization/secret"}`, "invalid_client_metadata", "organization"},
		"an organisation's name":   {`{"client_name":"a","organization":"Clinic A"}`, "invalid_client_metadata", "organization"},
		"an unknown capability":    {`{"client_name":"a","capabilities":["secret"]}`, "invalid_client_metadata", "capabilities"},
		"capabilities as a string": {`{"client_name":"a","capabilities":"read"}`, "invalid_client_metadata", "capabilities"},
		"a redirect over http":     {`{"client_name":"a","redirect_uris":["http://secret.example/"]}`, "invalid_redirect_uri", "redirect_uris"},
		"a private key":            {`{"client_name":"a","jwks":` + strings.Replace(publicKeys, `"kid"`, `"d":"secret","kid"`, 1) + `}`, "invalid_client_metadata", "private"},
		"keys as a string":         {`{"client_name":"a","jwks":"secret"}`, "invalid_client_metadata", "jwks"},
		"keys twice":               {`{"client_name":"a","jwks_uri":"https://a.example/","jwks":` + publicKeys + `}`, "invalid_client_metadata", "jwks_uri"},
		"a scope that is none":     {`{"client_name":"a","scope":"user/*.rs secret"}`, "invalid_client_metadata", "scope"},
	} {
		got := h.does("good", "POST", "clients", row.body, 400)
		description, _ := got["error_description"].(string)
		if got["error"] != row.code || !strings.Contains(description, row.names) || strings.Contains(description, "secret") {
			t.Errorf("%s: %v, want %s about %s", name, got, row.code, row.names)
		}
	}
	if got := h.does("good", "GET", "clients", "", 200); len(got["clients"].([]any)) != 0 { //nolint:forcetypeassert // a test
		t.Errorf("something was kept: %v", got)
	}
	h.does("good", "POST", "clients", `{"client_id":"x","client_name":"a"}`, 201)
	h.does("good", "POST", "clients", `{"client_id":"x","client_name":"a"}`, 409)
	h.does("good", "PUT", "clients/x", `{"client_id":"y","client_name":"a"}`, 400)
	h.does("good", "PUT", "clients/x", `{"client_name":"a","state":"active"}`, 400)
	h.does("good", "POST", "clients/x/rotate", `{}`, 400)
	h.does("good", "POST", "clients/x/rotate", `{"scope":"x"}`, 400)
	h.does("good", "POST", "clients", `{"client_name":"a"}`, 415, "Content-Type", "text/plain")
	h.does("good", "GET", "clients?name=x", "", 400)
	for _, path := range []string{"clients/y", "clients/y%20z", "clients/y%2Fz", "organizations/y", "nothing"} {
		h.does("good", "GET", path, "", 404)
	}
	h.does("good", "POST", "clients/y/activate", "", 404)
	if w := h.admin("good", "DELETE", "clients/x", ""); w.Code != 405 || !strings.Contains(w.Header().Get("Allow"), "PUT") || !strings.Contains(w.Body.String(), `"error"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestOnboardingIsTheCustodiansAlone(t *testing.T) {
	h := build(t)
	h.furnish()
	h.does("good", "POST", "clients", `{"client_id":"x","client_name":"a"}`, 201)
	for _, token := range []string{"doctor", "clinic", "self", "regulator"} {
		for _, row := range [][3]string{
			{"GET", "clients", ""},
			{"GET", "clients/x", ""},
			{"GET", "clients/nobody", ""},
			{"POST", "clients", `{"client_name":"a"}`},
			{"PUT", "clients/x", `{"client_name":"a"}`},
			{"POST", "clients/x/activate", ""},
			{"POST", "clients/x/rotate", `{"jwks_uri":"https://a.example/"}`},
			{"GET", "organizations/a", ""},
			{"PUT", "organizations/a", `{"state":"ended","capabilities":[]}`},
		} {
			if got := h.does(token, row[0], row[1], row[2], 403); got["error"] != "access_denied" {
				t.Errorf("%s %s %s: %v", token, row[0], row[1], got)
			}
		}
	}
	if w := h.admin("bad", "GET", "clients", ""); w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), "invalid_token") || !strings.Contains(w.Body.String(), `"error":"invalid_token"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if n := entries(t, h.want("regulator", "GET", "AuditEvent?outcome=4&_count=100", "", 200)); n != 4*9 {
		t.Errorf("%d denials are on record, want %d", n, 4*9)
	}
	if got := h.does("good", "GET", "clients/x", "", 200); got["state"] != "pending" {
		t.Errorf("%v", got)
	}
}

func TestAnOrganisationIsOnboarded(t *testing.T) {
	h := build(t)
	h.furnish()
	before := h.admin("good", "GET", "organizations/a", "")
	if want := `{"organization":"Organization/a","organization_name":"Clinic A","state":"active","capabilities":["read","contribute"]}`; before.Body.String() != want {
		t.Errorf("got %s, want %s", before.Body, want)
	}
	h.want("doctor", "GET", "Condition?patient=q", "", 200)
	h.does("good", "PUT", "organizations/a", `{"state":"active","capabilities":["contribute"]}`, 200, "If-Match", before.Header().Get("ETag"))
	h.does("good", "PUT", "organizations/a", `{"state":"active","capabilities":[]}`, 412, "If-Match", before.Header().Get("ETag"))
	h.want("doctor", "GET", "Condition?patient=q", "", 403)
	h.want("clinic", "POST", "Condition", `{"resourceType":"Condition","subject":{"reference":"Patient/q"}}`, 201)
	h.does("good", "PUT", "organizations/a", `{"state":"suspended","capabilities":["read","contribute"]}`, 200)
	h.want("clinic", "POST", "Condition", `{"resourceType":"Condition","subject":{"reference":"Patient/q"}}`, 403)
	h.does("good", "PUT", "organizations/a", `{"state":"active","capabilities":["read","contribute"]}`, 200)
	h.want("doctor", "GET", "Condition?patient=q", "", 200)
	if w := h.want("good", "GET", "Organization/a", "", 200); !strings.Contains(w.Body.String(), `"name":"Clinic A"`) || strings.Count(w.Body.String(), "nehr-onboarding") != 1 {
		t.Errorf("what else was there is gone: %s", w.Body)
	}
	h.does("good", "PUT", "organizations/a", `{"state":"active"}`, 400)
	h.does("good", "PUT", "organizations/a", `{"state":"active","capabilities":["all"]}`, 400)
	h.does("good", "PUT", "organizations/a", `{"state":"ended","capabilities":[]}`, 200)
	h.does("good", "PUT", "organizations/a", `{"state":"active","capabilities":[]}`, 409)
}
