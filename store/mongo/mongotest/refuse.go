package mongotest

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Refuse makes a database refuse every new document of one collection, while all
// else goes on, until mend is called: a log that cannot be written to.
func Refuse(t testing.TB, uri, database, collection string) (mend func()) {
	t.Helper()
	set := func(validator bson.D) {
		t.Helper()
		ctx := context.WithoutCancel(t.Context())
		c, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Disconnect(ctx) }()
		change := bson.D{{Key: "collMod", Value: collection}, {Key: "validator", Value: validator}, {Key: "validationAction", Value: "error"}}
		if err := c.Database(database).RunCommand(ctx, change).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set(bson.D{{Key: "never", Value: bson.D{{Key: "$exists", Value: true}}}})
	return func() { set(bson.D{}) }
}
