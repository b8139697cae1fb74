package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"vitrine/fhir/smart/token"
)

// keysCommand looks after the keys that sign tokens.
type keysCommand struct {
	Rotate keysRotateCommand `cmd:"" help:"Put new keys in place; honour the old ones until their tokens have run out."`
	List   keysListCommand   `cmd:"" help:"Print the keys there are, without what is secret of them."`
}

// Help says what there is and who learns of a change.
func (keysCommand) Help() string {
	return `The data directory's token-key.json holds one key for access tokens (ES384), one for id_tokens (RS256, made when it is first
needed), and those that signed before them. Servers publish the public parts at /auth/jwks. They notice by themselves within seconds when
the file changes, and need not be started again. Servers on other machines are given a copy of it:

  vitrine keys rotate --data DIR --keep 24h && scp DIR/token-key.json other:DIR/.new && ssh other mv DIR/.new DIR/token-key.json`
}

// keysRotateCommand makes new keys.
type keysRotateCommand struct {
	place
	Keep time.Duration `help:"How long the old keys are honoured: as long as the longest-lived token they signed." default:"24h"`
}

// Help says how often, and what to do when a key has become known.
func (keysRotateCommand) Help() string {
	return `What the old keys signed stays good until --keep has passed and not longer, whatever it says of itself. That goes for
those of earlier rotations too. Only their public parts are kept. Once a quarter will do:

  vitrine keys rotate --keep 24h

When somebody may have read the file, no token that it signed is to be trusted any more, and everybody signs in again:

  vitrine keys rotate --keep 0s`
}

// Run rotates and prints.
func (c *keysRotateCommand) Run(s streams) error {
	if c.Keep < 0 {
		return errors.New("--keep: want 0s or more")
	}
	if _, err := openData(c.Data); err != nil {
		return err
	}
	now := time.Now()
	keys, err := token.Rotate(c.Data, now, c.Keep)
	if err != nil {
		return err
	}
	return printKeys(s.out, keys, now)
}

// keysListCommand prints the keys.
type keysListCommand struct{ place }

// Help says what the columns are.
func (keysListCommand) Help() string {
	return `A line a key: its id (kid), what it signs, and whether it does or until when what it signed is honoured.

  vitrine keys list --data ./vitrine-data`
}

// Run prints them.
func (c *keysListCommand) Run(s streams) error {
	data, err := openData(c.Data)
	if err != nil {
		return err
	}
	keys, err := data.keys.List()
	if err != nil {
		return err
	}
	return printKeys(s.out, keys, time.Now())
}

func printKeys(out io.Writer, keys []token.Key, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, k := range keys {
		signs := map[string]string{"ES384": "access tokens", "RS256": "id_tokens"}[k.Algorithm]
		state := "signs"
		switch {
		case k.Until.IsZero():
		case now.Before(k.Until):
			state = "until " + k.Until.UTC().Format(time.RFC3339)
		default:
			state = "ended " + k.Until.UTC().Format(time.RFC3339)
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, signs, state); err != nil {
			return err
		}
	}
	return w.Flush()
}
