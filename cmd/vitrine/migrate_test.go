package main

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"vitrine/store"
	"vitrine/store/embedded"
)

// TestMigrate copies a data directory that has been in use, and asks the copy
// what was asked of it.
func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	from, to := dir+"/from", dir+"/to"
	s := serve(t, from)
	for _, r := range []string{patient, strings.Replace(patient, "female", "male", 1)} {
		if status, text := s.ask(t, "PUT", "Patient/p", r); status/100 != 2 {
			t.Fatal(status, text)
		}
	}
	_, before := s.ask(t, "GET", "Patient/p/_history/1", "")
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	out, err := printed(t, "migrate", "--from", from, "--to", to)
	counts := regexp.MustCompile(`(?m)^(\d+) resources in (\d+) versions and (\d+) records of accesses copied, in .*\nboth stores have the hash [0-9a-f]{64}$`).FindStringSubmatch(out)
	if err != nil || counts == nil || counts[1] != "1" || counts[3] == "0" {
		t.Fatalf("%v\n%s", err, out)
	}
	once, err := printed(t, "migrate", "--from", from, "--to", to)
	if err != nil || !strings.HasSuffix(once, out[strings.Index(out, "both stores"):]) {
		t.Errorf("once more: %v\n%s", err, once)
	}
	again := serve(t, to)
	if status, after := again.ask(t, "GET", "Patient/p/_history/1", ""); status != http.StatusOK || after != before {
		t.Errorf("got %d %s, want %s", status, after, before)
	}
	if status, text := again.ask(t, "GET", "AuditEvent?patient=p&_summary=count", ""); status != http.StatusOK || strings.Contains(text, `"total":0`) {
		t.Errorf("the record of accesses: %d %s", status, text)
	}
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--from " + from + " --to " + to:                        "has records already",
		"--from " + dir + "/nowhere --to " + dir + "/new":       "no store in",
		"--from " + from + " --to " + from:                      "the same",
		"--from " + from + " --to mongodb://h:x":                "cannot be used",
		"--from " + from + " --to mongodb://u:opensesame@h/%@?": "mongodb://HOST",
	} {
		_, err := printed(t, append([]string{"migrate"}, strings.Fields(args)...)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// TestHalfACopyIsNotServed: what has no Consents yet must not be answered from.
func TestHalfACopyIsNotServed(t *testing.T) {
	dir := t.TempDir()
	db, err := embedded.Open(dir+"/store", embedded.Options{Copying: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Copy(t.Context(), store.Batch{Mark: []byte("\x01\x00")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cfg, err := defaults(dir)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := build(t.Context(), cfg, "http://localhost", slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrCopying) {
		t.Errorf("got %v, %v, want %v", h, err, store.ErrCopying)
	}
	if _, err := printed(t, "migrate", "--from", dir, "--to", t.TempDir()); err == nil || !strings.Contains(err.Error(), "not finished itself") {
		t.Errorf("copied half a copy: %v", err)
	}
	source := t.TempDir()
	s := serve(t, source)
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if out, err := printed(t, "migrate", "--from", source, "--to", dir); err != nil {
		t.Errorf("the rest of the copy: %v\n%s", err, out)
	}
	h, err := build(t.Context(), cfg, "http://localhost", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("the whole copy: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		p      store.Progress
		from   uint64
		passed time.Duration
		want   string
	}{
		{store.Progress{}, 0, time.Second, "beginning"},
		{store.Progress{Phase: store.CopyingChronicles, Total: 10}, 0, 0, "0 of 10 resources copied, 0/s"},
		{store.Progress{Phase: store.CopyingChronicles, Done: 500, Total: 2000}, 0, 5 * time.Second, "500 of 2000 resources copied, 100/s, 25%, 15s left"},
		{store.Progress{Phase: store.CopyingRecords, Done: 1500, Total: 2000}, 1000, 5 * time.Second, "1500 of 2000 records of accesses copied, 100/s, 75%, 5s left"},
		{store.Progress{Phase: store.Comparing, Done: 7, Total: 5}, 0, time.Second, "7 of 7 compared, 7/s"},
	} {
		if got := progressLine(c.p, c.from, c.passed); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
