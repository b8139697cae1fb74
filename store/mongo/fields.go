package mongo

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/fhir/search"
)

// What is read of documents is named: the servers copy that faster than what is
// left when something is not.

// by names fields.
func by(names ...string) bson.D {
	fields := make(bson.D, len(names))
	for i, f := range names {
		fields[i] = bson.E{Key: f, Value: 1}
	}
	return fields
}

// bare leaves out the entries, which only writes need back.
func bare() bson.D {
	return by("_id", "n", "p", "k", "w", "o", "l", "c", "v", "i", "j", "u", "d", "b", "f")
}

// content is what a page gives, and what is examined of it.
func (s *searching) content() bson.D {
	if len(s.residual) == 0 {
		return bare()
	}
	return append(bare(), bson.E{Key: "x", Value: 1})
}

// lean is by what a row is admitted and examined, and its entries of some
// parameters.
func (s *searching) lean(params ...search.Param) bson.D {
	fields := by("_id", "n", "p", "k", "w", "o", "l", "c")
	if reads(s.residual) {
		fields = append(fields, bson.E{Key: "b", Value: 1})
	}
	if len(s.residual) > 0 {
		return append(fields, bson.E{Key: "x", Value: 1})
	}
	if params = slices.DeleteFunc(params, func(p search.Param) bool { return p == 0 }); len(params) > 0 {
		fields = append(fields, bson.E{Key: "x", Value: entriesOnly(params)})
	}
	return fields
}

// entriesOnly keeps of the entries those of some parameters.
func entriesOnly(params []search.Param) bson.D {
	var any bson.A
	for _, p := range params {
		any = append(any, is("$and", bson.A{
			is("$gte", bson.A{"$$e", is("$literal", entry(p))}),
			is("$lt", bson.A{"$$e", is("$literal", beyond(p, nil))}),
		}))
	}
	return is("$filter", bson.D{{Key: "input", Value: "$x"}, {Key: "as", Value: "e"}, {Key: "cond", Value: is("$or", any)}})
}

// reads reports whether clauses ask for the content of rows.
func reads(all []search.Clause) bool {
	return slices.ContainsFunc(all, func(c search.Clause) bool {
		return len(c.Read) > 0 || slices.ContainsFunc(c.All, reads)
	})
}
