package mongo

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// Read returns the current version in the edition admitted.
func (v *view) Read(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (store.Found, error) {
	d, e, err := v.admit(ctx, u, t, id)
	if err != nil {
		return store.Found{}, err
	}
	if d.Deleted {
		return store.Found{}, store.ErrGone
	}
	return d.found(t, id, e), nil
}

// admit finds the current version of a row in the edition admitted; a row that
// is not admitted is not found.
func (v *view) admit(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (document, consent.Edition, error) {
	in, err := v.about(ctx, name(t, id))
	if err != nil {
		return document{}, 0, err
	}
	if t == typeAuditEvent {
		return v.admitEvent(in, u, id)
	}
	d, err := v.one(in, collFull, name(t, id))
	if err != nil {
		return document{}, 0, err
	}
	e, err := u.Admit(ctx, d.row(t))
	switch {
	case err != nil:
		return document{}, 0, err
	case e == consent.EditionFull:
		return d, e, nil
	case e == consent.EditionBasic:
		d, err = v.one(in, collBasic, name(t, id))
		return d, e, err
	default:
		return document{}, 0, store.ErrNotFound // as if it were absent
	}
}

func (v *view) one(in context.Context, coll, id string) (document, error) {
	var d document
	err := v.db.collection(coll).FindOne(in, bson.D{{Key: "_id", Value: id}}, options.FindOne().SetProjection(bare())).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) {
		return d, store.ErrNotFound
	}
	return d, clean(err)
}

// Version returns one version of the edition admitted. A former version must be
// admitted by what it was, too: it may have belonged to somebody else.
func (v *view) Version(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id, version string) (store.Found, error) {
	d, e, err := v.admit(ctx, u, t, id)
	if err != nil {
		return store.Found{}, err
	}
	if d.Version == version {
		return d.found(t, id, e), nil
	}
	in, err := v.about(ctx, name(t, id))
	if err != nil {
		return store.Found{}, err
	}
	var former document
	err = v.db.collection(collVersions).FindOne(in, bson.D{{Key: "f", Value: formerOf(e, t, id)}, {Key: "v", Value: version}}, options.FindOne().SetProjection(bare())).Decode(&former)
	if errors.Is(err, driver.ErrNoDocuments) {
		return store.Found{}, store.ErrNotFound
	}
	if err != nil {
		return store.Found{}, clean(err)
	}
	if was, err := u.Admit(ctx, former.row(t)); err != nil {
		return store.Found{}, err
	} else if was != e {
		return store.Found{}, store.ErrNotFound
	}
	return former.found(t, id, e), nil
}

// formerOf is under what the former versions of an edition are filed.
func formerOf(e consent.Edition, t fhir.ResourceType, id string) string {
	if e == consent.EditionBasic {
		return "b " + name(t, id)
	}
	return "f " + name(t, id)
}

// History returns versions of the edition admitted, newest first. The position
// is the count of the last version given. Who is counted is looked at without
// the bytes, which are read for the page alone.
func (v *view) History(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, limit int, after []byte) (versions []store.Found, next []byte, total int, err error) {
	before, err := historyPosition(after)
	if err != nil {
		return nil, nil, 0, err
	}
	d, e, err := v.admit(ctx, u, t, id)
	if err != nil {
		return nil, nil, 0, err
	}
	total = 1
	if before == 0 || d.Count < before {
		versions = append(versions, d.found(t, id, e))
	}
	former, err := v.former(ctx, u, t, id, e)
	if err != nil {
		return nil, nil, 0, err
	}
	total += len(former)
	former = slices.DeleteFunc(former, func(d document) bool { return before != 0 && d.Count >= before })
	room := limit - len(versions)
	if room < 0 {
		return nil, nil, total, nil
	}
	more := len(former) > room
	last := d.Count
	if former = former[:min(room, len(former))]; len(former) > 0 {
		last = former[len(former)-1].Count
	}
	found, err := v.bodies(ctx, former)
	if err != nil {
		return nil, nil, 0, err
	}
	for i := range found {
		versions = append(versions, found[i].found(t, id, e))
	}
	if more && len(versions) > 0 {
		next = binary.AppendUvarint(nil, uint64(last)) //nolint:gosec // it counts
	}
	return versions, next, total, nil
}

// former are the former versions of an edition that are admitted, newest first,
// without their bytes.
func (v *view) former(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, e consent.Edition) ([]document, error) {
	if t == typeAuditEvent {
		return nil, nil
	}
	in, err := v.about(ctx, name(t, id))
	if err != nil {
		return nil, err
	}
	cur, err := v.db.collection(collVersions).Find(in, bson.D{{Key: "f", Value: formerOf(e, t, id)}},
		options.Find().SetSort(bson.D{{Key: "i", Value: -1}}).SetProjection(bson.D{{Key: "x", Value: 0}, {Key: "b", Value: 0}}))
	if err != nil {
		return nil, clean(err)
	}
	var all, admitted []document
	if err := cur.All(in, &all); err != nil {
		return nil, clean(err)
	}
	for _, d := range all {
		was, err := u.Admit(ctx, d.row(t))
		if err != nil {
			return nil, err
		}
		if was == e {
			admitted = append(admitted, d)
		}
	}
	return admitted, nil
}

// bodies reads former versions whole, in the order given.
func (v *view) bodies(ctx context.Context, of []document) ([]document, error) {
	if len(of) == 0 {
		return nil, nil
	}
	in, err := v.within(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(of))
	for i := range of {
		ids[i] = of[i].ID
	}
	cur, err := v.db.collection(collVersions).Find(in, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, options.Find().SetProjection(bare()))
	if err != nil {
		return nil, clean(err)
	}
	var all []document
	if err := cur.All(in, &all); err != nil {
		return nil, clean(err)
	}
	slices.SortFunc(all, func(a, b document) int { return int(b.Count - a.Count) })
	return all, nil
}

func historyPosition(after []byte) (int64, error) {
	if len(after) == 0 {
		return 0, nil
	}
	before, n := binary.Uvarint(after)
	if n != len(after) || before == 0 || before > 1<<62 {
		return 0, store.ErrBadCursor
	}
	return int64(before), nil
}
