package token

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// read turns the claims of a token whose signature holds into a smart.Token.
// Which claims must be there: RFC 9068 §2.2; which this server reads: DOSSIER
// §4.6 in the code's terms, smart's Claim constants.
func (v *Verifier) read(c *object, from *issuer, now time.Time) (smart.Token, error) {
	r := reader{object: c, base: v.base}
	t := smart.Token{
		ByHand:  from.operator,
		Issuer:  from.url,
		ID:      r.optional(c.root, smart.ClaimID),
		Subject: r.required(smart.ClaimSubject),
		Client:  r.textAt(from.places.client),
		Scopes:  r.scopes(&from.places),
		Patient: r.patient(from.places.patient),
		ACR:     r.optional(c.root, smart.ClaimACR),
	}
	issued, notBefore := r.time(smart.ClaimIssuedAt), r.time(smart.ClaimNotBefore)
	t.Expires, t.AuthTime = r.time(smart.ClaimExpires), r.time(smart.ClaimAuthTime)
	if t.Client == "" || issued.IsZero() || t.Expires.IsZero() || c.isElse() {
		return smart.Token{}, ErrClaims
	}
	audience := v.audience
	if len(from.places.audience) > 0 {
		audience = from.places.audience
	}
	if !r.isFor(audience) {
		return smart.Token{}, ErrAudience
	}
	if !now.Before(t.Expires) {
		return smart.Token{}, ErrExpired
	}
	if soon := now.Add(leeway); soon.Before(notBefore) || soon.Before(issued) {
		return smart.Token{}, ErrNotYet
	}
	r.iua(&t, &from.places)
	r.kind(&t, from)
	if r.bad {
		return smart.Token{}, ErrClaims
	}
	return t, nil
}

// isElse reports whether the claims are no access token's that whoever bears it may
// use: it is bound to a proof that is not asked for here (cnf), or it is an id_token,
// which alone says to what token or code it belongs (OpenID Connect Core §3.3.2.11).
func (o *object) isElse() bool {
	return o.has("cnf") || o.has("at_hash") || o.has("c_hash")
}

// reader reads claims and remembers whether one of them could not be taken.
type reader struct {
	*object
	base string
	bad  bool
}

// optional is a member that, when it is there, must be a string.
func (r *reader) optional(parent fhir.Node, name string) string {
	n := r.tape.Field(parent, name)
	if n == fhir.None {
		return ""
	}
	if r.tape.Kind(n) != fhir.String {
		r.bad = true
		return ""
	}
	return r.tape.Text(n)
}

func (r *reader) required(name string) string {
	s := r.optional(r.root, name)
	r.bad = r.bad || s == ""
	return s
}

// member is an object that may be missing.
func (r *reader) member(parent fhir.Node, name string) fhir.Node {
	n := r.tape.Field(parent, name)
	if n != fhir.None && r.tape.Kind(n) != fhir.Object {
		r.bad = true
		return fhir.None
	}
	return n
}

// time reads a NumericDate (RFC 7519 §2); zero when there is none. Parts of a
// second are cut off.
func (r *reader) time(name string) time.Time {
	n := r.tape.Field(r.root, name)
	if n == fhir.None {
		return time.Time{}
	}
	const year9999 = 253402300799
	seconds, err := strconv.ParseFloat(string(r.tape.Raw(n)), 64)
	if r.tape.Kind(n) != fhir.Number || err != nil || seconds < 1 || seconds > year9999 {
		r.bad = true
		return time.Time{}
	}
	return time.Unix(int64(math.Floor(seconds)), 0).UTC()
}

// isFor reports whether aud, a string or a list of them, names this server.
func (r *reader) isFor(names []string) bool {
	n := r.tape.Field(r.root, smart.ClaimAudience)
	if r.tape.Kind(n) == fhir.String {
		return slices.Contains(names, r.tape.Text(n))
	}
	if r.tape.Kind(n) != fhir.Array {
		return false
	}
	found := false
	for e := r.tape.First(n); e != fhir.None; e = r.tape.Next(e) {
		if r.tape.Kind(e) != fhir.String {
			return false
		}
		found = found || slices.Contains(names, r.tape.Text(e))
	}
	return found
}

// patient is the launch patient: an id (SMART App Launch 2.2,
// scopes-and-launch-context.html#launch-context-arrives-with-your-access_token),
// or a reference to a Patient of this server.
func (r *reader) patient(path []string) string {
	s := r.textAt(path)
	if s == "" || fhir.ValidID(s) {
		return s
	}
	return r.local(s, "Patient").ID
}

// iua reads the claims of IHE IUA ITI-71, wherever they are.
func (r *reader) iua(t *smart.Token, p *places) {
	t.Purposes, t.Organization = r.purposes(p), r.organization(p)
	if iua := r.member(r.member(r.root, smart.ClaimExtensions), smart.ExtensionIUA); iua != fhir.None {
		t.SubjectName = r.optional(iua, smart.ClaimSubjectName)
		t.Roles = r.codings(iua, smart.ClaimRoles)
	}
}

// codings reads a list of codings. One that is not a coding spoils the token:
// leaving it out could turn a mixture of purposes into a single one.
func (r *reader) codings(parent fhir.Node, name string) []fhir.Coding {
	list := r.tape.Field(parent, name)
	if list == fhir.None {
		return nil
	}
	if r.tape.Kind(list) != fhir.Array {
		r.bad = true
		return nil
	}
	var codings []fhir.Coding
	for e := r.tape.First(list); e != fhir.None; e = r.tape.Next(e) {
		if r.tape.Kind(e) != fhir.Object {
			r.bad = true
			return nil
		}
		c := fhir.Coding{System: r.optional(e, memberSystem), Code: r.optional(e, memberCode)}
		r.bad = r.bad || c.Code == ""
		codings = append(codings, c)
	}
	return codings
}

// local reads a reference to a resource of this server of one of the types.
func (r *reader) local(s string, types ...fhir.ResourceType) fhir.Reference {
	if rest, below := strings.CutPrefix(s, r.base+"/"); below && r.base != "" {
		s = rest
	}
	typ, id, ok := strings.Cut(s, "/")
	if !ok || !fhir.ValidID(id) || !slices.Contains(types, fhir.ResourceType(typ)) {
		r.bad = true
		return fhir.Reference{}
	}
	return fhir.Reference{Form: fhir.RefLocal, Type: fhir.ResourceType(typ), ID: id}
}

// kind works out for whom the token stands. fhirUser says it, but for the kinds
// that an issuer has to vouch for; a claim that says otherwise spoils the token.
func (r *reader) kind(t *smart.Token, from *issuer) {
	var user fhir.Reference
	if s := r.textAt(from.places.user); s != "" {
		user = r.local(s, "Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
		t.User = string(user.Type) + "/" + user.ID
	}
	implied, ok := smart.KindOfUser(user.Type)
	if !ok {
		r.bad = true
		return
	}
	own := r.member(r.member(r.root, smart.ClaimExtensions), smart.ExtensionVitrine)
	claimed := r.optional(own, smart.ClaimKind)
	t.Grant = r.optional(own, smart.ClaimGrant)
	r.bad = r.bad || t.Grant != "" && !from.own // another's authorizations are none of ours
	switch {
	case claimed == "" || claimed == implied:
		t.Kind = implied
	case !slices.Contains(from.vouches, claimed):
		r.bad = true
	case claimed == smart.KindCustodian && t.User != "": // never a person (ACCESS §2)
		r.bad = true
	case implied == smart.KindPatient || implied == smart.KindRepresentative:
		r.bad = true
	default:
		t.Kind = claimed
	}
}
