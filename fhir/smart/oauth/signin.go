package oauth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"vitrine/fhir/smart"
)

// How somebody was authenticated, in the words of the REFEDS profiles for one
// factor and for several (https://refeds.org/profile/sfa, /mfa).
const (
	acrOneFactor  = "https://refeds.org/profile/sfa"
	acrTwoFactors = "https://refeds.org/profile/mfa"
)

// The reasons of a sign-in in vain, for the record.
const (
	reasonCredentials = "credentials"
	reasonLocked      = "locked"
)

// showSignIn shows the form, or goes on with who is signed in already.
func (v *visit) showSignIn() error {
	if v.request == nil {
		return errPending
	}
	if v.login != nil && v.login.fresh(v.handle, v.request, v.now) {
		if v.request.Prompt == promptNone { // what an app gets is always agreed to
			return v.declined(answerConsent)
		}
		return v.to(v.step(pathChoose))
	}
	if v.request.Prompt == promptNone {
		return v.declined(answerLogin)
	}
	return v.signInForm(http.StatusOK, "", nil)
}

func (v *visit) signInForm(status int, name string, errs []fieldError) error {
	client, err := v.cfg.Registry.Client(v.r.Context(), v.request.Client, v.now)
	if err != nil {
		return err
	}
	v.login = nil // the form is for the browser, whoever was signed in
	v.show(status, pageSignIn, view{
		Title: "Sign in", App: client.Name, Errors: errs, Name: name,
		Local: v.cfg.Accounts != nil, Provider: v.cfg.Provider.name(), Again: v.field(fieldAgain) != "",
	})
	return nil
}

// signIn looks at a name, a password and a code. What is wrong is never said:
// neither the page nor its time tells a name that nobody has.
func (v *visit) signIn() error {
	if v.request == nil {
		return errPending
	}
	if v.cfg.Accounts == nil || !sameToken(v.r.PostForm.Get(fieldToken), v.formToken(v.r, v.handle)) {
		return errForm
	}
	wait, err := v.addressWait()
	if err != nil {
		return err
	}
	if wait > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return v.signInForm(http.StatusTooManyRequests, "", []fieldError{{fieldName, "Too many sign-ins from your network have failed. Wait some minutes before you try again."}})
	}
	name := normalName(v.r.PostForm.Get(fieldName))
	l, err := v.authenticate(name)
	if err != nil {
		return err
	}
	if l == nil {
		return v.signInForm(http.StatusUnprocessableEntity, v.r.PostForm.Get(fieldName), []fieldError{{fieldName, "The name, the password or the code is not right. After several failed attempts sign-in pauses: wait some minutes before you try again."}})
	}
	return v.begin(l)
}

// addressWait is for how long nothing is heard from where the request came from.
func (v *visit) addressWait() (time.Duration, error) {
	var t tries
	_, err := recall(v.look(v.r.Context(), v.now), keyAddress+addressOf(v.r), &t)
	return t.spared(v.now), err
}

// errCode: the code of the second factor was used before.
var errCode = errors.New("code used before")

// authenticate returns who has the name, the password and the code, nil when
// that is nobody.
func (v *visit) authenticate(name string) (*login, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), hashPatience)
	defer cancel()
	if len(name) > maxName || len(v.r.PostForm.Get(fieldPassword)) > maxPassword {
		name = "" // which nobody has
	}
	if err := v.cfg.Accounts.hashers.enter(ctx); err != nil { // before the try is counted
		return nil, errBusy
	}
	defer v.cfg.Accounts.hashers.leave()
	var open bool
	err := v.cfg.State.Remember(ctx, v.now, func(m smart.Memory) (err error) {
		open, err = charge(m, name, v.now)
		return err
	})
	if err != nil {
		return nil, err
	}
	account, err := v.cfg.Accounts.find(name)
	if err != nil {
		return nil, err
	}
	known, step, err := v.proved(account)
	if err != nil {
		return nil, err
	}
	if !known || !open {
		return nil, v.failed(account, open)
	}
	l := &login{User: account.User, Account: account.Name, ACR: acrOneFactor, AuthTime: v.now, Began: v.now, Local: true, Proof: account.proof()}
	if account.TOTP != "" {
		l.ACR = acrTwoFactors
	}
	err = v.cfg.State.Remember(v.r.Context(), v.now, func(m smart.Memory) error {
		if err := useCode(m, account, step, v.now); err != nil {
			return err
		}
		return acquit(m, name)
	})
	if errors.Is(err, errCode) {
		return nil, v.failed(account, true)
	}
	return l, err
}

// hashPatience is how long a sign-in may wait for its turn.
const hashPatience = 10 * time.Second

// proved reports whether the account's password and code were given. It works as
// long without an account.
func (v *visit) proved(account *Account) (ok bool, step int64, err error) {
	hash, secret := noHash(), dummySecret
	if account != nil {
		if hash, err = readHash(account.Password); err != nil {
			return false, 0, err
		}
		if account.TOTP != "" {
			secret = account.TOTP
		}
	}
	ok = hash.matches(v.r.PostForm.Get(fieldPassword))
	step, good := totpStep(secret, digits(v.r.PostForm.Get(fieldCode)), v.now)
	if account == nil || (account.TOTP != "" && !good) {
		ok = false
	}
	return ok, step, nil
}

// dummySecret is looked at when there is no second factor.
const dummySecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" //nolint:gosec // G101: that of RFC 6238's test vectors, which opens nothing

// digits takes out the spaces that people put between the digits of a code.
func digits(code string) string {
	out := make([]byte, 0, len(code))
	for i := range len(code) {
		if code[i] != ' ' {
			out = append(out, code[i])
		}
	}
	return string(out)
}

// keyUsedCode is the prefix of the key of the last code that an account used.
const keyUsedCode = "used-code/"

// useCode uses up a code: neither it nor one before it is taken again
// (RFC 6238 §5.2).
func useCode(m smart.Memory, account *Account, step int64, now time.Time) error {
	if account.TOTP == "" {
		return nil
	}
	key := keyUsedCode + hashed(account.Name)
	var last int64
	found, err := recall(m.Recall, key, &last)
	if err != nil {
		return err
	}
	if found && step <= last {
		return errCode
	}
	return keep(m, key, step, now.Add((2*totpSkew+2)*totpPeriod*time.Second))
}

// failed counts a sign-in in vain against the address and puts it on record. The
// name is kept only where there is an account: people type secrets into the wrong
// field.
func (v *visit) failed(account *Account, open bool) error {
	err := v.cfg.State.Remember(v.r.Context(), v.now, func(m smart.Memory) error {
		return chargeAddress(m, addressOf(v.r), v.now)
	})
	if err != nil {
		return err
	}
	e := smart.Event{Kind: smart.EventSignIn, Failed: true, Reason: reasonCredentials}
	if account != nil {
		e.User, e.Account = account.User, account.Name
	}
	if !open {
		e.Reason = reasonLocked
	}
	return v.note(e)
}

// begin starts the session of who has just been authenticated, and goes on.
func (v *visit) begin(l *login) error {
	err := v.note(smart.Event{Kind: smart.EventSignIn, User: l.User, Account: l.Account})
	if err != nil {
		return err
	}
	id := secret()
	l.CSRF, l.For = secret(), hashed(v.handle)
	err = v.cfg.State.Remember(v.r.Context(), v.now, func(m smart.Memory) error {
		return v.keepSession(m, v.r, id, l)
	})
	if err != nil {
		return err
	}
	http.SetCookie(v.w, v.cookie(cookieSession, id))
	return v.to(v.step(pathChoose))
}

// note puts what happened on record, with where it came from.
func (v *visit) note(e smart.Event) error {
	if v.request != nil {
		e.Client = v.request.Client
	}
	e.Address, e.When = host(v.r.RemoteAddr), v.now
	e.RequestID = v.w.Header().Get(headerRequestID)
	return v.cfg.Registry.Note(v.r.Context(), e)
}

// showSignOut asks whether to.
func (v *visit) showSignOut() error {
	v.show(http.StatusOK, pageSignOut, view{Title: "Sign out"})
	return nil
}

// signOut ends the session. About a request it goes back to the sign-in.
func (v *visit) signOut() error {
	if err := v.signedIn(); err != nil {
		return err
	}
	if err := v.note(smart.Event{Kind: smart.EventSignOut, User: v.login.User, Account: v.login.Account}); err != nil {
		return err
	}
	if err := v.endSession(v.r.Context(), v.w, v.r, v.now); err != nil {
		return err
	}
	v.login = nil
	if v.request != nil {
		return v.to(v.step(pathSignIn) + "&" + fieldAgain + "=1")
	}
	v.show(http.StatusOK, pageProblem, view{Title: "You are signed out", Text: []string{"Close the browser if others use it too."}})
	return nil
}
