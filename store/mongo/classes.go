package mongo

import (
	"context"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir"
)

// maxClasses is how many classes a type may have. Rows whose labels would make
// more are loose.
const maxClasses = 64

// classes are the homes and labels there are, by type. They are never taken
// away.
type classes struct {
	mu  sync.RWMutex
	at  int64 // the commit in which the last of them came
	all map[fhir.ResourceType][]string
}

// classDocument is one class: "Observation p" and the labels, a line each.
type classDocument struct {
	ID string `bson:"_id"`
}

// load reads the classes when some came in a commit after those known. ctx sees
// that commit, which a majority has.
func (c *classes) load(ctx context.Context, db *DB, commit int64) error {
	if c.knows(commit) {
		return nil
	}
	all, err := readClasses(ctx, db)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if commit > c.at {
		c.at, c.all = commit, all
	}
	return nil
}

// knows reports whether no class came in a commit after those known.
func (c *classes) knows(commit int64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at >= commit
}

func readClasses(ctx context.Context, db *DB) (map[fhir.ResourceType][]string, error) {
	cur, err := db.collection(collClasses).Find(ctx, bson.D{})
	if err != nil {
		return nil, clean(err)
	}
	var found []classDocument
	if err := cur.All(ctx, &found); err != nil {
		return nil, clean(err)
	}
	all := map[fhir.ResourceType][]string{}
	for _, d := range found {
		t, class, _ := strings.Cut(d.ID, " ")
		all[fhir.ResourceType(t)] = append(all[fhir.ResourceType(t)], class)
	}
	for _, of := range all {
		slices.Sort(of)
	}
	return all, nil
}

// of are the classes of a type.
func (c *classes) of(t fhir.ResourceType) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.all[t]
}

// markBasic stands among the classes of a type that has basic editions.
const markBasic = "basic"

// classes are those of a type that are known, and those the write has made.
func (v *view) classes(t fhir.ResourceType) []string {
	known := v.found[t]
	if v.found == nil {
		known = v.db.classes.of(t)
	}
	if made := v.made[t]; len(made) > 0 {
		return append(slices.Clone(known), made...)
	}
	return known
}

// basics reports whether a type may have basic editions.
func (v *view) basics(t fhir.ResourceType) bool { return slices.Contains(v.classes(t), markBasic) }

// room reports whether a row may have the class: it is known, or there may be
// one more.
func (v *view) room(t fhir.ResourceType, class string) bool {
	all := v.classes(t)
	return len(all) < maxClasses || slices.Contains(all, class)
}

// ofPatients reports whether patients may have rows of a type.
func (v *view) ofPatients(t fhir.ResourceType) bool {
	return slices.ContainsFunc(v.classes(t), func(c string) bool { return c != markBasic && homeOf(c) == consent.HomePatients })
}
