package embedded

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
)

var errNoEvents = errors.New("no definitions of AuditEvent")

// entriesOfEvent are all entries of an edition of the event with a number.
func (v *view) entriesOfEvent(n number, e consent.Edition) (search.Encoded, error) {
	r, err := v.eventRows(e)
	if err != nil {
		return nil, err
	}
	var entries search.Encoded
	if err = r.at(n); err == nil {
		entries, err = r.entries(&header{})
	}
	return entries, cmp.Or(err, r.close())
}

// eventStream streams the events that a match holds for, or more of them; every
// row is looked at again. errMany when
// postings do not lead to all of them.
func (v *view) eventStream(e consent.Edition, t typeNumber, m search.Match, limit int) (stream, error) {
	switch {
	case v.db.events == nil:
		return nil, errMany
	case m.Param == search.ParamID && m.Op == search.OpEqual:
		one, _, err := v.identified([]search.Match{m})
		return one, err
	}
	lead, ok := v.db.events.Lead(e, m)
	switch {
	case !ok:
		return nil, errMany
	case lead.Op == search.OpEqual:
		return newBlocks(v.src, prefixValue(nil, e, lead.Param, t, lead.Key))
	case lead.Op == search.OpPrefix:
		return v.beginning(e, t, lead)
	default:
		return v.matchStream(e, t, lead, limit)
	}
}

// identified streams the numbers of the rows with the ids that are among the
// matches, and returns the other matches.
func (v *view) identified(matches []search.Match) (sorted, []search.Match, error) {
	var found []number
	var others []search.Match
	for _, m := range matches {
		if m.Param != search.ParamID || m.Op != search.OpEqual {
			others = append(others, m)
			continue
		}
		code, _ := search.CodeOf(m.Key)
		id, ok := parseUUID(string(code))
		if !ok {
			continue
		}
		n, ok, err := findEvent(v.src, id)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			found = append(found, n)
		}
	}
	return newSorted(found), others, nil
}

// beginning streams the events with any of the values that begin with a key, as long
// as these are few.
func (v *view) beginning(e consent.Edition, t typeNumber, m search.Match) (stream, error) {
	space := prefixPostings(nil, e, m.Param, t)
	lower := appendEscaped(bytes.Clone(space), m.Key)
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: after(lower)})
	if err != nil {
		return nil, err
	}
	var all union
	var value []byte
	for live := it.First(); live && err == nil; {
		if len(all) == maxUnion {
			err = errMany
			break
		}
		var one *blocks
		if value, _, err = cutPosting(it.Key()[len(space):], value); err != nil {
			break
		}
		prefix := prefixValue(nil, e, m.Param, t, value)
		if one, err = newBlocks(v.src, prefix); err == nil {
			all = append(all, one)
			live = it.SeekGE(after(prefix))
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, errors.Join(err, all.close())
	}
	if len(all) == 0 {
		return nothing{}, nil
	}
	return all, nil
}
