package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/store/mongo"
)

func TestStoreSettings(t *testing.T) {
	password := writeFile(t, "password", "opensesame\n")
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"--store", "embedded"}, true},
		{[]string{"--store", "mongodb://h"}, true},
		{[]string{"--store", "mongodb://a:1,b:2,[::1]:3/db?replicaSet=rs&tls=true"}, true},
		{[]string{"--store", "mongodb+srv://nehr.example/"}, true},
		{[]string{"--store", "mongodb://h", "--store-username", "u", "--store-password-file", password}, true},
		{[]string{"--store", "mongodb://u@h", "--store-password-file", password}, true},
		{[]string{"--store", "mongodb://h/?authMechanism=MONGODB-X509&authSource=$external", "--store-cert", "c", "--store-key", "k"}, true},
		{[]string{"--store", "postgres://h"}, false},
		{[]string{"--store", "./data"}, false},
		{[]string{"--store", "mongodb://"}, false},
		{[]string{"--store", "mongodb://a,,b"}, false},
		{[]string{"--store", "mongodb://h/?w=-1"}, false},
		{[]string{"--store", "mongodb://h:x"}, false},
		{[]string{"--store", "mongodb://u:pa?ss@h"}, false},
		{[]string{"--store", "mongodb://h", "--store-database", "nehr"}, true},
		{[]string{"--store", "mongodb://h", "--store-database", "ne.hr"}, false},
		{[]string{"--store", "mongodb://h", "--store-username", "u"}, false},
		{[]string{"--store", "mongodb://h", "--store-password-file", password}, false},
		{[]string{"--store", "mongodb://h", "--store-cert", "c"}, false},
		{[]string{"--store", "mongodb://h/?authMechanism=MONGODB-X509"}, false},
		{[]string{"--store", "mongodb://h", "--store-connections", "0"}, false},
		{[]string{"--store", "mongodb://h", "--store-timeout", "0s"}, false},
		{[]string{"--store-username", "u", "--store-password-file", password}, false},
		{[]string{"--store-ca", "c"}, false},
	} {
		parsed, err := command(t, append([]string{"serve"}, c.args...)...)
		if err == nil {
			err = parsed.Serve.check()
		}
		if (err == nil) != c.ok {
			t.Errorf("%v: got %v, want ok=%v", c.args, err, c.ok)
		}
	}
}

// TestPasswordsOfTheStoreStayHidden looks for the password in whatever a mistake
// in the settings makes the program say.
func TestPasswordsOfTheStoreStayHidden(t *testing.T) {
	for _, uri := range []string{
		"mongodb://user:opensesame@h/", "mongodb://user:opensesame@a:1,b:2/db?replicaSet=rs", "mongodb+srv://user:opensesame@nehr.example/",
		"mongodb://user:open/sesame@h/", "mongodb://user:sesame?opensesame@h/", "mongodb://user:opensesame@h:x/", "mongodb://user:opensesame@",
		"mongodb://user:opensesame%@h/", "mongodb://user:opensesame@h/?proxyPassword=opensesame&tls=true", "mongo://user:opensesame@h/",
		"mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:opensesame", "mongodb://user:opensesame@h/?w=-1", "opensesame",
		"mongodb://:opensesame@h", "mongodb://user:opensesame@h/?tlsCertificateKeyFilePassword=opensesame",
	} {
		out, err := printed(t, "config", "--store", uri)
		said := out + fmt.Sprint(err)
		_, err = printed(t, "store", "check", "--store", uri, "--store-wait", "1ns", "--store-username", "u")
		said += fmt.Sprint(err)
		if strings.Contains(said, "sesame") {
			t.Errorf("%s:\n%s", uri, said)
		}
	}
	out, err := printed(t, "config", "--store", "mongodb://user:opensesame@a:1,b/db?replicaSet=rs&zlib=9")
	if want := "store: mongodb://user:xxxxx@a:1,b/db?replicaSet=rs&zlib=xxxxx\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("%v; want %q in\n%s", err, want, out)
	}
}

func TestPasswordOfTheStore(t *testing.T) {
	file := writeFile(t, "password", "of the file\r\n")
	for _, c := range []struct {
		name       string
		d          database
		env        string
		user, pass string
	}{
		{"none", database{Store: "mongodb://h"}, "", "", ""},
		{"file", database{"mongodb://h", connection{StoreUsername: "u", StorePasswordFile: file}}, "", "u", "of the file"},
		{"file before environment", database{"mongodb://h", connection{StoreUsername: "u", StorePasswordFile: file}}, "other", "u", "of the file"},
		{"environment", database{"mongodb://h", connection{StoreUsername: "u"}}, "of the environment", "u", "of the environment"},
		{"user of the URI", database{"mongodb://u%40x@h", connection{StorePasswordFile: file}}, "", "u@x", "of the file"},
		{"password without user", database{Store: "mongodb://h"}, "of another", "", ""},
	} {
		t.Setenv(envStorePassword, c.env)
		opt, err := c.d.options(slog.New(slog.DiscardHandler))
		if err != nil || opt.Username != c.user || opt.Password != c.pass {
			t.Errorf("%s: got %q %q, %v; want %q %q", c.name, opt.Username, opt.Password, err, c.user, c.pass)
		}
	}
	empty := database{"mongodb://h", connection{StoreUsername: "u", StorePasswordFile: writeFile(t, "empty", "\n")}}
	if _, err := empty.options(slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an empty password was taken")
	}
}

func TestPlainConnectionsBeyondThisMachine(t *testing.T) {
	for uri, want := range map[storeName]bool{
		"embedded": false, "mongodb://127.0.0.1": false, "mongodb://localhost:1,[::1]:2,127.0.0.9": false, "mongodb://%2Ftmp%2Fmongodb.sock": false,
		"mongodb://h": true, "mongodb://127.0.0.1,h": true, "mongodb://h/?tls=true": false, "mongodb://h/?TLS=false": true,
		"mongodb://h/?ssl=true": false, "mongodb+srv://h": false, "mongodb+srv://h/?tls=false": true, "mongodb://h/?tlsCAFile=f": false,
	} {
		if got := (&database{Store: uri}).exposed(); got != want {
			t.Errorf("%s: got %v, want %v", uri, got, want)
		}
	}
	if (&database{"mongodb://h", connection{StoreCA: "f"}}).exposed() {
		t.Error("with --store-ca")
	}
}

// TestWaitForTheDatabase: only what waiting may mend is waited for, and not
// longer than was said.
func TestWaitForTheDatabase(t *testing.T) {
	unreachable, other := fmt.Errorf("x: %w", mongo.ErrUnreachable), errors.New("other")
	for _, c := range []struct {
		name  string
		fails []error // then nil
		want  error
		took  time.Duration
		lines int
	}{
		{"there", nil, nil, 0, 0},
		{"late", []error{unreachable, unreachable}, nil, 2 * time.Second, 2},
		{"refused", []error{unreachable, mongo.ErrCredentials}, mongo.ErrCredentials, time.Second, 1},
		{"failed", []error{other}, other, 0, 0},
		{"never", []error{unreachable, unreachable, unreachable, unreachable, unreachable}, mongo.ErrUnreachable, 3500 * time.Millisecond, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				p := patience{log: slog.New(slog.NewTextHandler(&log, nil)), most: 3500 * time.Millisecond, attempt: time.Second, pause: time.Second}
				start := time.Now()
				err := p.wait(t.Context(), func(context.Context) error {
					if len(c.fails) == 0 {
						return nil
					}
					err := c.fails[0]
					c.fails = c.fails[1:]
					return err
				})
				if took := time.Since(start); !errors.Is(err, c.want) || took != c.took || bytes.Count(log.Bytes(), []byte("\n")) != c.lines {
					t.Errorf("got %v after %s, want %v after %s, and %d lines of log:\n%s", err, took, c.want, c.took, c.lines, log.String())
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p := patience{log: slog.New(slog.DiscardHandler), most: time.Hour, attempt: time.Second, pause: time.Minute}
		err := p.wait(ctx, func(context.Context) error { return mongo.ErrUnreachable })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the program was told to end: got %v", err)
		}
	})
}

// TestAdvice: each reason has one sentence of its own, in our words.
func TestAdvice(t *testing.T) {
	d := database{Store: "mongodb://user:opensesame@db1:27017,db2/"}
	seen := map[string]bool{}
	for _, err := range []error{
		mongo.ErrURI, mongo.ErrUnreachable, mongo.ErrCertificate, mongo.ErrCredentials, mongo.ErrRights, mongo.ErrUnknown,
	} {
		said := d.advice(err).Error()
		if seen[said] || strings.Contains(said, "opensesame") || strings.Contains(said, "\n") {
			t.Errorf("%v: %s", err, said)
		}
		seen[said] = true
	}
}

func TestStoreVerbsAreForMongoDB(t *testing.T) {
	for _, verb := range []string{"init", "check"} {
		if out, err := printed(t, "store", verb); err == nil || !strings.Contains(err.Error(), "--store") {
			t.Errorf("%s: got %v\n%s", verb, err, out)
		}
	}
}

// TestReadyAsksTheStore: a server whose store is gone is not ready, and says so
// as FHIR does.
func TestReadyAsksTheStore(t *testing.T) {
	s := serve(t, t.TempDir())
	if status, _ := ask(t, s.base+"/readyz"); status != http.StatusOK {
		t.Errorf("running: got %d", status)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	status, text := ask(t, s.base+"/readyz")
	var outcome struct{ ResourceType string }
	if err := json.Unmarshal([]byte(text), &outcome); err != nil || status != http.StatusServiceUnavailable || outcome.ResourceType != "OperationOutcome" {
		t.Errorf("store gone: got %d %s", status, text)
	}
	if status, _ := ask(t, s.base+"/healthz"); status != http.StatusOK {
		t.Errorf("the process serves: got %d", status)
	}
}

func ask(t *testing.T, url string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
