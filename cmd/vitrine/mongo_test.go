package main

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"vitrine/store/mongo/mongotest"
)

func TestMain(m *testing.M) { os.Exit(mongotest.Main(m)) }

// TestMigrateToMongoDBAndBack: what has been in MongoDB is what it was, by the
// hash of everything and by what a server answers from it.
func TestMigrateToMongoDBAndBack(t *testing.T) {
	uri, name := mongotest.Server(t), mongotest.Database(t)
	dir := t.TempDir()
	if _, err := printed(t, "import", "--data", dir+"/from", "../../testdata/synthea"); err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile(`hash [0-9a-f]{64}`)
	there, err := printed(t, "migrate", "--from", dir+"/from", "--to", uri, "--store-database", name)
	if err != nil {
		t.Fatalf("%v\n%s", err, there)
	}
	back, err := printed(t, "migrate", "--from", uri, "--to", dir+"/back", "--store-database", name)
	if err != nil {
		t.Fatalf("%v\n%s", err, back)
	}
	if a, b := hash.FindString(there), hash.FindString(back); a == "" || a != b {
		t.Errorf("there: %s\nback: %s", there, back)
	}
	t.Log(back)
	if again, err := printed(t, "migrate", "--from", dir+"/back", "--to", uri, "--store-database", name); err != nil || hash.FindString(again) != hash.FindString(back) {
		t.Errorf("once more: %v\n%s", err, again)
	}
	if _, err := printed(t, "import", "--data", dir+"/other", "../../testdata/synthea/Lemuel_Hodkiewicz.json.gz"); err != nil {
		t.Fatal(err)
	}
	if _, err := printed(t, "migrate", "--from", dir+"/other", "--to", uri, "--store-database", name); err == nil || !strings.Contains(err.Error(), "has records already") {
		t.Errorf("into what is there: %v", err)
	}
	inMongo := serveWith(t, dir+"/keys", func(c *settings) { c.Store, c.StoreDatabase = storeName(uri), name })
	inFiles := serve(t, dir+"/back")
	for _, path := range []string{"Patient?_sort=birthdate&_count=100&_total=accurate", "Observation?_summary=count", "Encounter?_sort=date&_count=50&_total=accurate"} {
		one, a := inMongo.ask(t, "GET", path, "")
		other, b := inFiles.ask(t, "GET", path, "")
		if one != http.StatusOK || other != http.StatusOK || ids(a) != ids(b) || ids(a) == "" {
			t.Errorf("%s: %d %s\nand %d %s", path, one, ids(a), other, ids(b))
		}
	}
}

// ids are the total and the resources of a searchset, in order.
func ids(searchset string) string {
	found := regexp.MustCompile(`"total":\d+|"fullUrl":"[^"]+/fhir/[^"]+"`).FindAllString(searchset, -1)
	for i, f := range found {
		_, id, ok := strings.Cut(f, "/fhir/")
		if ok {
			found[i] = id
		}
	}
	return strings.Join(found, " ")
}

// TestTheStoryInMongoDB tells the demo's story with the records in MongoDB.
func TestTheStoryInMongoDB(t *testing.T) {
	out, err := printed(t, "demo", "--store", mongotest.Server(t), "--store-database", mongotest.Database(t))
	if err != nil || strings.Contains(out, "✗") || !strings.Contains(out, "Every step held.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStoreInMongoDB walks through the verbs as an operator does.
func TestStoreInMongoDB(t *testing.T) {
	uri, name := mongotest.Server(t), mongotest.Database(t)
	dir := t.TempDir()
	at := func(args ...string) (string, error) {
		return printed(t, append(args, "--store", uri, "--store-database", name)...)
	}
	if out, err := at("store", "check"); err == nil || !strings.Contains(out, "problem") || !strings.Contains(out, "none yet") {
		t.Errorf("an empty database: %v\n%s", err, out)
	}
	for range 2 { // what is there stays
		if out, err := at("store", "init"); err != nil || !strings.Contains(out, "database  "+name+"\n") {
			t.Errorf("init: %v\n%s", err, out)
		}
	}
	if out, err := at("store", "check"); err != nil || strings.Contains(out, "problem") {
		t.Errorf("check: %v\n%s", err, out)
	}
	if out, err := at("import", "--data", dir, writeFile(t, "p.json", patient)); err != nil || !strings.Contains(out, "1 Patient\n") {
		t.Errorf("import: %v\n%s", err, out)
	}
	if out, err := at("backup", "--data", dir, "--out", dir+"/copy"); err != nil || strings.Contains(out, "@") {
		t.Errorf("backup: %v\n%s", err, out)
	}
	if out, err := at("restore", "--data", dir, "--from", dir+"/copy"); err == nil {
		t.Errorf("a restore overwrote a store: %s", out)
	}
	other := mongotest.Database(t)
	if out, err := printed(t, "restore", "--from", dir+"/copy", "--store", uri, "--store-database", other); err != nil {
		t.Errorf("restore: %v\n%s", err, out)
	}
	for _, database := range []string{name, other} {
		s := serveWith(t, dir, func(c *settings) { c.Store, c.StoreDatabase = storeName(uri), database })
		if status, text := s.ask(t, "GET", "Patient/p", ""); status != http.StatusOK {
			t.Errorf("%s: got %d %s", database, status, text)
		}
		if status, _ := ask(t, s.base+"/readyz"); status != http.StatusOK {
			t.Errorf("ready: got %d", status)
		}
	}
}

// TestReadyWhenMongoDBIsGone cuts the server off from its database, and lets it
// back.
func TestReadyWhenMongoDBIsGone(t *testing.T) {
	proxy := mongotest.Through(t, mongotest.Server(t))
	s := serveWith(t, t.TempDir(), func(c *settings) { c.Store, c.StoreDatabase = storeName(proxy.URI()), mongotest.Database(t) })
	if status, text := ask(t, s.base+"/readyz"); status != http.StatusOK {
		t.Fatalf("there: %d %s", status, text)
	}
	proxy.Stall()
	if status, text := ask(t, s.base+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "OperationOutcome") {
		t.Errorf("gone: %d %s", status, text)
	}
	proxy.Resume()
	waitFor(t, func() bool { status, _ := ask(t, s.base+"/readyz"); return status == http.StatusOK })
}
