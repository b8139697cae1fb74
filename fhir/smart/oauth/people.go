package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The pages below Root.
const (
	pathSignIn   = "/sign-in"
	pathSignOut  = "/sign-out"
	pathProvider = "/provider"
	pathCallback = "/callback"
	pathChoose   = "/choose"
	pathPatient  = "/patient"
	pathAgree    = "/agree"
	pathStyle    = "/style.css"
)

// maxPage bounds what is sent with a page's form.
const maxPage = 16 << 10

// signInURL is where the browser goes with a request that waits for its user.
func (s *Server) signInURL(handle string) string {
	return s.cfg.BaseURL + Root + pathSignIn + "?" + fieldRequest + "=" + url.QueryEscape(handle)
}

// people serves the pages on which people sign in, choose and agree. None of them
// has a script, and none may be framed, kept, or filled in from another site.
func (s *Server) people() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*visit) error{
		"GET " + Root + pathSignIn:   (*visit).showSignIn,
		"POST " + Root + pathSignIn:  (*visit).signIn,
		"GET " + Root + pathSignOut:  (*visit).showSignOut,
		"POST " + Root + pathSignOut: (*visit).signOut,
		"GET " + Root + pathProvider: (*visit).startProvider,
		"GET " + Root + pathCallback: (*visit).endProvider,
		"GET " + Root + pathChoose:   (*visit).showCapacities,
		"POST " + Root + pathChoose:  (*visit).chooseCapacity,
		"GET " + Root + pathPatient:  (*visit).showPicker,
		"POST " + Root + pathPatient: (*visit).pickPatient,
		"GET " + Root + pathAgree:    (*visit).showAgreement,
		"POST " + Root + pathAgree:   (*visit).agree,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.visited(w, r, do) })
	}
	mux.HandleFunc("GET "+Root+pathStyle, serveStyle)
	mux.HandleFunc(Root+"/", s.nowhere)
	guard := http.NewCrossOriginProtection()
	if u, err := url.Parse(s.cfg.BaseURL); err == nil && u.Host != "" { // a proxy may call this host by another name
		_ = guard.AddTrustedOrigin(u.Scheme + "://" + u.Host)
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.visited(w, r, func(*visit) error { return errForm })
	}))
	return guard.Handler(mux)
}

// visit is one request of a person for one of the pages.
type visit struct {
	*Server
	w   http.ResponseWriter
	r   *http.Request
	now time.Time
	// handle and request are the authorization request that it is about, if it is.
	handle  string
	request *request
	// login is who is signed in, nil for nobody; session the hash of the session's
	// id.
	login   *login
	session string
	// choice is what was chosen so far.
	choice choice
}

// The refusals that people see, besides errPending.
var (
	// errForm: the form was not ours, or was not filled in by this browser.
	errForm = errors.New("form not accepted")
	// errWho: who is signed in is not whom the request is for.
	errWho = errors.New("another person must sign in")
	// errNobody: who is signed in may not act in any way that the app serves.
	errNobody = errors.New("no capacity")
	// errNowhere: there is no such page.
	errNowhere = errors.New("no such page")
	// errBusy: as much is being worked out as may be.
	errBusy = errors.New("too busy")
)

// visited answers one request for a page.
//
//nolint:contextcheck // the request brings its own
func (s *Server) visited(w http.ResponseWriter, r *http.Request, do func(*visit) error) {
	v := &visit{Server: s, w: w, r: r, now: s.cfg.Now()}
	v.headers()
	r.Body = http.MaxBytesReader(w, r.Body, maxPage)
	if err := v.open(); err != nil {
		v.problem(err)
		return
	}
	if err := do(v); err != nil {
		v.problem(err)
	}
}

// open finds out what the request is about and who makes it.
func (v *visit) open() error {
	if v.r.Method == http.MethodPost {
		if err := v.r.ParseForm(); err != nil {
			return errForm
		}
	}
	ctx := v.r.Context()
	var err error
	if v.login, err = v.Server.session(ctx, v.r, v.now); err != nil {
		return err
	}
	if v.login != nil {
		v.session = hashed(v.cookieValue(v.r, cookieSession))
	}
	if v.handle = v.field(fieldRequest); v.handle == "" {
		return nil
	}
	if v.request, err = v.pending(ctx, v.r, v.handle); err != nil {
		return err
	}
	return nil
}

// field is a value of the form, or of the address of a page that is looked at.
func (v *visit) field(name string) string {
	if v.r.Method == http.MethodPost {
		return v.r.PostForm.Get(name)
	}
	return v.r.URL.Query().Get(name)
}

// The names of the fields of forms.
const (
	fieldRequest  = "request"
	fieldToken    = "token"
	fieldName     = "name"
	fieldPassword = "password"
	fieldCode     = "code"
	fieldCapacity = "capacity"
	fieldPatient  = "patient"
	fieldNumber   = "number"
	fieldBirth    = "birth-date"
	fieldScope    = "scope"
	fieldDecision = "decision"
	fieldSeal     = "seal"
)

// signedIn holds a form to the session it was made for.
func (v *visit) signedIn() error {
	if v.login == nil || !sameToken(v.r.PostForm.Get(fieldToken), v.login.CSRF) {
		return errForm
	}
	return nil
}

const headerRequestID = "X-Request-Id"

// headers are on every answer to a person.
func (v *visit) headers() {
	h := v.w.Header()
	h.Set(headerRequestID, requestID(v.r))
	h.Set("Content-Security-Policy", policy(""))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if v.secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// policy is the content security policy of a page. Browsers hold form-action
// against where a form's answer sends them, so a page whose form may end at an
// app's redirect URI names its origin.
func policy(redirectURI string) string {
	target := ""
	if u, err := url.Parse(redirectURI); err == nil && u.Scheme != "" {
		target = " " + u.Scheme + ":"                                // such as an app's own scheme
		if u.Host != "" && !strings.ContainsAny(u.Host, "[ ;,'\"") { // a policy has no words for IPv6
			target += "//" + u.Host
		}
	}
	return "default-src 'none'; style-src 'self'; form-action 'self'" + target + "; frame-ancestors 'none'; base-uri 'none'"
}

// to sends the browser on.
func (v *visit) to(location string) error {
	v.w.Header().Set("Location", location)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// step is the address of a page about the same request.
func (v *visit) step(path string) string {
	return v.root() + path + "?" + fieldRequest + "=" + url.QueryEscape(v.handle)
}

// decline gives the app its answer and sends the browser there.
func (v *visit) declined(code string) error {
	location, err := v.decline(v.r.Context(), v.r, v.handle, code)
	if err != nil {
		return err
	}
	return v.to(location)
}

// The error codes that an app gets (RFC 6749 §4.1.2.1, OpenID Connect Core
// §3.1.2.6).
const (
	answerLogin   = "login_required"
	answerConsent = "consent_required"
)

// page shows a person, in place of sending the browser to an app, that a request
// cannot be.
func (s *Server) page(w http.ResponseWriter, r *http.Request, err error) {
	s.visited(w, r, func(*visit) error { return err })
}

// problem shows that it does not go on.
func (v *visit) problem(err error) {
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status < http.StatusInternalServerError:
		if refused.retry > 0 {
			v.w.Header().Set("Retry-After", strconv.Itoa(refused.retry))
		}
		v.show(refused.status, pageProblem, view{Title: "The app cannot be let in", Text: []string{refused.description, "Go back to your app and start again."}})
	case errors.Is(err, errPending):
		v.show(http.StatusBadRequest, pageProblem, view{Title: "This sign-in is over", Text: []string{
			"It took too long, was finished before, or was begun in another browser.",
			"Go back to your app and start again.",
		}})
	case errors.Is(err, errNowhere):
		v.show(http.StatusNotFound, pageProblem, view{Title: "There is no such page", Text: []string{"Go back to your app and start again."}})
	case errors.Is(err, errForm):
		v.show(http.StatusForbidden, pageProblem, view{Title: "The form could not be accepted", Text: []string{
			"It did not come from this page, or this browser does not keep cookies.",
			"Go back to your app and start again.",
		}})
	case errors.Is(err, errWho):
		v.show(http.StatusForbidden, pageWho, view{Title: "Somebody else must sign in", Text: []string{
			"Your app was opened for the person who is signed in to the system it was opened from, and for the organisation that person works for there.",
			"The one who is signed in here is not that person. Sign in as the same person as there, or go back to the app.",
		}})
	case errors.Is(err, errNobody), errors.Is(err, ErrRefused):
		v.show(http.StatusForbidden, pageWho, view{Title: "You cannot use this app", Text: []string{
			"You are signed in, but this app does not serve you: it is for another organisation, or your role there has ended or does not give access.",
			"Ask the one who looks after your account, sign in as somebody else, or go back to the app.",
		}})
	case errors.Is(err, errBusy), errors.Is(err, context.DeadlineExceeded):
		v.w.Header().Set("Retry-After", "5")
		v.show(http.StatusServiceUnavailable, pageProblem, view{Title: "Please try again", Text: []string{"There is too much to do just now. Try again in a few seconds."}})
	case errors.Is(err, context.Canceled):
	default:
		v.cfg.Log.ErrorContext(v.r.Context(), "a sign-in page failed", "page", v.r.Pattern, "error", err)
		v.w.Header().Set("Retry-After", "30")
		v.show(http.StatusServiceUnavailable, pageProblem, view{Title: "This does not work just now", Text: []string{"Nothing was given to the app. Try again in a while."}})
	}
}
