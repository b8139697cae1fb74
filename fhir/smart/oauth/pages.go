package oauth

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"sync"
)

//go:embed templates
var files embed.FS

// The pages.
const (
	pageSignIn   = "sign-in.html"
	pageSignOut  = "sign-out.html"
	pageCapacity = "capacity.html"
	pagePatient  = "patient.html"
	pageAgree    = "agree.html"
	pageWho      = "who.html"
	pageAstray   = "astray.html"
	pageProblem  = "problem.html"
)

// templates are the pages by name, each within the layout.
//
//nolint:gochecknoglobals // read once, never changed
var templates = sync.OnceValues(func() (map[string]*template.Template, error) {
	set := map[string]*template.Template{}
	for _, name := range []string{pageSignIn, pageSignOut, pageCapacity, pagePatient, pageAgree, pageWho, pageAstray, pageProblem} {
		t, err := template.ParseFS(files, "templates/layout.html", "templates/"+name)
		if err != nil {
			return nil, err
		}
		set[name] = t
	}
	return set, nil
})

// view is what a page shows. What the templates print of it is escaped.
type view struct {
	Title string
	Text  []string
	// Errors are what must be put right, each beside its field.
	Errors []fieldError
	// Root, Handle and Token are what links and forms are made of; SignedIn that
	// there is somebody to sign out.
	Root, Handle, Token string
	SignedIn            bool
	// App, Owner and Person name the app, whose it is, and who is signed in.
	App, Owner, Person string

	Local     bool   // sign-in: there are accounts here
	Provider  string // sign-in: what the identity provider is called
	Again     bool   // sign-in: somebody else wants to
	Name      string // sign-in, picker: what was typed
	Number    string // picker
	BirthDate string // picker
	Asked     bool   // picker: there was a question
	More      bool   // picker: there are more than are shown

	Capacities []option  // capacity
	Patients   []patient // picker
	Capacity   Capacity  // agree
	Record     string    // agree: whose record
	Seal       string    // agree: what was chosen, as it is shown
	Required   []sentence
	Optional   []sentence
	Lasts      []string
}

// fieldError says what is wrong with a field.
type fieldError struct{ Field, Text string }

// option is one of several things to choose from.
type option struct{ Value, Label, Detail string }

// Error is what is wrong with a field; empty for nothing.
func (v view) Error(field string) string {
	for _, e := range v.Errors {
		if e.Field == field {
			return e.Text
		}
	}
	return ""
}

// show writes a page.
func (v *visit) show(status int, name string, p view) {
	set, err := templates()
	if err != nil {
		v.cfg.Log.ErrorContext(v.r.Context(), "the sign-in pages are broken", "error", err)
		v.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	p.Root = v.root()
	if v.request != nil {
		p.Handle = v.handle
		v.w.Header().Set("Content-Security-Policy", policy(v.request.RedirectURI))
	}
	switch {
	case v.login != nil:
		p.Token, p.SignedIn = v.login.CSRF, true
	default:
		p.Token = v.formToken(v.r, v.handle)
	}
	var body bytes.Buffer
	if err := set[name].ExecuteTemplate(&body, "layout.html", p); err != nil {
		v.cfg.Log.ErrorContext(v.r.Context(), "a sign-in page is broken", "error", err)
		v.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(body.Bytes())
}

// serveStyle sends the one style sheet.
func serveStyle(w http.ResponseWriter, _ *http.Request) {
	text, err := files.ReadFile("templates/style.css")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(text)
}
