package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart/token"
)

// The bounds of a look for a patient.
const (
	pickerMost   = 20
	pickerLife   = time.Minute
	maxSearchset = 4 << 20
	fhirPath     = "/fhir"
)

// patient is what is shown of one.
type patient struct{ ID, Name, BirthDate, Gender, Number string }

// errNoPatient: there is none, or none that may be seen; which, nobody can tell.
var errNoPatient = errors.New("no such patient")

// showPicker asks which patient. Nobody is listed before there is a question.
func (v *visit) showPicker() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	_, c, ok, err := v.chosen()
	if !ok || err != nil {
		return err
	}
	if c.Patient != "" || !v.wantsPatient() || (v.request.Launch != nil && v.request.Launch.Patient != "") {
		return v.to(v.step(pathAgree))
	}
	v.pickerForm(http.StatusOK, c, view{})
	return nil
}

func (v *visit) pickerForm(status int, c Capacity, page view) {
	page.Title, page.Capacity = "Whose record?", c
	v.show(status, pagePatient, page)
}

// pickPatient answers a question, or takes the patient that was picked from an
// answer.
func (v *visit) pickPatient() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	_, c, ok, err := v.chosen()
	if !ok || err != nil {
		return err
	}
	if c.Patient != "" || (v.request.Launch != nil && v.request.Launch.Patient != "") {
		return errForm
	}
	if id := v.field(fieldPatient); id != "" {
		return v.takePatient(c, id)
	}
	page := view{Asked: true, Number: v.field(fieldNumber), Name: v.field(fieldName), BirthDate: v.field(fieldBirth)}
	query, wrong := question(page)
	if wrong != nil {
		page.Asked, page.Errors = false, wrong
		v.pickerForm(http.StatusUnprocessableEntity, c, page)
		return nil
	}
	if page.Patients, page.More, err = v.findPatients(c, query); err != nil {
		return err
	}
	v.pickerForm(http.StatusOK, c, page)
	return nil
}

func (v *visit) takePatient(c Capacity, id string) error {
	found, err := v.readPatient(c, id)
	if errors.Is(err, errNoPatient) {
		v.pickerForm(http.StatusOK, c, view{Asked: true})
		return nil
	}
	if err != nil {
		return err
	}
	v.choice.Patient, v.choice.PatientName = found.ID, found.Name
	if err := v.keepChoice(); err != nil {
		return err
	}
	return v.to(v.step(pathAgree))
}

// question makes a search of what was typed: a number, or a name with a date of
// birth.
func question(p view) (url.Values, []fieldError) {
	number, name, birth := strings.ToUpper(strings.TrimSpace(p.Number)), strings.TrimSpace(p.Name), strings.TrimSpace(p.BirthDate)
	if number != "" {
		if !regexp.MustCompile(`^[STFGM][0-9]{7}[A-Z]$`).MatchString(number) {
			return nil, []fieldError{{fieldNumber, "An NRIC or FIN has a letter, seven digits and a letter."}}
		}
		return url.Values{"identifier": {number}}, nil
	}
	if name == "" && birth == "" {
		return nil, []fieldError{{fieldNumber, "Give an NRIC or FIN, or a name and a date of birth."}}
	}
	var wrong []fieldError
	if name == "" || len(name) > maxName {
		wrong = append(wrong, fieldError{fieldName, "Give a name together with the date of birth."})
	}
	if _, err := time.Parse(time.DateOnly, birth); err != nil {
		wrong = append(wrong, fieldError{fieldBirth, "Give the date of birth together with the name, such as 1980-01-31."})
	}
	if wrong != nil {
		return nil, wrong
	}
	query := url.Values{"birthdate": {birth}}
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
	for word := range strings.FieldsSeq(name) { // every word must be in the name; many names are one text, which no second word begins
		query.Add("name:contains", escape.Replace(word))
	}
	return query, nil
}

// findPatients searches as the caller that the app would be, so that nobody is
// found whom it could not see, and the record says who looked.
func (v *visit) findPatients(c Capacity, query url.Values) (found []patient, more bool, err error) {
	query.Set("_count", fmt.Sprint(pickerMost))
	var set struct {
		Link  []struct{ Relation string }
		Entry []struct {
			Search   struct{ Mode string }
			Resource patientResource
		}
	}
	if err := v.ask(c, http.MethodPost, "/Patient/_search", query, &set); err != nil {
		return nil, false, err
	}
	for _, l := range set.Link {
		more = more || l.Relation == "next"
	}
	for _, e := range set.Entry {
		if e.Search.Mode == "match" && e.Resource.ResourceType == "Patient" && len(found) < pickerMost {
			found = append(found, e.Resource.shown())
		}
	}
	return found, more, nil
}

// readPatient returns a patient whom the caller that the app would be may see.
func (v *visit) readPatient(c Capacity, id string) (patient, error) {
	if !fhir.ValidID(id) {
		return patient{}, errNoPatient
	}
	var p patientResource
	if err := v.ask(c, http.MethodGet, "/Patient/"+id, nil, &p); err != nil {
		return patient{}, err
	}
	if p.ResourceType != "Patient" || p.ID != id {
		return patient{}, errNoPatient
	}
	return p.shown(), nil
}

// ask asks the FHIR base with a token that is good for this look alone.
func (v *visit) ask(c Capacity, method, path string, form url.Values, into any) error {
	bearer, err := v.pickerToken(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), pickerLife)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.cfg.BaseURL+fhirPath+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.RemoteAddr = v.r.RemoteAddr // the record has who looked, and from where
	req.Header.Set(headerRequestID, v.w.Header().Get(headerRequestID))
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/fhir+json")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.cfg.Porch.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return errNoPatient
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrRefused
	case http.StatusTooManyRequests:
		return errBusy
	default:
		return fmt.Errorf("look for patients: status %d", resp.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxSearchset)).Decode(into); err != nil {
		return errors.New("look for patients: the answer cannot be read") // not wrapped: it may quote it
	}
	return nil
}

// pickerToken says exactly whom the app would speak for, and may search and read
// patients, nothing else.
func (v *visit) pickerToken(c Capacity) (string, error) {
	claims := token.Claims{
		ID: secret(), Issuer: v.cfg.BaseURL + fhirPath, Subject: c.User, Client: v.request.Client,
		Audience: []string{v.cfg.BaseURL + fhirPath}, Scope: "user/Patient.rs",
		IssuedAt: v.now, Expires: v.now.Add(pickerLife), User: c.User,
		ACR: v.login.ACR, AuthTime: v.login.AuthTime,
	}
	if c.Organization != "" {
		claims.Organization = "Organization/" + c.Organization
	}
	switch l := v.request.Launch; {
	case l != nil && l.PurposeCode != "":
		claims.Purposes = []fhir.Coding{{System: l.PurposeSystem, Code: l.PurposeCode}}
	case len(c.Purposes) > 0:
		claims.Purposes = c.Purposes[:1]
	default:
		return "", errNobody
	}
	return v.cfg.Keys.Mint(claims)
}

// patientResource is what is read of a Patient.
type patientResource struct {
	ResourceType string
	ID           string
	Name         []struct {
		Text, Family  string
		Given, Prefix []string
	}
	BirthDate, Gender string
	Identifier        []struct{ System, Value string }
}

func (p *patientResource) shown() patient {
	out := patient{ID: p.ID, Name: "Name not given", BirthDate: p.BirthDate, Gender: p.Gender}
	if len(p.Name) > 0 {
		n := p.Name[0]
		if n.Text == "" {
			n.Text = strings.TrimSpace(strings.Join(append(append(n.Prefix, n.Given...), n.Family), " "))
		}
		if n.Text != "" {
			out.Name = n.Text
		}
	}
	if len(p.Identifier) > 0 {
		out.Number = p.Identifier[0].Value
	}
	return out
}
