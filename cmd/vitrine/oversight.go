package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the image has no zones of its own

	"vitrine/consent"
)

// oversight is what the regulator wants to look at.
type oversight struct {
	EncounterWithin   time.Duration `name:"encounter-within" help:"How long after an override the patient is expected to have been seen at the organisation." default:"72h"`
	OverridesRepeated int           `name:"overrides-repeated" help:"Overrides by one person, or of one patient, in the period of a report beyond which they are repeated ones." default:"3"`
	WorkingHours      string        `name:"working-hours" help:"When overrides are ordinary, from Monday to Friday. Default: ${default}." default:"08:00-20:00" placeholder:"HH:MM-HH:MM"`
	TimeZone          string        `name:"time-zone" help:"Zone of the working hours and of the days that alerts count. Default: ${default}." default:"Asia/Singapore" placeholder:"ZONE"`
	AlertPerson       int           `name:"alert-overrides-person" help:"Overrides by one person in a day from which the regulator is alerted." default:"5"`
	AlertOrganization int           `name:"alert-overrides-organization" help:"The same, by one organisation." default:"25"`
	AlertSweep        int           `name:"alert-sweep" help:"Patients who are not there, or not one's own, asked about in an hour by one user of one client, from which the regulator is alerted." default:"100"`
	AlertEvery        time.Duration `name:"alert-every" help:"How often what was counted is looked at for alerts." default:"30s"`
	AlertClaims       int           `name:"alert-claims" help:"Requests in a day by one user of one client that claim an emergency without a grant, from which the regulator is alerted." default:"10"`
}

// check finds what cannot work.
func (o *oversight) check() error {
	if o.EncounterWithin <= 0 {
		return errors.New("--encounter-within must be positive")
	}
	for _, n := range []int{o.OverridesRepeated, o.AlertPerson, o.AlertOrganization, o.AlertSweep, o.AlertClaims} {
		if n < 1 || n > consent.AlertMost {
			return fmt.Errorf("--overrides-repeated and --alert-...: want 1 at least and %d at most", consent.AlertMost)
		}
	}
	if o.AlertEvery < 100*time.Millisecond {
		return errors.New("--alert-every: want 100ms at least")
	}
	_, err := o.hours()
	return err
}

// keepWatch alerts the regulator to what is out of the ordinary.
func (h *House) keepWatch(ctx context.Context) {
	each(ctx, h.cfg.AlertEvery, func(now time.Time) {
		if err := h.gate.Watch(ctx, now); err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "alerts were not looked for; it is tried again", "error", err)
		}
	})
}

// hours reads the working hours.
func (o *oversight) hours() (consent.Hours, error) {
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil || o.TimeZone == "" {
		return consent.Hours{}, errors.New("--time-zone: want the name of a zone, such as Asia/Singapore")
	}
	bad := errors.New("--working-hours: want HH:MM-HH:MM, the second later than the first")
	from, until, _ := strings.Cut(o.WorkingHours, "-")
	h := consent.Hours{Zone: zone}
	for _, one := range []struct {
		text string
		at   *time.Duration
	}{{from, &h.From}, {until, &h.Until}} {
		if one.text == "24:00" {
			*one.at = 24 * time.Hour
			continue
		}
		at, err := time.Parse("15:04", one.text)
		if err != nil {
			return consent.Hours{}, bad
		}
		*one.at = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	if h.From >= h.Until {
		return consent.Hours{}, bad
	}
	return h, nil
}

// wishes is what the gate is told; what was not chosen is left to its defaults.
func (o *oversight) wishes() consent.Oversight {
	h, err := o.hours()
	if err != nil {
		h = consent.Hours{}
	}
	return consent.Oversight{
		EncounterWithin: o.EncounterWithin, Repeated: o.OverridesRepeated, Hours: h,
		OverridesByPerson: o.AlertPerson, OverridesByOrganization: o.AlertOrganization, Sweep: o.AlertSweep, Claims: o.AlertClaims,
	}
}
