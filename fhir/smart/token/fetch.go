package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// The bounds of fetching a key set.
const (
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
)

// fetcher returns how a key set is had: by https, by http from this machine
// only, or from a file.
func fetcher(source string) (func(context.Context) ([]byte, error), error) {
	if source == "" {
		return nil, errors.New("no key set")
	}
	if !strings.Contains(source, "://") {
		_, err := os.Stat(source) // told when the server starts, not to whoever comes with a token
		return func(context.Context) ([]byte, error) { return readBounded(source) }, err
	}
	u, err := url.Parse(source)
	if err != nil || u.Host == "" {
		return nil, errors.New("the address of the key set cannot be read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("a key set is fetched by https alone")
	}
	client := &http.Client{Timeout: fetchTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("a key set does not move")
	}}
	return func(ctx context.Context) ([]byte, error) { return download(ctx, client, source) }, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // G304: the operator's configuration names it
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readAll(f)
}

func download(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key set: status %d", resp.StatusCode)
	}
	return readAll(resp.Body)
}

func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(text) > maxKeySet {
		return nil, errors.New("key set: too large")
	}
	return text, nil
}
