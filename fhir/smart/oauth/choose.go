package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"vitrine/fhir/smart"
)

// choice is what somebody chose on the way to the last page. It is kept under the
// hash of the request's handle.
type choice struct {
	// Session is the hash of the session's id: what one chose, nobody else has.
	Session string
	// User, Organization and Record are those of the capacity.
	User, Organization, Record string
	// Patient is the id of the patient, PatientName what was shown of it.
	Patient, PatientName string
}

// keyChoice is the prefix of the key of a choice.
const keyChoice = "choice/"

// of reports whether the capacity is the one chosen.
func (c choice) of(o Capacity) bool {
	return c.User != "" && c.User == o.User && c.Organization == o.Organization && c.Record == o.Patient
}

// seal tells one choice from another, and from that of another session.
func (c choice) seal() string {
	return hashed(strings.Join([]string{"choice", c.Session, c.User, c.Organization, c.Record, c.Patient}, " "))
}

// recallChoice reads what this session chose so far.
func (v *visit) recallChoice() error {
	var c choice
	found, err := recall(v.look(v.r.Context(), v.now), keyChoice+hashed(v.handle), &c)
	if found && c.Session == v.session {
		v.choice = c
	}
	return err
}

// keepChoice keeps what was chosen.
func (v *visit) keepChoice() error {
	v.choice.Session = v.session
	return v.cfg.State.Remember(v.r.Context(), v.now, func(m smart.Memory) error {
		return keep(m, keyChoice+hashed(v.handle), &v.choice, v.now.Add(requestLife))
	})
}

// entered holds every page after the sign-in to the same: a request that waits,
// somebody who is signed in as it wants, and a form that is theirs. When signed
// is false the browser has been sent to sign in.
func (v *visit) entered() (signed bool, err error) {
	if v.request == nil {
		return false, errPending
	}
	if v.login == nil || !v.login.fresh(v.handle, v.request, v.now) || v.request.Prompt == promptNone {
		return false, v.to(v.step(pathSignIn))
	}
	if v.r.Method == http.MethodPost {
		if err := v.signedIn(); err != nil {
			return false, err
		}
	}
	return true, v.recallChoice()
}

// capacities are those in which who is signed in may act through the client now.
func (v *visit) capacities(client smart.Client) ([]Capacity, error) {
	ctx := v.r.Context()
	all, err := v.cfg.Registry.Capacities(ctx, v.login.User, v.now)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c Capacity) bool { return !serves(client, c) })
	if v.request.Launch == nil {
		if len(all) == 0 {
			return nil, errNobody
		}
		return all, nil
	}
	all = slices.DeleteFunc(all, func(c Capacity) bool { return !v.request.Launch.isFor(&c) })
	if len(all) == 0 {
		return nil, errWho
	}
	return all, nil
}

// serves reports whether somebody may act so through the client. Who works for an
// organisation does it through that organisation's apps, or those of one that it
// is part of. One's own record, and that of whom one acts for, may be opened in
// any app: it is the person's own wish, the page says whose app it is, and the
// token names no organisation.
func serves(client smart.Client, c Capacity) bool {
	switch c.Kind {
	case smart.KindPractitioner:
		return boundTo(&client, &c)
	case smart.KindPatient, smart.KindRepresentative:
		return c.Patient != ""
	default:
		return false
	}
}

// showCapacities lets who may act in several ways choose one.
func (v *visit) showCapacities() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	client, all, err := v.ways()
	if err != nil {
		return err
	}
	if len(all) == 1 {
		return v.takeCapacity(all[0])
	}
	return v.capacityForm(http.StatusOK, client, all, nil)
}

// ways are the client and the capacities that it serves.
func (v *visit) ways() (smart.Client, []Capacity, error) {
	client, err := v.cfg.Registry.Client(v.r.Context(), v.request.Client, v.now)
	if err != nil {
		return client, nil, err
	}
	all, err := v.capacities(client)
	return client, all, err
}

func (v *visit) capacityForm(status int, client smart.Client, all []Capacity, errs []fieldError) error {
	page := view{Title: "How do you want to use this app?", App: client.Name, Errors: errs}
	for _, c := range all {
		page.Capacities = append(page.Capacities, option{Value: capacityValue(c), Label: c.Title, Detail: c.Person})
	}
	v.show(status, pageCapacity, page)
	return nil
}

// capacityValue names a capacity among those of one person.
func capacityValue(c Capacity) string { return c.User + " " + c.Organization + " " + c.Patient }

// chooseCapacity takes the one that was chosen, if it is one that there is.
func (v *visit) chooseCapacity() error {
	signed, err := v.entered()
	if !signed || err != nil {
		return err
	}
	client, all, err := v.ways()
	if err != nil {
		return err
	}
	for _, c := range all {
		if capacityValue(c) == v.field(fieldCapacity) {
			return v.takeCapacity(c)
		}
	}
	return v.capacityForm(http.StatusUnprocessableEntity, client, all, []fieldError{{fieldCapacity, "Choose one."}})
}

// takeCapacity keeps the capacity and goes on to the patient, if there is one to
// choose, or to the last page.
func (v *visit) takeCapacity(c Capacity) error {
	if !v.choice.of(c) {
		v.choice = choice{User: c.User, Organization: c.Organization, Record: c.Patient}
	}
	if err := v.settlePatient(c); err != nil {
		return err
	}
	if err := v.keepChoice(); err != nil {
		return err
	}
	if v.choice.Patient == "" && v.wantsPatient() {
		return v.to(v.step(pathPatient))
	}
	return v.to(v.step(pathAgree))
}

// settlePatient takes the patient where there is nothing to choose.
func (v *visit) settlePatient(c Capacity) error {
	switch {
	case c.Kind != smart.KindPractitioner:
		v.choice.Patient, v.choice.PatientName = c.Patient, ""
	case v.request.Launch != nil && v.request.Launch.Patient != "":
		found, err := v.readPatient(c, v.request.Launch.Patient)
		if err != nil && !errors.Is(err, errNoPatient) {
			return err
		}
		v.choice.Patient, v.choice.PatientName = v.request.Launch.Patient, found.Name
	}
	return nil
}

// wantsPatient reports whether what was asked for is about one patient.
func (v *visit) wantsPatient() bool {
	for one := range strings.FieldsSeq(v.request.Scope) {
		if one == smart.ScopeLaunchPatient || strings.HasPrefix(one, "patient/") {
			return true
		}
	}
	return false
}

// chosen is the capacity that was chosen, as it is now. When it is not there any
// more, or none was chosen, the browser has been sent to choose and ok is false.
func (v *visit) chosen() (client smart.Client, c Capacity, ok bool, err error) {
	client, all, err := v.ways()
	if err != nil {
		return client, c, false, err
	}
	i := slices.IndexFunc(all, v.choice.of)
	if i < 0 {
		return client, c, false, v.to(v.step(pathChoose))
	}
	return client, all[i], true, nil
}
