package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vitrine/fhir/smart"
)

// The names of the cookies. Over https they get a prefix that makes browsers
// refuse them from anything less (RFC 6265bis §4.1.3.1); __Host- would demand the
// path /, and send them along with every FHIR request.
const (
	cookieSession = "vitrine-session"
	cookieBrowser = "vitrine-browser"
	prefixSecure  = "__Secure-"
)

// cookieBytes is how much of a cookie is random: nothing of it can be guessed.
const cookieBytes = 32

// keySession is the prefix of the key under which a sign-in is kept.
const keySession = "session/"

// secure reports whether browsers reach the server over https.
func (s *Server) secure() bool { return strings.HasPrefix(s.cfg.BaseURL, "https://") }

// root is the path of the pages as browsers see it.
func (s *Server) root() string {
	u, err := url.Parse(s.cfg.BaseURL)
	if err != nil {
		return Root
	}
	return u.Path + Root
}

func (s *Server) cookieName(name string) string {
	if s.secure() {
		return prefixSecure + name
	}
	return name
}

// cookie is one that no script reads, that goes to these pages alone, and that
// comes with nothing another site submits. It ends with the browser.
func (s *Server) cookie(name, value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // G124: Secure wherever there is TLS
		Name: s.cookieName(name), Value: value, Path: s.root(),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.secure(),
	}
}

// cookieValue returns a cookie that this server may have made; empty for none.
func (s *Server) cookieValue(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil {
		return ""
	}
	if raw, err := base64.RawURLEncoding.DecodeString(c.Value); err != nil || len(raw) != cookieBytes {
		return ""
	}
	return c.Value
}

// browser is the hash of the cookie that tells this browser from others; one that
// has none gets it.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	if known := s.browserOf(r); known != "" {
		return known
	}
	value := secret()
	http.SetCookie(w, s.cookie(cookieBrowser, value))
	return hashed(value)
}

// browserOf is the hash of the browser's cookie, empty when it sent none.
func (s *Server) browserOf(r *http.Request) string {
	if value := s.cookieValue(r, cookieBrowser); value != "" {
		return hashed(value)
	}
	return ""
}

// formToken is the token of a form that is filled in before anybody is signed
// in. It can be made from the browser's cookie alone.
func (s *Server) formToken(r *http.Request, handle string) string {
	value := s.cookieValue(r, cookieBrowser)
	if value == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(value))
	mac.Write([]byte("form " + handle))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sameToken compares in constant time; nothing is the same as nothing.
func sameToken(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// session returns the sign-in of the browser, nil for none.
func (s *Server) session(ctx context.Context, r *http.Request, now time.Time) (*login, error) {
	value := s.cookieValue(r, cookieSession)
	if value == "" {
		return nil, nil //nolint:nilnil // nobody is signed in
	}
	var l login
	found, err := recall(s.look(ctx, now), keySession+hashed(value), &l)
	if err != nil || !found {
		return nil, err
	}
	if l.Local && !s.cfg.Accounts.holds(l.Account, l.User, l.Proof) {
		return nil, nil //nolint:nilnil // the account is gone, disabled, another's, or signed in with otherwise
	}
	return &l, nil
}

// keepSession keeps a sign-in under a new id and forgets the one that the
// browser had: an id that was planted before it is worth nothing after.
func (s *Server) keepSession(m smart.Memory, r *http.Request, id string, l *login) error {
	if old := s.cookieValue(r, cookieSession); old != "" {
		if err := m.Forget(keySession + hashed(old)); err != nil {
			return err
		}
	}
	return keep(m, keySession+hashed(id), l, l.Began.Add(s.cfg.SessionLife))
}

// endSession signs the browser out.
func (s *Server) endSession(ctx context.Context, w http.ResponseWriter, r *http.Request, now time.Time) error {
	value := s.cookieValue(r, cookieSession)
	if value == "" {
		return nil
	}
	err := s.cfg.State.Remember(ctx, now, func(m smart.Memory) error {
		return m.Forget(keySession + hashed(value))
	})
	if err != nil {
		return err
	}
	gone := s.cookie(cookieSession, "")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	return nil
}

// fresh reports whether a sign-in is good for a request as it stands: who was
// asked to sign in again must have done so for it
// (OpenID Connect Core §3.1.2.1, prompt and max_age).
func (l *login) fresh(handle string, req *request, now time.Time) bool {
	if l.For == hashed(handle) {
		return true
	}
	if req.Prompt == promptLogin {
		return false
	}
	return req.MaxAge < 0 || now.Sub(l.AuthTime) <= time.Duration(req.MaxAge)*time.Second
}

// The values of prompt that change what is shown.
const (
	promptNone  = "none"
	promptLogin = "login"
)
