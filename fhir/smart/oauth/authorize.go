package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/fhir/smart"
)

// The longest values taken, in bytes.
const (
	maxState = 1 << 10
	maxNonce = 512
	maxQuery = 8 << 10
	maxScope = 4 << 10 // which is as much as is registered
)

// challengeSize is the size of a PKCE challenge: a SHA-256 in base64url.
const challengeSize = 43

// authorize is the authorization endpoint (SMART App Launch 2.2,
// app-launch.html#obtain-authorization-code): a request that holds waits under a
// handle, and the browser goes on to sign in. One whose client or redirect URI
// does not hold ends on a page of ours: nothing may be sent to an address that
// nobody registered.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	ctx, now := r.Context(), s.cfg.Now()
	f, err := authorizeForm(w, r)
	if err != nil {
		s.page(w, r, err)
		return
	}
	client, err := s.launchable(ctx, f, now)
	if err != nil {
		s.page(w, r, err)
		return
	}
	q := &request{Client: client.ID, RedirectURI: f.get("redirect_uri"), State: f.get("state")}
	if err := s.readRequest(ctx, q, client, f, now); err != nil {
		refused := asRefusal(err)
		s.cfg.Log.InfoContext(ctx, "authorization", "endpoint", "authorize", "client", client.ID, "refused", refused.code)
		http.Redirect(w, r, s.back(q, url.Values{"error": {refused.code}, "error_description": {refused.description}}), http.StatusSeeOther)
		return
	}
	if wait := s.throttle.begin(addressOf(r), now); wait > 0 {
		s.page(w, r, &refusal{
			status: http.StatusTooManyRequests, code: codeUnavailable, retry: int(wait.Seconds()) + 1,
			description: "Too many sign-ins are begun from your network just now. Wait a minute.",
		})
		return
	}
	q.Browser = s.browser(w, r)
	handle := secret()
	err = s.cfg.State.Remember(ctx, now, func(m smart.Memory) error {
		return keep(m, keyRequest+hashed(handle), q, now.Add(requestLife))
	})
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "authorization", "endpoint", "authorize", "error", err)
		s.page(w, r, unavailable())
		return
	}
	http.Redirect(w, r, s.signInURL(handle), http.StatusSeeOther)
}

// The keys of what is kept.
const (
	keyRequest = "request/"
	keyLaunch  = "launch/"
	keyCode    = "code/"
	keyGrant   = "grant/"
	keyContext = "context/"
	keyRefresh = "refresh/"
	keyJTI     = "jti/"
)

// authorizeForm are the parameters of an authorization request, by GET or POST.
func authorizeForm(w http.ResponseWriter, r *http.Request) (form, error) {
	switch r.Method {
	case http.MethodGet:
		if len(r.URL.RawQuery) > maxQuery {
			return form{}, badRequest("The address is too long.")
		}
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return form{}, badRequest("The address cannot be read.")
		}
		return form{values}, nil
	case http.MethodPost:
		x := &exchange{r: r}
		if err := x.readForm(w); err != nil {
			return form{}, err
		}
		return x.form, nil
	default:
		w.Header().Set("Allow", "GET, POST")
		return form{}, &refusal{status: http.StatusMethodNotAllowed, code: codeRequest, description: "This address is opened by GET or POST."}
	}
}

// launchable is the client of a request, if it is one to which a browser may be
// sent back at the address named: active, and registered with exactly that (RFC
// 9700 §2.1).
func (s *Server) launchable(ctx context.Context, f form, now time.Time) (*smart.Client, error) {
	if twice := f.twice(); twice == "client_id" || twice == "redirect_uri" || twice == "state" {
		return nil, badRequest("A parameter is there more than once.")
	}
	client, err := s.cfg.Registry.Client(ctx, f.get("client_id"), now)
	switch {
	case errors.Is(err, ErrUnknown) || err == nil && client.State != smart.ClientActive:
		return nil, badRequest("This app is not registered here, or not active. Ask those who run it to have it onboarded.")
	case err != nil:
		return nil, err
	case !slices.Contains(client.RedirectURIs, f.get("redirect_uri")):
		return nil, badRequest("The app names an address to return to (redirect_uri) that it has not registered exactly so.")
	case len(f.get("state")) > maxState:
		return nil, badRequest("The app's state is too long.")
	}
	return &client, nil
}

// readRequest fills in a request, or says what is wrong with it in a way that may
// be told to the app.
func (s *Server) readRequest(ctx context.Context, to *request, client *smart.Client, f form, now time.Time) error {
	to.Challenge, to.Nonce, to.Prompt = f.get("code_challenge"), f.get("nonce"), f.get("prompt")
	switch {
	case f.twice() != "":
		return badRequest("A parameter is there more than once.")
	case f.get("request") != "":
		return &refusal{code: codeRequestObject, description: "Request objects are not taken."}
	case f.get("request_uri") != "":
		return &refusal{code: codeRequestObjectURI, description: "Request objects are not taken."}
	case f.get("response_type") != "code":
		return &refusal{code: codeResponseType, description: "response_type must be code."}
	case f.get("response_mode") != "" && f.get("response_mode") != "query":
		return badRequest("response_mode must be query.")
	case to.State == "":
		return badRequest("state is required: a value that cannot be guessed.")
	case !s.isBase(f.get("aud")):
		return badRequest("aud must be the FHIR base URL of this server.")
	case f.get("resource") != "" && !s.isBase(f.get("resource")):
		return &refusal{code: codeTarget, description: "resource must be the FHIR base URL of this server."}
	case f.get("code_challenge_method") != "S256" || !isChallenge(to.Challenge):
		return badRequest("PKCE is required: code_challenge, with code_challenge_method=S256.")
	case len(to.Nonce) > maxNonce:
		return badRequest("nonce is too long.")
	case len(f.get("scope")) > maxScope:
		return badScope("scope is too long.")
	case !slices.Contains([]string{"", "none", "login", "consent"}, to.Prompt):
		return badRequest("prompt must be none, login or consent.")
	}
	to.MaxAge = -1
	if text := f.get("max_age"); text != "" {
		age, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return badRequest("max_age must be a number of seconds.")
		}
		to.MaxAge = int(age)
	}
	if to.Scope = s.askable(f.get("scope"), client); to.Scope == "" {
		return badScope("None of the scopes asked for is one that this app is registered with.")
	}
	return s.readLaunch(ctx, to, f.get("launch"), now)
}

// askable is the part of the scopes asked for that this client may have of a user:
// never one of a system.
func (s *Server) askable(asked string, client *smart.Client) string {
	return smart.KeepLetters(s.within(asked, client), "system", "")
}

// within is the part of the scopes asked for that a client is registered with, of
// resource types that there are.
func (s *Server) within(asked string, client *smart.Client) string {
	return smart.WithoutScopes(smart.Narrow(asked, client.Scope), func(one string) bool {
		t := smart.ScopeType(one)
		return t != "" && t != "*" && !s.cfg.Known(t)
	})
}

// isBase reports whether aud names this server's FHIR base; a slash at its end is
// overlooked, as clients write it both ways.
func (s *Server) isBase(aud string) bool { return strings.TrimSuffix(aud, "/") == s.Issuer() }

func isChallenge(c string) bool { return len(c) == challengeSize && unreserved(c, "-_") }

// unreserved reports whether a text has letters, digits and some marks alone.
func unreserved(s, marks string) bool {
	for _, c := range []byte(s) {
		letter, digit := c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9'
		if !letter && !digit && strings.IndexByte(marks, c) < 0 {
			return false
		}
	}
	return true
}

// readLaunch finds the context that an EMR launched the app with. It is used up
// when a code is issued for it, not before: the page may be loaded again.
func (s *Server) readLaunch(ctx context.Context, to *request, handle string, now time.Time) error {
	if handle == "" {
		if smart.HasScope(to.Scope, smart.ScopeLaunch) {
			return badRequest("The scope launch goes with the parameter launch, which an EMR gives.")
		}
		return nil
	}
	if !smart.HasScope(to.Scope, smart.ScopeLaunch) {
		return badScope("The parameter launch goes with the scope launch, which was not asked for or is not among those of this app.")
	}
	var l launch
	found, err := recall(s.look(ctx, now), keyLaunch+hashed(handle), &l)
	if err != nil {
		return err
	}
	if !found || l.Client != to.Client {
		return badRequest("The launch is not known, was used before, or its time is over. Launch the app again.")
	}
	to.Launch, to.LaunchKey = &l, keyLaunch+hashed(handle)
	return nil
}

// back is where the browser goes when a request ends: the redirect URI with the
// answer, the app's state, and who answers, so that an app with several servers
// cannot mix them up (RFC 9207).
func (s *Server) back(q *request, answer url.Values) string {
	answer.Set("iss", s.Issuer())
	if q.State != "" {
		answer.Set("state", q.State)
	}
	join := "?"
	if strings.Contains(q.RedirectURI, "?") {
		join = "&"
	}
	return q.RedirectURI + join + answer.Encode()
}
