package mongo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/store"
)

const (
	// mostPatients is how many patients are asked about in one query.
	mostPatients = 64
	// mostWeight bounds the alternatives of one query, over all patients it asks
	// about: the query itself grows with both.
	mostWeight = 20_000
	// rangeWeight is what a range weighs against a value.
	rangeWeight = 20
	// mostSpent bounds the alternatives of all queries of one search.
	mostSpent = 64 * mostWeight
)

// branch is a stretch of one collection in which rows of the universe may lie:
// those of one patient, of none, or all.
type branch struct {
	edition consent.Edition
	// patient whose stretch it is; empty for others.
	patient string
	whole   bool // all stretches
	stretch uint64
	// classes are those of the rows that exist; loose says that there may be
	// rows to be admitted by themselves.
	classes []string
	loose   bool
	// own confines it to what one organisation contributed, or the custodian.
	own         bool
	contributor string
}

// condition is the branch as a filter, from behind a position on.
func (b *branch) condition(after []byte, classes []string) bson.D {
	f := among("w", classes)
	if bounds := b.bounds(after); len(bounds) > 0 {
		f = append(f, bson.E{Key: "n", Value: bounds})
	}
	if b.whole {
		return append(f, bson.E{Key: "k", Value: is("$lt", kindCopy)})
	}
	return append(f, bson.E{Key: "p", Value: b.patient})
}

// bounds are the limits of the positions of a branch.
func (b *branch) bounds(after []byte) bson.D {
	var bounds bson.D
	if !b.whole {
		low := binary.BigEndian.AppendUint64(nil, b.stretch)
		bounds = bson.D{
			{Key: "$gte", Value: append(bytes.Clone(low), make([]byte, stretchSize)...)},
			{Key: "$lte", Value: append(low, bytes.Repeat([]byte{0xFF}, stretchSize)...)},
		}
	}
	if len(after) > 0 && (b.whole || stretchAt(after) == b.stretch) {
		bounds = append(bounds, bson.E{Key: "$gt", Value: after})
	}
	return bounds
}

// all are the classes of a branch with that of loose rows, which no other has.
func (b *branch) all() []string {
	if !b.loose {
		return b.classes
	}
	return append(slices.Clone(b.classes), classPatients+looseMark, classShared+looseMark, classQuarantine+looseMark)
}

// looseMark stands behind the letter of the home in place of labels.
const looseMark = "*"

// classed are the classes of a home in which rows exist in the universe, by
// edition, and whether loose rows must be asked.
func (s *searching) classed(ctx context.Context, row consent.Row) (classes [consent.EditionBasic + 1][]string, loose bool, err error) {
	for _, c := range s.v.classes(s.q.Type) {
		if c == markBasic || homeOf(c) != row.Home {
			continue
		}
		if c == classOf(row.Home, nil)+looseMark {
			loose = true
			continue
		}
		row.Labels = labelsOf(c)
		e, err := s.u.Admit(ctx, row)
		if err != nil {
			return classes, false, err
		}
		if e != 0 {
			classes[e] = append(classes[e], c)
		}
	}
	return classes, loose, nil
}

// branches adds those of a home, of one patient or of none.
func (s *searching) branches(ctx context.Context, row consent.Row, b branch) ([]branch, error) {
	classes, loose, err := s.classed(ctx, row)
	if err != nil {
		return nil, err
	}
	var all []branch
	for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
		b.edition, b.classes, b.loose = e, classes[e], loose
		if loose && b.patient != "" {
			d, err := s.u.Decide(ctx, b.patient)
			if err != nil {
				return nil, err
			}
			b.loose = !d.Excludes(s.q.Type, e)
		}
		if e == consent.EditionBasic && !s.v.basics(s.q.Type) {
			continue
		}
		if len(b.classes) > 0 || b.loose {
			all = append(all, b)
		}
	}
	return all, nil
}

// batches hands out the branches of the universe, in the order of positions and
// some patients at a time, until each has enough.
func (s *searching) batches(ctx context.Context, each func([]branch) (more bool, err error)) error {
	if s.never {
		return nil
	}
	if org, own := s.u.Contributor(); own || s.u.IsEverything() {
		return s.everywhere(ctx, own, org, each)
	}
	more := true
	var err error
	if !s.v.ofPatients(s.q.Type) {
		// Nobody is decided about for the sake of the directory.
	} else if ids, ok := s.u.Patients(); ok {
		more, err = s.listed(ctx, ids, each)
	} else {
		more, err = s.enumerated(ctx, each)
	}
	if err != nil || !more {
		return err
	}
	all, err := s.branches(ctx, consent.Row{Type: s.q.Type, Home: consent.HomeShared}, branch{stretch: stretchShared})
	if err != nil || len(all) == 0 {
		return err
	}
	_, err = each(all[:1]) // what is shared has no basic edition
	return err
}

// everywhere is one branch for all homes.
func (s *searching) everywhere(ctx context.Context, own bool, org string, each func([]branch) (bool, error)) error {
	b := branch{edition: consent.EditionFull, whole: true, own: own, contributor: org}
	for _, h := range []consent.Home{consent.HomePatients, consent.HomeShared, consent.HomeQuarantine} {
		classes, loose, err := s.classed(ctx, consent.Row{Type: s.q.Type, Home: h, Contributor: org})
		if err != nil {
			return err
		}
		b.classes, b.loose = append(b.classes, classes[consent.EditionFull]...), b.loose || loose
	}
	if len(b.classes) == 0 && !b.loose {
		return nil
	}
	_, err := each([]branch{b})
	return err
}

// listed hands out patients in the order of their stretches.
func (s *searching) listed(ctx context.Context, ids []string, each func([]branch) (bool, error)) (more bool, err error) {
	type patient struct {
		id      string
		stretch uint64
	}
	patients := make([]patient, 0, len(ids))
	for _, id := range ids {
		if p := (patient{id, s.v.db.stretchOf(id)}); len(s.from) == 0 || p.stretch >= stretchAt(s.from) {
			patients = append(patients, p)
		}
	}
	slices.SortFunc(patients, func(a, b patient) int { return cmp.Or(cmp.Compare(a.stretch, b.stretch), cmp.Compare(a.id, b.id)) })
	patients = slices.Compact(patients)
	for some := range slices.Chunk(patients, max(1, min(mostPatients, mostWeight/max(1, s.weight)))) {
		var all []branch
		for _, p := range some {
			d, err := s.u.Decide(ctx, p.id)
			if err != nil {
				return false, err
			}
			if d.Excludes(s.q.Type, consent.EditionFull) && d.Excludes(s.q.Type, consent.EditionBasic) {
				continue
			}
			bs, err := s.branches(ctx, consent.Row{Type: s.q.Type, Home: consent.HomePatients, Patients: []string{p.id}}, branch{patient: p.id, stretch: p.stretch})
			if err != nil {
				return false, err
			}
			all = append(all, bs...)
		}
		if len(all) == 0 {
			continue
		}
		if s.spent += len(all) * s.weight; s.spent > mostSpent {
			return false, store.ErrTooCostly
		}
		if more, err := each(all); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// enumerated finds the patients first: the candidates, or whoever has a row that
// the query is about.
func (s *searching) enumerated(ctx context.Context, each func([]branch) (bool, error)) (more bool, err error) {
	at := uint64(0)
	if len(s.from) > 0 {
		at = stretchAt(s.from)
	}
	for at < stretchPatients {
		ids, last, err := s.patientsFrom(ctx, at)
		if err != nil {
			return false, err
		}
		if more, err := s.listed(ctx, ids, each); err != nil || !more {
			return false, err
		}
		at = last + 1
	}
	return true, nil
}

// patientsFrom are some patients from a stretch on, and the last stretch that
// was looked at.
func (s *searching) patientsFrom(ctx context.Context, at uint64) (ids []string, last uint64, err error) {
	links, linked := s.u.Links()
	condition := clause(links)
	colls := []string{collFull}
	if !linked {
		all, _ := weighed([]bson.D{is("x", typeEntry(s.q.Type))}, s.clauses, "")
		condition = allOf(all)
		if s.v.basics(s.q.Type) {
			colls = append(colls, collBasic)
		}
	}
	last = stretchPatients
	if condition == nil {
		return nil, last, nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return nil, 0, err
	}
	f := allOf([]bson.D{condition, is("n", bson.D{{Key: "$gte", Value: position(at, 0)}, {Key: "$lt", Value: position(stretchPatients, 0)}})})
	var found []document
	for _, coll := range colls {
		some, err := find(in, s.v.db.collection(coll), f, options.Find().SetHint(byEntry()).SetSort(is("n", 1)).SetLimit(enumerate).SetProjection(bson.D{{Key: "n", Value: 1}, {Key: "p", Value: 1}}))
		if err != nil {
			return nil, 0, err
		}
		if len(some) == enumerate {
			last = min(last, stretchAt(some[enumerate-1].N))
		}
		found = append(found, some...)
	}
	for _, d := range found {
		if stretchAt(d.N) <= last && !slices.Contains(ids, d.P) {
			ids = append(ids, d.P)
		}
	}
	return ids, last, nil
}

// enumerate is how many rows are looked at to find the patients they are of.
const enumerate = 256

// candidate reports whether a patient is among those the universe may have rows
// of. It is found out once.
func (s *searching) candidate(ctx context.Context, patient string) (bool, error) {
	if known, ok := s.candidates[patient]; ok {
		return known, nil
	}
	is, err := s.linked(ctx, patient)
	if err != nil {
		return false, err
	}
	if s.candidates == nil {
		s.candidates = map[string]bool{}
	}
	s.candidates[patient] = is
	return is, nil
}

func (s *searching) linked(ctx context.Context, patient string) (bool, error) {
	d, err := s.u.Decide(ctx, patient)
	if err != nil || d.Excludes(s.q.Type, consent.EditionFull) {
		return false, err
	}
	if ids, ok := s.u.Patients(); ok {
		return slices.Contains(ids, patient), nil
	}
	links, ok := s.u.Links()
	if !ok {
		return true, nil
	}
	condition := clause(links)
	if condition == nil {
		return false, nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return false, err
	}
	b := branch{patient: patient, stretch: s.v.db.stretchOf(patient)}
	f := bson.D{{Key: "p", Value: patient}, {Key: "n", Value: b.bounds(nil)}}
	some, err := find(in, s.v.db.collection(collFull), allOf([]bson.D{condition, f}), options.Find().SetHint(byEntry()).SetLimit(1).SetProjection(is("_id", 1)))
	return len(some) > 0, err
}

// filter is what of a query lies in the branches of one edition, from behind a
// position on, and the index to use; nil for nothing. Where there are choices
// among the rows of patients the servers are told no index: they remember then
// what they chose, and weigh the branches one by one.
func (s *searching) filter(all []branch, clauses []condition, e consent.Edition, after []byte, classes func(*branch) []string) (f bson.D, hint any) {
	var any []bson.D
	open := false
	for i := range all {
		b := &all[i]
		in := classes(b)
		if b.edition != e || len(in) == 0 || (!b.whole && len(after) > 0 && stretchAt(after) > b.stretch) {
			continue
		}
		wide := []bson.D{is("x", typeEntry(s.q.Type))}
		if b.own {
			wide = append(wide, is("x", contributorEntry(b.contributor)))
		}
		conditions, choices := weighed(wide, clauses, b.patient)
		open = open || choices > 1 && b.patient != ""
		any = append(any, allOf(append(conditions, b.condition(after, in))))
	}
	if len(any) == 0 {
		return nil, nil
	}
	if open {
		return anyOf(any), nil
	}
	return anyOf(any), byEntry()
}
