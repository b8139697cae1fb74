package mongo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

// Why a database cannot be used, for an operator to be told what to do. None
// carries the driver's words, which may quote the URI.
var (
	// ErrURI: the URI, or what stands beside it, names no servers in a way that
	// can be used.
	ErrURI = errors.New("not a usable MongoDB URI")
	// ErrUnreachable: no server that takes writes answered in time.
	ErrUnreachable = errors.New("MongoDB cannot be reached")
	// ErrCertificate: the two ends do not trust each other's certificates, or
	// one speaks TLS and the other does not.
	ErrCertificate = errors.New("TLS with MongoDB fails")
	// ErrCredentials: name, password or certificate of the user are not taken.
	ErrCredentials = errors.New("MongoDB does not take the credentials")
	// ErrRights: the user is known and may not do what a store needs.
	ErrRights = errors.New("the MongoDB user lacks rights")
	// ErrUnknown: MongoDB refuses for a reason that only its own log tells.
	ErrUnknown = errors.New("MongoDB refuses")
)

// CheckURI reports ErrURI for a URI that can never be used. It asks no server,
// and so knows nothing about what "mongodb+srv" will resolve to.
func CheckURI(uri string) error {
	if strings.HasPrefix(uri, "mongodb+srv://") {
		return nil
	}
	if options.Client().ApplyURI(uri).Validate() != nil {
		return ErrURI
	}
	return nil
}

// The codes by which MongoDB refuses a user (error_codes.yml).
const (
	codeUserNotFound         = 11
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeAtlasError           = 8000
)

// Explain names the reason for which a database cannot be used. What the store
// itself says stays as it is.
func Explain(err error) error {
	var refused mongo.CommandError
	var cleaned *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cleaned):
		return explainFailure(cleaned)
	case untrusted(err):
		return ErrCertificate
	case errors.As(err, &refused) && !mongo.IsTimeout(refused) && !mongo.IsNetworkError(refused):
		return explainCode(refused.Code)
	case mongo.IsTimeout(err), mongo.IsNetworkError(err), errors.Is(err, context.DeadlineExceeded), isNet(err):
		return ErrUnreachable
	}
	var selection topology.ServerSelectionError
	var server mongo.ServerError
	switch {
	case errors.As(err, &selection):
		return ErrUnreachable
	case errors.As(err, &server):
		return ErrUnknown
	}
	return err
}

// explainFailure names the reason of what was made fit to be told before.
func explainFailure(f *failure) error {
	if f.network {
		return ErrUnreachable
	}
	return explainCode(int32(f.code)) //nolint:gosec // a code of the server
}

// reason is what is told of a failure to open a store.
func reason(err error) error {
	why := Explain(err)
	for _, known := range []error{ErrUnreachable, ErrCertificate, ErrCredentials, ErrRights} {
		if errors.Is(why, known) {
			return known
		}
	}
	return clean(err)
}

func explainCode(code int32) error {
	switch code {
	case codeUserNotFound, codeAuthenticationFailed, codeAtlasError:
		return ErrCredentials
	case codeUnauthorized:
		return ErrRights
	default:
		return ErrUnknown
	}
}

func isNet(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}

// untrusted reports whether any server was refused for its certificate, or
// refused ours.
func untrusted(err error) bool {
	var selection topology.ServerSelectionError
	if errors.As(err, &selection) {
		for _, s := range selection.Desc.Servers {
			if s.LastError != nil && untrusted(s.LastError) {
				return true
			}
		}
	}
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &record) || errors.As(err, &alert)
}
