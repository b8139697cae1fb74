package main

import (
	"errors"
	"strings"

	"vitrine/fhir"
)

// telling is what patients are told, and how.
type telling struct {
	Clusters []string `name:"public-cluster" help:"A public cluster, such as Organization/east: patients are told of it where one of its parts looked at their record. May be repeated." placeholder:"ORGANIZATION"`
}

// check finds what cannot work.
func (c *telling) check() error {
	for _, one := range c.Clusters {
		if !fhir.ValidID(strings.TrimPrefix(one, "Organization/")) {
			return errors.New("--public-cluster: want Organization/ID")
		}
	}
	return nil
}

// clusters are the ids of the public clusters.
func (c *telling) clusters() []string {
	ids := make([]string, len(c.Clusters))
	for i, one := range c.Clusters {
		ids[i] = strings.TrimPrefix(one, "Organization/")
	}
	return ids
}
