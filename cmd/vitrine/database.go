package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"vitrine/store/mongo"
)

// database are the flags of every verb that opens a store: the data directory's
// own, or one in MongoDB.
type database struct {
	Store storeName `help:"Where the records are: 'embedded', which is the data directory, or a MongoDB URI (mongodb://... or mongodb+srv://...)." default:"embedded" placeholder:"URI"`
	connection
}

// connection are the flags that say how MongoDB is reached.
type connection struct {
	StoreDatabase     string        `name:"store-database" help:"Database in MongoDB. Default: the one in the URI, or vitrine." placeholder:"NAME"`
	StoreUsername     string        `name:"store-username" help:"User of MongoDB. The password comes from --store-password-file or from VITRINE_STORE_PASSWORD." placeholder:"NAME"`
	StorePasswordFile string        `name:"store-password-file" help:"File that holds the password of the user and nothing else." placeholder:"FILE"`
	StoreCA           string        `name:"store-ca" help:"Speak TLS with MongoDB and trust these authorities (PEM)." placeholder:"FILE"`
	StoreCert         string        `name:"store-cert" help:"Speak TLS with MongoDB and present this certificate (PEM); with authMechanism=MONGODB-X509 in the URI it is the user." placeholder:"FILE"`
	StoreKey          string        `name:"store-key" help:"Private key of --store-cert (PEM)." placeholder:"FILE"`
	StoreConnections  uint64        `name:"store-connections" help:"Most connections to each server of MongoDB." default:"100"`
	StoreTimeout      time.Duration `name:"store-timeout" help:"Longest that one operation of MongoDB may take." default:"30s"`
	StoreWait         time.Duration `name:"store-wait" help:"How long to wait at the start for a MongoDB that does not answer yet." default:"30s"`
}

// envStorePassword is the one secret that is no flag: a command line can be read
// by everybody on the machine.
const envStorePassword = "VITRINE_STORE_PASSWORD" //nolint:gosec // G101: the name of a variable

// embeddedStore is the name of the store in the data directory.
const embeddedStore = "embedded"

// storeName is "embedded" or a URI. It is printed without its secrets.
type storeName string

func (n storeName) embedded() bool { return n == embeddedStore || n == "" }

// String masks what may be secret.
func (n storeName) String() string {
	u, err := cutURI(string(n))
	switch {
	case n.embedded():
		return embeddedStore
	case err != nil:
		return masked
	default:
		return u.masked()
	}
}

var (
	errStoreName = errors.New("--store: want 'embedded', mongodb://HOST or mongodb+srv://HOST")
	errStoreURI  = errors.New("--store: the URI cannot be used; see https://www.mongodb.com/docs/manual/reference/connection-string for its form, and write special characters of a name or password as %XX; the name in mongodb+srv:// must have an SRV record in DNS")
)

// check finds what cannot work before anything is opened.
func (d *database) check() error {
	if d.Store.embedded() {
		if d.StoreDatabase != "" || d.StoreUsername != "" || d.StorePasswordFile != "" || d.StoreCA != "" || d.StoreCert != "" || d.StoreKey != "" {
			return errors.New("--store-... settings are for MongoDB: give --store mongodb://... as well")
		}
		return nil
	}
	u, err := cutURI(string(d.Store))
	switch {
	case err != nil:
		return err
	case mongo.CheckURI(string(d.Store)) != nil:
		return errStoreURI
	case strings.ContainsAny(d.StoreDatabase, "/\\. \"$"):
		return errors.New("--store-database: a name has none of / \\ . \" $ and no space")
	case (d.StoreCert == "") != (d.StoreKey == ""):
		return errors.New("--store-cert and --store-key belong together")
	case u.x509() && d.StoreCert == "" && u.option("tlsCertificateKeyFile") == "":
		return errors.New("--store: authMechanism=MONGODB-X509 needs --store-cert and --store-key")
	case d.StoreUsername != "" && d.StorePasswordFile == "" && os.Getenv(envStorePassword) == "" && !u.x509():
		return fmt.Errorf("--store-username needs --store-password-file or %s", envStorePassword)
	case d.StorePasswordFile != "" && d.StoreUsername == "" && u.user == "":
		return errors.New("--store-password-file needs --store-username")
	case d.StoreConnections < 1 || d.StoreTimeout <= 0 || d.StoreWait < 0:
		return errors.New("--store-connections and --store-timeout must be positive, and --store-wait not negative")
	}
	return nil
}

// options are what the store in MongoDB is opened with.
func (d *database) options(log *slog.Logger) (mongo.Options, error) {
	opt := mongo.Options{
		URI: string(d.Store), Database: d.StoreDatabase, Username: d.StoreUsername,
		Connections: d.StoreConnections, Timeout: d.StoreTimeout, Logger: log,
	}
	var err error
	if opt.Password, err = d.password(); err != nil {
		return opt, err
	}
	if opt.Password != "" && opt.Username == "" {
		u, err := cutURI(opt.URI)
		if err != nil {
			return opt, err
		}
		if opt.Username, err = url.PathUnescape(u.user); err != nil {
			return opt, errStoreURI
		}
		if opt.Username == "" {
			opt.Password = "" // of the environment, and meant for another
		}
	}
	opt.TLS, err = d.tls()
	return opt, err
}

func (d *database) password() (string, error) {
	if d.StorePasswordFile == "" {
		return os.Getenv(envStorePassword), nil
	}
	text, err := os.ReadFile(d.StorePasswordFile)
	if err != nil {
		return "", fmt.Errorf("--store-password-file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", errors.New("--store-password-file: the file is empty")
	}
	return password, nil
}

// tls is nil where no file is named: then the URI says whether TLS is spoken.
func (d *database) tls() (*tls.Config, error) {
	if d.StoreCA == "" && d.StoreCert == "" {
		return nil, nil //nolint:nilnil // no configuration is one
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.StoreCA != "" {
		text, err := os.ReadFile(d.StoreCA)
		if err != nil {
			return nil, fmt.Errorf("--store-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("--store-ca: no certificate in the file")
		}
	}
	if d.StoreCert != "" {
		pair, err := tls.LoadX509KeyPair(d.StoreCert, d.StoreKey)
		if err != nil {
			return nil, fmt.Errorf("--store-cert and --store-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// name is the name of the database.
func (d *database) name() string {
	u, err := cutURI(string(d.Store))
	if named := strings.TrimPrefix(u.path, "/"); err == nil && named != "" && d.StoreDatabase == "" {
		return named
	}
	return cmp.Or(d.StoreDatabase, mongo.DefaultDatabase)
}

// exposed reports whether records would cross a network in the clear.
func (d *database) exposed() bool {
	u, err := cutURI(string(d.Store))
	return err == nil && d.StoreCA == "" && d.StoreCert == "" && !u.tls() && !u.local()
}
