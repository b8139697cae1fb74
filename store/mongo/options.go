package mongo

import (
	"crypto/tls"
	"log/slog"
	"time"

	driverevent "go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// Options are what a deployment chooses; zero values mean the defaults.
type Options struct {
	// URI names the servers, "mongodb://" or "mongodb+srv://", with whatever
	// options of its own. What it says of concerns and of reads from secondaries
	// is not followed: reads are of the primary, and both concerns are majority.
	URI string
	// Database is the name of the database; default the one in the URI, or
	// "vitrine".
	Database string
	// Username and Password, when set, stand in for those of the URI, so that
	// neither need be written there.
	Username, Password string
	// TLS, when set, is used for every connection.
	TLS *tls.Config
	// Indexer makes the index entries of AuditEvents, whose search parameters
	// Definitions name. Without one no search finds them.
	Indexer     *search.Indexer
	Definitions *r4.Definitions
	// Site is the name under which events are recorded here, AuditEvent.source.
	// What nearly every event says has no entry, so a store keeps the name that it
	// was made with; events of others are found all the same.
	Site string
	// ScanBudget is how many admitted rows one query may examine; default
	// 250,000.
	ScanBudget int
	// Connections bounds the pool of connections to each server; default 100.
	Connections uint64
	// Timeout bounds one operation of the database when the request allows more;
	// default 30 seconds.
	Timeout time.Duration
	// Copying opens also a store into which a copy is not finished.
	Copying bool
	// Dialer, when set, makes the connections.
	Dialer options.ContextDialer
	// Logger gets the events of the store; default none.
	Logger *slog.Logger
	// monitor is told every command; for tests, which look at its plan.
	monitor *driverevent.CommandMonitor
	// ways are how searches choose their way; for tests, which try all.
	ways ways
}

// DefaultDatabase is the name of a database that is not named.
const DefaultDatabase = "vitrine"

const (
	defaultBudget      = 250_000
	defaultConnections = 100
	defaultTimeout     = 30 * time.Second
	// selection is how long an operation waits for a primary, so that an
	// election is sat out and a dead cluster is not.
	selection = 15 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	c, err := connstring.ParseAndValidate(o.URI)
	if err != nil {
		return o, ErrURI // the driver's words may quote the password
	}
	if o.Database == "" {
		o.Database = c.Database
	}
	if o.Database == "" {
		o.Database = DefaultDatabase
	}
	if o.ScanBudget <= 0 {
		o.ScanBudget = defaultBudget
	}
	if o.ways == (ways{}) {
		o.ways = usual()
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// durable is what is acknowledged: a majority has it in its journal, whatever the
// servers take majority to mean.
func durable() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}
}

func (o Options) client() *options.ClientOptions {
	c := options.Client().ApplyURI(o.URI).
		SetAppName(appName).
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(durable()).
		SetRetryWrites(true).
		SetRetryReads(true).
		SetMaxPoolSize(o.Connections).
		SetServerSelectionTimeout(selection).
		SetTimeout(o.Timeout)
	if o.Username != "" || o.Password != "" {
		auth := options.Credential{}
		if c.Auth != nil {
			auth = *c.Auth
		}
		if o.Username != "" {
			auth.Username = o.Username
		}
		if o.Password != "" {
			auth.Password, auth.PasswordSet = o.Password, true
		}
		c.SetAuth(auth)
	}
	if o.TLS != nil {
		c.SetTLSConfig(o.TLS)
	}
	if o.Dialer != nil {
		c.SetDialer(o.Dialer)
	}
	if o.monitor != nil {
		c.SetMonitor(o.monitor)
	}
	return c
}
