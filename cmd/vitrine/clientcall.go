package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"vitrine/fhir/smart"
)

// reach is how a verb finds the server whose clients it looks after.
type reach struct {
	place
	database
	Server string `help:"A running server. Default: the one that runs on the data directory, or else the store itself." placeholder:"URL"`
	Token  string `help:"Access token of a custodian. Better given as VITRINE_TOKEN. Default: one made with the data directory's key." placeholder:"TOKEN"`
}

// adminPath is where the interface of onboarding is below the base URL.
const adminPath = "/admin"

// with calls do with the server.
func (c *reach) with(ctx context.Context, s streams, do func(*target) error) error {
	t, done, err := c.target(ctx, s)
	if err != nil {
		return err
	}
	err = do(t)
	return errors.Join(err, done())
}

func (c *reach) target(ctx context.Context, s streams) (*target, func() error, error) {
	base, err := normalBase(c.Server)
	if err != nil {
		return nil, nil, errors.New("--server: want http://HOST or https://HOST")
	}
	if base == "" && !runs(ctx, c.Data) {
		t, done, err := (&importCommand{place: c.place, database: c.database}).target(ctx, s.err)
		if err == nil {
			t.base = strings.TrimSuffix(t.base, fhirPath)
		}
		return t, done, err
	}
	text := c.Token
	if base == "" || text == "" {
		data, err := openData(c.Data)
		if err != nil {
			return nil, nil, err
		}
		if base == "" {
			base = data.identity.BaseURL
		}
		if text == "" {
			request := tokenRequest{Kind: smart.KindCustodian, Client: "vitrine-cli", TTL: time.Minute}
			if text, err = data.mint(request, "", time.Now()); err != nil {
				return nil, nil, err
			}
		}
	}
	return newTarget(base, text, http.DefaultTransport), func() error { return nil }, nil
}

// runs reports whether a server runs on the data directory.
func runs(ctx context.Context, data string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(data, socketFile))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// admin makes a request of the interface of onboarding.
func (t *target) admin(ctx context.Context, method, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	a, err := t.send(ctx, method, adminPath+path, "application/json", text)
	if err != nil {
		return err
	}
	if a.ok() {
		return json.Unmarshal(a.text, into)
	}
	var fault struct {
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.text, &fault) != nil || fault.Description == "" {
		return fmt.Errorf("status %d", a.status)
	}
	return errors.New(fault.Description)
}
