package main

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// configCommand prints the settings in force.
type configCommand struct {
	settings
}

// Help shows the forms a setting can take.
func (configCommand) Help() string {
	return `Prints the settings that "vitrine serve" with the same flags, environment and file would run with, in the form
of a settings file. Passwords in URLs and in --store are masked.

  vitrine config --config /etc/vitrine.yaml
  VITRINE_LISTEN=127.0.0.1:9000 vitrine config
  vitrine config > vitrine.yaml

A setting comes from its flag, else from VITRINE_ and its name (VITRINE_BASE_URL), else from the file, else it is the
default. A file with a key that is no setting is refused. The password of --store is no setting: it is read from
--store-password-file or from VITRINE_STORE_PASSWORD alone.`
}

// Run prints them in the order of the help text.
func (c *configCommand) Run(ctx *kong.Context, s streams) error {
	if base, err := c.baseURL(c.Listen); err == nil {
		c.BaseURL = base
	}
	c.CacheSize = c.blockCache()
	c.AuditRetention = c.said()
	var items yaml.MapSlice
	for _, flag := range ctx.Selected().Flags {
		if flag.Name == "help" {
			continue
		}
		items = append(items, yaml.MapItem{Key: flag.Name, Value: shown(flag.Target)})
	}
	text, err := yaml.MarshalWithOptions(items, yaml.UseJSONMarshaler())
	if err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	if _, err := s.out.Write(text); err != nil {
		return err
	}
	return c.check()
}

// shown is the value of a setting as it may be seen.
func shown(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case []issuer:
		list := make([]issuer, len(x))
		for i := range x {
			list[i] = x[i].masked()
		}
		return list
	case []netip.Prefix:
		list := make([]string, len(x))
		for i := range x {
			list[i] = x[i].String()
		}
		return list
	case []coding:
		list := make([]string, len(x))
		for i := range x {
			list[i] = x[i].String()
		}
		return list
	case []string:
		return append([]string{}, x...)
	case bool, int, uint64, float64:
		return x
	default:
		return fmt.Sprint(x)
	}
}
