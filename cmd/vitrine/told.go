package main

import (
	"errors"
	"strings"

	"vitrine/fhir"
)

// telling is what patients are told, and how.
type telling struct {
	Clusters []string `name:"public-cluster" help:"A public cluster, such as Organization/east: patients are told of it where one of its parts looked at their record. May be repeated." placeholder:"ORGANIZATION"`

	NotifyURL    string `name:"notify-url" help:"Messaging service to which notices to patients are sent (Standard Webhooks): ids and a time, nothing about health. https, or http on loopback." placeholder:"URL"`
	NotifySecret string `name:"notify-secret-file" help:"File with the secret that signs them, base64 with or without whsec_; several lines while one takes the place of another." placeholder:"FILE"`
}

// check finds what cannot work.
func (c *telling) check() error {
	for _, one := range c.Clusters {
		if !fhir.ValidID(strings.TrimPrefix(one, "Organization/")) {
			return errors.New("--public-cluster: want Organization/ID")
		}
	}
	return checkNotify(c.NotifyURL, c.NotifySecret)
}

// clusters are the ids of the public clusters.
func (c *telling) clusters() []string {
	ids := make([]string, len(c.Clusters))
	for i, one := range c.Clusters {
		ids[i] = strings.TrimPrefix(one, "Organization/")
	}
	return ids
}
